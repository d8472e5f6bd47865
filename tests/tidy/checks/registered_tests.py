"""Every test file is named in a CMakeLists.txt: a test that is not built passes for ever."""

import os
import re


def check(tree):
    lists = {os.path.dirname(p): tree.read(p)
             for p in tree.paths if os.path.basename(p) == "CMakeLists.txt"}
    for path in tree.under("tests", ("_test.cc", "_fuzz.cc", "_stress.cc")):
        folder = os.path.dirname(path)
        while folder:
            name = re.escape(os.path.relpath(path, folder))
            stem = re.escape(os.path.basename(path)[:-3])
            # Named in full, or as the item of a loop that adds the suffix.
            if re.search(rf"(^|[\s/(]){name}\b", lists.get(folder, ""), re.M) or \
                    re.search(rf"(^|[\s(]){stem}([\s)]|$)", lists.get(folder, ""), re.M):
                break
            folder = os.path.dirname(folder)
        else:
            yield f"{path}:1: no CMakeLists.txt names this test"
    # tests/CMakeLists.txt names the folders, those of unit/ too.
    top = lists.get("tests", "")
    for folder in lists:
        parts = folder.split("/")
        is_unit = parts[:2] == ["tests", "unit"] and len(parts) == 3
        if (parts[0] == "tests" and len(parts) == 2 or is_unit) and \
                not re.search(rf"[\s(/]{re.escape(parts[-1])}[\s)]", top):
            yield f"tests/CMakeLists.txt:1: the folder {parts[-1]} takes no part in the build"


CLEAN = {
    "tests/CMakeLists.txt": "foreach(folder unit/base sim stress)\n",
    "tests/unit/base/CMakeLists.txt": "rayx_test(x SOURCES bytes_test.cc sub/deep_test.cc)\n",
    "tests/unit/base/bytes_test.cc": "",
    "tests/unit/base/sub/deep_test.cc": "",
    "tests/sim/CMakeLists.txt": "foreach(t crash_test)\n",
    "tests/sim/crash_test.cc": "",
}
PLANTED = [
    ({"tests/unit/base/fd_test.cc": ""}, "fd_test.cc:1: no CMakeLists.txt names"),
    ({"tests/unit/other/a_test.cc": ""}, "other/a_test.cc"),
    ({"tests/unit/base/tes_test.cc": ""}, "tes_test.cc"),
    ({"tests/chaos/CMakeLists.txt": ""}, "the folder chaos takes no part"),
    ({"tests/unit/shm/CMakeLists.txt": ""}, "the folder shm takes no part"),
]
