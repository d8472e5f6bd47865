"""No attics: no folder, file or class whose name says only that things are kept in it."""

import os
import re

from tree import CODE, without_comments

FOLDERS = re.compile(r"(utils?|common|managers?|config|helpers?|misc)$")
FILES = re.compile(r"(.*_)?(utils?|common|managers?|helpers?|misc)\.(h|cc|py)$")
CLASSES = re.compile(r"\b(?:class|struct)\s+(\w*(?:Manager|Utils?|Helpers?|Common|Misc))\b")
LOOKED_AT = ("runtime/", "examples/", "bench/", "tests/", "proto/")


def check(tree):
    seen = set()
    for path in tree.paths:
        if not path.startswith(LOOKED_AT):
            continue
        folder = os.path.dirname(path)
        if folder not in seen:
            seen.add(folder)
            if FOLDERS.match(os.path.basename(folder)):
                yield f"{folder}:1: a folder named {os.path.basename(folder)}: name what is in it"
        if FILES.match(os.path.basename(path)):
            yield f"{path}:1: a file named {os.path.basename(path)}: name what is in it"
        if path.endswith(CODE):
            text = without_comments(tree.read(path), keep_strings=False)
            for number, line in enumerate(text.splitlines(), 1):
                match = CLASSES.search(line)
                if match:
                    yield f"{path}:{number}: {match.group(1)}: name what it does"


CLEAN = {"runtime/node/lease.h": "class Commonplace {};  // not a class LeaseManager\n"}
PLANTED = [
    ({"runtime/util/a.h": ""}, "folder named util"),
    ({"runtime/node/config/a.h": ""}, "folder named config"),
    ({"tests/unit/node/test_helpers.h": ""}, "a file named test_helpers.h"),
    ({"runtime/node/a.h": "class LeaseManager {\n"}, "LeaseManager: name what it does"),
    ({"bench/a.h": "struct FileUtil;\n"}, "FileUtil"),
]
