#include "bench/runner/interrupt.h"

#include <csignal>

namespace rayx::bench {
namespace {

volatile std::sig_atomic_t interrupted = 0;

void OnSignal(int number) {
  interrupted = 1;
  std::signal(number, SIG_DFL);
}

}  // namespace

void WatchForInterrupt() {
  std::signal(SIGINT, OnSignal);
  std::signal(SIGTERM, OnSignal);
  std::signal(SIGHUP, OnSignal);
  std::signal(SIGPIPE, SIG_IGN);
}

bool Interrupted() {
  return interrupted != 0;
}

}  // namespace rayx::bench
