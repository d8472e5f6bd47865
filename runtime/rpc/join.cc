#include "rpc/join.h"

#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "model/frame.h"
#include "model/versions.h"
#include "rpc/channel.h"
#include "rpc/errors.h"

namespace rayx::rpc {
namespace {

std::string Describe(const proto::Versions& versions) {
  return absl::StrCat("release ", versions.release().substr(0, 40), ", protocol ",
                      versions.protocol(), ", frame ", versions.frame());
}

// Says what a person can do about it.
base::Status Explain(const base::Status& status, const io::Address& head, bool tls) {
  if (absl::IsUnauthenticated(status)) {
    return MakeError(ErrorCode::kUnauthenticated,
                     absl::StrCat("the head at ", head.ToString(),
                                  " refused the token: the join file is of another cluster or of an "
                                  "earlier start; copy it anew from the head's VM"));
  }
  if (absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status)) {
    return MakeError(
        ErrorCode::kHeadUnavailable,
        absl::StrCat("the head cannot be reached: ", status.message(),
                     tls ? " (tried with TLS, as the join file says)"
                         : " (tried without TLS, as the join file says)"));
  }
  return status;
}

}  // namespace

proto::Versions OurVersions(uint32_t layout) {
  proto::Versions versions;
  versions.set_layout(layout);
  versions.set_frame(model::kFrameVersion);
  versions.set_protocol(model::kProtocolVersion);
  versions.set_release(model::kRelease);
  return versions;
}

base::Status CheckVersions(const proto::Versions& theirs) {
  const proto::Versions ours = OurVersions();
  if (theirs.frame() == ours.frame() && theirs.protocol() == ours.protocol() &&
      theirs.release() == ours.release()) {
    return base::OkStatus();
  }
  return MakeError(ErrorCode::kVersionMismatch,
                   absl::StrCat("version mismatch: the head has ", Describe(ours),
                                "; the other side has ", Describe(theirs),
                                "; install the same release on every VM"));
}

base::StatusOr<Membership> JoinCluster(const JoinFile& join, const io::Address& head,
                                       const std::string& ip, std::chrono::milliseconds wait) {
  Membership membership;
  membership.credentials = ClientCredentials(join);
  proto::JoinRequest request;
  *request.mutable_versions() = OurVersions();
  char host[256] = {};
  ::gethostname(host, sizeof host - 1);
  request.set_host_name(host);
  request.set_ip(ip);
  const bool tls = membership.credentials.tls();
  if (tls) {
    RAYX_ASSIGN_OR_RETURN(SigningRequest signing, MakeSigningRequest());
    request.set_certificate_request_pem(signing.request_pem);
    membership.credentials.key_pem = std::move(signing.key_pem);
  }
  RpcChannel channel(head, Role::kHead, membership.credentials);
  CallOptions options;
  options.deadline = wait;
  options.idempotent = true;
  auto reply = channel.CallAndWait(kHeadJoin, request, options);
  if (!reply.ok()) return Explain(reply.status(), head, tls);
  RAYX_RETURN_IF_ERROR(ToStatus(reply->error()));
  if (tls && reply->certificate_pem().empty()) {
    return absl::InternalError(absl::StrCat("the head at ", head.ToString(), " sent no certificate"));
  }
  membership.cluster = reply->cluster();
  membership.credentials.certificate_pem = reply->certificate_pem();
  return membership;
}

}  // namespace rayx::rpc
