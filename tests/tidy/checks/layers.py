"""Includes go only where runtime/layers.txt lets them go; peers never include each other."""

import os
import re

from tree import includes

# What may stand in quotes although it is not ours.
OTHERS = {"absl", "catch2", "CLI", "google", "grpc", "grpcpp", "msgpack", "nlohmann", "spdlog"}
TORCH = re.compile(r"(torch|ATen|c10|c10d|caffe2|gloo)/")


def read_layers(tree):
    """Module -> set of modules it may include."""
    edges = {}
    for line in tree.read("runtime/layers.txt").splitlines():
        match = re.match(r"([a-z_]+):(.*)$", line)
        if match:
            edges[match.group(1)] = set(match.group(2).split())
    return edges


def proto_module(tree, path):
    """proto/x.pb.h -> the library it is generated into."""
    source = tree.read(re.sub(r"(\.grpc)?\.pb\.h$", ".proto", path))
    is_service = ".grpc." in path or re.search(r"^service ", source, re.M)
    return "proto_services" if is_service else "proto_local"


def include_is_torch(path):
    """runtime/torch/include/ is installed beside the public headers, in a folder of its own."""
    return path.startswith("rayx/torch/")


def target(tree, edges, delimiter, path):
    """The module an include leads to; None for the outside world."""
    first = path.split("/")[0]
    if include_is_torch(path):
        return "torch"
    if first in ("rayx", "ray"):  # ray/: Ray's API, installed beside
        return "public"
    if delimiter == "<":
        return None
    if first == "proto":
        return proto_module(tree, path)
    return first if first in edges else None


def exists(tree, to, include):
    if to.startswith("proto_"):
        return True
    folder = {"public": "runtime/include"}.get(to, "runtime")
    if include_is_torch(include):
        folder = "runtime/torch/include"
    return os.path.exists(os.path.join(tree.root, folder, include))


def check(tree):
    edges = read_layers(tree)
    for path in tree.under("runtime"):
        module = path.split("/")[1]
        if module == "include":
            module = "public"
        if module not in edges:
            yield f"{path}:1: layers.txt has no line for module {module}"
            continue
        allowed = edges[module] | {module}
        has_torch = has_proto = False
        for line, delimiter, include in includes(tree.read(path)):
            to = target(tree, edges, delimiter, include)
            has_proto |= include.endswith(".pb.h") or include.startswith("google/protobuf/")
            if TORCH.match(include):
                has_torch = True
                if module != "torch":
                    yield f"{path}:{line}: {include}: only runtime/torch includes LibTorch"
            elif to is not None and to not in allowed:
                yield f"{path}:{line}: {module} may not include {to} ({include})"
            elif to is None and delimiter == '"' and include.split("/")[0] not in OTHERS:
                yield f"{path}:{line}: {include}: write the path from runtime/"
            elif to is not None and not exists(tree, to, include):
                yield f"{path}:{line}: there is no {include}"
        if has_torch and has_proto:
            yield f"{path}:1: LibTorch and protobuf in one file: the wheel brings an old protobuf"


LAYERS = ("public:\nproto_local:\nproto_services: proto_local\nbase:\nmodel: base\n"
          "node: base model\nhead: base model\ntorch: public\n")
CLEAN = {
    "runtime/layers.txt": LAYERS,
    "runtime/base/a.h": "#include <vector>\n#include \"absl/status/status.h\"\n",
    "runtime/model/a.h": "#include \"base/a.h\"\n// #include \"node/a.h\"\n",
    "runtime/node/a.h": "#include \"model/a.h\"\n#include \"node/a.h\"\n",
    "runtime/head/a.h": "#include \"base/a.h\"\n",
    "runtime/include/rayx/rayx.h": "#include <vector>\n",
    "runtime/include/ray/api.h": "#include <rayx/rayx.h>\n",
    "runtime/torch/include/rayx/torch/b.h": "#include <rayx/rayx.h>\n",
    "runtime/torch/a.h": "#include <rayx/rayx.h>\n#include \"rayx/torch/b.h\"\n"
                         "#include <torch/torch.h>\n",
}
PLANTED = [
    ({"runtime/base/b.h": "#include \"model/a.h\"\n"}, "base may not include model"),
    ({"runtime/head/b.cc": "#include \"node/a.h\"\n"}, "head may not include node"),
    ({"runtime/torch/b.h": "#include \"base/a.h\"\n"}, "torch may not include base"),
    ({"runtime/node/b.h": "#include <rayx/errors.h>\n"}, "node may not include public"),
    ({"runtime/node/b.h": "#include <ray/api.h>\n"}, "node may not include public"),
    ({"runtime/include/rayx/b.h": "#include \"base/a.h\"\n"}, "public may not include base"),
    ({"runtime/node/b.h": "#include \"proto/head.grpc.pb.h\"\n"}, "may not include proto_services"),
    ({"runtime/node/b.h": "#include <rayx/torch/b.h>\n"}, "node may not include torch"),
    ({"runtime/torch/b.h": "#include <rayx/missing.h>\n"}, "there is no"),
    ({"runtime/node/b.h": "#include <torch/torch.h>\n"}, "only runtime/torch"),
    ({"runtime/node/b.h": "#include \"a.h\"\n"}, "write the path from runtime/"),
    ({"runtime/node/b.h": "#include \"base/missing.h\"\n"}, "there is no base/missing.h"),
    ({"runtime/attic/b.h": "\n"}, "no line for module attic"),
    ({"runtime/torch/b.h": "#include <torch/torch.h>\n#include \"proto/local.pb.h\"\n"},
     "LibTorch and protobuf in one file"),
]
