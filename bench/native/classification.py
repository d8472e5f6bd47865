"""What the Python arms of the workloads classification-* share: flags, preprocessing of a block of
rows, models, checksums.

bench/workloads/classification/table_blocks.h computes the same; bench/workloads/README.md has the
contract.
"""

import hashlib
import json
import math
import os

import numpy as np
import torch

import arm
import training
from table import BadData, Table, parquet_files

FEATURES, CLASSES = 32, 2
NAMES = [f"f{column}" for column in range(FEATURES)]
TEST_SHARE = 0.2


class Options:
    """The flags of the workload, for the arms' classes to inherit."""

    PHASES = ("load", "clean", "split", "standardise", "train", "evaluate")

    @staticmethod
    def add_options(parser):
        parser.add_argument("--model", choices=sorted(MODELS), required=True)
        parser.add_argument("--block-rows", type=int, default=65536)
        parser.add_argument("--batch", type=int, default=512)
        parser.add_argument("--lr", type=float, default=0.3)

    @staticmethod
    def check_options(options):
        if options.block_rows < 1 or options.batch < 1:
            raise ValueError("--block-rows and --batch must be at least 1")


class Blocks:
    """The table in blocks of rows."""

    def __init__(self, options):
        self.table, self.block_rows = Table(parquet_files(options.data)), options.block_rows
        self.count = math.ceil(self.table.rows / options.block_rows)
        if not self.count:
            raise BadData(f"{options.data}: a table without rows")

    def begin(self, block):
        return block * self.block_rows

    def read(self, block):
        """Columns [FEATURES, rows] double with NaN where a cell is empty, labels int64."""
        begin, end = self.begin(block), min(self.table.rows, self.begin(block + 1))
        columns = self.table.doubles_with_gaps(NAMES, begin, end)
        labels = self.table.column("label", begin, end, np.int32).long()
        if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < CLASSES:
            raise BadData(f"a label that is not one of 0 to {CLASSES - 1}")
        return columns, labels


def uniform_numbers(seed, begin, count):
    """Numbers begin, begin + 1, .. of the sequence of `seed`: uniform in [0, 1), by SplitMix64."""
    z = np.arange(begin + 1, begin + count + 1, dtype=np.uint64)
    z = np.uint64(seed) + z * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return (z >> np.uint64(11)) * 2.0 ** -53


def is_test_row(seed, begin, count):
    """Whether rows begin, begin + 1, .. of the table are kept for the test."""
    return torch.from_numpy(uniform_numbers(seed, begin, count) < TEST_SHARE)


def moments(columns):
    """The sum of each column over its rows, and of its squares: [2, FEATURES]."""
    return torch.stack([columns.sum(1), columns.square().sum(1)])


def mean_and_deviation(moments_of_blocks, rows):
    """Merged in block order, in double: two tensors [FEATURES, 1]."""
    total = torch.zeros(2, FEATURES, dtype=torch.float64)
    for block in moments_of_blocks:
        total += block
    mean = total[0] / rows
    deviation = (total[1] / rows - mean * mean).clamp_(min=0).sqrt_()
    deviation[deviation == 0] = 1
    return mean[:, None], deviation[:, None]


def _logistic_regression():
    return torch.nn.Sequential(torch.nn.Linear(FEATURES, CLASSES))


def _multilayer_perceptron():
    return torch.nn.Sequential(
        torch.nn.Linear(FEATURES, 64), torch.nn.ReLU(),
        torch.nn.Linear(64, 64), torch.nn.ReLU(),
        torch.nn.Linear(64, CLASSES))


MODELS = {"logreg": _logistic_regression, "mlp": _multilayer_perceptron}


def make_model(options):
    torch.manual_seed(options.seed)
    return MODELS[options.model]()


def digest_of(tensors):
    """Binary SHA-256 of the tensors' values, one after the other."""
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(tensor.contiguous().numpy().data)
    return digest.digest()


def digests_sha256(digests):
    return hashlib.sha256(b"".join(digests)).hexdigest()


def best_accuracy(folder):
    """What no classifier can exceed, as the data's maker says."""
    path = os.path.join(folder, "meta.json")
    try:
        with open(path) as file:
            return float(json.load(file)["facts"]["best_accuracy"]["value"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadData(f"{path}: no best accuracy: {error}") from error


def outcome(options, dataset, features, rows, parameters, losses, accuracy):
    """`dataset`, `features`: digests of all blocks in order; those of features of train, then of
    test."""
    return arm.Outcome(
        hashes={"dataset": digests_sha256(dataset), "features": digests_sha256(features),
                "weights": training.weights_sha256(parameters)},
        values={"rows": rows, "accuracy": accuracy, "best_accuracy": best_accuracy(options.data),
                "weights_abs_sum": training.weights_abs_sum(parameters)},
        series={"loss": losses.tolist()})
