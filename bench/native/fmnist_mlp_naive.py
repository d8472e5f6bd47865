"""Arm native-py-naive of fmnist-mlp: the program of a tutorial. DistributedDataParallel with its
defaults, a DataLoader that collates row by row, loss.item() in every step, every rank preprocesses
everything, rank 0 evaluates. Same data, model, permutation, batches, optimiser and threads as the
other arms.
"""

from torch.utils.data import TensorDataset

import arm
import fmnist
import training


class Naive(fmnist.Options):
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
        self.model = fmnist.make_model(self.options.seed)
        self.losses = training.train_ddp(
            self.model, self.train_set, fmnist.batches(self.options, self.ranks, self.steps),
            self.options.lr, self.ranks)

    def evaluate(self):
        correct = 0
        if self.ranks.rank == 0:
            correct = training.count_correct_by_loader(self.model, self.test_set)
        self.accuracy = correct / fmnist.TEST_ROWS

    def outcome(self):
        if self.ranks.rank != 0:
            return None
        return fmnist.outcome(self.options.data, self.train_set.tensors[0],
                              self.test_set.tensors[0], list(self.model.parameters()), self.losses,
                              self.accuracy)


if __name__ == "__main__":
    arm.run_arm("native-py-naive", Naive)
