#include "rpc/join.h"

#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "rpc/channel.h"
#include "rpc/errors.h"
#include "rpc/foreign_certificate.h"

namespace rayx::rpc {
namespace {

// Says what a person can do about it.
base::Status Explain(const base::Status& status, const io::Address& head, bool tls) {
  if (absl::IsUnauthenticated(status)) {
    return MakeError(
        ErrorCode::kUnauthenticated,
        absl::StrCat("the head at ", head.ToString(),
                     " refused the token: the join file is of another cluster or of an "
                     "earlier start; copy it anew from the head's VM"));
  }
  if (SaysForeignCertificate(base::Message(status))) {
    return MakeError(ErrorCode::kUnauthenticated,
                     absl::StrCat("the head at ", head.ToString(),
                                  " has another cluster's certificate than the join file says: the "
                                  "file is of another cluster or of an earlier start; copy it anew "
                                  "from the head's VM"));
  }
  if (absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status)) {
    return MakeError(ErrorCode::kHeadUnavailable,
                     absl::StrCat("the head cannot be reached: ", status.message(),
                                  tls ? " (tried with TLS, as the join file says)"
                                      : " (tried without TLS, as the join file says)"));
  }
  return status;
}

}  // namespace

base::Status CheckVersions(const std::string& we, const model::Versions& ours,
                           const std::string& they, const proto::Versions& theirs) {
  const std::string why = model::VersionMismatch(we, ours, they, model::VersionsFromWire(theirs));
  return why.empty() ? base::OkStatus() : MakeError(ErrorCode::kVersionMismatch, why);
}

base::StatusOr<Membership> JoinCluster(const JoinFile& join, const io::Address& head,
                                       const std::string& ip, std::chrono::milliseconds wait) {
  Membership membership;
  membership.credentials = ClientCredentials(join);
  proto::JoinRequest request;
  model::VersionsToWire(model::OwnVersions(model::kNoLayout), *request.mutable_versions());
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
    return absl::InternalError(
        absl::StrCat("the head at ", head.ToString(), " sent no certificate"));
  }
  membership.cluster = reply->cluster();
  membership.credentials.certificate_pem = reply->certificate_pem();
  return membership;
}

}  // namespace rayx::rpc
