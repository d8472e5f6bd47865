"""How a header begins. One that is installed has an include guard named after the path by which it
is included, because a user may have two copies of it; every other opens with its own path and has
#pragma once."""

import re

PUBLIC = re.compile(r"runtime/(?:torch/)?include/(.*)$")
GUARD = re.compile(r"^#ifndef (\w+)\n#define \1\n", re.M)


def check(tree):
    for path in tree.paths:
        if not path.endswith(".h"):
            continue
        text = tree.read(path)
        pragma = re.search(r"^#pragma once$", text, re.M)
        public = PUBLIC.match(path)
        if public:
            guard = re.sub(r"[/.]", "_", public.group(1)).upper() + "_"
            found = GUARD.search(text)
            end = f"#endif  // {guard}\n"
            if found is None or found.group(1) != guard or not text.endswith(end):
                yield f"{path}:1: a public header: its include guard is {guard}"
            if pragma:
                yield f"{path}:1: a public header: an include guard, not #pragma once"
        else:
            if not pragma:
                yield f"{path}:1: a private header: #pragma once"
            if text.partition("\n")[0] != f"// {path}":
                yield f"{path}:1: a private header: its first line is // {path}"


_GUARDED = "// A.\n#ifndef RAYX_A_H_\n#define RAYX_A_H_\n\n#endif  // RAYX_A_H_\n"
CLEAN = {
    "runtime/include/rayx/a.h": _GUARDED,
    "runtime/torch/include/rayx/torch/b.h": _GUARDED.replace("RAYX_A", "RAYX_TORCH_B"),
    "runtime/base/c.h": "// runtime/base/c.h\n//\n// C.\n#pragma once\n",
}
PLANTED = [
    ({"runtime/include/rayx/d.h": _GUARDED}, "guard is RAYX_D_H_"),
    ({"runtime/include/rayx/d.h": "#pragma once\n"}, "not #pragma once"),
    ({"runtime/base/d.h": "// runtime/base/d.h\n#ifndef RAYX_D_H_\n#define RAYX_D_H_\n#endif\n"},
     "runtime/base/d.h:1: a private header: #pragma once"),
    ({"tests/unit/d.h": "// tests/d.h\n#pragma once\n"}, "first line is // tests/unit/d.h"),
]
