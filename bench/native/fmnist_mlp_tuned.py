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
import torch.distributed as dist
import torch.nn.functional as functional

import arm
import fmnist


class Tuned(fmnist.Options):
    PHASES = ("load", "preprocess", "train", "evaluate")

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

    def _flatten(self):
        """Makes the parameters views into one tensor, which is returned."""
        self.parameters = list(self.model.parameters())
        flat = torch.cat([p.detach().reshape(-1) for p in self.parameters])
        parts = flat.split([p.numel() for p in self.parameters])
        for parameter, part in zip(self.parameters, parts):
            parameter.data = part.view_as(parameter)
        return flat

    def train(self):
        world = self.ranks.world
        self.model = fmnist.make_model(self.options.seed)
        weights = self._flatten()
        gradient = torch.empty_like(weights)
        losses = torch.empty(self.steps)
        batches = fmnist.batches(self.options, self.ranks.rank, world, self.steps)
        for step, (rows, batch) in enumerate(batches):
            output = self.model(self.train_features.index_select(0, rows))
            loss = functional.cross_entropy(
                output, self.train_labels.index_select(0, rows), reduction="sum") / batch
            gradients = torch.autograd.grad(loss, self.parameters)
            losses[step] = loss.detach()
            if world > 1:
                torch.cat([g.reshape(-1) for g in gradients], out=gradient)
                dist.all_reduce(gradient)
                weights.add_(gradient, alpha=-self.options.lr)
            else:
                with torch.no_grad():
                    torch._foreach_add_(self.parameters, gradients, alpha=-self.options.lr)
            self.step_done(step + 1)
        self.losses = self.ranks.sum(losses)

    def evaluate(self):
        begin, end = self.ranks.share_of(fmnist.TEST_ROWS)
        correct = torch.zeros(1, dtype=torch.int64)
        with torch.inference_mode():
            for at in range(begin, end, 1000):
                stop = min(at + 1000, end)
                predicted = self.model(self.test_features[at:stop]).argmax(1)
                correct += (predicted == self.test_labels[at:stop]).sum()
        self.accuracy = self.ranks.sum(correct).item() / fmnist.TEST_ROWS

    def outcome(self):
        if self.ranks.rank != 0:
            return None
        return fmnist.outcome(self.options.data, self.train_features, self.test_features,
                              self.parameters, self.losses, self.accuracy)


if __name__ == "__main__":
    arm.run_tuned(Tuned)
