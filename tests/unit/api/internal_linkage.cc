#include "tests/unit/api/internal_linkage.h"

#include "rayx/rayx.h"

namespace function_id {
static int Internal(int x) {
  return x + 1;
}
}  // namespace function_id

RAYX_REMOTE(function_id::Internal);

std::uint64_t InternalIdOfOtherFile() {
  return rayx::detail::IdOfPointer<int (*)(int), false>(&function_id::Internal, "test");
}
