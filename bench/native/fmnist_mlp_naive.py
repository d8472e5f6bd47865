"""Arm native-py-naive of fmnist-mlp: the program of a tutorial. DistributedDataParallel with its
defaults, a DataLoader that collates row by row, loss.item() in every step, every rank preprocesses
everything, rank 0 evaluates. Same data, model, permutation, batches, optimiser and threads as the
other arms.
"""

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, TensorDataset

import arm
import fmnist


class GlobalBatches:
    """This rank's part of each global batch, so that all arms see the same rows in each step."""

    def __init__(self, options, ranks, steps):
        self.batches = [(rows.tolist(), whole) for rows, whole in fmnist.batches(
            options, ranks.rank, ranks.world, steps)]

    def __len__(self):
        return len(self.batches)

    def __iter__(self):
        return (rows for rows, _ in self.batches)


class Naive(fmnist.Options):
    PHASES = ("load", "preprocess", "train", "evaluate")

    def __init__(self, options, ranks, steps):
        self.options, self.ranks, self.steps = options, ranks, steps

    def load(self):
        train, self.train_labels, test, self.test_labels = fmnist.load(self.options.data)
        self.train_images, self.test_images = train.clone(), test.clone()

    def preprocess(self):
        sums = [fmnist.block_sums(self.train_images[b:b + fmnist.FEATURE_BLOCK_ROWS])
                for b in fmnist.blocks(fmnist.TRAIN_ROWS)]
        mean, deviation = fmnist.mean_and_deviation(sums)
        self.train_set = TensorDataset(
            (self.train_images.float() / 255.0 - mean) / deviation, self.train_labels)
        self.test_set = TensorDataset(
            (self.test_images.float() / 255.0 - mean) / deviation, self.test_labels)

    def train(self):
        world = self.ranks.world
        self.model = fmnist.make_model(self.options.seed)
        model = DistributedDataParallel(self.model) if world > 1 else self.model
        sampler = GlobalBatches(self.options, self.ranks, self.steps)
        loader = DataLoader(self.train_set, batch_sampler=sampler)
        # DDP averages over the ranks: summed here and scaled, so that ranks with an uneven part of
        # the batch count by rows.
        criterion = nn.CrossEntropyLoss(reduction="sum")
        optimizer = torch.optim.SGD(model.parameters(), lr=self.options.lr)
        losses = []
        for (features, labels), (_, whole) in zip(loader, sampler.batches):
            optimizer.zero_grad()
            loss = criterion(model(features), labels) * (world / whole)
            loss.backward()
            optimizer.step()
            losses.append(loss.item() / world)
        self.losses = self.ranks.sum(torch.tensor(losses, dtype=torch.float32))

    def evaluate(self):
        correct = 0
        if self.ranks.rank == 0:
            self.model.eval()
            with torch.no_grad():
                for features, labels in DataLoader(self.test_set, batch_size=64):
                    predicted = self.model(features).argmax(dim=1)
                    correct += (predicted == labels).sum().item()
        self.accuracy = correct / fmnist.TEST_ROWS

    def outcome(self):
        if self.ranks.rank != 0:
            return None
        return fmnist.outcome(self.options.data, self.train_set.tensors[0],
                              self.test_set.tensors[0], list(self.model.parameters()), self.losses,
                              self.accuracy)


if __name__ == "__main__":
    arm.run_arm("native-py-naive", Naive)
