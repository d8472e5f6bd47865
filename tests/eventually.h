// tests/eventually.h
//
// What other processes and threads bring about is waited for, with an end.
#pragma once

#include <chrono>
#include <functional>
#include <thread>

namespace rayx::testing {

// Whether `condition` comes to hold; it is looked at a hundred times a second.
inline bool Eventually(const std::function<bool()>& condition,
                       std::chrono::seconds patience = std::chrono::seconds(20)) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return true;
}

}  // namespace rayx::testing
