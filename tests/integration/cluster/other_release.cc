// What a client of another release says of itself, in the place of model/versions.cc.
#include "model/versions.h"

#include "model/frame.h"

namespace rayx::model {

Versions OwnVersions(uint32_t layout) {
  return {layout, kFrameVersion, kProtocolVersion - 1, "0.0.9"};
}

}  // namespace rayx::model
