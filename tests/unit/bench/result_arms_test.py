"""Goal: every arm of k-means, PageRank, classification, etl and flights computes what the
definition says, on any number of ranks; wrong data are refused by name. Method: made-up data; the
arms' own programs, ranks as processes of this machine, compared with a few lines of numpy that know
nothing of blocks, ranks or runtimes.

    result_arms_test.py [FOLDER OF THE C++ ARMS]
"""

import hashlib
import json
import multiprocessing
import os
import runpy
import socket
import subprocess
import sys
import tempfile
import types
import unittest

os.environ["OMP_NUM_THREADS"] = "1"  # forked below: there must be no threads

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
sys.path.insert(0, NATIVE)
STEPS, ROWS, CLUSTERS, NODES = 4, 5000, 7, 3000
TIMEOUT_S = 120


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def run_python(words, environment, log):
    """The main of a forked process: a Python arm without the seconds that importing torch takes."""
    os.environ.update(environment)
    with open(log, "w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sys.argv = words
    runpy.run_path(words[0], run_name="__main__")


class Rank:
    """A process of an arm: a Python program forked off, or another program."""

    def __init__(self, words, environment, log):
        self.log = log
        if words[0].endswith(".py"):
            self.process = multiprocessing.get_context("fork").Process(
                target=run_python, args=(words, environment, log))
            self.process.start()
        else:
            with open(log, "w") as file:
                self.process = subprocess.Popen(words, env=dict(os.environ, **environment),
                                                stdout=file, stderr=subprocess.STDOUT)

    def wait(self):
        """What it wrote, if it failed."""
        if isinstance(self.process, subprocess.Popen):
            code = self.process.wait(TIMEOUT_S)
        else:
            self.process.join(TIMEOUT_S)
            code = self.process.exitcode
        with open(self.log) as file:
            return f"exit code {code}: {file.read()}" if code != 0 else ""


class Launch:
    """One repetition of an arm, its ranks side by side."""

    def __init__(self, command, flags, ranks, told_by_flags, world_size=None):
        with tempfile.TemporaryDirectory() as folder:
            control = os.path.join(folder, "control")
            with open(control, "w") as file:
                file.write(f"run r {STEPS} {folder}/r\nquit\n")
            port = free_port()
            started = []
            for rank in range(ranks):
                words = command + [f"--world-size={world_size or ranks}"] + flags + [
                    f"--control={control}",
                    f"--out={folder}/events" if rank == 0 else f"--out={folder}/none"]
                environment = {}
                if told_by_flags:
                    words += [f"--rank={rank}", f"--rendezvous=127.0.0.1:{port}"]
                elif ranks > 1:
                    environment.update(RANK=str(rank), WORLD_SIZE=str(ranks),
                                       MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
                started.append(Rank(words, environment, f"{folder}/log-{rank}"))
            try:
                failures = [rank.wait() for rank in started]
            finally:
                for rank in started:
                    rank.process.kill()
            if any(failures):
                raise AssertionError(f"{command} failed: {failures}")
            with open(f"{folder}/events") as file:
                events = [json.loads(line) for line in file]
            self.phases = [e["name"] for e in events if e["event"] == "phase"]
            self.steps = [e["done"] for e in events if e["event"] == "step"]
            self.result = next(e for e in events if e["event"] == "result")
            self.series = {}
            for name in os.listdir(folder):
                if name.startswith("r."):
                    with open(os.path.join(folder, name)) as file:
                        self.series[name[2:-4]] = [float.fromhex(line) for line in file]


def launches(workload, flags, numbers_of_ranks=(1, 3), kinds=("tuned", "naive"), local_ranks=1):
    """(name, launch) of every arm, on several numbers of ranks."""
    for ranks in numbers_of_ranks:
        for kind in kinds:
            program = [os.path.join(NATIVE, f"{workload}_{kind}.py")]
            yield f"{kind} on {ranks}", Launch(program, flags, ranks, False)
        if os.path.exists(os.path.join(BUILT, f"{workload}_native")):
            program = [os.path.join(BUILT, f"{workload}_native")]
            yield f"native C++ on {ranks}", Launch(program, flags, ranks, True)
    if os.path.isfile(os.path.join(BUILT, workload)):
        program = [os.path.join(BUILT, workload), "--local"]
        yield "rayx, local mode", Launch(program, flags, 1, False, local_ranks)


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
CLASS_BLOCK, CLASS_BATCH, CLASS_RATE = 512, 100, 0.3


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
        rows = order[step * CLASS_BATCH:(step + 1) * CLASS_BATCH]
        scores = features[rows] @ weight.T + bias
        chances = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
        losses.append(-np.log(chances[np.arange(CLASS_BATCH), labels[rows]]).mean())
        error = (chances - np.eye(2)[labels[rows]]) / CLASS_BATCH
        weight -= CLASS_RATE * error.T @ features[rows]
        bias -= CLASS_RATE * error.sum(0)
    return losses, weight, bias


def sha256_of_blocks(*parts):
    """The hash of the hashes of each block's arrays."""
    return hashlib.sha256(b"".join(
        hashlib.sha256(b"".join(np.ascontiguousarray(array) for array in block)).digest()
        for block in parts)).hexdigest()


CATEGORIES = ("books", "food", "toys", "garden", "music", "clothes", "tools", "sports", "pets",
              "office", "health", "travel")
REGIONS = ("north", "east", "south", "west", "islands")
STORES, WEEKS = 40, 53


def write_sales(folder, rows):
    """A table of sales with holes and dirt, in two parts, and its stores."""
    random = np.random.default_rng(7)
    category = random.choice(CATEGORIES + (" food ", "TOYS"), rows)
    price = np.round(random.uniform(1, 40, rows), 2) * random.choice([1, 1, 1, -1, 1000], rows)
    table = pa.table({
        "id": pa.array(np.arange(rows)),
        "day": pa.array(random.integers(365, size=rows), pa.int32()),
        "store": pa.array(random.integers(STORES, size=rows), pa.int32()),
        "category": category,
        "quantity": pa.array([int(n) or None for n in random.integers(11, size=rows)], pa.int32()),
        "price": pa.array([p if random.random() < 0.9 else None for p in price])})
    half = rows // 2 + 13
    parquet.write_table(table.slice(0, half), f"{folder}/part-00000.parquet", row_group_size=700)
    parquet.write_table(table.slice(half), f"{folder}/part-00001.parquet", row_group_size=300)
    parquet.write_table(pa.table({"store": pa.array(range(STORES), pa.int32()),
                                  "region": random.choice(REGIONS, STORES),
                                  "area": random.uniform(50, 1000, STORES)}),
                        f"{folder}/stores.parquet")


def bring_in(folder, rows):
    """The report of the first `rows` sales by its definition: totals by group, sorted rows."""
    regions = parquet.read_table(f"{folder}/stores.parquet")["region"].to_pylist()
    parts = [parquet.read_table(f"{folder}/part-0000{n}.parquet") for n in (0, 1)]
    totals, clean = np.zeros((2, len(REGIONS), len(CATEGORIES), WEEKS), np.int64), []
    for sale in pa.concat_tables(parts).slice(0, rows).to_pylist():
        if (sale["category"] not in CATEGORIES or sale["quantity"] is None
                or sale["price"] is None or not 0 < sale["price"] < 1000):
            continue
        cents = round(sale["price"] * 100) * sale["quantity"]
        group = (REGIONS.index(regions[sale["store"]]), CATEGORIES.index(sale["category"]),
                 sale["day"] // 7)
        totals[(0, *group)] += 1
        totals[(1, *group)] += cents
        number = (group[0] * len(CATEGORIES) + group[1]) * WEEKS + group[2]
        clean.append((cents, sale["id"], sale["store"] * totals[0].size + number))
    return totals, sorted(clean)


AIRPORTS = {"ORD": (41.98, -87.9), "DFW": (32.9, -97.04), "SFO": (37.62, -122.37),
            "JFK": (40.64, -73.78), "ANC": (61.17, -150.0)}
BLOCK, BATCH, TRAIN_STEPS, RATE, SEED = 900, 256, 12, 1.0, 3


def write_flights(folder, rows):
    """Flights with slips of the pen and an airport that is not in the list."""
    random = np.random.default_rng(8)
    codes = np.array(list(AIRPORTS) + ["???"])
    hours = random.integers(24, size=rows)
    date = (np.datetime64("2001-01-01T00:00", "us")
            + (random.integers(180, size=rows) * 24 + hours) * np.timedelta64(1, "h"))
    delay = random.integers(-40, 30, rows) + hours
    delay[random.random(rows) < 0.02] = 5000
    distance = random.integers(100, 3000, rows)
    distance[random.random(rows) < 0.02] = 0
    table = pa.table({"date": date, "delay": delay, "distance": distance, **{
        name: pa.array(random.choice(codes, rows, p=[0.23, 0.2, 0.2, 0.2, 0.14, 0.03]),
                       pa.large_string()) for name in ("origin", "destination")}})
    parquet.write_table(table, f"{folder}/flights-3m.parquet", row_group_size=1100)
    with open(f"{folder}/airports.csv", "w") as file:
        file.write("iata,name,city,state,country,latitude,longitude\n")
        file.writelines(f'{code},"A, B",C,D,USA,{lat},{lng}\n'
                        for code, (lat, lng) in AIRPORTS.items())


def learn_flights(folder, ranks):
    """Logistic regression by its definition in double: clean rows, the trace of the loss, the AUC.
    `ranks` decide only which rows a batch has, by the order of each."""
    rows, blocks = parquet.read_table(f"{folder}/flights-3m.parquet").to_pylist(), []
    for block in range(STEPS):
        features, late = [], []
        for f in rows[block * BLOCK:(block + 1) * BLOCK]:
            if (not -60 <= f["delay"] <= 1000 or f["distance"] <= 0
                    or f["origin"] not in AIRPORTS or f["destination"] not in AIRPORTS
                    or f["origin"] == f["destination"]):
                continue
            features.append([*np.eye(24)[f["date"].hour], *np.eye(7)[f["date"].weekday()],
                             f["distance"], *AIRPORTS[f["origin"]], *AIRPORTS[f["destination"]]])
            late.append(float(f["delay"] > 15))
        blocks.append((np.array(features), np.array(late)))
    train = np.concatenate([b[0][:, 31:] for b in blocks[:3]])  # block 3 is for evaluation
    for features, _ in blocks:
        features[:, 31:] = (features[:, 31:] - train.mean(0)) / train.std(0)
    shares = np.array_split(np.arange(3), ranks)
    own = [[np.concatenate([blocks[b][kind] for b in share]) for kind in (0, 1)]
           for share in shares]
    parts = [len(part) for part in np.array_split(np.arange(BATCH), ranks)]
    per_epoch = min(-(-len(rows[1]) // part) for rows, part in zip(own, parts))
    torch.manual_seed(SEED)
    start = torch.nn.Linear(36, 1)
    weight, bias = start.weight.detach().numpy()[0].astype(float), start.bias.item()
    trace = []
    for step in range(TRAIN_STEPS):
        epoch, at = divmod(step, per_epoch)
        chosen = [torch.randperm(len(late), generator=torch.Generator().manual_seed(SEED + epoch))
                  [at * part:(at + 1) * part].numpy() for (_, late), part in zip(own, parts)]
        x, y = (np.concatenate([rows[kind][c] for rows, c in zip(own, chosen)]) for kind in (0, 1))
        p = 1 / (1 + np.exp(-(x @ weight + bias)))
        trace.append(-np.mean(y * np.log(p) + (1 - y) * np.log(1 - p)))
        weight, bias = weight - RATE * (p - y) @ x / len(y), bias - RATE * (p - y).mean()
    scores, late = blocks[3][0] @ weight, blocks[3][1] > 0
    apart = scores[late][:, None] - scores[~late][None]
    return (sum(len(b[1]) for b in blocks), trace,
            np.mean((apart > 0) + 0.5 * (np.abs(apart) < 1e-9)))


def mixed(z):
    mask = (1 << 64) - 1
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
    return z ^ (z >> 31)


class ResultArmsTest(unittest.TestCase):
    def test_classification(self):
        with tempfile.TemporaryDirectory() as folder:
            columns, labels = write_classes(folder)
            train, test = prepare(columns, labels, seed=3)
            losses, weight, bias = train_logreg(train, seed=3)
            right = (test[0] @ weight.T + bias).argmax(1) == test[1]
            dataset = sha256_of_blocks(*((columns[:, b:b + CLASS_BLOCK], labels[b:b + CLASS_BLOCK])
                                         for b in range(0, ROWS, CLASS_BLOCK)))
            flags = [f"--data={folder}", f"--block-rows={CLASS_BLOCK}", f"--batch={CLASS_BATCH}",
                     f"--lr={CLASS_RATE}", "--seed=3"]
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

    def test_etl(self):
        with tempfile.TemporaryDirectory() as folder:
            write_sales(folder, ROWS)
            totals, rows = bring_in(folder, STEPS * 900)
            hashes = [mixed((mixed((cents << 32) + number) + rest) % 2**64)
                      for cents, number, rest in rows]
            order = sum(h * (2 * place + 1) for place, h in enumerate(hashes)) % 2**64
            datasets = set()
            for name, launch in launches("etl", [f"--data={folder}", "--block-rows=900"]):
                with self.subTest(name):
                    self.assertEqual(launch.phases, ["clean", "group", "sort"])
                    self.assertEqual(launch.result["hashes"]["totals"],
                                     hashlib.sha256(totals).hexdigest())
                    self.assertEqual(launch.result["values"],
                                     {"clean_rows": len(rows), "sorted_rows": len(rows),
                                      "revenue_cents": int(totals[1].sum()), "descents": 0})
                    self.assertEqual(launch.result["texts"],
                                     {"rows": f"{len(rows)} rows, {sum(hashes) % 2**64:016x}",
                                      "order": f"{order:016x}"})
                    datasets.add(launch.result["hashes"]["dataset"])
            self.assertEqual(len(datasets), 1)

    def test_flights(self):
        flags = [f"--block-rows={BLOCK}", f"--batch={BATCH}", f"--train-steps={TRAIN_STEPS}",
                 f"--lr={RATE}", f"--seed={SEED}"]
        with tempfile.TemporaryDirectory() as folder:
            write_flights(folder, ROWS)
            expected, hashes = {n: learn_flights(folder, n) for n in (1, 3)}, set()
            for name, launch in launches("flights", [f"--data={folder}", *flags]):
                with self.subTest(name):
                    rows, trace, area = expected[3 if name.endswith("3") else 1]
                    self.assertEqual(launch.phases, ["load", "preprocess", "train", "evaluate"])
                    self.assertEqual(launch.result["values"]["clean_rows"], rows)
                    np.testing.assert_allclose(launch.series["loss"], trace, atol=2e-6)
                    self.assertAlmostEqual(launch.result["values"]["auc"], area, delta=5e-4)
                    hashes.add((launch.result["hashes"]["dataset"],
                                launch.result["hashes"]["features"]))
            self.assertEqual(len(hashes), 1)

    def test_wrong_data_is_refused_by_name(self):
        import etl
        import flights
        from table import BadData

        def read_sales(folder):
            sales = etl.Sales(folder, 900, STEPS)
            etl.clean(sales, sales.read(0, sales.rows), sales.regions())

        def read_flights(folder):
            flights.Flights(folder, BLOCK, STEPS).read(list(range(STEPS)))

        def without(column):
            return lambda table: table.drop_columns([column])

        def with_hole(column):
            def change(table):
                values = table[column].to_pylist()
                values[1234] = None
                place = table.schema.get_field_index(column)
                return table.set_column(place, table.field(column),
                                        pa.array(values, table.field(column).type))
            return change

        def as_texts(column):
            return lambda table: table.set_column(
                table.schema.get_field_index(column), column,
                pa.array([str(value) for value in table[column].to_pylist()]))

        for write, read, name, columns in (
                (write_sales, read_sales, "part-00000.parquet", ("store", "category")),
                (write_flights, read_flights, "flights-3m.parquet", ("delay", "origin"))):
            with tempfile.TemporaryDirectory() as folder:
                path = f"{folder}/{name}"

                def refused(words, folder=folder, read=read, path=path):
                    with self.assertRaisesRegex(BadData, f"{path}: .*{words}"):
                        read(folder)

                write(folder, ROWS)
                read(folder)  # is sound
                sound = parquet.read_table(path)
                for column in columns:
                    parquet.write_table(without(column)(sound), path)
                    refused(f"no column {column}")
                    parquet.write_table(with_hole(column)(sound), path)
                    refused(f"{column} has empty cells")
                parquet.write_table(as_texts(columns[0])(sound), path)
                refused(f"{columns[0]} is of type")
                parquet.write_table(sound, path)
                os.truncate(path, os.path.getsize(path) // 2)
                refused("")
                os.remove(path)
                if name == "flights-3m.parquet":
                    refused("")

    def test_what_is_no_command_is_no_end(self):
        import arm
        alone = types.SimpleNamespace(rank=0, share_command=lambda line: line)

        def commands(text):
            with tempfile.NamedTemporaryFile("w") as control:
                control.write(text)
                control.flush()
                return list(arm._commands(types.SimpleNamespace(control=control.name), alone))

        self.assertEqual(commands("run r 4 /p a th\nquit\nrun s 1 /p\n"), [("r", 4, "/p a th")])
        self.assertEqual(commands("run r 4 /p\n"), [("r", 4, "/p")])  # the runner is gone
        for line in ("runs r 4 /p", "run r 4", "run r four /p", "run r 0 /p", "run r -1 /p"):
            with self.assertRaisesRegex(ValueError, f"not a command: '{line}'"):
                commands(f"{line}\nquit\n")

    def test_threads_are_set_however_they_are_said(self):
        import arm
        for words, threads in ((["a"], "1"), (["a", "--threads=3"], "3"),
                               (["a", "--threads", "3", "--seed", "2"], "3")):
            self.assertEqual(arm._threads_in(words), threads)

    def test_rows_that_do_not_go_round_are_an_error_with_a_name(self):
        import flights
        ranks = types.SimpleNamespace(rank=0, world=2)
        for batch, rows_of_rank in ((8, [9, 0]), (1, [9, 9])):
            options = types.SimpleNamespace(batch=batch, train_steps=1, seed=1)
            with self.assertRaisesRegex(ValueError, "too few for 2 ranks"):
                next(flights.batches(options, ranks, rows_of_rank))

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
