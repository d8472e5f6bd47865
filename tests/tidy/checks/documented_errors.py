"""No document names an error that runtime/include/rayx/errors.h lacks: it is the one list."""

import re

DOCUMENTS = ("README.md", "CHANGELOG.md", "runtime/ARCHITECTURE.md")
# What in a document looks like an error's name: `Name`, `rayx::Name`, `Name{...}`.
NAME = re.compile(r"`(?:rayx::)?(?:errors::)?([A-Z]\w+)(?=[`{(])")
LOOKS_LIKE_ERROR = re.compile(
    r"(Error|Exception|Died|Lost|Corrupt|Full|Timeout|Cancelled|Infeasible|Poisoned|Deadlock|"
    r"Unavailable|Mismatch|Unauthenticated|ForkedProcess)$|"
    r"^(OutOf|Unknown|Missing|Invalid|Wrote)[A-Z]")


def check(tree):
    errors = tree.read("runtime/include/rayx/errors.h")
    if not errors:
        return
    known = set(re.findall(r"\b(?:class|struct|using)\s+(?:RAYX_PUBLIC\s+)?([A-Z]\w+)", errors))
    known |= set(re.findall(r"\b[A-Z][A-Z_]+\(([A-Z]\w+)", errors))  # RAYX_ERROR(Name, ...)
    documents = [p for p in tree.paths if p in DOCUMENTS or
                 (p.endswith(".md") and p.startswith(("runtime/", "examples/", "bench/")))]
    for path in documents:
        for number, line in enumerate(tree.read(path).splitlines(), 1):
            for name in NAME.findall(line):
                if LOOKS_LIKE_ERROR.search(name) and name not in known:
                    yield f"{path}:{number}: errors.h has no {name}"


CLEAN = {
    "runtime/include/rayx/errors.h": "class Error {};\nclass WorkerDied : public Error {};\n"
                                     "RAYX_ERROR(OutOfDisk, \"...\");\nstruct Cause {};\n",
    "README.md": "Throws `WorkerDied{signal}`, `rayx::OutOfDisk`; `ObjectRef` is no error.\n",
}
PLANTED = [
    ({"README.md": "throws `ActorDied`\n"}, "no ActorDied"),
    ({"CHANGELOG.md": "- new: `rayx::OutOfMemory{node}`\n"}, "no OutOfMemory"),
    ({"runtime/ARCHITECTURE.md": "`VersionMismatch`\n"}, "no VersionMismatch"),
]
