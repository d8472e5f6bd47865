#include "rpc/join_file.h"

#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "io/address.h"
#include "rpc/certificate.h"
#include "rpc/secret.h"

namespace rayx::rpc {
namespace {

using Json = nlohmann::json;

constexpr size_t kStdinBytesMax = 64 * 1024;
// Standard input may be a pipe that nobody ever writes to or closes.
constexpr std::chrono::seconds kStdinWait(3);

base::StatusOr<std::string> ReadStdin() {
  using Clock = std::chrono::steady_clock;
  const auto deadline = Clock::now() + kStdinWait;
  std::string text;
  while (text.size() <= kStdinBytesMax) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
    pollfd ready = {STDIN_FILENO, POLLIN, 0};
    if (left.count() <= 0 || ::poll(&ready, 1, static_cast<int>(left.count())) == 0) {
      return absl::NotFoundError("standard input: no end of file within 3 s");
    }
    char buffer[4096];
    const ssize_t n = ::read(STDIN_FILENO, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    text.append(buffer, static_cast<size_t>(n));
  }
  if (text.empty()) return absl::NotFoundError("standard input: empty");
  if (text.size() > kStdinBytesMax) {
    return absl::InvalidArgumentError("standard input: larger than 64 KiB");
  }
  return text;
}

std::string DefaultPath() {
  const char* home = std::getenv("HOME");
  return home == nullptr || *home == '\0' ? "" : absl::StrCat(home, "/.rayx/join");
}

}  // namespace

base::Status WriteJoinFile(const std::string& path, const JoinFile& join) {
  const Json json = {{"address", join.address},
                     {"ca_certificate", join.ca_pem},
                     {"ca_fingerprint", join.ca_fingerprint},
                     {"token", join.token},
                     {"insecure", join.insecure}};
  return WriteSecretFile(path, json.dump(2) + "\n");
}

base::StatusOr<JoinFile> ParseJoinFile(const std::string& text, const std::string& name) {
  const auto refuse = [&](auto... why) {
    return absl::InvalidArgumentError(absl::StrCat("join file ", name, ": ", why...));
  };
  // Not Json::parse with exceptions: its messages quote the text, which holds the token.
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_object())
    return refuse("not JSON; expected the file that `rayx start --head` wrote");
  JoinFile join;
  for (const auto& [field, target] :
       {std::pair{"address", &join.address}, std::pair{"ca_certificate", &join.ca_pem},
        std::pair{"ca_fingerprint", &join.ca_fingerprint}, std::pair{"token", &join.token}}) {
    const auto found = json.find(field);
    if (found == json.end() || !found->is_string())
      return refuse("expected a text \"", field, "\"");
    *target = found->get<std::string>();
  }
  const auto insecure = json.find("insecure");
  if (insecure == json.end() || !insecure->is_boolean()) {
    return refuse("expected true or false as \"insecure\"");
  }
  join.insecure = insecure->get<bool>();
  if (!IsToken(join.token)) return refuse("\"token\": expected 64 lower-case hex digits");
  if (const auto address = io::ParseAddress(join.address); !address.ok()) {
    return refuse(address.status().message());
  }
  if (join.ca_pem.empty()) return join;
  const auto fingerprint = CertificateFingerprint(join.ca_pem);
  if (!fingerprint.ok()) return refuse("\"ca_certificate\": ", fingerprint.status().message());
  if (*fingerprint != join.ca_fingerprint) {
    return refuse("\"ca_fingerprint\" is not that of \"ca_certificate\": the file was changed");
  }
  return join;
}

base::StatusOr<JoinFile> ReadJoinFile(const std::string& path) {
  RAYX_ASSIGN_OR_RETURN(const std::string text, ReadSecretFile(path));
  return ParseJoinFile(text, path);
}

base::StatusOr<JoinFile> FindJoinFile(const std::string& path) {
  if (path == "-") {
    RAYX_ASSIGN_OR_RETURN(const std::string text, ReadStdin());
    return ParseJoinFile(text, "on standard input");
  }
  if (!path.empty()) return ReadJoinFile(path);
  if (const char* named = std::getenv("RAYX_JOIN_FILE"); named != nullptr && *named != '\0') {
    return ReadJoinFile(named);
  }
  std::vector<std::string> tried = {"--join-file: not given", "RAYX_JOIN_FILE: not set"};
  if (const std::string usual = DefaultPath(); !usual.empty()) {
    auto join = ReadJoinFile(usual);
    if (!absl::IsNotFound(join.status())) return join;
    tried.push_back(absl::StrCat(usual, ": not there"));
  }
  if (::isatty(STDIN_FILENO) == 0) {
    auto text = ReadStdin();
    if (text.ok()) return ParseJoinFile(*text, "on standard input");
    tried.push_back(std::string(base::Message(text.status())));
  } else {
    tried.push_back("standard input: a terminal");
  }
  return absl::NotFoundError(absl::StrCat(
      "no token: a join file is needed to join a cluster; it is the file `join` in the session "
      "folder that `rayx start --head` printed on the head's VM. Tried: ",
      absl::StrJoin(tried, "; ")));
}

ClusterCredentials ClientCredentials(const JoinFile& join) {
  ClusterCredentials credentials;
  credentials.token = join.token;
  credentials.ca_pem = join.ca_pem;
  return credentials;
}

}  // namespace rayx::rpc
