#include "model/ids.h"

namespace rayx::model {

std::string ToString(NodeNumber id) {
  return "n" + std::to_string(id.value);
}

std::string ToString(ProcessId id) {
  return ToString(id.node()) + ".p" + std::to_string(id.number());
}

std::string ToString(JobId id) {
  return "j" + std::to_string(id.value);
}

std::string ToString(const ObjectId& id) {
  return ToString(id.owner) + ".o" + std::to_string(id.sequence);
}

std::string ToString(const ActorId& id) {
  return ToString(id.creator) + ".a" + std::to_string(id.sequence);
}

}  // namespace rayx::model
