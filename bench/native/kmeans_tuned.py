"""Arm native-py of kmeans (and arm serial: --serial): what an expert would write with
torch.distributed and Gloo.

  blocks      every rank keeps its blocks of rows; an iteration exchanges the sums of all blocks in
              one all_gather, so that every rank merges them in the order of blocks.
  distances   |x|^2 - 2 x.c + |c|^2 by addmm, for as many rows at once as stay in the second cache
              with their distances; |x|^2 is left out of the minimum and added once a row.
  sums        bincount with weights, which adds in the order of rows: two to six times as fast as
              index_add of rows.
  memory      the tensors of an iteration are allocated once.
"""

import numpy as np
import torch
import torch.distributed as dist

import arm
import kmeans
from table import Table, parquet_files

DISTANCES_AT_ONCE = 1 << 18  # numbers: 2 MB


class Tuned(kmeans.Options):
    def __init__(self, options, ranks, steps):
        self.options, self.ranks, self.steps = options, ranks, steps

    def load(self):
        options = self.options
        self.table = Table(parquet_files(options.data))
        self.blocks = kmeans.block_count(self.table.rows, options.block_rows)
        first, last = self.ranks.share_of(self.blocks)
        self.first_block = first
        begin, end = (min(self.table.rows, b * options.block_rows) for b in (first, last))
        self.columns = [self.table.column(name, begin, end, np.float64) for name in options.columns]
        self.ranges = [(b * options.block_rows - begin,
                        min(self.table.rows, (b + 1) * options.block_rows) - begin)
                       for b in range(first, last)]

    def gather(self, mine):
        """The numbers of all blocks, [blocks, ...], from those of this rank's blocks."""
        if self.ranks.world == 1:
            return mine
        counts = [e - b for b, e in (arm.share(self.blocks, r, self.ranks.world)
                                     for r in range(self.ranks.world))]
        padded = mine.new_zeros(max(counts), *mine.shape[1:])
        padded[:len(mine)] = mine
        parts = [torch.empty_like(padded) for _ in counts]
        dist.all_gather(parts, padded)
        return torch.cat([part[:count] for part, count in zip(parts, counts)])

    def owner_of(self, block):
        return next(r for r in range(self.ranks.world)
                    if block < arm.share(self.blocks, r, self.ranks.world)[1])

    def row_from(self, owner, find):
        """The row that `find` finds, on the rank that has it; then on all."""
        row = torch.empty(len(self.columns), dtype=torch.float64)
        if self.ranks.rank == owner:
            place = find()
            row = torch.stack([column[place] for column in self.columns])
        if self.ranks.world > 1:
            dist.broadcast(row, owner)
        return row

    def seed(self):
        options, rows = self.options, self.table.rows
        nearest = torch.full_like(self.columns[0], float("inf"))
        distance, term = torch.empty_like(nearest), torch.empty_like(nearest)
        row = int(kmeans.uniform_number(options.seed, 0) * rows)
        block = row // options.block_rows
        centre = self.row_from(self.owner_of(block),
                               lambda: row - self.first_block * options.block_rows)
        centres = [centre]
        for k in range(1, options.clusters):
            for column, values in enumerate(self.columns):
                target = term if column else distance
                torch.sub(values, centre[column], out=target).mul_(target)
                if column:
                    distance.add_(term)
            torch.minimum(nearest, distance, out=nearest)
            running = [nearest[b:e].cumsum(0) for b, e in self.ranges]
            mine = torch.tensor([r[-1] for r in running], dtype=torch.float64)
            sums = self.gather(mine).tolist()
            target = (kmeans.uniform_number(options.seed, k)
                      * kmeans.sum_before(sums, len(sums)))
            block = kmeans.place_of(sums, target)
            rest = target - kmeans.sum_before(sums, block)

            def find():
                own = block - self.first_block
                place = int((running[own] <= rest).sum())
                begin, end = self.ranges[own]
                if place == end - begin:  # rounding
                    place = int(nearest[begin:end].nonzero()[-1])
                return begin + place

            centre = self.row_from(self.owner_of(block), find)
            centres.append(centre)
        self.centres = torch.stack(centres)
        self._prepare()

    def _prepare(self):
        """What every iteration needs, computed and allocated once."""
        self.rows = torch.stack(self.columns, 1)
        self.squares = self.rows.square().sum(1)
        self.at_once = max(1, DISTANCES_AT_ONCE // self.options.clusters)
        self.distances = torch.empty(self.at_once, self.options.clusters, dtype=torch.float64)
        self.nearest = torch.empty(len(self.rows), dtype=torch.float64)
        self.labels = torch.empty(len(self.rows), dtype=torch.int64)
        self.sums = torch.empty(len(self.ranges), 2 + len(self.columns), self.options.clusters,
                                dtype=torch.float64)

    def assign_rows(self):
        """Assigns every row; the sums of this rank's blocks: count, squared distances, columns."""
        clusters = self.options.clusters
        lengths = self.centres.square().sum(1)
        factors = self.centres.t().mul(-2).contiguous()
        for number, (begin, end) in enumerate(self.ranges):
            for first in range(begin, end, self.at_once):
                last = min(end, first + self.at_once)
                distances = torch.addmm(lengths, self.rows[first:last], factors,
                                        out=self.distances[:last - first])
                torch.min(distances, 1, out=(self.nearest[first:last], self.labels[first:last]))
            labels, nearest = self.labels[begin:end], self.nearest[begin:end]
            nearest.add_(self.squares[begin:end])
            sums = self.sums[number]
            sums[0] = torch.bincount(labels, minlength=clusters)
            sums[1] = torch.bincount(labels, weights=nearest, minlength=clusters)
            for column, values in enumerate(self.columns):
                sums[2 + column] = torch.bincount(labels, weights=values[begin:end],
                                                  minlength=clusters)
        return self.sums

    def merged(self):
        """The sums of all blocks, merged in their order: the same bits on every rank."""
        total = torch.zeros(2 + len(self.columns), self.options.clusters, dtype=torch.float64)
        for sums in self.gather(self.assign_rows()):
            total.add_(sums)
        return total

    def iterate(self):
        self.inertia = []
        for step in range(self.steps):
            total = self.merged()
            self.inertia.append(total[1].sum())
            means = (total[2:] / total[0]).t()
            self.centres = torch.where((total[0] > 0)[:, None], means, self.centres)
            self.step_done(step + 1)

    def assign(self):
        self.final_inertia = self.merged()[1].sum().item()

    def outcome(self):
        labels = self._all_labels()
        if self.ranks.rank != 0:
            return None
        return kmeans.outcome(self.table, self.options, labels, self.final_inertia,
                              [value.item() for value in self.inertia], self.centres)

    def _all_labels(self):
        """Of all rows in their order: blocks of one length, then what the table has."""
        padded = torch.zeros(len(self.ranges), self.options.block_rows, dtype=torch.int64)
        for number, (begin, end) in enumerate(self.ranges):
            padded[number, :end - begin] = self.labels[begin:end]
        return self.gather(padded).flatten()[:self.table.rows]


if __name__ == "__main__":
    arm.run_tuned(Tuned)
