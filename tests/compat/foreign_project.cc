// A Ray program of a project with strict warnings: it must compile as C++17 and as C++20, without
// one, with <msgpack.hpp> included before and not.
#include <ray/api.h>

namespace app {

int Plus(int x, int y) {
  return x + y;
}
RAY_REMOTE(Plus);

struct Job {
  std::string name;
  std::vector<ray::ObjectRef<int>> parts;
  MSGPACK_DEFINE(name, parts)
};
Job Same(const Job& job) {
  return job;
}
RAY_REMOTE(Same)

class Counter {
 public:
  explicit Counter(int count) : count_(count) {}
  static Counter* Create(int count) { return new Counter(count); }
  int Add(int x) { return count_ += x; }

 private:
  int count_;
};
RAY_REMOTE(Counter::Create, RAY_FUNC(&Counter::Add, int));

}  // namespace app

int main(int argc, char** argv) {
  ray::RayConfig config;
  config.ray_namespace = "foreign";
  config.redis_password_ = "accepted";
  ray::Init(config, argc, argv);
  auto ref = ray::Task(app::Plus).SetName("plus").SetResource("CPU", 1.0).Remote(1, 2);
  app::Job job{"job", {ref, ray::Put(1)}};
  const auto same = ray::Get(ray::Task(app::Same).Remote(job));
  ray::ActorHandle<app::Counter> counter =
      ray::Actor(app::Counter::Create).SetName("counter").SetMaxRestarts(-1).Remote(ref);
  auto found = ray::GetActor<app::Counter>("counter");
  int sum = 0;
  if (found) sum = *(*found).Task(&app::Counter::Add).Remote(1).Get(1000);
  try {
    for (const auto& value : ray::Get(same->parts, 1000)) sum += *value;
  } catch (const ray::internal::RayTimeoutException& late) {
    RAYLOG(WARNING) << late.what();
  } catch (const ray::internal::RayException& error) {
    RAYLOG(ERROR) << error.what();
  }
  auto result = ray::Wait(same->parts, 2, 100);
  counter.Kill(false);
  counter.Kill();
  ray::Shutdown();
  return result.unready.empty() && sum == 8 ? 0 : 1;
}
