"""No line of code or of its comments has more than 100 columns; tests/tidy/tree.py says which."""

COLUMNS_MAX = 100
SUFFIXES = (".h", ".cc", ".py", ".proto")


def check(tree):
    for path in tree.paths:
        if not path.endswith(SUFFIXES):
            continue
        for number, line in enumerate(tree.read(path).splitlines(), 1):
            if len(line) > COLUMNS_MAX:
                yield f"{path}:{number}: {len(line)} columns (at most {COLUMNS_MAX})"


CLEAN = {
    "runtime/a.h": "// " + "x" * 97 + "\n",
    "runtime/b.cc": "// " + "ö" * 97 + "\n",  # columns, not bytes
    "README.md": "x" * 200 + "\n",
}
PLANTED = [
    ({"runtime/c.h": "\n// " + "x" * 98 + "\n"}, "runtime/c.h:2: 101 columns"),
    ({"proto/a.proto": "x" * 193}, "193 columns"),
    ({"tests/run_it.py": "#" * 101}, "run_it.py:1"),
]
