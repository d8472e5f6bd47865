// runtime/node/parts/sha256.h
//
// SHA-256 of bytes that come in pieces, and bytes as hex.
// Owner:    values.           Threads: one at a time.
#pragma once

#include <openssl/evp.h>

#include <memory>
#include <string>
#include <string_view>

namespace rayx::node {

class Sha256 {
 public:
  Sha256();
  void Add(std::string_view bytes);
  // Hex, lower case. Once.
  std::string Finish();

 private:
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

std::string ToHex(std::string_view bytes);

}  // namespace rayx::node
