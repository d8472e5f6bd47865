// runtime/rpc/methods.h
//
// Every method of every service by name and type: what servers handle and channels call.
// Owner:    constants.     Threads: any.
// Promises: equal to proto/head.proto and proto/node.proto (a test compares names, types and
//           streaming with the descriptors, and that none is missing).
#pragma once

#include "proto/head.pb.h"
#include "proto/node.pb.h"

namespace rayx::rpc {

// `Request` and `Reply` are the messages of one direction each; of a stream, many of them.
template <typename Request, typename Reply>
struct Method {
  const char* path;
};

inline constexpr Method<proto::JoinRequest, proto::JoinReply> kHeadJoin{"/rayx.proto.Head/Join"};
inline constexpr Method<proto::RegisterNodeRequest, proto::RegisterNodeReply> kHeadRegisterNode{
    "/rayx.proto.Head/RegisterNode"};
inline constexpr Method<proto::HeartbeatRequest, proto::HeartbeatReply> kHeadHeartbeat{
    "/rayx.proto.Head/Heartbeat"};
inline constexpr Method<proto::LeaveRequest, proto::LeaveReply> kHeadLeave{
    "/rayx.proto.Head/Leave"};
inline constexpr Method<proto::RegisterJobRequest, proto::RegisterJobReply> kHeadRegisterJob{
    "/rayx.proto.Head/RegisterJob"};
inline constexpr Method<proto::FinishJobRequest, proto::FinishJobReply> kHeadFinishJob{
    "/rayx.proto.Head/FinishJob"};
inline constexpr Method<proto::ActorReport, proto::ActorReportReply> kHeadReportActor{
    "/rayx.proto.Head/ReportActor"};
inline constexpr Method<proto::HeadRequest, proto::HeadResponse> kHeadCall{"/rayx.proto.Head/Call"};
inline constexpr Method<proto::StatusRequest, proto::StatusReply> kHeadStatus{
    "/rayx.proto.Head/Status"};
inline constexpr Method<proto::StopRequest, proto::StopReply> kHeadStop{"/rayx.proto.Head/Stop"};

inline constexpr Method<proto::RemoteLeaseRequest, proto::RemoteLeaseReply> kNodeLease{
    "/rayx.proto.Node/Lease"};
inline constexpr Method<proto::RemoteLeaseCancel, proto::RemoteLeaseCancelReply> kNodeCancelLease{
    "/rayx.proto.Node/CancelLease"};
inline constexpr Method<proto::RemoteLeaseReturn, proto::RemoteLeaseReturnReply> kNodeReturnLease{
    "/rayx.proto.Node/ReturnLease"};
inline constexpr Method<proto::StartActorRequest, proto::StartActorReply> kNodeStartActor{
    "/rayx.proto.Node/StartActor"};
inline constexpr Method<proto::StopActorRequest, proto::StopActorReply> kNodeStopActor{
    "/rayx.proto.Node/StopActor"};
inline constexpr Method<proto::FrameBatch, proto::FrameBatch> kNodeFrames{
    "/rayx.proto.Node/Frames"};
inline constexpr Method<proto::NotifyRequest, proto::NotifyReply> kNodeNotify{
    "/rayx.proto.Node/Notify"};
inline constexpr Method<proto::PartRequest, proto::PartChunk> kNodeFetchPart{
    "/rayx.proto.Node/FetchPart"};
inline constexpr Method<proto::JobEndedRequest, proto::JobEndedReply> kNodeJobEnded{
    "/rayx.proto.Node/JobEnded"};
inline constexpr Method<proto::NodeStateRequest, proto::NodeState> kNodeState{
    "/rayx.proto.Node/State"};
inline constexpr Method<proto::LogRequest, proto::LogReply> kNodeLogs{"/rayx.proto.Node/Logs"};
inline constexpr Method<proto::NodeStopRequest, proto::NodeStopReply> kNodeStop{
    "/rayx.proto.Node/Stop"};

}  // namespace rayx::rpc
