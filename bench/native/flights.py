"""What the Python arms of workload flights share: flags, data, cleaning, features, checksums.

Every number that a gate compares is computed here, in the same operator order as the C++ arm
(bench/workloads/flights): see bench/workloads/README.md for the contract.
"""

import hashlib
import math
import os

import numpy as np
import pyarrow as pa
import pyarrow.csv as csv
import torch
import torch.nn.functional as functional

import arm
import training
from table import BadData, Table

DELAY_MIN, DELAY_MAX, LATE_ABOVE = -60, 1000, 15
HOURS, WEEKDAYS, NUMBERS = 24, 7, 5
FEATURES = HOURS + WEEKDAYS + NUMBERS
HOUR_US, DAY_US, THURSDAY = 3_600_000_000, 24 * 3_600_000_000, 3  # 1970 began on a Thursday
EVALUATION_EVERY, BINS = 4, 4096
COLUMNS = {"date": pa.timestamp("us"), "delay": pa.int64(), "distance": pa.int64(),
           "origin": pa.string(), "destination": pa.string()}


class Options:
    """The flags of the workload, for the arms' classes to inherit."""

    PHASES = ("load", "preprocess", "train", "evaluate")

    @staticmethod
    def add_options(parser):
        parser.add_argument("--block-rows", type=int, default=65536)
        parser.add_argument("--train-steps", type=int, default=50)
        parser.add_argument("--batch", type=int, default=8192)
        parser.add_argument("--lr", type=float, default=2.0)

    @staticmethod
    def check_options(options):
        for name in ("block_rows", "train_steps", "batch"):
            if getattr(options, name) < 1:
                raise ValueError(f"--{name.replace('_', '-')} must be at least 1")


def for_evaluation(block):
    """Every fourth block is for evaluation."""
    return block % EVALUATION_EVERY == EVALUATION_EVERY - 1


class Block:
    """The clean rows of a block: numbers [5, rows] double; hours, weekdays [rows] int64; late
    [rows] float."""

    def __init__(self, numbers, hours, weekdays, late):
        self.numbers, self.hours, self.weekdays, self.late = (
            torch.from_numpy(values) for values in (numbers, hours, weekdays, late))


class Flights:
    """The raw rows of `steps` blocks, and the airports."""

    def __init__(self, folder, block_rows, steps):
        self.path = os.path.join(folder, "flights-3m.parquet")
        self.airports = os.path.join(folder, "airports.csv")
        self.table, self.block_rows = Table([self.path]), block_rows
        blocks = -(-self.table.rows // block_rows)
        if not EVALUATION_EVERY <= steps <= blocks:
            raise BadData(f"{self.path}: has {blocks} blocks; a run takes a step each, from 4 on, "
                          f"not {steps}")
        self.train = [b for b in range(steps) if not for_evaluation(b)]
        self.evaluation = [b for b in range(steps) if for_evaluation(b)]

    def read(self, blocks):
        """The clean rows of the blocks, by block; `blocks` ascend. What lies between the first and
        the last is read at once."""
        if not blocks:
            return {}
        begin = blocks[0] * self.block_rows
        end = min(self.table.rows, (blocks[-1] + 1) * self.block_rows)
        rows = self.table.columns(COLUMNS, begin, end)
        places = self._places()
        return {block: self._clean(rows.slice(block * self.block_rows - begin, self.block_rows),
                                   places)
                for block in blocks}

    def _places(self):
        """Latitude and longitude of each airport."""
        convert = csv.ConvertOptions(
            include_columns=["iata", "latitude", "longitude"],
            column_types={"iata": pa.string(), "latitude": pa.float64(), "longitude": pa.float64()})
        try:
            table = csv.read_csv(self.airports, csv.ReadOptions(use_threads=False),
                                 convert_options=convert)
        except (OSError, KeyError, pa.ArrowException) as error:
            raise BadData(f"{self.airports}: {error}") from error
        for name in table.column_names:
            if table[name].null_count:
                raise BadData(f"{self.airports}: {name} has empty cells")
        codes, *places = (table[name].to_pylist() for name in table.column_names)
        return dict(zip(codes, zip(*places)))

    def _clean(self, rows, places):
        origin, destination = (_places_of(rows[name], places) for name in ("origin", "destination"))
        us, delay, distance = (rows[name].to_numpy() for name in ("date", "delay", "distance"))
        us = us.astype(np.int64)
        if len(us) and us.min() < 0:
            raise BadData(f"{self.path}: a date before 1970")
        keep = ((delay >= DELAY_MIN) & (delay <= DELAY_MAX) & (distance > 0)
                & ~np.isnan(origin[0]) & ~np.isnan(destination[0])
                & (origin != destination).any(0)).nonzero()[0]
        us = us[keep]
        numbers = np.empty((NUMBERS, len(keep)))
        for column, values in zip(numbers, (distance, *origin, *destination)):
            column[:] = values[keep]
        return Block(numbers, us // HOUR_US % 24, (us // DAY_US + THURSDAY) % 7,
                     (delay[keep] > LATE_ABOVE).astype(np.float32))


def _places_of(column, places):
    """Latitudes and longitudes of the airports that a column names; NaN where there is none."""
    pieces = [np.empty((2, 0))]
    for chunk in column.chunks:
        known = np.array([places.get(code, (math.nan, math.nan))
                          for code in chunk.dictionary.to_pylist()]).reshape(-1, 2).T
        pieces.append(known[:, chunk.indices.to_numpy()])
    return np.concatenate(pieces, 1)


def moments(block):
    """Rows, then the sums of the numbers, then those of their squares."""
    sums = torch.cat([block.numbers.sum(1), (block.numbers * block.numbers).sum(1)])
    return [float(len(block.late)), *sums.tolist()]


def scale_of(moments_of_blocks):
    """Mean and deviation of the numbers, [5, 1] float32: merged in block order, cast once."""
    mean, deviation = [], []
    for number in range(NUMBERS):
        rows = first = second = 0.0
        for sums in moments_of_blocks:
            rows += sums[0]
            first += sums[1 + number]
            second += sums[1 + NUMBERS + number]
        mean.append(first / rows)
        deviation.append(math.sqrt(second / rows - mean[-1] * mean[-1]))
    return [torch.tensor(values, dtype=torch.float32)[:, None] for values in (mean, deviation)]


def encode(block, mean, deviation, out):
    """Features [rows, 36] float32 into `out`, which is zero: one-hot hour, one-hot weekday,
    numbers."""
    out.scatter_(1, block.hours[:, None], 1.0)
    out.scatter_(1, block.weekdays[:, None] + HOURS, 1.0)
    out[:, HOURS + WEEKDAYS:] = block.numbers.to(torch.float32).sub_(mean).div_(deviation).t()
    return out


def make_model(seed):
    torch.manual_seed(seed)
    return torch.nn.Sequential(torch.nn.Linear(FEATURES, 1))


def batches(options, ranks, rows_of_rank):
    """For each step: the places of this rank's rows among its own, how many, how many in all. Every
    rank takes its part of the batch from an order of its own; who has too few ends the epoch."""
    parts = [end - begin for begin, end in
             (arm.share(options.batch, rank, ranks.world) for rank in range(ranks.world))]
    if 0 in (*rows_of_rank, *parts):
        raise ValueError(f"{sum(rows_of_rank)} rows to train on, {options.batch} a batch, are too "
                         f"few for {ranks.world} ranks")
    per_epoch = min(-(-rows // part) for rows, part in zip(rows_of_rank, parts))
    for step in range(options.train_steps):
        epoch, in_epoch = divmod(step, per_epoch)
        if in_epoch == 0:
            generator = torch.Generator()
            generator.manual_seed(options.seed + epoch)
            order = torch.randperm(rows_of_rank[ranks.rank], generator=generator)
        whole = sum(min(part, rows - in_epoch * part) for rows, part in zip(rows_of_rank, parts))
        begin = in_epoch * parts[ranks.rank]
        yield order[begin:begin + parts[ranks.rank]], whole


def criterion(scores, labels):
    return functional.binary_cross_entropy_with_logits(scores.squeeze(1), labels)


def histogram(model, features, labels):
    """How many rows of each label have a probability in each of 4096 equal bins."""
    with torch.inference_mode():
        bins = torch.sigmoid(model(features).squeeze(1)).mul(BINS).long().clamp_max(BINS - 1)
        return torch.bincount(labels.long().mul(BINS).add(bins), minlength=2 * BINS)


def area_under_curve(counts):
    """The area under the ROC curve of probabilities known by bin: equal ones count half."""
    early, late = counts.view(2, BINS).double()
    before = early.cumsum(0) - early
    pairs = (late * (2 * before + early)).sum()  # whole numbers below 2^53
    return (pairs / (2 * early.sum() * late.sum())).item()


def digest_of(features, labels):
    digest = hashlib.sha256(features.contiguous().numpy().data)
    digest.update(labels.contiguous().numpy().data)
    return digest.digest()


def outcome(folder, digests, rows, parameters, losses, area):
    """`digests`: of the blocks, in order."""
    dataset = hashlib.sha256()
    for name in ("flights-3m.parquet", "airports.csv"):
        with open(os.path.join(folder, name), "rb") as file:
            dataset.update(file.read())
    return arm.Outcome(
        hashes={"dataset": dataset.hexdigest(),
                "features": hashlib.sha256(b"".join(digests)).hexdigest(),
                "weights": training.weights_sha256(parameters)},
        values={"clean_rows": rows, "auc": area,
                "weights_abs_sum": training.weights_abs_sum(parameters)},
        series={"loss": losses.tolist()})
