"""gRPC's headers only in rpc/ and where bytes meet the wire.

That is: the shells that own a server (files named *server*), the streams of frames between nodes
(*_stream), and store/transfer/, which moves chunks through gRPC's byte buffers without a copy.
"""

import os
import re

from tree import includes

GRPC = re.compile(r"(grpcpp|grpc)/|.*\.grpc\.pb\.h$")


def may_include(path):
    parts = path.split("/")
    if parts[1] in ("rpc", "testing") or parts[1:3] == ["store", "transfer"]:
        return True
    return parts[1] in ("node", "head", "store") and "core" not in parts and \
        re.search(r"server|_stream\b", os.path.basename(path)) is not None


def check(tree):
    for path in tree.under("runtime"):
        for line, _, include in includes(tree.read(path)):
            if GRPC.match(include) and not may_include(path):
                yield f"{path}:{line}: {include} outside rpc/ and the servers"


CLEAN = {
    "runtime/rpc/channel.h": "#include <grpcpp/grpcpp.h>\n",
    "runtime/node/frame_stream.h": "#include <grpcpp/grpcpp.h>\n",
    "runtime/store/transfer/a.cc": "#include <grpcpp/grpcpp.h>\n",
    "runtime/node/node_server.cc": "#include \"proto/node.grpc.pb.h\"\n",
    "runtime/node/core/lease_core.h": "#include \"proto/node.pb.h\"\n",
}
PLANTED = [
    ({"runtime/node/worker_pool.h": "#include <grpcpp/channel.h>\n"}, "worker_pool.h:1"),
    ({"runtime/client/core/a.h": "#include \"proto/head.grpc.pb.h\"\n"}, "core/a.h:1"),
    ({"runtime/node/core/server_core.h": "#include <grpcpp/grpcpp.h>\n"}, "server_core.h:1"),
]
