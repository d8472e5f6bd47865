// Placement groups, which RayX does not have yet.
//
// Purpose:  a program that uses them is told so when it is compiled, in one sentence.
// Limits:   what names and describes them compiles; what would make or use one does not.
#ifndef RAY_API_PLACEMENT_GROUP_H_
#define RAY_API_PLACEMENT_GROUP_H_

#include <string>
#include <unordered_map>
#include <vector>

namespace ray {

enum class PlacementStrategy {
  PACK = 0,
  SPREAD = 1,
  STRICT_PACK = 2,
  STRICT_SPREAD = 3,
  UNRECOGNIZED = -1
};

struct PlacementGroupCreationOptions {
  std::string name;
  std::vector<std::unordered_map<std::string, double>> bundles;
  PlacementStrategy strategy;
};

namespace internal {
// True of no type: what depends on it fails where it is used.
template <class T>
inline constexpr bool kHasPlacementGroups = false;

template <class T>
constexpr void RefusePlacementGroups() {
  static_assert(
      kHasPlacementGroups<T>,
      "RayX has no placement groups yet. SetResource, and SetLabels or "
      "SetSchedulingStrategy of rayx::Task and rayx::Actor, say where something may run.");
}
}  // namespace internal

// Each is refused where it is called:
class PlacementGroup {
 public:
  template <class T = int>
  std::string GetID() const {
    return internal::RefusePlacementGroups<T>(), std::string();
  }
  template <class T = int>
  bool Wait(T) const {
    return internal::RefusePlacementGroups<T>(), false;
  }
  bool Empty() const { return true; }
};
template <class T = PlacementGroupCreationOptions>
PlacementGroup CreatePlacementGroup(const T&) {
  internal::RefusePlacementGroups<T>();
  return {};
}
template <class T = std::string>
void RemovePlacementGroup(const T&) {
  internal::RefusePlacementGroups<T>();
}
template <class T = int>
std::vector<PlacementGroup> GetAllPlacementGroups() {
  internal::RefusePlacementGroups<T>();
  return {};
}
template <class T = std::string>
PlacementGroup GetPlacementGroupById(const T&) {
  internal::RefusePlacementGroups<T>();
  return {};
}
template <class T = std::string>
PlacementGroup GetPlacementGroup(const T&) {
  internal::RefusePlacementGroups<T>();
  return {};
}

}  // namespace ray

#endif  // RAY_API_PLACEMENT_GROUP_H_
