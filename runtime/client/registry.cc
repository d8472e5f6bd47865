// The registry of remote functions: RegisterFunction and its kin of the public headers.
#include <dlfcn.h>

#include <cctype>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <unordered_map>
#include <utility>

#include "rayx/detail/entry.h"
#include "rayx/detail/runtime_interface.h"
#include "rayx/errors.h"
#include "rayx/remote.h"

namespace rayx::detail {
namespace {

struct KeyHash {
  std::size_t operator()(const PointerKey& key) const {
    return static_cast<std::size_t>((key.type ^ key.bytes[0] * 0x9e3779b97f4a7c15ULL) +
                                    key.bytes[1] * 0xc2b2ae3d27d4eb4fULL);
  }
};

struct Registry {
  std::shared_mutex mutex;
  std::unordered_map<std::uint64_t, FunctionEntry> functions;
  std::unordered_map<PointerKey, std::uint64_t, KeyHash> pointers;
  std::string collision;  // the first one, as a sentence
};

// Never destroyed: worker threads may look functions up while the process ends.
Registry& TheRegistry() {
  static Registry* registry = new Registry;
  return *registry;
}

const void* CodeOf(const FunctionEntry& entry) {
  if (entry.task != nullptr) return reinterpret_cast<const void*>(entry.task);
  if (entry.factory != nullptr) return reinterpret_cast<const void*>(entry.factory);
  return reinterpret_cast<const void*>(entry.method);
}

// The program or library that holds the code; "" when that cannot be told.
std::string ModuleOf(const void* code) {
  Dl_info info;
  if (dladdr(code, &info) == 0 || info.dli_fname == nullptr) return "";
  return info.dli_fname;
}

std::string DescribeCollision(const FunctionEntry& first, const FunctionEntry& second) {
  const std::string module = ModuleOf(CodeOf(second));
  if (first.name != second.name) {
    return "Two remote functions have the same id: '" + first.name + "' and '" + second.name +
           "' (in " + module + "). Rename one of them.";
  }
  if (!first.definition.empty() && !second.definition.empty()) {
    return "Two lambdas are both called '" + first.name + "': at " + first.definition + " and at " +
           second.definition + ". Rename one of them, or put it into an anonymous namespace.";
  }
  return "Two different remote functions are both called '" + first.name + "' and '" + second.name +
         "' (in " + module +
         "). Functions that are static or in an anonymous namespace need RAYX_REMOTE(name) in "
         "their "
         "source file, and Task(name) instead of Task<&name>(); one in a header should be inline.";
}

// Two invokers of one name: the same function seen from two libraries, unless one library holds
// both.
bool AreDifferent(const FunctionEntry& a, const FunctionEntry& b) {
  if (a.name != b.name) return true;
  // A lambda in a header, of two source files.
  if (!a.definition.empty() && a.definition == b.definition) return false;
  if (CodeOf(a) == CodeOf(b)) return false;
  return ModuleOf(CodeOf(a)) == ModuleOf(CodeOf(b));
}

}  // namespace

void RegisterFunction(FunctionEntry entry) {
  Registry& registry = TheRegistry();
  std::unique_lock lock(registry.mutex);
  const auto [place, is_new] = registry.functions.try_emplace(entry.id, entry);
  if (!is_new && registry.collision.empty() && AreDifferent(place->second, entry)) {
    registry.collision = DescribeCollision(place->second, entry);
  }
}

const FunctionEntry* FindFunction(std::uint64_t id) {
  // Entries stay where they are: a call of a function that this thread has just called takes no
  // lock.
  struct Known {
    std::uint64_t id = 0;
    const FunctionEntry* entry = nullptr;
  };
  thread_local Known known[16];
  Known& place = known[id % std::size(known)];
  if (place.entry != nullptr && place.id == id) return place.entry;
  Registry& registry = TheRegistry();
  std::shared_lock lock(registry.mutex);
  const auto found = registry.functions.find(id);
  if (found == registry.functions.end()) return nullptr;
  place = {id, &found->second};
  return &found->second;
}

void CheckRegistry() {
  Registry& registry = TheRegistry();
  std::shared_lock lock(registry.mutex);
  if (!registry.collision.empty()) throw InvalidOption(registry.collision);
}

void RegisterPointer(const PointerKey& key, std::uint64_t id) {
  Registry& registry = TheRegistry();
  std::unique_lock lock(registry.mutex);
  registry.pointers.insert_or_assign(key, id);
}

std::uint64_t FindPointer(const PointerKey& key, const char* spelling, std::string_view signature) {
  Registry& registry = TheRegistry();
  {
    std::shared_lock lock(registry.mutex);
    const auto found = registry.pointers.find(key);
    if (found != registry.pointers.end()) return found->second;
  }
  throw UnknownFunction(
      std::string(spelling) + ": no RAYX_REMOTE names this function of type '" +
      std::string(signature) +
      "'. Write RAYX_REMOTE(name) in the source file that defines it, or name it as a template "
      "argument: Task<&name>(). If it stands in a static library, link that whole "
      "(rayx_link_whole in CMake).");
}

bool IsInternalName(const char* mangled_tag) {
  // "...LinkageTagIXadL_Z" precedes the mangled function: nothing of the user's stands before it.
  const char* at = std::strstr(mangled_tag, "XadL_Z");
  if (at == nullptr || std::strstr(at, "_GLOBAL__N_") != nullptr) return true;
  at += std::strlen("XadL_Z");
  // An L before a name marks internal linkage: _ZL1fi, _ZN3appL1fEi.
  if (*at == 'N') at += 1 + std::strspn(at + 1, "rVKRO");
  while (*at != '\0') {
    if (*at == 'L') return true;
    if (std::strncmp(at, "St", 2) == 0) {
      at += 2;
    } else if (std::isdigit(static_cast<unsigned char>(*at)) != 0) {
      char* name = nullptr;
      const unsigned long bytes = std::strtoul(at, &name, 10);
      at = bytes <= std::strlen(name) ? name + bytes : "";
    } else {
      return false;  // template arguments, an operator, or the parameters
    }
  }
  return false;
}

void ThrowPartCount(std::size_t wanted, std::size_t given) {
  throw InvalidOption("RemoteEach asked for " + std::to_string(wanted) +
                      " parts of a result that has " + std::to_string(given) +
                      ": a function has to return as many as SetNumReturns says.");
}

void ThrowArgumentCount(std::size_t expected, std::size_t given) {
  throw SerializationError("A call brought " + std::to_string(given) +
                           " arguments to a function of " + std::to_string(expected) + ".");
}

}  // namespace rayx::detail
