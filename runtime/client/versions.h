// What this build speaks: compared with the daemon's before anything else.
#ifndef RAYX_CLIENT_VERSIONS_H_
#define RAYX_CLIENT_VERSIONS_H_

#include "model/frame.h"
#include "model/versions.h"
#include "proto/types.pb.h"
#include "shm/memory_file.h"

namespace rayx::client {

inline proto::Versions OwnVersions() {
  proto::Versions versions;
  versions.set_layout(shm::kLayoutVersion);
  versions.set_frame(model::kFrameVersion);
  versions.set_protocol(model::kProtocolVersion);
  versions.set_release(model::kRelease);
  return versions;
}

}  // namespace rayx::client

#endif  // RAYX_CLIENT_VERSIONS_H_
