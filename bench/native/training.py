"""How the Python arms of the training workloads train: SGD on the global batches of one
permutation an epoch, in the arithmetic of DistributedDataParallel.

A rank's loss is the mean over its rows, scaled by rows * ranks / batch where the batch does not
divide evenly; the gradients are averaged over the ranks. The loss of a step is the mean over the
whole batch. bench/workloads/arm/reducer_training.h computes the same.
"""

import hashlib

import torch
import torch.distributed as dist
import torch.nn.functional as functional
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader

import arm


def permutation(rows, seed):
    return torch.randperm(rows, generator=torch.Generator().manual_seed(seed))


def batches(rows, batch, seed, ranks, steps):
    """For each step: the row numbers of this rank's part, and the size of the whole batch. The last
    batch of an epoch is what is left, if each rank has a row of it. Epoch e is permuted with
    seed + e."""
    per_epoch = rows // batch + (rows % batch >= ranks.world)
    if per_epoch == 0:
        raise ValueError(f"{rows} rows to train on are too few for {ranks.world} ranks")
    for step in range(steps):
        epoch, in_epoch = divmod(step, per_epoch)
        if in_epoch == 0:
            order = permutation(rows, seed + epoch)
        at = in_epoch * batch
        whole = min(batch, rows - at)
        begin, end = arm.share(whole, ranks.rank, ranks.world)
        yield order[at + begin:at + end], whole


def global_losses(losses, parts, wholes, ranks):
    """The loss of each step from every rank's mean over its part."""
    return ranks.sum(losses * torch.tensor(parts) / torch.tensor(wholes))


def _flatten(parameters):
    """Makes the parameters views into one tensor, which is returned."""
    flat = torch.cat([p.detach().reshape(-1) for p in parameters])
    parts = flat.split([p.numel() for p in parameters])
    for parameter, part in zip(parameters, parts):
        parameter.data = part.view_as(parameter)
    return flat


def train_flat(model, features, labels, steps, learning_rate, ranks, step_done,
               criterion=functional.cross_entropy):
    """As an expert would. `steps`: see batches; step_done(n): n of them are done. Returns the
    losses."""
    parameters, world = list(model.parameters()), ranks.world
    weights = _flatten(parameters)
    gradient = torch.empty_like(weights)
    losses, parts, wholes = [], [], []
    for rows, whole in steps:
        loss = criterion(model(features.index_select(0, rows)), labels.index_select(0, rows))
        losses.append(loss.detach())
        parts.append(len(rows))
        wholes.append(whole)
        if len(rows) * world != whole:
            loss = loss * (len(rows) * world / whole)
        gradients = torch.autograd.grad(loss, parameters)
        if world > 1:
            torch.cat([g.reshape(-1) for g in gradients], out=gradient)
            dist.all_reduce(gradient)
            weights.add_(gradient, alpha=-learning_rate / world)
        else:
            with torch.no_grad():
                torch._foreach_add_(parameters, gradients, alpha=-learning_rate)
        step_done(len(losses))
    return global_losses(torch.stack(losses), parts, wholes, ranks)


class _RowBatches:
    """This rank's part of each global batch, so that all arms see the same rows in each step."""

    def __init__(self, steps):
        self.steps = [(rows.tolist(), whole) for rows, whole in steps]

    def __len__(self):
        return len(self.steps)

    def __iter__(self):
        return (rows for rows, _ in self.steps)


def train_ddp(model, data_set, steps, learning_rate, ranks):
    """As in a tutorial: DistributedDataParallel with its defaults, a DataLoader that collates row
    by row, loss.item() in every step. Returns the losses."""
    wrapped = DistributedDataParallel(model) if ranks.world > 1 else model
    sampler = _RowBatches(steps)
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(wrapped.parameters(), lr=learning_rate)
    losses, parts, wholes = [], [], []
    for (features, labels), (_, whole) in zip(DataLoader(data_set, batch_sampler=sampler),
                                              sampler.steps):
        optimizer.zero_grad()
        loss = criterion(wrapped(features), labels)
        # DDP averages over the ranks: scaled, so that ranks with an uneven part count by rows.
        (loss * (len(labels) * ranks.world / whole)).backward()
        optimizer.step()
        losses.append(loss.item())
        parts.append(len(labels))
        wholes.append(whole)
    return global_losses(torch.tensor(losses), parts, wholes, ranks)


def count_correct(model, features, labels, at_once=1000):
    correct = 0
    with torch.inference_mode():
        for begin in range(0, len(features), at_once):
            predicted = model(features[begin:begin + at_once]).argmax(1)
            correct += (predicted == labels[begin:begin + at_once]).sum().item()
    return correct


def count_correct_by_loader(model, data_set):
    """As in a tutorial."""
    correct = 0
    model.eval()
    with torch.no_grad():
        for features, labels in DataLoader(data_set, batch_size=64):
            correct += (model(features).argmax(dim=1) == labels).sum().item()
    return correct


def weights_sha256(parameters):
    digest = hashlib.sha256()
    for parameter in parameters:
        digest.update(parameter.detach().contiguous().numpy().data)
    return digest.hexdigest()


def weights_abs_sum(parameters):
    """Sum of the absolute weights in double: for comparisons with a tolerance."""
    return sum(p.detach().double().abs().sum().item() for p in parameters)
