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

std::vector<Row> AllRows() {
  std::vector<Row> all;
  for (const auto rows :
       {FreshRows, ObjectRows, TaskRows, WaitingRows, ActorRows, ClientRows, ScaleRows}) {
    std::vector<Row> some = rows();
    std::move(some.begin(), some.end(), std::back_inserter(all));
  }
  return all;
}

}  // namespace rayx::cli
