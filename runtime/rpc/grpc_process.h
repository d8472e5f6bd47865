// runtime/rpc/grpc_process.h
//
// What gRPC is told once in a process, before its first use.
// Owner:    RpcServer and RpcChannel call it themselves.    Threads: any.
// Promises: gRPC's own log lines go to ours (errors only), never to the user's terminal; its fork
//           handlers are off (daemons exec, they never fork into gRPC).
#pragma once

namespace rayx::rpc {

void PrepareGrpc();

}  // namespace rayx::rpc
