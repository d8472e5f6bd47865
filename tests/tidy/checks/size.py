"""A file over 800 lines or a function over 100 is a design smell to resolve."""

import re

from tree import without_comments

FILE_LINES_MAX = 800
FUNCTION_LINES_MAX = 100
# What opens a block that may hold functions; anything else with parentheses is a function.
CONTAINER = re.compile(r"\b(namespace|extern|class|struct|union|enum)\b"
                       r"(?![^{]*\)\s*(const|noexcept|override|\s)*$)")


def functions(text):
    """(first line, length) of every function's body, lambdas and inner blocks left out."""
    blocks = []  # of the open braces: (kind, line)
    head_at = 0  # where the text before the next brace starts
    text = without_comments(text, keep_strings=False)
    for match in re.finditer(r"[{};]", text):
        head, end = text[head_at:match.start()], match.start()
        head_at = match.end()
        if match.group() == "{":
            outer = blocks[-1][0] if blocks else "container"
            kind = "inner"
            if outer == "container" and not head.rstrip().endswith("="):
                is_container = CONTAINER.search(head)
                kind = "container" if is_container else "function" if "(" in head else "inner"
            if head.lstrip().startswith("TEST_CASE"):
                kind = "inner"
            blocks.append((kind, text.count("\n", 0, end) + 1))
        elif match.group() == "}" and blocks:
            kind, first = blocks.pop()
            if kind == "function":
                yield first, text.count("\n", 0, end) + 2 - first


def check(tree):
    for folder in ("runtime", "examples", "bench"):
        for path in tree.under(folder):
            text = tree.read(path)
            lines = text.count("\n")
            if lines > FILE_LINES_MAX:
                yield f"{path}:1: {lines} lines (at most {FILE_LINES_MAX})"
            for line, length in functions(text):
                if length > FUNCTION_LINES_MAX:
                    yield (f"{path}:{line}: a function of {length} lines "
                           f"(at most {FUNCTION_LINES_MAX})")


_LINE = "  x += 1;\n"
CLEAN = {"runtime/a.cc": "namespace rayx {\n\nvoid F() {\n" + _LINE * 90 + "}\n\nvoid G() {\n" +
                         _LINE * 90 + "}\n\n}  // namespace rayx\n"}
PLANTED = [
    ({"runtime/b.cc": "\n" * 801}, "801 lines"),
    ({"bench/b.cc": "namespace {\nint F(int x,\n      int y) {\n" + _LINE * 100 + "}\n}\n"},
     "a function of 102 lines"),
    ({"runtime/b.h": "class A {\n  void F() {\n" + _LINE * 100 + "  }\n};\n"}, "of 102 lines"),
]
