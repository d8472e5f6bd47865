"""What the Python arms of workload kmeans share: flags, random numbers, checksums.

bench/workloads/kmeans/lloyd.h computes the same; bench/workloads/README.md has the contract.
"""

import hashlib
import math

import numpy as np

import arm

_MASK = (1 << 64) - 1


class Options:
    """The flags of the workload, for the arms' classes to inherit."""

    PHASES = ("load", "seed", "iterate", "assign")

    @staticmethod
    def add_options(parser):
        parser.add_argument("--columns", required=True, type=lambda text: text.split(","))
        parser.add_argument("--clusters", type=int, default=8)
        parser.add_argument("--block-rows", type=int, default=65536)

    @staticmethod
    def check_options(options):
        if options.clusters < 1 or options.block_rows < 1:
            raise ValueError("--clusters and --block-rows must be at least 1")


def uniform_number(seed, counter):
    """Number `counter` of the sequence of `seed`: uniform in [0, 1), by SplitMix64."""
    z = (seed + (counter + 1) * 0x9E3779B97F4A7C15) & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    z ^= z >> 31
    return (z >> 11) * 2.0 ** -53


def place_of(weights, target):
    """The first place at which the running sum of `weights` exceeds `target`; the last place with
    a weight where rounding leaves none."""
    running, last = 0.0, 0
    for place, weight in enumerate(weights):
        running += weight
        if running > target:
            return place
        if weight > 0:
            last = place
    return last


def sum_before(weights, place):
    running = 0.0
    for weight in weights[:place]:
        running += weight
    return running


def block_count(rows, block_rows):
    return math.ceil(rows / block_rows)


def outcome(table, options, labels, final_inertia, inertia, centres):
    """`labels`: of all rows, in their order."""
    assignment = hashlib.sha256(labels.numpy().astype(np.int32).data).hexdigest()
    return arm.Outcome(
        hashes={"dataset": table.sha256(options.columns, np.float64), "assignment": assignment},
        values={"inertia": final_inertia},
        series={"inertia": inertia, "centres": centres.flatten().tolist()})
