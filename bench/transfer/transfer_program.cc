// The user's program of rayx-transfer: an actor on the second VM reads objects that the driver on
// the first one has put. Prints "seconds S" for each.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "rayx/rayx.h"

namespace transfer {

using Blob = std::vector<uint64_t>;

class Reader {
 public:
  static Reader* Create() { return new Reader; }
  std::string Host() { return rayx::GetRuntimeContext().HostName(); }
  // In a list, so that it is not there before the call begins.
  double Read(const std::vector<rayx::ObjectRef<Blob>>& refs) {
    const auto start = std::chrono::steady_clock::now();
    const auto view = rayx::GetView(refs[0], 60'000);
    const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - start;
    if (view[0] != view.size() || view[view.size() - 1] != view.size()) std::abort();
    return passed.count();
  }
};

}  // namespace transfer

RAYX_REMOTE(transfer::Reader::Create, &transfer::Reader::Host, &transfer::Reader::Read);

int main(int argc, char** argv) {
  rayx::Init(argc, argv);
  const size_t bytes = std::strtoull(argv[1], nullptr, 10);
  const int rounds = std::atoi(argv[2]);
  uint32_t there = 0;
  for (const auto& node : rayx::Nodes()) {
    if (node.alive && node.host_name == "vm2") there = node.number;
  }
  auto reader = rayx::Actor(transfer::Reader::Create)
                    .SetSchedulingStrategy(rayx::SchedulingStrategy::NodeAffinity(there, false))
                    .Remote();
  std::printf("host %s\n", reader.Task(&transfer::Reader::Host).Remote().Get(30'000)->c_str());
  transfer::Blob blob(bytes / sizeof(uint64_t));
  blob.front() = blob.back() = blob.size();
  for (int i = 0; i < rounds; ++i) {
    const std::vector<rayx::ObjectRef<transfer::Blob>> refs{rayx::Put(blob)};
    std::printf("seconds %.6f\n", *reader.Task(&transfer::Reader::Read).Remote(refs).Get(60'000));
    std::fflush(stdout);
  }
  rayx::Shutdown();
  return 0;
}
