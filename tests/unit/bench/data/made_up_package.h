// tests/unit/bench/data/made_up_package.h
//
// Packages made by a test: a .tgz, or a .deb with a data.tar.gz in it.
// Threads:  one.
#pragma once

#include <archive.h>
#include <archive_entry.h>

#include <catch2/catch.hpp>
#include <string>
#include <vector>

namespace rayx::bench {

struct Member {
  std::string name;
  std::string bytes;
  unsigned int type = AE_IFREG;
  std::string link = {};  // of AE_IFLNK; of a regular file: makes it a hard link
};

// The archive's bytes. Takes any name, hostile ones too.
inline std::string PackArchive(const std::vector<Member>& members, bool is_ar) {
  size_t room = 1 << 16, used = 0;
  for (const Member& member : members) room += member.bytes.size() + 4096;
  std::string packed(room, '\0');
  archive* writer = archive_write_new();
  if (is_ar) {
    REQUIRE(archive_write_set_format_ar_bsd(writer) == ARCHIVE_OK);
  } else {
    REQUIRE(archive_write_set_format_pax_restricted(writer) == ARCHIVE_OK);
    REQUIRE(archive_write_add_filter_gzip(writer) == ARCHIVE_OK);
  }
  REQUIRE(archive_write_open_memory(writer, packed.data(), packed.size(), &used) == ARCHIVE_OK);
  for (const Member& member : members) {
    archive_entry* entry = archive_entry_new();
    archive_entry_set_pathname(entry, member.name.c_str());
    archive_entry_set_size(entry, static_cast<la_int64_t>(member.bytes.size()));
    archive_entry_set_filetype(entry, member.type);
    archive_entry_set_perm(entry, 0644);
    if (member.type == AE_IFLNK) archive_entry_set_symlink(entry, member.link.c_str());
    if (member.type == AE_IFREG && !member.link.empty()) {
      archive_entry_set_hardlink(entry, member.link.c_str());
    }
    REQUIRE(archive_write_header(writer, entry) == ARCHIVE_OK);
    archive_write_data(writer, member.bytes.data(), member.bytes.size());
    archive_entry_free(entry);
  }
  REQUIRE(archive_write_close(writer) == ARCHIVE_OK);
  archive_write_free(writer);
  packed.resize(used);
  return packed;
}

inline std::string Tgz(const std::vector<Member>& members) {
  return PackArchive(members, false);
}

inline std::string Deb(const std::vector<Member>& members) {
  return PackArchive({{"debian-binary", "2.0\n"},
                      {"control.tar.gz", Tgz({{"./control", "Package: x\n"}})},
                      {"data.tar.gz", Tgz(members)}},
                     true);
}

}  // namespace rayx::bench
