#!/usr/bin/env python3
"""headers_alone.py: every header under runtime/ compiles with nothing included before it.

A header that a built source of its own includes first was shown by the build. Public headers are
compiled as a foreign project would: C++20 with -Wconversion. A result is kept with the
fingerprints of everything that was read, and is used again until one of them changes.
"""

import argparse
import concurrent.futures
import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile

from tree import Tree

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
WARNINGS = ["-Wall", "-Wextra", "-Werror"]


def fingerprint(path):
    try:
        with open(path, "rb") as file:
            return hashlib.sha256(file.read()).hexdigest()
    except OSError:
        return None


class Checker:
    def __init__(self, root, arguments):
        self.root = root
        self.compiler = arguments.compiler
        self.build = arguments.build
        self.torch = arguments.torch
        self.commands = self.read_commands()
        self.torch_flags = self.find_torch_flags() if self.torch else None
        self.cache_path = os.path.join(self.build, "tidy_headers_alone.json")
        try:
            with open(self.cache_path, encoding="utf-8") as file:
                self.cache = json.load(file)
        except (OSError, ValueError):
            self.cache = {}

    def flags(self, header):
        if header.startswith("runtime/torch/"):
            return self.torch_flags
        flags = ["-std=c++20", "-fPIC", "-DMSGPACK_NO_BOOST", *WARNINGS]
        if header.startswith("runtime/include/"):
            return flags + ["-Wconversion", "-I", f"{self.root}/runtime/include"]
        flags += ["-I", f"{self.root}/runtime", "-I", f"{self.root}/runtime/include",
                  "-isystem", f"{self.build}/generated"]
        return flags

    def read_commands(self):
        """How the build compiles each source."""
        try:
            with open(os.path.join(self.build, "compile_commands.json"), encoding="utf-8") as file:
                return {entry["file"]: entry["command"] for entry in json.load(file)}
        except (OSError, ValueError):
            return {}

    def shown_by_build(self, header):
        source = os.path.join(self.root, re.sub(r"\.h$", ".cc", header))
        if source not in self.commands:
            return False
        with open(source, encoding="utf-8") as file:
            first = re.search(r'^#include "([^"]+)"|^#include <', file.read(), re.M)
        return first is not None and first[1] is not None and header.endswith("/" + first[1])

    def find_torch_flags(self):
        """Those of the first source of runtime/torch: with its precompiled <torch/torch.h>, as
        parsing that anew would take ten seconds a header."""
        for source, command in self.commands.items():
            if source.startswith(f"{self.root}/runtime/torch/"):
                words = shlex.split(command)
                at = max(i for i, word in enumerate(words) if word.endswith(("++", "/cc"))) + 1
                words = words[at:words.index("-MD") if "-MD" in words else words.index("-o")]
                return [word for word in words if word not in ("-fpch-preprocess", "-MD")]
        return None

    def is_known_good(self, header, flags):
        entry = self.cache.get(header)
        return entry is not None and entry["flags"] == flags and all(
            fingerprint(os.path.join(self.root, path)) == digest
            for path, digest in entry["read"].items())

    def check(self, header):
        """The compiler's complaint, or None."""
        flags = self.flags(header)
        if self.is_known_good(header, flags):
            return None
        name = re.sub(r"^runtime/(include/|torch/include/)?", "", header)
        with tempfile.NamedTemporaryFile("r", suffix=".d") as dependencies:
            done = subprocess.run(
                [self.compiler, *flags, "-fsyntax-only", "-MMD", "-MF", dependencies.name,
                 "-x", "c++", "-"],
                input=f'#include "{name}"\n', capture_output=True, text=True, check=False)
            read = re.sub(r"\\\n", " ", dependencies.read()).split()[1:]
        if done.returncode:
            return done.stderr[:2000]
        ours = [os.path.relpath(p, self.root) for p in read if p.startswith(self.root)]
        self.cache[header] = {"flags": flags,
                              "read": {p: fingerprint(os.path.join(self.root, p)) for p in ours}}
        return None

    def run(self):
        headers = [h for h in Tree(self.root).under("runtime", (".h",))
                   if (self.torch_flags or not h.startswith("runtime/torch/"))
                   and not self.shown_by_build(h)]
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            complaints = list(pool.map(self.check, headers))
        with open(self.cache_path, "w", encoding="utf-8") as file:
            json.dump(self.cache, file)
        return len(headers), [(h, c) for h, c in zip(headers, complaints) if c]


def self_test(arguments):
    """A header that needs another before it is found; its repaired twin is not."""
    with tempfile.TemporaryDirectory(prefix="rayx-tidy-") as root:
        planted = argparse.Namespace(compiler=arguments.compiler, build=root, torch=None)
        folder = os.path.join(root, "runtime", "base")
        os.makedirs(folder)
        header = os.path.join(folder, "a.h")
        for text, expected in (("inline std::string a;\n", 1),
                               ("#include <string>\ninline std::string a;\n", 0)):
            with open(header, "w", encoding="utf-8") as file:
                file.write(text)
            if len(Checker(root, planted).run()[1]) != expected:
                return [f"self-test: {text!r} gave not {expected} findings"]
        # Only a source that includes the header first shows anything.
        source = os.path.join(folder, "a.cc")
        with open(os.path.join(root, "compile_commands.json"), "w", encoding="utf-8") as file:
            json.dump([{"file": source, "command": "c++ a.cc"}], file)
        for text, expected in (('#include <string>\n#include "base/a.h"\n', False),
                               ('#include "base/a.h"\n', True)):
            with open(source, "w", encoding="utf-8") as file:
                file.write(text)
            if Checker(root, planted).shown_by_build("runtime/base/a.h") != expected:
                return [f"self-test: {text!r} shows a header or not"]
    return []


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--compiler", required=True)
    parser.add_argument("--build", required=True)
    parser.add_argument("--torch", help="LibTorch's folder; without it runtime/torch is left out")
    arguments = parser.parse_args()
    failures = self_test(arguments)
    count, complaints = Checker(ROOT, arguments).run()
    for failure in failures:
        print(failure)
    for header, complaint in complaints:
        print(f"{header}:1: does not compile alone\n{complaint}")
    print(f"{count} headers beyond those that the build shows, {len(complaints)} findings")
    return 1 if failures or complaints else 0


if __name__ == "__main__":
    sys.exit(main())
