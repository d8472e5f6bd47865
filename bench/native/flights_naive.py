"""Arm native-py-naive of flights: as in a tutorial. Every rank reads and preprocesses all rows and
trains on its share with DistributedDataParallel; loss.item() in every step; rank 0 evaluates. The
same data, features, model, batches, optimiser and threads as the other arms.
"""

import torch
from torch.nn.parallel import DistributedDataParallel

import arm
import flights
import training


class Naive(flights.Options):
    def __init__(self, options, ranks, steps):
        self.options, self.ranks, self.steps = options, ranks, steps

    def load(self):
        self.flights = flights.Flights(self.options.data, self.options.block_rows, self.steps)
        self.blocks = self.flights.read(list(range(self.steps)))

    def preprocess(self):
        sums = [flights.moments(self.blocks[b]) for b in self.flights.train]
        mean, deviation = flights.scale_of(sums)
        self.features, self.labels = {}, {}
        for number, block in self.blocks.items():
            features = torch.zeros(len(block.late), flights.FEATURES)
            self.features[number] = flights.encode(block, mean, deviation, features)
            self.labels[number] = block.late

    def train(self):
        world, train = self.ranks.world, self.flights.train
        rows_of_rank, mine = [], None
        for rank in range(world):
            blocks = train[slice(*arm.share(len(train), rank, world))]
            rows_of_rank.append(sum(len(self.labels[b]) for b in blocks))
            mine = blocks if rank == self.ranks.rank else mine
        features = torch.cat([self.features[b] for b in mine])
        labels = torch.cat([self.labels[b] for b in mine])
        self.model = flights.make_model(self.options.seed)
        model = DistributedDataParallel(self.model) if world > 1 else self.model
        optimizer = torch.optim.SGD(model.parameters(), lr=self.options.lr)
        losses, parts, wholes = [], [], []
        for rows, whole in flights.batches(self.options, self.ranks, rows_of_rank):
            optimizer.zero_grad()
            loss = flights.criterion(model(features[rows]), labels[rows])
            # DDP averages over the ranks: scaled, so that ranks with fewer rows count by rows.
            (loss * (len(rows) * world / whole)).backward()
            optimizer.step()
            losses.append(loss.item())
            parts.append(len(rows))
            wholes.append(whole)
        self.losses = training.global_losses(torch.tensor(losses), parts, wholes, self.ranks)

    def evaluate(self):
        counts = torch.zeros(2 * flights.BINS, dtype=torch.int64)
        if self.ranks.rank == 0:
            for block in self.flights.evaluation:
                counts += flights.histogram(self.model, self.features[block], self.labels[block])
            self.area = flights.area_under_curve(counts)

    def outcome(self):
        if self.ranks.rank != 0:
            return None
        digests = [flights.digest_of(self.features[b], self.labels[b]) for b in range(self.steps)]
        return flights.outcome(self.options.data, digests,
                               sum(len(labels) for labels in self.labels.values()),
                               list(self.model.parameters()), self.losses, self.area)


if __name__ == "__main__":
    arm.run_arm("native-py-naive", Naive)
