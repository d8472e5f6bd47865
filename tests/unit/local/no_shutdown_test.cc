// Goal: a program may end without Shutdown: with references in static variables, with an actor
// whose call never returns, from inside a task. Method: this is such a program; what counts is that
// it ends, and with its own exit code.
#include <condition_variable>
#include <cstdlib>
#include <memory>
#include <mutex>

#include "rayx/rayx.h"

namespace {

class Stuck {
 public:
  static std::unique_ptr<Stuck> Create() { return std::make_unique<Stuck>(); }
  void Forever() {
    static auto* mutex = new std::mutex;
    static auto* never = new std::condition_variable;
    std::unique_lock lock(*mutex);
    never->wait(lock, [] { return false; });
  }
};

rayx::ObjectRef<int> kept;
rayx::ObjectRef<void> pending;
rayx::ActorHandle<Stuck> stuck;

int End(int code) {
  std::exit(code);
}

}  // namespace

int main() {
  rayx::Options options;
  options.local_mode = true;
  rayx::Init(options);
  kept = rayx::Put(1);
  stuck = rayx::Actor<&Stuck::Create>().Remote();
  pending = stuck.Task<&Stuck::Forever>().Remote();
  rayx::Task<&End>().Remote(0);
  return 1;
}
