"""The arm protocol (bench/runner/arm_protocol.h) for the Python arms.

An arm is a class with load, preprocess, train, evaluate and checksums; run_arm() reads the command
line, connects the ranks, waits for commands asleep, times the phases and writes the events.
"""

import argparse
import datetime
import json
import os
import sys
import time

# Before torch is imported: the thread count is part of the contract, not of the environment.
_threads = next((a.split("=", 1)[1] for a in sys.argv if a.startswith("--threads=")), "1")
for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_name] = _threads

import torch  # noqa: E402
import torch.distributed as dist  # noqa: E402

import fmnist  # noqa: E402

_WAIT = datetime.timedelta(hours=12)  # ranks sleep while other arms run


class Ranks:
    """The ranks of one torchrun launch, or a single process without any."""

    def __init__(self, distributed):
        self.rank, self.world, self._commands = 0, 1, 0
        if distributed:
            dist.init_process_group("gloo")
            self.rank, self.world = dist.get_rank(), dist.get_world_size()
            store = dist.distributed_c10d._get_default_store()
            self._store = dist.PrefixStore("bench", store)
            self._store.set_timeout(_WAIT)

    def barrier(self):
        if self.world > 1:
            dist.barrier()

    def share_command(self, line):
        """Rank 0's line, on every rank. The others sleep in a store wait until it is there."""
        if self.world == 1:
            return line
        self._commands += 1
        key = f"command-{self._commands}"
        if self.rank == 0:
            self._store.set(key, line)
            return line
        return self._store.get(key).decode()

    def sum(self, tensor):
        if self.world > 1:
            dist.all_reduce(tensor)
        return tensor


def parse(arguments):
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--data", required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sampler-seed", type=int, default=45)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--world-size", type=int, default=1)
    parser.add_argument("--rank", type=int, default=0)
    parser.add_argument("--control")
    parser.add_argument("--out")
    parser.add_argument("--reps", type=int, default=1)
    parser.add_argument("--steps", type=int, default=938)
    options = parser.parse_args(arguments)
    for name in ("batch", "threads", "world_size", "reps", "steps"):
        if getattr(options, name) < 1:
            parser.error(f"--{name.replace('_', '-')} must be at least 1")
    if options.batch > fmnist.TRAIN_ROWS:
        parser.error(f"--batch must be at most {fmnist.TRAIN_ROWS}")
    return options


def _commands(options, ranks):
    """Yields (name, steps, loss file) until there are no more."""
    if not options.control:
        for number in range(1, options.reps + 1):
            yield f"r{number}", options.steps, os.devnull
        return
    source = open(options.control) if ranks.rank == 0 else None
    while True:
        line = ranks.share_command(source.readline().strip() if source else "")
        words = line.split(" ", 3)
        if words[0] != "run" or len(words) != 4:
            return  # "quit", or the runner is gone
        yield words[1], int(words[2]), words[3]


class _Recorder:
    def __init__(self, path, ranks):
        self._file = None
        if ranks.rank == 0:
            self._file = open(path, "w", buffering=1) if path else sys.stdout
        self._ranks = ranks
        self.rep = None

    def event(self, kind, **fields):
        if self._file:
            if self.rep:
                fields = {"rep": self.rep, **fields}
            self._file.write(json.dumps({"event": kind, **fields}) + "\n")
            self._file.flush()

    def phase(self, name, work):
        self._ranks.barrier()
        begin = time.monotonic()
        result = work()
        self._ranks.barrier()
        self.event("phase", name=name, seconds=time.monotonic() - begin)
        return result


def _blas():
    text = torch.__config__.parallel_info()
    return next((line.strip() for line in text.splitlines() if "Math Kernel" in line), "unknown")


def _repetition(arm, recorder, ranks, options, steps, loss_file):
    recorder.phase("load", arm.load)
    recorder.phase("preprocess", arm.preprocess)
    losses = recorder.phase("train", lambda: arm.train(steps))
    accuracy = recorder.phase("evaluate", arm.evaluate)
    if ranks.rank == 0:
        with open(loss_file, "w") as file:
            file.writelines(f"{float(value).hex()}\n" for value in losses.tolist())
        recorder.event("loss", path=loss_file)
        recorder.event("result", steps=steps, accuracy=accuracy,
                       dataset_sha256=fmnist.dataset_sha256(options.data), **arm.checksums())
    arm.forget()


def run_arm(name, make, distributed=True):
    options = parse(sys.argv[1:])
    torch.set_num_threads(options.threads)
    recorder = None
    try:
        ranks = Ranks(distributed and "RANK" in os.environ)
        if ranks.world != options.world_size:
            raise ValueError(f"--world-size says {options.world_size}, torchrun {ranks.world}")
        recorder = _Recorder(options.out, ranks)
        ranks.barrier()
        recorder.event("ready", protocol=2, arm=name, world_size=ranks.world,
                       torch=torch.__version__, threads=torch.get_num_threads(), blas=_blas(),
                       at=time.monotonic())
        for rep, steps, loss_file in _commands(options, ranks):
            recorder.rep = rep
            _repetition(make(options, ranks), recorder, ranks, options, steps, loss_file)
            recorder.rep = None
        if ranks.world > 1:
            dist.destroy_process_group()
    except Exception as error:
        if recorder:
            recorder.event("error", message=f"{type(error).__name__}: {error}")
        raise
