// bench/runner/interrupt.h
//
// Ctrl-C and SIGTERM as a flag: the run stops at its next wait, takes down what it started, and
// ends with 130. A second Ctrl-C ends it at once.
#pragma once

namespace rayx::bench {

void WatchForInterrupt();
bool Interrupted();

}  // namespace rayx::bench
