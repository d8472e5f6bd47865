"""The top of the repository holds exactly what a newcomer is told about."""

import os

from tree import LEFT_OUT

FILES = {"CMakeLists.txt", "CMakePresets.json", "README.md", "CHANGELOG.md"}
FOLDERS = {"runtime", "proto", "examples", "bench", "tests", "third_party"}


def check(tree):
    for name in sorted(os.listdir(tree.root)):
        if name.startswith(".") or name in LEFT_OUT:
            continue
        is_folder = os.path.isdir(os.path.join(tree.root, name))
        if name not in (FOLDERS if is_folder else FILES):
            yield f"{name}:1: does not belong at the top of the repository"


CLEAN = {"README.md": "", "runtime/a.h": "", ".clang-format": "", "build/x": ""}
PLANTED = [
    ({"NOTES.md": ""}, "NOTES.md:1"),
    ({"src/a.cc": ""}, "src:1"),
    ({"compile_commands.json": ""}, "compile_commands.json:1"),
]
