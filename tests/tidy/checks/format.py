"""Every .h and .cc is as clang-format would write it (.clang-format; the release of clang-format is
named in third_party/requirements.txt and comes out of the virtual environment)."""

import os
import re
import subprocess
import sys

from tree import CODE

STYLE = ".clang-format"
FILES_A_CALL = 50


def tool():
    """Beside this interpreter, which is the virtual environment's."""
    return os.path.join(os.path.dirname(sys.executable), "clang-format")


def check(tree):
    paths = [p for p in tree.paths if p.endswith(CODE)]
    if not os.path.exists(tool()):
        yield f"{STYLE}:1: no {tool()}: third_party/install installs it"
        return
    for begin in range(0, len(paths), FILES_A_CALL):
        # With --dry-run nothing is written; each difference is a warning "path:line:column: ...".
        done = subprocess.run(
            [tool(), "--dry-run", "--style=file", *paths[begin:begin + FILES_A_CALL]],
            cwd=tree.root, capture_output=True, text=True, check=False)
        seen = set()
        for match in re.finditer(r"^(\S+?):(\d+):\d+: (?:warning|error): (.*)$", done.stderr, re.M):
            path, line, _ = match.groups()
            if path not in seen:  # one a file is enough
                seen.add(path)
                yield f"{path}:{line}: not as clang-format writes it"
        if done.returncode and not seen:
            yield f"{STYLE}:1: clang-format: {done.stderr[:500]}"


CLEAN = {
    STYLE: "BasedOnStyle: Google\nColumnLimit: 100\nReflowComments: false\n",
    "runtime/a.h": "inline int F() { return 1; }\n// A comment of any length stays" + " as" * 40 +
                   ".\n",
}
PLANTED = [
    ({"runtime/b.cc": "int  F( ) {return 1;}\n"}, "runtime/b.cc:1: not as clang-format"),
    ({"bench/c.cc": "int a;\nvoid G(" + ", ".join(f"int p{i}" for i in range(20)) + ");\n"},
     "bench/c.cc:2: not as clang-format"),
    ({STYLE: "NoSuchOption: 1\n"}, "clang-format"),
]
