"""Arm native-py of classification-* (and arm serial: --serial): what an expert would write with
torch.distributed and Gloo.

  load         every rank reads its blocks of rows, all columns of a row group at once.
  clean        numpy's isfinite, column by column: no temporary of the size of a block.
  split        one gather a block, of the rows that are complete, into training and test.
  standardise  the sums of all blocks are exchanged in one all_reduce (each block's are zero but on
               its rank: exact). Every rank computes its own rows, which then go to all ranks by one
               broadcast a rank, into their place. Test rows stay where they are.
  train        one flat gradient, see training.train_flat.
  evaluate     every rank its own test rows.
"""

import numpy as np
import torch
import torch.distributed as dist

import arm
import classification
import training


class Tuned(classification.Options):
    def __init__(self, options, ranks, steps):
        self.options, self.ranks, self.steps = options, ranks, steps

    def load(self):
        self.blocks = classification.Blocks(self.options)
        self.own = range(*self.ranks.share_of(self.blocks.count))
        self.raw = [self.blocks.read(block) for block in self.own]

    def clean(self):
        self.complete = []
        for columns, _ in self.raw:
            complete = np.ones(columns.shape[1], dtype=bool)
            finite = np.empty_like(complete)
            for column in columns.numpy():
                complete &= np.isfinite(column, out=finite)
            self.complete.append(torch.from_numpy(complete))

    def split(self):
        self.parts = []  # of each block: training, test
        for block, (columns, labels), complete in zip(self.own, self.raw, self.complete):
            is_test = classification.is_test_row(self.options.seed, self.blocks.begin(block),
                                                 len(labels))
            self.parts.append([(columns.index_select(1, rows), labels.index_select(0, rows))
                               for chosen in (complete & ~is_test, complete & is_test)
                               for rows in [chosen.nonzero().flatten()]])

    def standardise(self):
        # Of each block: rows of training and test, sums, sums of squares.
        facts = torch.zeros(self.blocks.count, 2 + 2 * classification.FEATURES,
                            dtype=torch.float64)
        for block, (train, test) in zip(self.own, self.parts):
            facts[block, :2] = torch.tensor([len(train[1]), len(test[1])])
            facts[block, 2:] = classification.moments(train[0]).flatten()
        self.ranks.sum(facts)
        self.train_rows, self.test_rows = facts[:, :2].long().t().tolist()
        mean, deviation = classification.mean_and_deviation(
            facts[:, 2:].unflatten(1, (2, classification.FEATURES)), sum(self.train_rows))

        def standardised(columns, out):
            out.copy_(columns.sub(mean).div_(deviation).float().t())

        self.features = torch.empty(sum(self.train_rows), classification.FEATURES)
        self.labels = torch.empty(sum(self.train_rows), dtype=torch.int64)
        places = self.features.split(self.train_rows), self.labels.split(self.train_rows)
        self.test = []
        for block, (train, test) in zip(self.own, self.parts):
            standardised(train[0], places[0][block])
            places[1][block].copy_(train[1])
            features = torch.empty(len(test[1]), classification.FEATURES)
            standardised(test[0], features)
            self.test.append((features, test[1]))
        self.exchange()

    def exchange(self):
        """Every rank's training rows to all."""
        world = self.ranks.world
        if world == 1:
            return
        shares = [arm.share(self.blocks.count, rank, world) for rank in range(world)]
        rows = [sum(self.train_rows[begin:end]) for begin, end in shares]
        for whole in (self.features, self.labels):
            for rank, part in enumerate(whole.split(rows)):
                dist.broadcast(part, rank)

    def train(self):
        self.model = classification.make_model(self.options)
        steps = training.batches(len(self.labels), self.options.batch, self.options.seed,
                                 self.ranks, self.steps)
        self.losses = training.train_flat(self.model, self.features, self.labels, steps,
                                          self.options.lr, self.ranks, self.step_done)

    def evaluate(self):
        correct = sum(training.count_correct(self.model, *block) for block in self.test)
        self.accuracy = (self.ranks.sum(torch.tensor([correct])).item()
                         / max(1, sum(self.test_rows)))

    def outcome(self):
        digests = torch.zeros(3, self.blocks.count, 32, dtype=torch.int64)
        places = self.features.split(self.train_rows), self.labels.split(self.train_rows)
        for block, raw, test in zip(self.own, self.raw, self.test):
            train = places[0][block], places[1][block]
            for number, tensors in enumerate((raw, train, test)):
                digests[number, block] = torch.tensor(list(classification.digest_of(tensors)))
        dataset, train, test = ([bytes(digest) for digest in digests]
                                for digests in self.ranks.sum(digests).tolist())
        if self.ranks.rank != 0:
            return None
        return classification.outcome(
            self.options, dataset, train + test, sum(self.train_rows) + sum(self.test_rows),
            list(self.model.parameters()), self.losses, self.accuracy)


if __name__ == "__main__":
    arm.run_tuned(Tuned)
