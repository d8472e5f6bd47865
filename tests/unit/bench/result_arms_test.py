"""Goal: every arm of k-means, PageRank and classification computes what the definition says, on
any number of ranks. Method: small made-up data; the arms' own programs, ranks as processes of this
machine, compared with a few lines of numpy that know nothing of blocks, ranks or runtimes.

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
                words = command + [f"--world-size={ranks}"] + flags + [
                    f"--control={control}",
                    f"--out={folder}/events" if rank == 0 else f"--out={folder}/none"]
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


def launches(workload, flags, numbers_of_ranks=(1, 3), kinds=("tuned", "naive"), local_ranks=1):
    """(name, launch) of every arm, on several numbers of ranks."""
    python = [sys.executable]
    for ranks in numbers_of_ranks:
        for kind in kinds:
            program = python + [os.path.join(NATIVE, f"{workload}_{kind}.py")]
            yield f"{kind} on {ranks}", Launch(program, flags, ranks, False)
        if os.path.exists(os.path.join(BUILT, f"{workload}_native")):
            program = [os.path.join(BUILT, f"{workload}_native")]
            yield f"native C++ on {ranks}", Launch(program, flags, ranks, True)
    if os.path.isfile(os.path.join(BUILT, workload)):
        program = [os.path.join(BUILT, workload), "--local"]
        flags = flags + ["--world-size=%d" % local_ranks]
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


COLUMNS = [f"f{column}" for column in range(32)]
BLOCK_ROWS, BATCH, RATE = 512, 100, 0.3


def write_classes(folder):
    """Two classes far apart, in columns of many scales, with holes; the last block is shorter."""
    random = np.random.default_rng(7)
    labels = random.integers(2, size=ROWS).astype(np.int32)
    columns = (random.normal(labels, 1, (32, ROWS)).T * np.arange(1, 33) - 40).T
    columns[3, 17] = np.inf  # as good as empty
    holes = random.random((32, ROWS)) < 0.005
    table = {"label": labels}
    table.update({name: pa.array(values, mask=hole)
                  for name, values, hole in zip(COLUMNS, columns, holes)})
    for part, begin in enumerate(range(0, ROWS, 2000)):
        parquet.write_table(pa.table(table).slice(begin, 2000), f"{folder}/part-{part}.parquet",
                            row_group_size=700)
    with open(f"{folder}/meta.json", "w") as file:
        json.dump({"facts": {"best_accuracy": {"value": 0.99}}}, file)
    columns[holes] = np.nan
    return columns, labels.astype(np.int64)


def prepare(columns, labels, seed):
    """The rows of training and test: (features, labels), by the definition."""
    complete = np.isfinite(columns).all(0)
    is_test = np.array([uniform_number(seed, row) < 0.2 for row in range(ROWS)])
    train, test = complete & ~is_test, complete & is_test
    mean, deviation = columns[:, train].mean(1), columns[:, train].std(1)
    features = ((columns.T - mean) / deviation)
    return [(features[rows], labels[rows]) for rows in (train, test)]


def train_logreg(train, seed):
    """Softmax regression by its formula, in double. The loss of each step, the weights."""
    features, labels = train
    torch.manual_seed(seed)
    layer = torch.nn.Linear(32, 2)
    weight, bias = (p.detach().double().numpy().copy() for p in (layer.weight, layer.bias))
    order = torch.randperm(len(labels),
                           generator=torch.Generator().manual_seed(seed)).numpy()
    losses = []
    for step in range(STEPS):
        rows = order[step * BATCH:(step + 1) * BATCH]
        scores = features[rows] @ weight.T + bias
        chances = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
        losses.append(-np.log(chances[np.arange(BATCH), labels[rows]]).mean())
        error = (chances - np.eye(2)[labels[rows]]) / BATCH
        weight -= RATE * error.T @ features[rows]
        bias -= RATE * error.sum(0)
    return losses, weight, bias


def sha256_of_blocks(*parts):
    """The hash of the hashes of each block's arrays."""
    return hashlib.sha256(b"".join(
        hashlib.sha256(b"".join(np.ascontiguousarray(array) for array in block)).digest()
        for block in parts)).hexdigest()


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

    def test_classification(self):
        with tempfile.TemporaryDirectory() as folder:
            columns, labels = write_classes(folder)
            train, test = prepare(columns, labels, seed=3)
            losses, weight, bias = train_logreg(train, seed=3)
            right = (test[0] @ weight.T + bias).argmax(1) == test[1]
            dataset = sha256_of_blocks(*((columns[:, b:b + BLOCK_ROWS], labels[b:b + BLOCK_ROWS])
                                         for b in range(0, ROWS, BLOCK_ROWS)))
            flags = [f"--data={folder}", f"--block-rows={BLOCK_ROWS}", f"--batch={BATCH}",
                     f"--lr={RATE}", "--seed=3"]
            hashes = set()
            for name, launch in launches("classification", flags + ["--model=logreg"], [2],
                                         local_ranks=2):
                with self.subTest(name):
                    self.assertEqual(launch.phases, ["load", "clean", "split", "standardise",
                                                     "train", "evaluate"])
                    values = launch.result["values"]
                    self.assertEqual(launch.result["hashes"]["dataset"], dataset)
                    self.assertEqual(values["rows"], len(train[1]) + len(test[1]))
                    self.assertEqual(values["best_accuracy"], 0.99)
                    self.assertAlmostEqual(values["accuracy"], right.mean())
                    np.testing.assert_allclose(values["weights_abs_sum"],
                                               np.abs(weight).sum() + np.abs(bias).sum(), 1e-5)
                    np.testing.assert_allclose(launch.series["loss"], losses, 1e-5)
                    hashes.add((*launch.result["hashes"].values(), *launch.series["loss"]))
            self.assertEqual(len(hashes), 1, "every bit is the same in all arms")
            hashes = {(*launch.result["hashes"].values(), *launch.series["loss"])
                      for _, launch in launches("classification", flags + ["--model=mlp"], [1],
                                                ["tuned"])}
            self.assertEqual(len(hashes), 1, "every bit is the same in all arms")


if __name__ == "__main__":
    unittest.main()
