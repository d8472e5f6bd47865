"""Arm native-py of flights (and arm serial: --serial): what an expert would write with
torch.distributed and Gloo.

  load        every rank reads the row groups of its blocks alone, texts as dictionaries: an airport
              is looked up once a text, not once a row.
  preprocess  the statistics are shared out by block and reduced (88 bytes a block); every rank
              encodes its own blocks, into one tensor, and keeps them: no features travel.
  train       a rank takes its part of each batch from its own rows by index_select; parameters are
              views into one flat tensor, gradients are reduced as one.
  loss        stays a tensor; the trace is reduced once, at the end of training.
  evaluate    counts by bin of the probability are reduced, not scores.
"""

import torch
import torch.distributed as dist

import arm
import flights
import training


class Tuned(flights.Options):
    def __init__(self, options, ranks, steps):
        self.options, self.ranks, self.steps = options, ranks, steps

    def load(self):
        self.flights = flights.Flights(self.options.data, self.options.block_rows, self.steps)
        self.own = [blocks[slice(*self.ranks.share_of(len(blocks)))]
                    for blocks in (self.flights.train, self.flights.evaluation)]
        self.blocks = self.flights.read(sorted(self.own[0] + self.own[1]))

    def preprocess(self):
        sums = torch.zeros(self.steps, 1 + 2 * flights.NUMBERS, dtype=torch.float64)
        for number, block in self.blocks.items():
            sums[number] = torch.tensor(flights.moments(block), dtype=torch.float64)
        sums = self.ranks.sum(sums).tolist()  # every other term is zero: exact
        self.rows_of_block = [int(s[0]) for s in sums]
        mean, deviation = flights.scale_of([sums[b] for b in self.flights.train])

        self.encoded = {}  # features and labels by block: views into one tensor a kind
        for blocks in self.own:
            rows = sum(self.rows_of_block[b] for b in blocks)
            features, labels = torch.zeros(rows, flights.FEATURES), torch.empty(rows)
            begin = 0
            for number in blocks:
                end = begin + self.rows_of_block[number]
                block = self.blocks.pop(number)
                flights.encode(block, mean, deviation, features[begin:end])
                labels[begin:end] = block.late
                self.encoded[number] = features[begin:end], labels[begin:end]
                begin = end
            if blocks is self.own[0]:
                self.features, self.labels = features, labels

    def _rows_of_ranks(self):
        train = self.flights.train
        return [sum(self.rows_of_block[b] for b in
                    train[slice(*arm.share(len(train), rank, self.ranks.world))])
                for rank in range(self.ranks.world)]

    def train(self):
        self.model = flights.make_model(self.options.seed)
        self.losses = training.train_flat(
            self.model, self.features, self.labels,
            flights.batches(self.options, self.ranks, self._rows_of_ranks()), self.options.lr,
            self.ranks, self.step_done, flights.criterion)

    def evaluate(self):
        counts = torch.zeros(2 * flights.BINS, dtype=torch.int64)
        for number in self.own[1]:
            counts += flights.histogram(self.model, *self.encoded[number])
        self.area = flights.area_under_curve(self.ranks.sum(counts))

    def outcome(self):
        digests = {number: flights.digest_of(*block) for number, block in self.encoded.items()}
        if self.ranks.world > 1:
            parts = [None] * self.ranks.world
            dist.all_gather_object(parts, digests)
            digests = {number: digest for part in parts for number, digest in part.items()}
        if self.ranks.rank != 0:
            return None
        return flights.outcome(self.options.data, [digests[b] for b in range(self.steps)],
                               sum(self.rows_of_block), list(self.model.parameters()), self.losses,
                               self.area)


if __name__ == "__main__":
    arm.run_tuned(Tuned)
