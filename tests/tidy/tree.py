"""The source tree as the checks see it: files by folder, text without comments."""

import os
import re

# Not ours, or made by a build; .gitignore names the same.
LEFT_OUT = {"build", "results", ".data", ".git", ".venv", ".cache", "__pycache__"}
CODE = (".h", ".cc")


class Tree:
    """Files under `root`, by their path relative to it, with forward slashes."""

    def __init__(self, root):
        self.root = root
        self.paths = []
        for folder, folders, files in os.walk(root):
            folders[:] = sorted(f for f in folders if f not in LEFT_OUT)
            for name in sorted(files):
                self.paths.append(os.path.relpath(os.path.join(folder, name), root))

    def under(self, folder, suffixes=CODE):
        return [p for p in self.paths if p.startswith(folder + "/") and p.endswith(suffixes)]

    def read(self, path):
        """The text of a file, '' for one that is missing or not text."""
        try:
            with open(os.path.join(self.root, path), encoding="utf-8") as file:
                return file.read()
        except (OSError, UnicodeDecodeError):
            return ""


# A comment, a string, or a character literal that is no digit separator (1'000).
_COMMENT_OR_STRING = re.compile(
    r'//[^\n]*|/\*.*?\*/|R"(\w*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|'
    r'(?<![0-9a-zA-Z])\'(?:\\.|[^\'\\\n])+\'',
    re.S)


def without_comments(text, keep_strings=True):
    """C++ text of the same number of lines with comments, and on demand strings, blanked out."""

    def blank(match):
        piece = match.group()
        if keep_strings and not piece.startswith("/"):
            return piece
        return "\n" * piece.count("\n")

    return _COMMENT_OR_STRING.sub(blank, text)


def includes(text):
    """(line number, delimiter, path) of every #include."""
    for number, line in enumerate(without_comments(text).splitlines(), 1):
        match = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
        if match:
            yield number, match.group(1), match.group(2)
