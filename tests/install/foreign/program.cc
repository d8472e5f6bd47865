// Goal: an installed RayX works for a program that knows nothing of its source tree.
// Method: a task and an actor, by the name and by the address of the function; in local mode, or in
// the cluster that an argument names.
#include <cstdio>

#include <rayx/rayx.h>

int Square(int x);

class Counter {
 public:
  static Counter* Create(int start) { return new Counter(start); }
  explicit Counter(int start) : value_(start) {}
  int Add(int x) { return value_ += x; }

 private:
  int value_;
};
RAYX_REMOTE(Counter::Create, &Counter::Add);

int main(int argc, char** argv) {
  rayx::Options options;
  options.local_mode = argc == 1;
  rayx::Init(argc, argv, options);
  const int square = *rayx::Task(Square).Remote(7).Get();
  auto counter = rayx::Actor(Counter::Create).Remote(40);
  const int sum = *counter.Task(&Counter::Add).Remote(2).Get();
  rayx::Shutdown();
  std::printf("square %d, sum %d\n", square, sum);
  return square == 49 && sum == 42 ? 0 : 1;
}
