// bench/transfer/wire.h
//
// The physical limit of a transfer: one TCP or TLS connection between two VMs, written as simply as
// it goes.
// Owner:    no state.     Threads: the caller's; both functions block.
// Promises: memory is there before the clock starts; each round moves all of it once.
// Limits:   one peer; errors end the program.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace rayx::bench {

struct WireOptions {
  std::string ip;  // of the sender
  bool tls = false;
  size_t bytes = 0;
  int rounds = 0;
};

void SendOnWire(const WireOptions& options);
// Seconds of each round.
std::vector<double> TakeFromWire(const WireOptions& options);

}  // namespace rayx::bench
