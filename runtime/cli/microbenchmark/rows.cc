#include "cli/microbenchmark/rows.h"

#include <iterator>

namespace rayx::cli {

int64_t AddOne(int64_t value) {
  return value + 1;
}

int64_t TakeArguments(size_t count) {
  static int64_t next = 0;
  return std::exchange(next, next + static_cast<int64_t>(count));
}

QueueSeconds QueueTasks(std::vector<ObjectRef<int64_t>>& refs,
                        const std::function<void()>& between) {
  QueueSeconds seconds;
  const int64_t first = TakeArguments(refs.size());
  const auto start = RowClock::now();
  SubmitEach(refs, first, [](int64_t argument) { return rayx::Task<&AddOne>().Remote(argument); });
  seconds.submit = SecondsSince(start);
  between();
  const auto drain = RowClock::now();
  for (size_t i = 0; i < refs.size(); ++i) {
    Expect(*refs[i].Get(), first + static_cast<int64_t>(i) + 1);
    refs[i] = {};
  }
  seconds.drain = SecondsSince(drain);
  return seconds;
}

std::vector<Row> AllRows(const std::string& libtorch) {
  std::vector<Row> all;
  const auto add = [&all](std::vector<Row> some) {
    std::move(some.begin(), some.end(), std::back_inserter(all));
  };
  for (const auto rows : {StartedRows, VmRows, FreshRows}) add(rows());
  add(LibtorchRows(libtorch));
  for (const auto rows : {ObjectRows, TaskRows, WaitingRows, ActorRows, ClientRows, ScaleRows}) {
    add(rows());
  }
  return all;
}

}  // namespace rayx::cli
