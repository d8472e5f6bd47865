#include "model/versions.h"

#include "model/frame.h"

namespace rayx::model {
namespace {

// What the other side says of itself: cut short, and without bytes that a message may not carry.
std::string Describe(const Versions& versions) {
  std::string release = versions.release.substr(0, 64);
  for (char& c : release) {
    if (c < ' ' || c > '~') c = '?';
  }
  std::string text = "release " + release + " (";
  if (versions.layout != kNoLayout) text += "layout " + std::to_string(versions.layout) + ", ";
  return text + "frame " + std::to_string(versions.frame) + ", protocol " +
         std::to_string(versions.protocol) + ")";
}

}  // namespace

Versions OwnVersions(uint32_t layout) {
  return {layout, kFrameVersion, kProtocolVersion, kRelease};
}

std::string VersionMismatch(const std::string& we, const Versions& ours, const std::string& they,
                            const Versions& theirs) {
  if ((ours.layout == kNoLayout || ours.layout == theirs.layout) && ours.frame == theirs.frame &&
      ours.protocol == theirs.protocol && ours.release == theirs.release) {
    return "";
  }
  return "version mismatch: " + we + " has " + Describe(ours) + "; " + they + " has " +
         Describe(theirs) + "; install the same release on every VM";
}

}  // namespace rayx::model
