// runtime/model/versions.h
//
// The versions that two processes compare before anything else.
//
// Purpose:  one place for the numbers and for their comparison; a difference is VersionMismatch.
// Owner:    values.    Threads: any.
// Limits:   the layout of shared memory has its own number in shm/memory_file.h; the frame's is in
//           model/frame.h.
#pragma once

#include <cstdint>
#include <string>

namespace rayx::model {

// A digest is of the declarations that a version stands for; tests/tidy says when they changed.
inline constexpr uint32_t kProtocolVersion = 3;  // proto/*.proto, digest 2ddbb0ade47c4c97
inline constexpr char kRelease[] = "0.1.0";
inline constexpr uint32_t kNoLayout = 0;  // of who shares no memory with the other side

struct Versions {
  uint32_t layout = kNoLayout;
  uint32_t frame = 0;
  uint32_t protocol = 0;
  std::string release;
};

// What this build speaks.
Versions OwnVersions(uint32_t layout);

// A sentence that names both sides, "" when they speak alike. The layout counts only when ours has
// one.
std::string VersionMismatch(const std::string& we, const Versions& ours, const std::string& they,
                            const Versions& theirs);

// `Wire` is proto::Versions, which this module does not know.
template <typename Wire>
void VersionsToWire(const Versions& versions, Wire& wire) {
  wire.set_layout(versions.layout);
  wire.set_frame(versions.frame);
  wire.set_protocol(versions.protocol);
  wire.set_release(versions.release);
}
template <typename Wire>
Versions VersionsFromWire(const Wire& wire) {
  return {wire.layout(), wire.frame(), wire.protocol(), wire.release()};
}

}  // namespace rayx::model
