"""Arm native-py-naive of classification-*: as a student would write it. Every rank reads and
preprocesses the whole table with whole-table operators, DistributedDataParallel with its defaults,
a DataLoader that collates row by row, rank 0 evaluates. Same data, statistics by block, models,
permutation, batches, optimiser and threads as the other arms.
"""

import torch
from torch.utils.data import TensorDataset

import arm
import classification
import training


class Naive(classification.Options):
    def __init__(self, options, ranks, steps):
        self.options, self.ranks, self.steps = options, ranks, steps

    def load(self):
        self.blocks = classification.Blocks(self.options)
        self.raw = [self.blocks.read(block) for block in range(self.blocks.count)]
        self.table = torch.cat([columns for columns, _ in self.raw], 1)
        self.labels = torch.cat([labels for _, labels in self.raw])

    def clean(self):
        self.complete = torch.isfinite(self.table).all(dim=0)

    def split(self):
        rows = self.table.shape[1]
        is_test = classification.is_test_row(self.options.seed, 0, rows)
        self.train_rows, self.test_rows = self.complete & ~is_test, self.complete & is_test

    def standardise(self):
        block_rows = self.options.block_rows
        sums = [classification.moments(columns[:, chosen]) for columns, chosen in zip(
            self.table.split(block_rows, dim=1), self.train_rows.split(block_rows))]
        mean, deviation = classification.mean_and_deviation(sums, int(self.train_rows.sum()))
        features = ((self.table - mean) / deviation).t().float()
        self.train_set, self.test_set = (TensorDataset(features[rows], self.labels[rows])
                                         for rows in (self.train_rows, self.test_rows))

    def train(self):
        self.model = classification.make_model(self.options)
        steps = training.batches(len(self.train_set), self.options.batch, self.options.seed,
                                 self.ranks, self.steps)
        self.losses = training.train_ddp(self.model, self.train_set, steps, self.options.lr,
                                         self.ranks)

    def evaluate(self):
        correct = 0
        if self.ranks.rank == 0:
            correct = training.count_correct_by_loader(self.model, self.test_set)
        self.accuracy = correct / max(1, len(self.test_set))

    def outcome(self):
        if self.ranks.rank != 0:
            return None
        block_rows = self.options.block_rows
        features = []
        for data_set, rows in ((self.train_set, self.train_rows), (self.test_set, self.test_rows)):
            counts = [int(chosen.sum()) for chosen in rows.split(block_rows)]
            features += [classification.digest_of(tensors) for tensors in zip(
                *(tensor.split(counts) for tensor in data_set.tensors))]
        return classification.outcome(
            self.options, [classification.digest_of(block) for block in self.raw], features,
            int(self.complete.sum()), list(self.model.parameters()), self.losses, self.accuracy)


if __name__ == "__main__":
    arm.run_arm("native-py-naive", Naive)
