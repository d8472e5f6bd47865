// Goal: what is sent arrives; what a hostile peer sends is refused. Method: round trips and bad fields.
#include "scheduling/wire.h"

#include <catch2/catch.hpp>

namespace rayx::scheduling {

TEST_CASE("wire: a node comes back as it was sent, to the last fraction") {
  NodeView node;
  node.number = model::NodeNumber{4};
  node.host_name = "vm4";
  node.address = "10.0.0.4:7000";
  node.total.Set(model::kCpu, 33333);
  node.total.Set("gold", 1);
  node.available.Set(model::kCpu, 12345);
  node.labels = {{"zone", "b"}};
  const auto back = FromWire(ToWire(node));
  REQUIRE(back.ok());
  CHECK(back->number == node.number);
  CHECK(back->address == node.address);
  CHECK(back->total == node.total);
  CHECK(back->available == node.available);
  CHECK(back->labels == node.labels);
}

TEST_CASE("wire: an oversubscribed node counts as full") {
  NodeView node;
  node.number = model::NodeNumber{1};
  node.available.Set(model::kCpu, -10000);
  const auto back = FromWire(ToWire(node));
  REQUIRE(back.ok());
  CHECK(back->available.empty());
}

TEST_CASE("wire: negative amounts, bad names, too many of them and unknown strategies are refused") {
  proto::Resources resources;
  auto* amount = resources.add_amounts();
  amount->set_name("CPU");
  amount->set_units(-1);
  CHECK_FALSE(FromWire(resources).ok());
  amount->set_units(INT64_MAX);
  CHECK_FALSE(FromWire(resources).ok());
  amount->set_units(1);
  amount->set_name("a b");
  CHECK_FALSE(FromWire(resources).ok());
  proto::Resources many;
  for (int i = 0; i < 65; ++i) many.add_amounts()->set_name("r" + std::to_string(i));
  CHECK_FALSE(FromWire(many).ok());
  proto::Strategy strategy;
  strategy.set_kind(static_cast<proto::Strategy::Kind>(17));
  CHECK_FALSE(FromWire(strategy).ok());
}

}  // namespace rayx::scheduling
