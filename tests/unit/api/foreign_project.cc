// A program of a project with strict warnings: it must compile as C++17 and as C++20, without one.
#include <rayx/rayx.h>

#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <tuple>
#include <variant>
#include <vector>

namespace app {

enum class Kind : unsigned char { kA, kB };
struct Item {
  short small;
  float value;
  std::optional<std::string> text;
  std::optional<double> weight;
  Kind kind;
  std::variant<int, std::string> choice;
};
class Box {
 public:
  std::vector<Item> items;
  RAYX_SERIALIZE(items)
};
class Old {
 public:
  int a = 0;
  rayx::ObjectRef<int> ref;
  rayx::ActorHandle<Box> handle;
  MSGPACK_DEFINE(a, ref, handle)
};
class Failure : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

Box Fill(const Item& item, unsigned short times) {
  return Box{std::vector<Item>(times, item)};
}
float Scale(float value, long factor) {
  return value * static_cast<float>(factor);
}
void Nothing() {}
std::unique_ptr<Box> MoveOnly(std::unique_ptr<Box> box) {
  return box;
}
Old Keep(Old old, std::map<std::string, rayx::ObjectRef<std::string>> named) {
  old.a = static_cast<int>(named.size());
  return old;
}

std::tuple<int, std::string> Both(int x) {
  return {x, "text"};
}
RAYX_LAMBDA(twice, [](int x) { return 2 * x; });

class Worker {
 public:
  static Worker* Create(const std::string&) { return new Worker; }
  int Do(char c) const noexcept { return c; }
  void Take(std::vector<std::string>) {}
};

}  // namespace app

RAYX_EXCEPTION(app::Failure);
RAYX_REMOTE(app::Fill, app::Scale, app::Nothing, app::MoveOnly, app::Keep);
RAYX_REMOTE(app::Worker::Create, &app::Worker::Do, &app::Worker::Take);

int main(int argc, char** argv) {
  rayx::Init(argc, argv);
  rayx::Task<&app::Nothing>().Remote().Get();
  const rayx::ObjectRef<float> scaled = rayx::Task(app::Scale).SetMaxRetries(0).Remote(1.5, 3);
  const auto again = rayx::Task(app::Scale).SetResource("CPU", 0.5).Remote(scaled, 2);
  app::Item item{1, 2.0F, "text", 1.0, app::Kind::kB, 7};
  const auto box = rayx::Task(app::Fill).SetName("fill").Remote(item, 3);
  const auto moved = rayx::Task(app::MoveOnly).Remote(std::make_unique<app::Box>());
  const auto kept = rayx::Task(app::Keep).Remote(
      app::Old(), std::map<std::string, rayx::ObjectRef<std::string>>());
  const auto [number, text] = rayx::Task<&app::Both>().RemoteEach(1);
  number.Get();
  text.Get();
  rayx::Task(app::twice).SetLabels({{"zone", "!a"}}).Remote(3).Get();
  auto worker = rayx::Actor(app::Worker::Create)
                    .SetName("worker")
                    .SetMaxRestarts(1)
                    .SetSchedulingStrategy(rayx::SchedulingStrategy::Spread())
                    .Remote("name");
  worker.Task(&app::Worker::Do).Remote('c').Get(1000);
  worker.Task<&app::Worker::Take>().Remote(std::vector<std::string>()).Get();
  const rayx::ObjectRef<std::string> literal = rayx::Put("a literal");
  if (literal.Get()->empty()) return 4;
  const auto stored = rayx::Put(std::vector<double>(10));
  const rayx::View<std::vector<double>> view = rayx::GetView(stored);
  const auto result = rayx::Wait(std::vector<rayx::ObjectRef<float>>{scaled, again}, 2, 100);
  for (const auto& value : rayx::Get(std::vector<rayx::ObjectRef<float>>{scaled, again})) {
    if (*value < 0) return 1;
  }
  try {
    box.Get();
    kept.Get();
    moved.Get();
  } catch (const app::Failure&) {
  } catch (const rayx::WorkerDied& died) {
    return died.signal();
  }
  for (const rayx::ActorDescription& actor : rayx::Actors()) {
    if (actor.state == rayx::ActorState::kDead) return 2;
  }
  if (rayx::ClusterResources().empty() || rayx::Jobs().empty()) return 3;
  rayx::KeyValue::PutIfAbsent("key", "value");
  rayx::Shutdown();
  return result.ready.size() == view.size() ? 0 : 1;
}
