"""Arm native-py of fmnist-mlp (and arm serial: --serial): what an expert would write with
torch.distributed and Gloo.

How it was tuned: every variant below trained the same 100 steps in simulated VMs with the suite's
quota, interleaved, at 1, 2 and 3 ranks, with the same bits as result.
  gradients   one bucket of all gradients, reduced after backward, was the fastest at 2 and 3 ranks;
              two or three buckets reduced by hooks during backward came next (a VM has less than
              one CPU, so that reducing competes with computing); DistributedDataParallel with
              gradient_as_bucket_view and static_graph was about equal at 2 ranks and slower at 3;
              its defaults were the slowest.
  update      parameters are views into one flat tensor: one add_ a step. torch.autograd.grad hands
              the gradients over without adding them into .grad.
  batches     the data set is one tensor, a batch is one index_select.
  preprocess  the statistics are shared out by block and reduced (192 bytes); every rank
              standardises all rows itself: gathering the rows from the others took 2 to 5 times as
              long as computing them.
  loss        stays a tensor; the trace is reduced once, at the end of training.
  load        the raw file is mapped, not copied.
"""

import torch

import arm
import fmnist
import training


class Tuned(fmnist.Options):
    def __init__(self, options, ranks, steps):
        self.options, self.ranks, self.steps = options, ranks, steps

    def load(self):
        self.train_images, self.train_labels, self.test_images, self.test_labels = fmnist.load(
            self.options.data)

    def preprocess(self):
        begins = list(fmnist.blocks(fmnist.TRAIN_ROWS))
        sums = torch.zeros(len(begins), 2, dtype=torch.float64)
        for b in range(*self.ranks.share_of(len(begins))):
            block = self.train_images[begins[b]:begins[b] + fmnist.FEATURE_BLOCK_ROWS]
            sums[b] = torch.tensor(fmnist.block_sums(block), dtype=torch.float64)
        self.ranks.sum(sums)  # every other term is zero: exact
        mean, deviation = fmnist.mean_and_deviation(sums.tolist())

        def standardised(images):
            features = torch.empty(images.shape, dtype=torch.float32)
            for begin in fmnist.blocks(len(images)):
                end = begin + fmnist.FEATURE_BLOCK_ROWS
                fmnist.standardise(images[begin:end], mean, deviation, features[begin:end])
            return features

        self.train_features = standardised(self.train_images)
        self.test_features = standardised(self.test_images)

    def train(self):
        self.model = fmnist.make_model(self.options.seed)
        self.losses = training.train_flat(
            self.model, self.train_features, self.train_labels,
            fmnist.batches(self.options, self.ranks, self.steps), self.options.lr, self.ranks,
            self.step_done)

    def evaluate(self):
        begin, end = self.ranks.share_of(fmnist.TEST_ROWS)
        correct = training.count_correct(self.model, self.test_features[begin:end],
                                         self.test_labels[begin:end])
        self.accuracy = self.ranks.sum(torch.tensor([correct])).item() / fmnist.TEST_ROWS

    def outcome(self):
        if self.ranks.rank != 0:
            return None
        return fmnist.outcome(self.options.data, self.train_features, self.test_features,
                              list(self.model.parameters()), self.losses, self.accuracy)


if __name__ == "__main__":
    arm.run_tuned(Tuned)
