// runtime/rpc/openssl_objects.h
//
// OpenSSL's objects with one owner each, for the sources of this folder.
// Owner:    values.     Threads: as OpenSSL says of each.
#pragma once

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <memory>

namespace rayx::rpc {

template <auto Free>
struct OpensslDeleter {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};
using OpensslBio = std::unique_ptr<BIO, OpensslDeleter<BIO_free_all>>;
using OpensslKey = std::unique_ptr<EVP_PKEY, OpensslDeleter<EVP_PKEY_free>>;
using OpensslCertificate = std::unique_ptr<X509, OpensslDeleter<X509_free>>;
using OpensslContext = std::unique_ptr<SSL_CTX, OpensslDeleter<SSL_CTX_free>>;
using OpensslConnection = std::unique_ptr<SSL, OpensslDeleter<SSL_free>>;

}  // namespace rayx::rpc
