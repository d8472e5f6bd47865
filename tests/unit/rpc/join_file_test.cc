// Goal: a join file comes back as it was written; a wrong one is an error that names file and field
// and shows no token. Method: texts with one thing wrong each.
#include "rpc/join_file.h"

#include <stdlib.h>

#include <filesystem>

#include <catch2/catch.hpp>

#include "rpc/certificate.h"
#include "rpc/secret.h"

namespace rayx::rpc {
namespace {

JoinFile Sample() {
  JoinFile join;
  join.address = "10.0.0.1:7399";
  join.token = RandomHex(kTokenBytes);
  join.ca_pem = CertificateAuthority::Make("test").value()->certificate_pem();
  join.ca_fingerprint = CertificateFingerprint(join.ca_pem).value();
  return join;
}

std::string ErrorOf(const std::string& text) {
  const auto join = ParseJoinFile(text, "FILE");
  CHECK_FALSE(join.ok());
  return std::string(base::Message(join.status()));
}

}  // namespace

TEST_CASE("JoinFile: written and read") {
  char name[] = "/tmp/rayx-join-XXXXXX";
  const std::string folder = ::mkdtemp(name);
  const JoinFile join = Sample();
  REQUIRE(WriteJoinFile(folder + "/join", join).ok());
  const auto back = ReadJoinFile(folder + "/join");
  REQUIRE(back.ok());
  CHECK(back->address == join.address);
  CHECK(back->token == join.token);
  CHECK(back->ca_pem == join.ca_pem);
  CHECK(ClientCredentials(*back).tls());
  std::filesystem::remove_all(folder);
}

TEST_CASE("JoinFile: what is wrong is named and no token is shown") {
  const std::string token = RandomHex(kTokenBytes);
  const auto text = [&](const std::string& address, const std::string& ca, const std::string& print,
                        const std::string& secret, const std::string& insecure) {
    return "{\"address\":\"" + address + "\",\"ca_certificate\":\"" + ca +
           "\",\"ca_fingerprint\":\"" + print + "\",\"token\":\"" + secret +
           "\",\"insecure\":" + insecure + "}";
  };
  CHECK(ParseJoinFile(text("1.2.3.4:5", "", "", token, "false"), "FILE").ok());
  CHECK_THAT(ErrorOf(""), Catch::Contains("FILE") && Catch::Contains("not JSON"));
  CHECK_THAT(ErrorOf("{\"token\":\"" + token + "\""), !Catch::Contains(token));
  CHECK_THAT(ErrorOf("{}"), Catch::Contains("\"address\""));
  CHECK_THAT(ErrorOf("[1]"), Catch::Contains("not JSON"));
  CHECK_THAT(ErrorOf(text("1.2.3.4", "", "", token, "false")), Catch::Contains("expected ip:port"));
  CHECK_THAT(ErrorOf(text("1.2.3.4:5", "", "", token + "0", "false")),
             Catch::Contains("\"token\"") && !Catch::Contains(token));
  CHECK_THAT(ErrorOf(text("1.2.3.4:5", "junk", "", token, "false")),
             Catch::Contains("\"ca_certificate\""));
  CHECK_THAT(ErrorOf(text("1.2.3.4:5", "", "", token, "7")), Catch::Contains("\"insecure\""));
}

TEST_CASE("JoinFile: a certificate that is not the fingerprint's is refused") {
  char name[] = "/tmp/rayx-join-XXXXXX";
  const std::string folder = ::mkdtemp(name);
  JoinFile join = Sample();
  join.ca_fingerprint = Sample().ca_fingerprint;
  REQUIRE(WriteJoinFile(folder + "/join", join).ok());
  CHECK_THAT(std::string(base::Message(ReadJoinFile(folder + "/join").status())),
             Catch::Contains("fingerprint"));
  std::filesystem::remove_all(folder);
}

}  // namespace rayx::rpc
