"""No notes to oneself and no paths of one machine in anything that is handed on."""

import re

# Written so that this file does not contain what it forbids.
NOTES = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")
PATHS = re.compile(r"(?<![\w.$}>])/(work|home|root|mnt|Users)/[\w.-]+")
MARKER = re.compile(r"^(<{7}|>{7}) ", re.M)
BINARY = (".png", ".gz", ".parquet", ".bin", ".ico", ".woff2", ".db")


def check(tree):
    for path in tree.paths:
        if path.endswith(BINARY) or "/corpus/" in path:
            continue
        text = tree.read(path)
        if MARKER.search(text):
            yield f"{path}:1: a merge conflict was left in"
        for number, line in enumerate(text.splitlines(), 1):
            note = NOTES.search(line)
            if note and "mktemp" not in line and not re.search(r"X{4,}", line):
                yield f"{path}:{number}: {note.group(1)}: do it or drop it"
            machine = PATHS.search(line)
            if machine:
                yield f"{path}:{number}: {machine.group()}: a path of one machine"


CLEAN = {
    "runtime/a.cc": "// finds /proc/self/maps, /opt/rayx/venv and x/home/y\n"
                    "char name[] = \"name-XXXXXX\";\nauto p = $HOME/wo" "rk/x;\n",
}
PLANTED = [
    ({"runtime/b.cc": "// TO" "DO: later\n"}, "do it or drop it"),
    ({"README.md": "FIX" "ME\n"}, "README.md:1"),
    ({"tests/run": "cd /ho" "me/me/src\n"}, "a path of one machine"),
    ({"bench/x.py": "root = '/wo" "rk/main'\n"}, "a path of one machine"),
    ({"README.md": "<<<<<<" "< HEAD\n"}, "merge conflict"),
]
