"""Cores and scheduling/ are pure: no clock, thread, lock, I/O, randomness, unordered iteration.

Time comes in as an argument, effects go out as values; that is what lets the simulator run them.
"""

import os
import re

from tree import includes, without_comments

HEADERS = re.compile(
    r"(thread|mutex|shared_mutex|condition_variable|semaphore|future|random|iostream|fstream|"
    r"unistd\.h|fcntl\.h|poll\.h|signal\.h|csignal|pthread\.h|filesystem|ctime|time\.h|"
    r"unordered_map|unordered_set|sys/.*|linux/.*|absl/synchronization/.*|absl/time/clock\.h|"
    r"base/(log|fd|bounded_queue)\.h|io/posix/.*|grpc(pp)?/.*|.*\.grpc\.pb\.h)$")
WORDS = [
    (re.compile(r"(\b\w*[cC]lock|::)(::|\.|->)?\bnow\s*\(\s*\)"), "reads a clock"),
    (re.compile(r"\b(steady|system|high_resolution)_clock::now\b"), "reads a clock"),
    (re.compile(r"\bstd::(thread|jthread|mutex|shared_mutex|condition_variable|async|"
                r"this_thread)\b"),
     "uses threads or locks"),
    (re.compile(r"\bstd::(random_device|mt19937\w*|rand|srand)\b|(?<![\w:.>])rand\s*\("),
     "makes random numbers of its own"),
    (re.compile(r"\bstd::(cout|cerr|clog|cin|ifstream|ofstream|getenv)\b|\bgetenv\s*\(|"
                r"\b(?:f|v)?printf\s*\(|\bfopen\s*\("),
     "does I/O"),
    (re.compile(r"\bstd::unordered_\w+"), "uses an unordered container"),
]
HASHED = re.compile(r"\b(?:flat|node)_hash_(?:map|set)<")


def is_pure(path):
    parts = path.split("/")
    return "core" in parts[2:-1] or parts[1] == "scheduling"


def hashed_names(text):
    """Names of variables of Abseil's hash containers: `absl::flat_hash_map<K, V> name_`."""
    for match in HASHED.finditer(text):
        depth, at = 1, match.end()
        while at < len(text) and depth:
            depth += {"<": 1, ">": -1}.get(text[at], 0)
            at += 1
        name = re.match(r"\s*&?\s*(\w+)\s*[;{=,)]", text[at:])
        if name:
            yield name.group(1)


def check(tree):
    paths = [p for p in tree.under("runtime") if is_pure(p)]
    # Members are declared in one file and iterated in another of the same folder.
    hashed = {}
    for path in paths:
        names = hashed.setdefault(os.path.dirname(path), set())
        names.update(hashed_names(without_comments(tree.read(path))))
    for path in paths:
        text = tree.read(path)
        for line, _, include in includes(text):
            if HEADERS.match(include):
                yield f"{path}:{line}: a pure folder includes {include}"
        names = hashed[os.path.dirname(path)]
        for number, line in enumerate(without_comments(text, keep_strings=False).splitlines(), 1):
            for pattern, sentence in WORDS:
                if pattern.search(line):
                    yield f"{path}:{number}: a pure folder {sentence}: {line.strip()}"
            loop = re.search(r"\bfor\s*\([^;]*:\s*(?:this->)?(\w+)\s*\)", line)
            if loop and loop.group(1) in names:
                yield f"{path}:{number}: iterates the unordered {loop.group(1)}"


CLEAN = {
    "runtime/scheduling/policy.h": "#include <chrono>\n#include <map>\n"
                                   "// std::mutex is forbidden here\n"
                                   "const char* s = \"std::thread\";\n"
                                   "absl::flat_hash_map<int, std::vector<int>> by_id_;\n"
                                   "std::map<int, int> ordered_;\nfor (auto& x : ordered_) {}\n",
    "runtime/node/core/core.h": "void OnTick(TimePoint now, Effects& effects);\nint brand(int x);\n"
                                 "std::snprintf(text, n, \"%d\", 1);\n",
    "runtime/node/node_server.cc": "#include <thread>\n"
                                   "auto t = std::chrono::steady_clock::now();\n",
}
PLANTED = [
    ({"runtime/node/core/b.h": "#include <mutex>\n"}, "includes mutex"),
    ({"runtime/client/core/b.h": "#include <sys/mman.h>\n"}, "includes sys/mman.h"),
    ({"runtime/head/core/deep/b.h": "#include \"base/log.h\"\n"}, "includes base/log.h"),
    ({"runtime/scheduling/b.cc": "auto t = std::chrono::steady_clock::now();\n"}, "reads a clock"),
    ({"runtime/scheduling/b.cc": "auto t = clock.now();\n"}, "reads a clock"),
    ({"runtime/scheduling/b.cc": "std::mt19937 generator;\n"}, "random numbers"),
    ({"runtime/store/core/b.h": "std::lock_guard<std::mutex> l(m);\n"}, "threads or locks"),
    ({"runtime/store/core/b.h": "std::unordered_map<int, int> m;\n"}, "an unordered container"),
    ({"runtime/store/core/b.cc": "std::fprintf(file, text);\n"}, "does I/O"),
    ({"runtime/store/core/b.cc": "std::cerr << 1;\n"}, "does I/O"),
    ({"runtime/scheduling/b.cc": "for (const auto& [id, v] : by_id_) {\n"}, "unordered by_id_"),
]
