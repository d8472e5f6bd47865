// Goal: methods.h is what the .proto files say. Method: each constant is looked up in the
// descriptors; the descriptors have no method without one.
#include "rpc/methods.h"

#include <set>
#include <string>

#include <google/protobuf/descriptor.h>
#include <catch2/catch.hpp>

namespace rayx::rpc {
namespace {

template <typename Request, typename Reply>
void Add(std::set<std::string>& paths, const Method<Request, Reply>& method) {
  const std::string path = method.path;
  INFO(path);
  paths.insert(path);
  const auto* service =
      Request::descriptor()->file()->pool()->FindServiceByName(path.substr(1, path.rfind('/') - 1));
  REQUIRE(service != nullptr);
  const auto* found = service->FindMethodByName(path.substr(path.rfind('/') + 1));
  REQUIRE(found != nullptr);
  CHECK(found->input_type() == Request::descriptor());
  CHECK(found->output_type() == Reply::descriptor());
}

}  // namespace

TEST_CASE("Methods: constants and descriptors agree") {
  std::set<std::string> paths;
  Add(paths, kHeadJoin);
  Add(paths, kHeadRegisterNode);
  Add(paths, kHeadHeartbeat);
  Add(paths, kHeadLeave);
  Add(paths, kHeadRegisterJob);
  Add(paths, kHeadFinishJob);
  Add(paths, kHeadReportActor);
  Add(paths, kHeadCall);
  Add(paths, kHeadStatus);
  Add(paths, kHeadStop);
  Add(paths, kNodeLease);
  Add(paths, kNodeCancelLease);
  Add(paths, kNodeReturnLease);
  Add(paths, kNodeStartActor);
  Add(paths, kNodeStopActor);
  Add(paths, kNodeFrames);
  Add(paths, kNodeNotify);
  Add(paths, kNodeFetchPart);
  Add(paths, kNodeJobEnded);
  Add(paths, kNodeState);
  Add(paths, kNodeLogs);
  Add(paths, kNodeStop);
  size_t described = 0;
  for (const auto* file : {proto::StatusRequest::descriptor()->file(),
                           proto::NodeStateRequest::descriptor()->file()}) {
    for (int s = 0; s < file->service_count(); ++s) described += file->service(s)->method_count();
  }
  CHECK(paths.size() == described);
}

}  // namespace rayx::rpc
