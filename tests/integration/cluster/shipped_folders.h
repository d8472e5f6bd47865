// tests/integration/cluster/shipped_folders.h
//
// A user's program and its libraries in folders of the machine that a simulated VM sees only
// through its mounts.
// Owner:    a test.      Threads: one.
// Promises: the folders are gone at the end.
#pragma once

#include <stdlib.h>

#include <catch2/catch.hpp>
#include <string>

#include "tests/integration/cluster/three_vms.h"

namespace rayx::three_vms {

inline constexpr char kAppFolder[] = "/tmp/app";  // in the VMs, where /tmp is private

struct ShippedFolders {
  ShippedFolders() {
    char name[] = "/tmp/rayx-shipped-XXXXXX";
    REQUIRE(::mkdtemp(name) != nullptr);
    path = name;
    const std::string built = OwnFolder() + "/shipped";
    fs::create_directory(one());
    for (const char* file : {"shipping_driver", "shipping_driver_rpath", "libshipped.so"}) {
      fs::copy(built + "/" + file, one());
    }
    fs::copy(built + "/libplanted.so", one());
    fs::copy(built + "/libplanted.so", one() + "/libtorch_planted.so");
    fs::copy(OwnFolder() + "/../../lib/librayx.so", one());
    fs::create_directory(two());
    fs::copy(OwnFolder() + "/shipped_other/libshipped.so", two());
    fs::copy(two() + "/libshipped.so", two() + "/libtorch_planted.so");
    fs::create_directory(other_release());
    for (const char* file : {"shipping_driver", "libshipped.so"}) {
      fs::copy(built + "/" + file, other_release());
    }
    fs::copy(OwnFolder() + "/other_release/librayx.so", other_release());
  }
  ~ShippedFolders() { fs::remove_all(path); }
  ShippedFolders(const ShippedFolders&) = delete;
  ShippedFolders& operator=(const ShippedFolders&) = delete;

  // The program with all that it needs; another build of its libraries; itself, with the librayx.so
  // of another release.
  std::string one() const { return path + "/one"; }
  std::string two() const { return path + "/two"; }
  std::string other_release() const { return path + "/other_release"; }
  std::string path;
};

}  // namespace rayx::three_vms
