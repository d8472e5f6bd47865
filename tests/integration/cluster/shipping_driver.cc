// A user's program for tests/integration/cluster/shipping_test.cc, which lies on one VM alone. The
// first argument names what to do, the second is a library that is loaded after Init ("-": none),
// the rest are RayX's flags. Prints one line a task: "vm2 value 42 ..." or "vm2 error Type what".
#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>

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

rayx::SchedulingStrategy On(const std::string& host) {
  for (const auto& node : rayx::Nodes()) {
    if (node.alive && node.host_name == host) {
      return rayx::SchedulingStrategy::NodeAffinity(node.number);
    }
  }
  throw std::runtime_error("no live node on host " + host);
}

template <typename F>
void Report(const std::string& host, F&& get) {
  try {
    std::printf("%s value %s\n", host.c_str(), std::string(get()).c_str());
  } catch (const rayx::Error& error) {
    std::printf("%s error %s %s\n", host.c_str(), rayx::ErrorName(error.code()), error.what());
  }
  std::fflush(stdout);
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

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: shipping_driver tell|planted LIBRARY --address IP:PORT\n");
    return 2;
  }
  const std::string scenario = argv[1];
  const std::string library = argv[2];
  try {
    rayx::Init(argc, argv);
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
