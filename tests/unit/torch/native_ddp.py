"""What torch.distributed computes: the numbers that RayX's trainer must reproduce bit for bit.

Trains 784-512-512-10 on random data with plain SGD under DistributedDataParallel and Gloo, one
process a rank, and writes the results to --out, one line each:
  loss RANK STEP HEX        each step's loss over the rank's rows
  checksum VALUE            rayx::torch::WeightsChecksum
  abs_sum HEX               rayx::torch::WeightsAbsoluteSum
"""

import argparse
import tempfile

import torch
import torch.distributed as dist
import torch.multiprocessing as mp


def rank_part(rows, rank, ranks):
    each, longer = divmod(rows, ranks)
    return rank * each + min(rank, longer), each + (1 if rank < longer else 0)


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def train(rank, arguments, init_file):
    torch.set_num_threads(1)
    ranks, batch = arguments.ranks, arguments.batch
    dist.init_process_group("gloo", init_method=f"file://{init_file}", rank=rank, world_size=ranks)
    features = torch.randn(arguments.rows, 784, generator=seeded(11))
    labels = torch.randint(10, (arguments.rows,), generator=seeded(12))

    torch.manual_seed(arguments.seed)
    model = torch.nn.Sequential(
        torch.nn.Linear(784, 512), torch.nn.ReLU(),
        torch.nn.Linear(512, 512), torch.nn.ReLU(),
        torch.nn.Linear(512, 10))
    network = torch.nn.parallel.DistributedDataParallel(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=arguments.lr)
    loss_function = torch.nn.CrossEntropyLoss()

    lines, step = [], 0
    for epoch in range(arguments.epochs):
        order = torch.randperm(arguments.rows, generator=seeded(arguments.seed + epoch))
        for begin in range(0, arguments.rows, batch):
            rows = min(batch, arguments.rows - begin)
            if rows < ranks:
                break
            offset, count = rank_part(rows, rank, ranks)
            index = order[begin + offset:begin + offset + count]
            optimizer.zero_grad()
            loss = loss_function(network(features[index]), labels[index])
            if count * ranks == rows:
                loss.backward()
            else:
                (loss * (count * ranks / rows)).backward()
            optimizer.step()
            lines.append(f"loss {rank} {step} {loss.item().hex()}")
            step += 1

    if rank == 0:
        weights = [p.detach().reshape(-1) for p in model.parameters()]
        bits = torch.cat([w.view(torch.int32) for w in weights]).long()
        checksum = int((bits * (2 * torch.arange(len(bits)) + 1)).sum()) % 2**64
        lines.append(f"checksum {checksum}")
        lines.append(f"abs_sum {float(sum(w.double().abs().sum().item() for w in weights)).hex()}")
    with open(f"{arguments.out}.{rank}", "w") as out:
        out.write("\n".join(lines) + "\n")
    dist.destroy_process_group()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--ranks", type=int, default=1)
    parser.add_argument("--rows", type=int, default=1600)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", required=True)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        init_file = f"{folder}/init"
        if arguments.ranks == 1:
            train(0, arguments, init_file)
        else:
            mp.spawn(train, args=(arguments, init_file), nprocs=arguments.ranks)


if __name__ == "__main__":
    main()
