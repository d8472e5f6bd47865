"""Arm native-py-naive of etl: as a student would write it. Every rank reads the whole table, keeps
its share of the rows and cleans it; a loop over regions adds up; the rows are gathered as objects
on rank 0, which sorts them.
"""

import numpy as np
import torch
import torch.distributed as dist

import arm
import etl


class Naive(etl.Options):
    _dataset = None  # once found

    def __init__(self, options, ranks, steps):
        self.options, self.ranks, self.steps = options, ranks, steps

    def clean(self):
        self.sales = etl.Sales(self.options.data, self.options.block_rows, self.steps)
        table = self.sales.read(0, self.sales.rows)
        begin, end = self.ranks.share_of(self.sales.rows)
        order, self.groups, store = etl.clean(self.sales, table.slice(begin, end - begin),
                                              self.sales.regions())
        self.order = torch.from_numpy(order)
        self.rest = torch.from_numpy(store * np.int64(etl.GROUPS) + self.groups)
        self.groups = torch.from_numpy(self.groups)

    def group(self):
        cents = self.order >> 32
        self.totals = torch.zeros(2, etl.GROUPS, dtype=torch.int64)
        per_region = etl.GROUPS // len(etl.REGIONS)
        for region in range(len(etl.REGIONS)):
            chosen = self.groups // per_region == region
            self.totals[0].index_add_(0, self.groups[chosen], torch.ones_like(cents[chosen]))
            self.totals[1].index_add_(0, self.groups[chosen], cents[chosen])
        self.ranks.sum(self.totals)

    def sort(self):
        rows = torch.stack([self.order, self.rest])
        if self.ranks.world > 1:
            parts = [None] * self.ranks.world
            dist.gather_object(rows, parts if self.ranks.rank == 0 else None)
            if self.ranks.rank != 0:
                return
            rows = torch.cat(parts, 1)
        self.sorted = rows[:, rows[0].argsort()]

    def outcome(self):
        if self.ranks.rank != 0:
            return None
        Naive._dataset = Naive._dataset or self.sales.sha256()
        return etl.outcome(Naive._dataset, self.totals.numpy(),
                           etl.fingerprint(*self.sorted.numpy()))


if __name__ == "__main__":
    arm.run_arm("native-py-naive", Naive)
