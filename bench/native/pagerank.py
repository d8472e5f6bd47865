"""What the Python arms of workload pagerank share: flags, the graph, the shares of the ranks.

bench/workloads/pagerank/link_graph.h computes the same; bench/workloads/README.md has the contract.
"""

import os

import numpy as np
import torch

import arm
from table import BadData, Table

NODE_BLOCK = 1024
HIGHEST_NODES = 10


class Options:
    """The flags of the workload, for the arms' classes to inherit."""

    PHASES = ("load", "partition", "iterate")

    @staticmethod
    def add_options(parser):
        parser.add_argument("--damping", type=float, default=0.85)

    @staticmethod
    def check_options(options):
        if not 0 <= options.damping <= 1:
            raise ValueError("--damping must be from 0 to 1")


class Graph:
    """The edges in the order of the file, checked."""

    def __init__(self, folder):
        self.table = Table([os.path.join(folder, "edges.parquet")])
        self.nodes = Table([os.path.join(folder, "nodes.parquet")]).rows
        self.sources, self.targets = (self.table.column(name, 0, self.table.rows, np.int32)
                                      for name in ("source", "target"))
        if self.nodes < 1:
            raise BadData(f"{folder}: a graph without nodes")
        for ends in (self.sources, self.targets):
            if len(ends) and not 0 <= int(ends.min()) <= int(ends.max()) < self.nodes:
                raise BadData(f"{folder}: an edge of no node")

    def sha256(self):
        return self.table.sha256(("source", "target"), np.int32)


def share_nodes(graph, world):
    """For each rank its nodes: whole blocks, so that all have about as many edges to them."""
    ends = torch.arange(NODE_BLOCK, graph.nodes + NODE_BLOCK, NODE_BLOCK).clamp_(max=graph.nodes)
    edges_before = torch.bincount(graph.targets, minlength=graph.nodes).cumsum(0)[ends - 1].tolist()
    ends, total = [0] + ends.tolist(), len(graph.targets)
    edges_before = [0] + edges_before
    ranges, block = [], 0
    for rank in range(1, world + 1):
        first = block
        while block + 1 < len(ends) and (rank == world
                                         or edges_before[block] * world < total * rank):
            block += 1
        ranges.append((ends[first], ends[block]))
    return ranges


def highest_nodes(ranks):
    order = sorted(range(len(ranks)), key=lambda node: (-ranks[node], node))[:HIGHEST_NODES]
    return ",".join(map(str, order))


def outcome(graph, ranks, changes):
    ranks = ranks.tolist()
    return arm.Outcome(hashes={"dataset": graph.sha256()},
                       values={"change": changes[-1], "highest": max(ranks)},
                       series={"change": changes, "ranks": ranks},
                       texts={"top10": highest_nodes(ranks)})
