// The libFuzzer target of the frame decoder and of a channel over a hostile peer's memory. Built by
// `ninja frame_fuzz` where clang is installed:
//   build/release/bin/tests/frame_fuzz -max_len=600 -max_total_time=600 corpus/
// A finding becomes a case of tests/unit/shm/hostile_channel_test.cc or a seed in hostile_image.cc.
#include "tests/fuzz/hostile_image.h"

// NOLINTNEXTLINE: the name is libFuzzer's.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  rayx::fuzz::OneInput(std::as_bytes(std::span(data, size)));
  return 0;
}
