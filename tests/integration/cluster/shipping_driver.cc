// A user's program for shipping_test.cc and planted_mistakes_test.cc, which lies on one VM alone.
// The first argument names what to do, the second is a library that is loaded after Init ("-":
// none), the rest are RayX's flags. Prints one line a task: "vm2 value 42 ..." or "vm2 error Type
// SECONDS what", with the seconds from its call on.
#include <dlfcn.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

#include "rayx/rayx.h"
#include "shipped_library.h"

namespace user {

std::string Tell() {
  const char* path = std::getenv("LD_LIBRARY_PATH");
  return std::to_string(ShippedAnswer()) + " " + rayx::GetRuntimeContext().HostName() + " " +
         (path == nullptr ? "unset" : path) + " " + std::filesystem::current_path().string();
}

class Teller {
 public:
  static Teller* Create() { return new Teller; }
  std::string Tell() { return user::Tell(); }
};

}  // namespace user

namespace {

std::uint32_t NodeOf(const std::string& host) {
  for (const auto& node : rayx::Nodes()) {
    if (node.alive && node.host_name == host) return node.number;
  }
  throw std::runtime_error("no live node on host " + host);
}

rayx::SchedulingStrategy On(const std::string& host) {
  return rayx::SchedulingStrategy::NodeAffinity(NodeOf(host));
}

// True: there was a value; "" is not printed.
template <typename F>
bool Report(const std::string& what, F&& get) {
  const auto start = std::chrono::steady_clock::now();
  bool succeeded = false;
  try {
    const std::string value = get();
    if (!value.empty()) std::printf("%s value %s\n", what.c_str(), value.c_str());
    succeeded = true;
  } catch (const rayx::Error& error) {
    const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - start;
    std::printf("%s error %s %.2f %s\n", what.c_str(), rayx::ErrorName(error.code()),
                passed.count(), error.what());
  }
  std::fflush(stdout);
  return succeeded;
}

void TasksAndActors(const std::string& host) {
  Report(host, [&] {
    return *rayx::Task<&user::Tell>().SetSchedulingStrategy(On(host)).Remote().Get(30'000);
  });
  Report(host, [&] {
    auto teller = rayx::Actor<&user::Teller::Create>().SetSchedulingStrategy(On(host)).Remote();
    return *teller.Task<&user::Teller::Tell>().Remote().Get(30'000);
  });
}

void Planted(const std::string& host, const std::string& library) {
  void* handle = ::dlopen(library.c_str(), RTLD_NOW | RTLD_GLOBAL);
  if (handle == nullptr) throw std::runtime_error(::dlerror());
  const auto answer = reinterpret_cast<int (*)()>(::dlsym(handle, "PlantedAnswer"));
  if (answer == nullptr) throw std::runtime_error(::dlerror());
  Report(host, [&] {
    return std::to_string(*rayx::Task(answer).SetSchedulingStrategy(On(host)).Remote().Get(30'000));
  });
}

// An actor that outlives this program, on VM 2 while that lives. It needs both CPUs of a VM.
void LeaveActor() {
  Report("left", [] {
    return *rayx::Actor<&user::Teller::Create>()
                .SetName("teller")
                .SetDetached()
                .SetMaxRestarts(-1)
                .SetResource("CPU", 2)
                .SetSchedulingStrategy(rayx::SchedulingStrategy::NodeAffinity(NodeOf("vm2"), true))
                .Remote()
                .Task<&user::Teller::Tell>()
                .Remote()
                .Get(30'000);
  });
}

// Until the actor answers from another VM than 2, or is dead.
void AskActor() {
  const auto teller = rayx::GetActor<user::Teller>("teller");
  if (!teller) throw std::runtime_error("there is no such actor");
  const auto ask = [&] { return *teller->Task<&user::Teller::Tell>().Remote().Get(30'000); };
  for (int i = 0; i < 100; ++i) {
    try {
      if (ask().find(" vm2 ") == std::string::npos) break;
    } catch (const rayx::Error& error) {
      if (error.code() != rayx::ErrorCode::kActorDied) break;
    }
  }
  Report("asked", ask);
}

void FillStore() {
  std::vector<rayx::ObjectRef<std::string>> kept;
  const auto put = [&] {
    kept.push_back(rayx::Put(std::string(4 << 20, 'x')));
    return std::to_string(kept.size());
  };
  while (Report("put", put)) {
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(
        stderr, "usage: shipping_driver tell|planted|fill|leave|ask|- LIBRARY --address IP:PORT\n");
    return 2;
  }
  const std::string scenario = argv[1];
  const std::string library = argv[2];
  try {
    const auto init = [&] {
      rayx::Init(argc, argv);
      return "";
    };
    if (!Report("init", init)) return 1;
    if (scenario == "fill") FillStore();
    if (scenario == "leave") LeaveActor();
    if (scenario == "ask") AskActor();
    if (scenario != "tell" && scenario != "planted") return 0;
    for (const std::string host : {"vm1", "vm2", "vm3"}) {
      if (scenario == "tell") {
        TasksAndActors(host);
      } else {
        Planted(host, library);
      }
    }
    rayx::Shutdown();
  } catch (const std::exception& error) {
    std::printf("failed %s\n", error.what());
    return 1;
  }
  return 0;
}
