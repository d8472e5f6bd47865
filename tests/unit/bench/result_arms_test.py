"""Goal: every arm of k-means and PageRank computes what the definition says, on any number of
ranks. Method: small made-up data; the arms' own programs, ranks as processes of this machine,
compared with a few lines of numpy that know nothing of blocks, ranks or runtimes.

    result_arms_test.py [FOLDER OF THE C++ ARMS]
"""

import hashlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import unittest

try:
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as parquet
    import torch  # noqa: F401
except ImportError as missing:
    print(f"not run: {missing}")
    sys.exit(77)

NATIVE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../bench/native")
BUILT = sys.argv.pop(1) if len(sys.argv) > 1 else ""
STEPS, ROWS, CLUSTERS, NODES = 4, 5000, 7, 3000
TIMEOUT_S = 120


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Launch:
    """One repetition of an arm, its ranks side by side."""

    def __init__(self, command, flags, ranks, told_by_flags):
        with tempfile.TemporaryDirectory() as folder:
            control = os.path.join(folder, "control")
            with open(control, "w") as file:
                file.write(f"run r {STEPS} {folder}/r\nquit\n")
            port = free_port()
            processes = []
            for rank in range(ranks):
                words = command + flags + [f"--world-size={ranks}", f"--control={control}",
                                           f"--out={folder}/events" if rank == 0 else
                                           f"--out={folder}/none"]
                environment = dict(os.environ, PYTHONDONTWRITEBYTECODE="1")
                if told_by_flags:
                    words += [f"--rank={rank}", f"--rendezvous=127.0.0.1:{port}"]
                elif ranks > 1:
                    environment.update(RANK=str(rank), WORLD_SIZE=str(ranks),
                                       MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
                processes.append(subprocess.Popen(words, env=environment, text=True,
                                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT))
            try:
                said = [process.communicate(timeout=TIMEOUT_S)[0] for process in processes]
            finally:
                for process in processes:
                    process.kill()
            if any(process.returncode for process in processes):
                raise AssertionError(f"{command} failed: {said}")
            with open(f"{folder}/events") as file:
                events = [json.loads(line) for line in file]
            self.steps = [e["done"] for e in events if e["event"] == "step"]
            self.phases = [e["name"] for e in events if e["event"] == "phase"]
            self.result = next(e for e in events if e["event"] == "result")
            self.series = {}
            for name in os.listdir(folder):
                if name.startswith("r."):
                    with open(os.path.join(folder, name)) as file:
                        self.series[name[2:-4]] = [float.fromhex(line) for line in file]


def launches(workload, flags):
    """(name, launch) of every arm, on several numbers of ranks."""
    python = [sys.executable]
    for ranks in (1, 3):
        for kind in ("tuned", "naive"):
            program = python + [os.path.join(NATIVE, f"{workload}_{kind}.py")]
            yield f"{kind} on {ranks}", Launch(program, flags, ranks, False)
        if os.path.exists(os.path.join(BUILT, f"{workload}_native")):
            program = [os.path.join(BUILT, f"{workload}_native")]
            yield f"native C++ on {ranks}", Launch(program, flags, ranks, True)
    if os.path.isfile(os.path.join(BUILT, workload)):
        program = [os.path.join(BUILT, workload), "--local"]
        yield "rayx, local mode", Launch(program, flags, 1, False)


def uniform_number(seed, counter):
    mask = (1 << 64) - 1
    z = (seed + (counter + 1) * 0x9E3779B97F4A7C15) & mask
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
    return ((z ^ (z >> 31)) >> 11) * 2.0 ** -53


def cluster(rows, seed):
    """k-means++ and Lloyd by their definitions: inertia of each iteration, the last one, labels."""
    centres = [rows[int(uniform_number(seed, 0) * len(rows))]]
    for k in range(1, CLUSTERS):
        nearest = np.min([((rows - c) ** 2).sum(1) for c in centres], 0)
        running = np.cumsum(nearest)
        place = np.searchsorted(running, uniform_number(seed, k) * running[-1], "right")
        centres.append(rows[place])
    centres = np.array(centres)
    trace = []
    for _ in range(STEPS + 1):
        distances = ((rows[:, None] - centres[None]) ** 2).sum(2)
        labels, last = distances.argmin(1), centres
        trace.append(distances.min(1).sum())
        centres = np.array([rows[labels == k].mean(0) for k in range(CLUSTERS)])
    return trace[:-1], trace[-1], labels, last


def rank_nodes(sources, targets):
    """PageRank by its definition."""
    ranks, degrees = np.full(NODES, 1 / NODES), np.bincount(sources, minlength=NODES)
    for _ in range(STEPS):
        before, new = ranks, np.zeros(NODES)
        np.add.at(new, targets, ranks[sources] / degrees[sources])
        ranks = 0.15 / NODES + 0.85 * (new + ranks[degrees == 0].sum() / NODES)
    return ranks, np.abs(ranks - before).sum()


class ResultArmsTest(unittest.TestCase):
    def test_kmeans(self):
        random = np.random.default_rng(5)
        rows = random.normal(0, 1, (ROWS, 3)) + random.choice(np.eye(3) * 9, ROWS)
        trace, inertia, labels, centres = cluster(rows, seed=3)
        with tempfile.TemporaryDirectory() as folder:
            for part, begin in enumerate(range(0, ROWS, 2000)):
                columns = {f"f{c}": rows[begin:begin + 2000, c] for c in range(3)}
                parquet.write_table(pa.table(columns), f"{folder}/part-{part}.parquet",
                                    row_group_size=700)
            flags = [f"--data={folder}", "--columns=f0,f1,f2", f"--clusters={CLUSTERS}",
                     "--block-rows=512", "--seed=3", "--step-events"]
            for name, launch in launches("kmeans", flags):
                with self.subTest(name):
                    self.assertEqual(launch.phases, ["load", "seed", "iterate", "assign"])
                    self.assertEqual(launch.steps,
                                     [] if "naive" in name else list(range(1, STEPS + 1)))
                    self.assertEqual(
                        launch.result["hashes"],
                        {"assignment": hashlib.sha256(labels.astype(np.int32)).hexdigest(),
                         "dataset": hashlib.sha256(
                             np.ascontiguousarray(rows.T)).hexdigest()})
                    self.assertEqual(launch.result["steps"], STEPS)
                    np.testing.assert_allclose(launch.result["values"]["inertia"], inertia, 1e-10)
                    np.testing.assert_allclose(launch.series["inertia"], trace, 1e-10)
                    np.testing.assert_allclose(launch.series["centres"], centres.flatten(),
                                               atol=1e-10)

    def test_pagerank(self):
        random = np.random.default_rng(6)
        sources = random.integers(NODES * 9 // 10, size=9000).astype(np.int32)
        targets = (random.random(9000) ** 2 * NODES).astype(np.int32)
        ranks, change = rank_nodes(sources, targets)
        order = sorted(range(NODES), key=lambda node: (-ranks[node], node))[:10]
        with tempfile.TemporaryDirectory() as folder:
            parquet.write_table(pa.table({"source": sources, "target": targets}),
                                f"{folder}/edges.parquet", row_group_size=2500)
            parquet.write_table(pa.table({"name": ["n"] * NODES}), f"{folder}/nodes.parquet")
            for name, launch in launches("pagerank", [f"--data={folder}"]):
                with self.subTest(name):
                    self.assertEqual(launch.phases, ["load", "partition", "iterate"])
                    self.assertEqual(launch.result["texts"], {"top10": ",".join(map(str, order))})
                    self.assertEqual(launch.result["hashes"]["dataset"], hashlib.sha256(
                        np.concatenate([sources, targets])).hexdigest())
                    self.assertLess(np.abs(np.array(launch.series["ranks"]) - ranks).sum(), 1e-12)
                    self.assertEqual(len(launch.series["change"]), STEPS)
                    np.testing.assert_allclose(launch.series["change"][-1], change, 1e-9)


if __name__ == "__main__":
    unittest.main()
