"""gRPC's headers only in rpc/ and in the shells that own a server (files named *server*)."""

import os
import re

from tree import includes

GRPC = re.compile(r"(grpcpp|grpc)/|.*\.grpc\.pb\.h$")


def may_include(path):
    parts = path.split("/")
    return parts[1] in ("rpc", "testing") or \
        (parts[1] in ("node", "head", "store") and "core" not in parts and
         "server" in os.path.basename(path))


def check(tree):
    for path in tree.under("runtime"):
        for line, _, include in includes(tree.read(path)):
            if GRPC.match(include) and not may_include(path):
                yield f"{path}:{line}: {include} outside rpc/ and the servers"


CLEAN = {
    "runtime/rpc/channel.h": "#include <grpcpp/grpcpp.h>\n",
    "runtime/node/node_server.cc": "#include \"proto/node.grpc.pb.h\"\n",
    "runtime/node/core/lease_core.h": "#include \"proto/node.pb.h\"\n",
}
PLANTED = [
    ({"runtime/node/worker_pool.h": "#include <grpcpp/channel.h>\n"}, "worker_pool.h:1"),
    ({"runtime/client/core/a.h": "#include \"proto/head.grpc.pb.h\"\n"}, "core/a.h:1"),
    ({"runtime/node/core/server_core.h": "#include <grpcpp/grpcpp.h>\n"}, "server_core.h:1"),
]
