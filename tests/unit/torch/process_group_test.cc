// Goal: actors form a group through KeyValue, and a group whose rank is absent or gone ends with an
// error.
// Method: local mode: each actor is a thread of this process; Gloo runs over loopback.
#include "tests/unit/torch/torch_catch.h"

#include <chrono>
#include <optional>

#include "rayx/torch/process_group.h"
#include "rayx/torch/tensor.h"
#include "tests/unit/local/local_mode.h"

namespace rayx::torch {
namespace {

using rayx::testing::LocalMode;

class Member {
 public:
  static std::shared_ptr<Member> Create() { return std::make_shared<Member>(); }

  void Join(const GroupSpec& spec, int rank) { group_.emplace(spec, rank); }
  at::Tensor Sum(at::Tensor tensor) {
    tensor = tensor.clone();
    group_->AllReduce(tensor);
    return tensor;
  }
  at::Tensor FromRoot(at::Tensor tensor, int root) {
    tensor = tensor.clone();
    group_->Broadcast(tensor, root);
    return tensor;
  }
  std::vector<at::Tensor> All(const at::Tensor& tensor) { return group_->AllGather(tensor); }
  int Meet() {
    group_->Barrier();
    return group_->rank();
  }
  void Leave() { group_->Leave(); }

 private:
  std::optional<ProcessGroup> group_;
};

std::vector<ActorHandle<Member>> Members(int count) {
  std::vector<ActorHandle<Member>> members;
  for (int i = 0; i < count; ++i) members.push_back(Actor<&Member::Create>().Remote());
  return members;
}

void JoinAll(const std::vector<ActorHandle<Member>>& members, const GroupSpec& spec) {
  std::vector<ObjectRef<void>> joined;
  int rank = 0;
  for (const auto& member : members) {
    joined.push_back(member.Task<&Member::Join>().Remote(spec, rank++));
  }
  Get(joined);
}

TEST_CASE("ProcessGroup: collectives of two and three actors") {
  const LocalMode local;
  const int size = GENERATE(2, 3);
  const auto members = Members(size);
  JoinAll(members, NewGroup(size));

  std::vector<ObjectRef<at::Tensor>> sums, roots;
  std::vector<ObjectRef<std::vector<at::Tensor>>> gathered;
  std::vector<ObjectRef<int>> ranks;
  for (int rank = 0; rank < size; ++rank) {
    const auto& member = members[static_cast<std::size_t>(rank)];
    const at::Tensor mine = ::torch::full({1000}, rank + 1.0);
    sums.push_back(member.Task<&Member::Sum>().Remote(mine));
    roots.push_back(member.Task<&Member::FromRoot>().Remote(mine, size - 1));
    gathered.push_back(member.Task<&Member::All>().Remote(mine));
    ranks.push_back(member.Task<&Member::Meet>().Remote());
  }
  for (int rank = 0; rank < size; ++rank) {
    const auto i = static_cast<std::size_t>(rank);
    CHECK(at::equal(*sums[i].Get(), ::torch::full({1000}, size * (size + 1) / 2.0)));
    CHECK(at::equal(*roots[i].Get(), ::torch::full({1000}, static_cast<double>(size))));
    const std::shared_ptr<std::vector<at::Tensor>> all = gathered[i].Get();
    for (int from = 0; from < size; ++from) {
      CHECK(at::equal((*all)[static_cast<std::size_t>(from)], ::torch::full({1000}, from + 1.0)));
    }
    CHECK(*ranks[i].Get() == rank);
  }
}

TEST_CASE("ProcessGroup: two groups of the same actors do not meet each other's ranks") {
  const LocalMode local;
  const auto members = Members(2);
  JoinAll(members, NewGroup(2));
  JoinAll(members, NewGroup(2));
  auto a = members[0].Task<&Member::Meet>().Remote();
  auto b = members[1].Task<&Member::Meet>().Remote();
  CHECK(*a.Get() == 0);
  CHECK(*b.Get() == 1);
}

TEST_CASE("ProcessGroup: ranks that do not join are named within the timeout") {
  const LocalMode local;
  const auto members = Members(1);
  const GroupSpec spec = NewGroup(3, std::chrono::milliseconds(200));
  const auto joined = members[0].Task<&Member::Join>().Remote(spec, 1);
  CHECK_THROWS_WITH(joined.Get(), Catch::Contains("did not join within 200 ms: 0, 2"));
}

TEST_CASE("ProcessGroup: a rank that leaves ends the collective that others are in") {
  const LocalMode local;
  const auto members = Members(3);
  JoinAll(members, NewGroup(3));
  auto first = members[0].Task<&Member::Sum>().Remote(::torch::ones({10}));
  auto second = members[1].Task<&Member::Sum>().Remote(::torch::ones({10}));
  members[2].Task<&Member::Leave>().Remote().Get();
  const auto begin = std::chrono::steady_clock::now();
  CHECK_THROWS_AS(first.Get(), GroupBroken);
  CHECK_THROWS_AS(second.Get(), GroupBroken);
  CHECK(std::chrono::steady_clock::now() - begin < kGroupTimeout / 2);
}

TEST_CASE("ProcessGroup: a rank that stays away from a collective breaks it after the timeout") {
  const LocalMode local;
  const auto members = Members(2);
  JoinAll(members, NewGroup(2, std::chrono::milliseconds(500)));
  const auto sum = members[0].Task<&Member::Sum>().Remote(::torch::ones({10}));
  CHECK_THROWS_WITH(sum.Get(), Catch::Contains("rank 0 of 2: AllReduce: "));
}

TEST_CASE("ProcessGroup: wrong groups and ranks are refused") {
  const LocalMode local;
  CHECK_THROWS_AS(NewGroup(0), InvalidOption);
  CHECK_THROWS_AS(NewGroup(2, std::chrono::milliseconds(0)), InvalidOption);
  const GroupSpec spec = NewGroup(1);
  CHECK_THROWS_AS(ProcessGroup(spec, 1), InvalidOption);
  CHECK_THROWS_AS(ProcessGroup(spec, -1), InvalidOption);
  CHECK_THROWS_AS(ProcessGroup(GroupSpec{}, 0), InvalidOption);
  ProcessGroup alone(spec, 0);
  at::Tensor tensor = ::torch::ones({3});
  alone.AllReduce(tensor);
  CHECK(at::equal(tensor, ::torch::ones({3})));
  CHECK_THROWS_WITH(ProcessGroup(spec, 0), Catch::Contains("rank 0 has joined already"));
  alone.Leave();
  CHECK_THROWS_AS(alone.AllReduce(tensor), GroupBroken);
}

}  // namespace
}  // namespace rayx::torch
