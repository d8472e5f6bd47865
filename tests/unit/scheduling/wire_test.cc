// Goal: what is sent arrives; what a hostile peer sends is refused. Method: round trips and bad
// fields.
#include "scheduling/wire.h"

#include <catch2/catch.hpp>

namespace rayx::scheduling {

TEST_CASE("wire: a node comes back as it was sent, to the last fraction") {
  NodeView node;
  node.number = model::NodeNumber{4};
  node.host_name = "vm4";
  node.address = "10.0.0.4:7000";
  node.data_port = 65535;
  node.total.Set(model::kCpu, 33333);
  node.total.Set("gold", 1);
  node.available.Set(model::kCpu, 12345);
  node.labels = {{"zone", "b"}};
  const auto back = FromWire(ToWire(node));
  REQUIRE(back.ok());
  CHECK(back->number == node.number);
  CHECK(back->address == node.address);
  CHECK(back->data_port == node.data_port);
  CHECK(back->total == node.total);
  CHECK(back->available == node.available);
  CHECK(back->labels == node.labels);
}

TEST_CASE("wire: ids and the places of objects come back as they were sent") {
  const model::ActorId actor{model::ProcessId{(uint64_t{3} << 32) | 17}, 5};
  CHECK(FromWire(ToWire(actor)) == actor);
  model::StoredLocation place;
  place.object = {model::ProcessId{(uint64_t{2} << 32) | 9}, uint64_t{1} << 40};
  place.node = model::NodeNumber{2};
  place.job = model::JobId{3};
  place.entry = 4;
  place.generation = 5;
  place.offset = uint64_t{6} << 32;
  place.size = uint64_t{7} << 32;
  CHECK(FromWire(ToWire(place.object)) == place.object);
  CHECK(FromWire(ToWire(place)) == place);
}

TEST_CASE("wire: an oversubscribed node counts as full") {
  NodeView node;
  node.number = model::NodeNumber{1};
  node.available.Set(model::kCpu, -10000);
  const auto back = FromWire(ToWire(node));
  REQUIRE(back.ok());
  CHECK(back->available.empty());
}

TEST_CASE(
    "wire: negative amounts, bad names, too many of them and unknown strategies are refused") {
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

TEST_CASE("wire: a strategy's selectors come back as they were sent; what is none is refused") {
  Strategy strategy;
  strategy.labels["zone"] = LabelSelector::Parse("zone", "!in(a,b)").value();
  strategy.labels["disk"] = LabelSelector::Parse("disk", "ssd").value();
  const auto back = FromWire(ToWire(strategy));
  REQUIRE(back.ok());
  CHECK(back->labels == strategy.labels);
  proto::Strategy wrong;
  wrong.add_labels()->set_key("zone");
  wrong.mutable_labels(0)->set_value("in(a");
  const auto refused = FromWire(wrong);
  REQUIRE_FALSE(refused.ok());
  CHECK_THAT(std::string(base::Message(refused.status())), Catch::Contains("\"zone\""));
}

}  // namespace rayx::scheduling
