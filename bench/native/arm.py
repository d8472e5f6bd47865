"""The arm protocol (bench/runner/arm_protocol.h) for the Python arms.

An arm is a class with a method for each name in its PHASES, in the order in which they run, and
outcome(), what the gates look at. It calls self.step_done(n) when n steps of its main phase are
done. run_arm() reads the command line, connects the ranks, waits for commands asleep, times the
phases and writes series and events.
"""

import argparse
import datetime
import json
import math
import os
import sys
import time


def _threads_in(words):
    threads = "1"
    for word, next_word in zip(words, [*words[1:], ""]):
        if word == "--threads":
            threads = next_word
        elif word.startswith("--threads="):
            threads = word.split("=", 1)[1]
    return threads


# Before torch is imported: the thread count is part of the contract, not of the environment.
for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_name] = _threads_in(sys.argv)

import torch  # noqa: E402
import torch.distributed as dist  # noqa: E402

PROTOCOL = 4
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

    def share_of(self, total):
        """The contiguous part [begin, end) of `total` items that this rank has; the first
        total % world ranks have one more."""
        return share(total, self.rank, self.world)


def share(total, rank, world):
    """As Ranks.share_of, of any rank."""
    begin = rank * (total // world) + min(rank, total % world)
    return begin, begin + total // world + (rank < total % world)


class Outcome:
    """What the gates look at, by the names that the workload declares."""

    def __init__(self, hashes, values, series, texts=None):
        self.hashes, self.values, self.series = hashes, values, series
        self.texts = texts or {}


def parse(arguments, add_options, check_options):
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--data", required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--world-size", type=int, default=1)
    parser.add_argument("--control")
    parser.add_argument("--out")
    parser.add_argument("--reps", type=int, default=1)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--step-events", action="store_true")
    add_options(parser)
    options = parser.parse_args(arguments)
    for name in ("threads", "world_size", "reps", "steps"):
        if getattr(options, name) < 1:
            parser.error(f"--{name.replace('_', '-')} must be at least 1")
    try:
        check_options(options)
    except ValueError as error:
        parser.error(str(error))
    return options


def _commands(options, ranks):
    """Yields (name, steps, prefix of the series' paths or None) until there are no more."""
    if not options.control:
        for number in range(1, options.reps + 1):
            yield f"r{number}", options.steps, None
        return
    source = open(options.control) if ranks.rank == 0 else None
    while True:
        line = ranks.share_command(source.readline().strip() if source else "")
        if line in ("quit", ""):  # the runner needs no more, or is gone
            return
        words = line.split(" ", 3)
        if len(words) != 4 or words[0] != "run" or not words[2].isdigit() or int(words[2]) < 1:
            raise ValueError(f"not a command: '{line}'")
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

    def step(self, done):
        if self._file:
            self.event("step", done=done, at=time.monotonic())

    def phase(self, name, work):
        self._ranks.barrier()
        begin = time.monotonic()
        work()
        self._ranks.barrier()
        self.event("phase", name=name, seconds=time.monotonic() - begin)


def _blas():
    text = torch.__config__.parallel_info()
    return next((line.strip() for line in text.splitlines() if "Math Kernel" in line), "unknown")


def _repetition(arm, recorder, steps, prefix, step_events):
    arm.step_done = recorder.step if step_events else lambda done: None
    for name in arm.PHASES:
        recorder.phase(name, getattr(arm, name))
    outcome = arm.outcome()
    if outcome is None:
        return  # not rank 0
    for name, numbers in outcome.series.items() if prefix else ():
        with open(f"{prefix}.{name}.txt", "w") as file:
            file.writelines(f"{float(number).hex()}\n" for number in numbers)
    # JSON has no word for what is not a number.
    values = {key: value if math.isfinite(value) else None for key, value in outcome.values.items()}
    recorder.event("result", steps=steps, hashes=outcome.hashes, values=values,
                   texts=outcome.texts)


def run_arm(name, make, distributed=True):
    """`make` is the arm's class: make(options, ranks, steps) is one repetition. Every rank calls
    outcome(); what rank 0 returns counts, the others return None."""
    options = parse(sys.argv[1:], make.add_options, make.check_options)
    torch.set_num_threads(options.threads)
    recorder = None
    try:
        ranks = Ranks(distributed and "RANK" in os.environ)
        if ranks.world != options.world_size:
            raise ValueError(f"--world-size says {options.world_size}, torchrun {ranks.world}")
        recorder = _Recorder(options.out, ranks)
        ranks.barrier()
        recorder.event("ready", protocol=PROTOCOL, arm=name, world_size=ranks.world,
                       torch=torch.__version__, threads=torch.get_num_threads(), blas=_blas(),
                       at=time.monotonic())
        for rep, steps, prefix in _commands(options, ranks):
            recorder.rep = rep
            _repetition(make(options, ranks, steps), recorder, steps, prefix, options.step_events)
            recorder.rep = None
        ranks.barrier()  # rank 0 may be the host of the store from which the others read the end
        if ranks.world > 1:
            dist.destroy_process_group()
    except Exception as error:
        if recorder:
            recorder.event("error", message=f"{type(error).__name__}: {error}")
        raise


def run_tuned(make):
    """The main of a tuned arm, which with --serial is the serial one."""
    serial = "--serial" in sys.argv
    if serial:
        sys.argv.remove("--serial")
    run_arm("serial" if serial else "native-py", make, distributed=not serial)
