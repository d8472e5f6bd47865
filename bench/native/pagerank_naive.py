"""Arm native-py-naive of pagerank: as a student would write it. Every rank has a share of the list
of edges and the ranks of all nodes; index_add over its edges, all_reduce over the ranks.
"""

import torch

import arm
import pagerank


class Naive(pagerank.Options):
    def __init__(self, options, ranks, steps):
        self.options, self.ranks, self.steps = options, ranks, steps

    def load(self):
        self.graph = pagerank.Graph(self.options.data)

    def partition(self):
        begin, end = self.ranks.share_of(len(self.graph.sources))
        self.sources = self.graph.sources[begin:end].long()
        self.targets = self.graph.targets[begin:end].long()
        self.degrees = torch.bincount(self.graph.sources, minlength=self.graph.nodes)
        self.values = torch.full((self.graph.nodes,), 1 / self.graph.nodes, dtype=torch.float64)

    def iterate(self):
        nodes, damping = self.graph.nodes, self.options.damping
        self.changes = []
        for _ in range(self.steps):
            shares = torch.where(self.degrees > 0, self.values / self.degrees, 0.0)
            sums = torch.zeros(nodes, dtype=torch.float64)
            sums.index_add_(0, self.targets, shares[self.sources])
            self.ranks.sum(sums)
            dangling = self.values[self.degrees == 0].sum()
            values = (1 - damping) / nodes + damping * (sums + dangling / nodes)
            self.changes.append((values - self.values).abs().sum().item())
            self.values = values

    def outcome(self):
        if self.ranks.rank != 0:
            return None
        return pagerank.outcome(self.graph, self.values, self.changes)


if __name__ == "__main__":
    arm.run_arm("native-py-naive", Naive)
