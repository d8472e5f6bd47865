// runtime/cli/json_view.h
//
// The cluster's messages as JSON for programs: the stable form of --format json.
// Owner:    no state.        Threads: any.
// Promises: ids as in tables ("n1.p3"), amounts as numbers, bytes as integers.
#pragma once

#include <nlohmann/json.hpp>

#include "proto/head.pb.h"

namespace rayx::cli {

using Json = nlohmann::ordered_json;

Json ToJson(const proto::NodeInfo& node);
Json ToJson(const proto::JobInfo& job);
Json ToJson(const proto::ActorView& actor);
Json ToJson(const proto::WorkerInfo& worker);
Json ToJson(const proto::ObjectInfo& object);
Json ToJson(const proto::LeaseInfo& lease);
Json ToJson(const proto::StatusReply& status);
// Resources as {"CPU": 2}.
Json ToJson(const proto::Resources& resources);

// Bytes from elsewhere need not be UTF-8.
std::string Dump(const Json& json);

const char* StateName(proto::ActorState state);

}  // namespace rayx::cli
