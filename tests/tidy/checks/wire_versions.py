"""Whoever changes what two processes say to each other raises the version that they compare.

Beside each version stands a digest of the declarations that it is the version of, without comments
and blanks. Another text, another digest: then the number goes up and the digest is written anew.
"""

import hashlib
import re

from tree import without_comments

# The version, where it stands, and whose declarations count.
VERSIONS = (
    ("kProtocolVersion", "runtime/model/versions.h", "proto"),
    ("kFrameVersion", "runtime/model/frame.h", "frame"),
    ("kLayoutVersion", "runtime/shm/memory_file.h", "layout"),
    ("kDataVersion", "runtime/store/transfer/data_wire.h", "data"),
)
# What processes see of each other's memory.
SHARED = ("ChannelHeader", "LaneControl", "ChannelFirstPage", "ControlHeader", "ExtentEntry",
          "LedgerBlock", "PayloadReference", "ProcessPageLayout")
BLOCK = r"^(?:struct|enum class|enum) %s\b[^;{]*\{.*?^\};"
CONSTANT = r"^inline constexpr (?!\w+ k(?:Frame|Data)Version)[^;]*;"


def declarations(tree, kind):
    if kind == "proto":
        for path in tree.under("proto", (".proto",)):
            yield without_comments(tree.read(path))
    elif kind in ("frame", "data"):
        path = next(path for _, path, of in VERSIONS if of == kind)
        text = without_comments(tree.read(path))
        for pattern in (CONSTANT, BLOCK % r"\w+"):
            yield from (match.group() for match in re.finditer(pattern, text, re.S | re.M))
    else:
        for path in tree.under("runtime/shm"):
            text = without_comments(tree.read(path))
            for name in SHARED:
                yield from (match.group() for match in re.finditer(BLOCK % name, text, re.S | re.M))


def digest(tree, kind):
    text = "\n".join("".join(piece.split()) for piece in declarations(tree, kind))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def check(tree):
    for name, path, kind in VERSIONS:
        text = tree.read(path)
        match = re.search(name + r" = (\d+);[^\n]*?(?:digest ([0-9a-f]{16}))?$", text, re.M)
        if match is None:
            yield f"{path}:1: no {name}"
            continue
        number = text.count("\n", 0, match.start()) + 1
        expected = digest(tree, kind)
        if match.group(2) != expected:
            yield (f"{path}:{number}: what {name} is the version of has changed: raise it (it is "
                   f"{match.group(1)}) and write 'digest {expected}' beside it")


class _Planted:
    def __init__(self, files):
        self.files = files

    def under(self, folder, suffixes=(".h", ".cc")):
        return [p for p in sorted(self.files)
                if p.startswith(folder + "/") and p.endswith(suffixes)]

    def read(self, path):
        return self.files.get(path, "")


def _clean():
    files = {
        "proto/a.proto": "message A { uint32 x = 1; }\n",
        "runtime/model/frame.h": "struct FrameHeader {\n  int a = 0;\n};\n",
        "runtime/shm/page.h": "struct ExtentEntry {\n  int a = 0;\n};\nstruct Extent {\n};\n",
    }
    versions = {path: f"inline constexpr uint16_t {name} = 3;  "
                      f"// digest {digest(_Planted(files), kind)}\n"
                for name, path, kind in VERSIONS}
    for path, text in versions.items():
        files[path] = files.get(path, "") + text
    files["proto/a.proto"] = "// A comment does not count.\nmessage A {\n  uint32 x = 1;\n}\n"
    return files


CLEAN = _clean()
PLANTED = [
    ({"proto/a.proto": "message A { uint32 x = 1; bool y = 2; }\n"}, "kProtocolVersion"),
    ({"proto/b.proto": "message B {}\n"}, "kProtocolVersion"),
    ({"runtime/model/frame.h": CLEAN["runtime/model/frame.h"].replace("a = 0", "b = 0")},
     "kFrameVersion is the version of has changed"),
    ({"runtime/store/transfer/data_wire.h":
      CLEAN["runtime/store/transfer/data_wire.h"] + "struct DataHead {\n  int a = 0;\n};\n"},
     "kDataVersion is the version of has changed"),
    ({"runtime/shm/page.h": "struct ExtentEntry {\n  long a = 0;\n};\n"}, "kLayoutVersion"),
    ({"runtime/shm/memory_file.h": "inline constexpr uint32_t kLayoutVersion = 3;\n"},
     "digest"),
    ({"runtime/model/versions.h": ""}, "no kProtocolVersion"),
]
