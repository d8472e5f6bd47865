"""What the Python arms of workload fmnist-mlp share: data, preprocessing, model, checksums.

Every number that a gate compares is computed here, in the same operator order as the C++ arm
(bench/workloads/fmnist_mlp): see bench/workloads/README.md for the contract.
"""

import hashlib
import math
import os

import numpy as np
import torch

import arm
import training

FEATURE_BLOCK_ROWS = 5000
TRAIN_ROWS, TEST_ROWS, PIXELS = 60000, 10000, 784
FILES = (
    ("train-images-idx3-ubyte", (TRAIN_ROWS, 28, 28)),
    ("train-labels-idx1-ubyte", (TRAIN_ROWS,)),
    ("t10k-images-idx3-ubyte", (TEST_ROWS, 28, 28)),
    ("t10k-labels-idx1-ubyte", (TEST_ROWS,)),
)


class BadData(Exception):
    """A data file is missing, truncated or not what its name says."""


class Options:
    """The flags of the workload, for the arms' classes to inherit."""

    PHASES = ("load", "preprocess", "train", "evaluate")

    @staticmethod
    def add_options(parser):
        parser.add_argument("--sampler-seed", type=int, default=45)
        parser.add_argument("--batch", type=int, default=64)
        parser.add_argument("--lr", type=float, default=1e-3)

    @staticmethod
    def check_options(options):
        if not 1 <= options.batch <= TRAIN_ROWS:
            raise ValueError(f"--batch must be from 1 to {TRAIN_ROWS}")


def open_idx(folder, name, shape):
    """Checks the header of a raw IDX file and returns its bytes, mapped, in the given shape."""
    path = os.path.join(folder, name)
    header = 4 + 4 * len(shape)
    expected = bytes((0, 0, 8, len(shape))) + b"".join(n.to_bytes(4, "big") for n in shape)
    try:
        with open(path, "rb") as file:
            head = file.read(header)
            size = os.fstat(file.fileno()).st_size
    except OSError as error:
        raise BadData(f"{path}: {error.strerror}; run rayx-data fetch fashion-mnist") from error
    if head != expected or size != header + math.prod(shape):
        raise BadData(f"{path}: not an IDX file of unsigned bytes of shape {shape}")
    return np.memmap(path, dtype=np.uint8, mode="c", offset=header, shape=shape)


def load(folder):
    """Train images [60000, 784], labels, test images [10000, 784], labels: uint8, from the page
    cache, without a copy. Labels become int64."""
    arrays = [open_idx(folder, name, shape) for name, shape in FILES]
    train, train_labels, test, test_labels = (torch.from_numpy(a) for a in arrays)
    return (train.view(TRAIN_ROWS, PIXELS), train_labels.long(),
            test.view(TEST_ROWS, PIXELS), test_labels.long())


def blocks(rows):
    return range(0, rows, FEATURE_BLOCK_ROWS)


def block_sums(images):
    """Sum of x/255 and of its square over one block, in double."""
    values = images.to(torch.float64).div_(255.0)
    first = values.sum().item()
    second = values.mul_(values).sum().item()
    return first, second


def mean_and_deviation(sums):
    """Merges block sums in block order; the result is cast to float32 once, by the caller's use."""
    first = second = 0.0
    for a, b in sums:
        first += a
        second += b
    count = TRAIN_ROWS * PIXELS
    mean = first / count
    return mean, math.sqrt(second / count - mean * mean)


def standardise(images, mean, deviation, out):
    """out = (images / 255 - mean) / deviation in float32."""
    out.copy_(images).div_(255.0).sub_(mean).div_(deviation)
    return out


def make_model(seed):
    torch.manual_seed(seed)
    return torch.nn.Sequential(
        torch.nn.Linear(784, 512), torch.nn.ReLU(),
        torch.nn.Linear(512, 512), torch.nn.ReLU(),
        torch.nn.Linear(512, 10))


def batches(options, ranks, steps):
    return training.batches(TRAIN_ROWS, options.batch, options.sampler_seed, ranks, steps)


def dataset_sha256(folder):
    digest = hashlib.sha256()
    for name, _ in FILES:
        with open(os.path.join(folder, name), "rb") as file:
            digest.update(file.read())
    return digest.hexdigest()


def features_sha256(train, test):
    outer = hashlib.sha256()
    for features in (train, test):
        for begin in blocks(len(features)):
            block = features[begin:begin + FEATURE_BLOCK_ROWS].contiguous()
            outer.update(hashlib.sha256(block.numpy().data).digest())
    return outer.hexdigest()


def outcome(folder, train, test, parameters, losses, accuracy):
    return arm.Outcome(
        hashes={"dataset": dataset_sha256(folder), "features": features_sha256(train, test),
                "weights": training.weights_sha256(parameters)},
        values={"weights_abs_sum": training.weights_abs_sum(parameters), "accuracy": accuracy},
        series={"loss": losses.tolist()})
