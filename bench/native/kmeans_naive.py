"""Arm native-py-naive of kmeans: the program of a tutorial. Every rank reads everything and keeps
its share of the rows, cdist and argmin find the clusters, a loop over the clusters adds their rows
up, all_reduce adds over the ranks. The same data, seeds and iterations as the other arms.
"""

import numpy as np
import torch
import torch.distributed as dist

import arm
import kmeans
from table import Table, parquet_files


class Naive(kmeans.Options):
    def __init__(self, options, ranks, steps):
        self.options, self.ranks, self.steps = options, ranks, steps

    def load(self):
        self.table = Table(parquet_files(self.options.data))
        self.all_rows = torch.stack([self.table.column(name, 0, self.table.rows, np.float64)
                                     for name in self.options.columns], 1)
        begin, end = self.ranks.share_of(self.table.rows)
        self.rows = self.all_rows[begin:end]

    def seed(self):
        """k-means++ on all rows, on every rank alike. Sums go over blocks, as in the other arms, so
        that the same rows are drawn."""
        rows, options = self.all_rows, self.options
        centres = [rows[int(kmeans.uniform_number(options.seed, 0) * len(rows))]]
        nearest = torch.full((len(rows),), float("inf"), dtype=torch.float64)
        for k in range(1, options.clusters):
            distance = torch.zeros_like(nearest)
            for column in range(rows.shape[1]):
                distance += (rows[:, column] - centres[-1][column]) ** 2
            nearest = torch.minimum(nearest, distance)
            blocks = nearest.split(options.block_rows)
            sums = [float(block.cumsum(0)[-1]) for block in blocks]
            target = (kmeans.uniform_number(options.seed, k)
                      * kmeans.sum_before(sums, len(sums)))
            block = kmeans.place_of(sums, target)
            rest = target - kmeans.sum_before(sums, block)
            place = kmeans.place_of(blocks[block].tolist(), rest)
            centres.append(rows[block * options.block_rows + place])
        self.centres = torch.stack(centres)

    def assign_rows(self):
        distances = torch.cdist(self.rows, self.centres)
        self.labels = distances.argmin(dim=1)
        inertia = (distances.min(dim=1).values ** 2).sum()
        return self.ranks.sum(inertia.reshape(1)).item()

    def iterate(self):
        self.inertia = []
        for _ in range(self.steps):
            self.inertia.append(self.assign_rows())
            sums = torch.zeros_like(self.centres)
            counts = torch.zeros(len(self.centres), dtype=torch.float64)
            for cluster in range(len(self.centres)):
                members = self.rows[self.labels == cluster]
                sums[cluster] = members.sum(dim=0)
                counts[cluster] = len(members)
            self.ranks.sum(sums)
            self.ranks.sum(counts)
            for cluster in range(len(self.centres)):
                if counts[cluster] > 0:
                    self.centres[cluster] = sums[cluster] / counts[cluster]

    def assign(self):
        self.final_inertia = self.assign_rows()

    def outcome(self):
        labels = self.labels
        if self.ranks.world > 1:
            parts = [None] * self.ranks.world
            dist.all_gather_object(parts, labels)
            labels = torch.cat(parts)
        if self.ranks.rank != 0:
            return None
        return kmeans.outcome(self.table, self.options, labels, self.final_inertia, self.inertia,
                              self.centres)


if __name__ == "__main__":
    arm.run_arm("native-py-naive", Naive)
