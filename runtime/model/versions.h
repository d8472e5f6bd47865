// The versions that two processes compare before anything else.
//
// Purpose:  one place for the numbers; a difference is VersionMismatch{ours, theirs}.
// Owner:    values.    Threads: any.
// Limits:   the layout of shared memory has its own number in shm/memory_file.h; the frame's is in
//           model/frame.h.
#ifndef RAYX_MODEL_VERSIONS_H_
#define RAYX_MODEL_VERSIONS_H_

#include <cstdint>

namespace rayx::model {

inline constexpr uint32_t kProtocolVersion = 1;  // proto/*.proto
inline constexpr char kRelease[] = "0.1.0";

}  // namespace rayx::model

#endif  // RAYX_MODEL_VERSIONS_H_
