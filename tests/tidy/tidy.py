#!/usr/bin/env python3
"""tidy.py CHECK... [--root FOLDER]: rules about the source tree that a compiler does not know.

Each check is a module of checks/ with
  check(tree)   yields findings, 'path:line: sentence'
  PLANTED       list of (files by path, words that must occur in a finding)
  CLEAN         files by path in which nothing may be found
PLANTED and CLEAN are tried first: a check that no longer finds its planted failure fails itself.
"""

import argparse
import importlib
import os
import sys
import tempfile

from tree import Tree

HERE = os.path.dirname(os.path.abspath(__file__))


def plant(files, check):
    """The findings of `check` in a tree made of `files`."""
    with tempfile.TemporaryDirectory(prefix="rayx-tidy-") as root:
        for path, text in files.items():
            full = os.path.join(root, path)
            os.makedirs(os.path.dirname(full), exist_ok=True)
            with open(full, "w", encoding="utf-8") as file:
                file.write(text)
        return list(check(Tree(root)))


def self_test(module):
    failures = []
    for files, words in module.PLANTED:
        found = plant({**module.CLEAN, **files}, module.check)
        if not any(words in finding for finding in found):
            failures.append(
                f"planted failure not found: {words!r} in {sorted(files)}; found {found}")
    found = plant(module.CLEAN, module.check)
    if found:
        failures.append(f"found something in a clean tree: {found}")
    return failures


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checks", nargs="+")
    parser.add_argument("--root", default=os.path.join(HERE, "..", ".."))
    arguments = parser.parse_args()
    bad = 0
    tree = Tree(os.path.abspath(arguments.root))
    for name in arguments.checks:
        module = importlib.import_module(f"checks.{name}")
        for failure in self_test(module):
            bad += 1
            print(f"{name}: self-test: {failure}")
        for finding in module.check(tree):
            bad += 1
            print(f"{name}: {finding}")
    print(f"{bad} findings")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
