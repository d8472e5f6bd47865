"""Stands in the place of an arm's program and makes it do something wrong.

    planted_arm.py row|seed|batch PROGRAM FLAGS...

  row     one value of the data is another one
  seed    another seed
  batch   leaves out the second batch, and reports as many steps as it was told to make
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading

LEFT_OUT = 1


def value_of(flags, name):
    return next(flag.split("=", 1)[1] for flag in flags if flag.startswith(f"--{name}="))


def replaced(flags, **values):
    kept = [f for f in flags if f[2:].split("=", 1)[0] not in values]
    return kept + [f"--{name}={value}" for name, value in values.items()]


def folder_of_the_result(flags, prefix):
    """The result goes when the test has looked at it."""
    return tempfile.mkdtemp(prefix=prefix, dir=os.path.dirname(value_of(flags, "out")))


def with_a_wrong_row(flags):
    import pyarrow.parquet as parquet
    folder, copy = value_of(flags, "data"), folder_of_the_result(flags, "planted-data-")
    for name in os.listdir(folder):
        shutil.copy(os.path.join(folder, name), copy)
    path = os.path.join(copy, min(n for n in os.listdir(copy) if n.endswith(".parquet")))
    table = parquet.read_table(path)
    values = table.column(0).to_numpy().copy()
    values[1234] += 1
    field = table.schema.field(0)
    parquet.write_table(table.set_column(0, field, type(table.column(0).chunk(0)).from_pandas(
        values, type=field.type)), path)
    return copy


def skip_a_batch(program, flags):
    """Speaks with the runner in the arm's place: asks the arm for one step more than the runner
    does, and takes one out of what it made."""
    folder = folder_of_the_result(flags, "planted-arm-")
    control, events = (os.path.join(folder, name) for name in ("control", "events"))
    os.mkfifo(control)
    os.mkfifo(events)
    prefixes = {}

    def pass_commands_on():
        with open(value_of(flags, "control")) as source, open(control, "w", buffering=1) as sink:
            for line in source:
                words = line.rstrip("\n").split(" ", 3)
                if words[0] == "run":
                    prefixes[words[1]] = words[3]
                    line = f"run {words[1]} {int(words[2]) + 1} {words[3]}\n"
                sink.write(line)
                if words[0] == "quit":
                    return

    arm = subprocess.Popen([program] + replaced(flags, control=control, out=events))
    threading.Thread(target=pass_commands_on, daemon=True).start()
    with open(events) as source, open(value_of(flags, "out"), "w", buffering=1) as sink:
        for event in map(json.loads, source):
            if event["event"] == "result":
                event["steps"] -= 1
                path = prefixes[event["rep"]] + ".loss.txt"
                with open(path) as file:
                    numbers = file.readlines()
                del numbers[LEFT_OUT]
                with open(path, "w") as file:
                    file.writelines(numbers)
            sink.write(json.dumps(event) + "\n")
    sys.exit(arm.wait())


def main():
    plant, program, *flags = sys.argv[1:]
    if plant == "batch":
        skip_a_batch(program, flags)
    if plant == "row":
        flags = replaced(flags, data=with_a_wrong_row(flags))
    if plant == "seed":
        flags = replaced(flags, seed=2)
    os.execv(program, [program] + flags)


if __name__ == "__main__":
    main()
