#include "bench/data/fetch/package_archive.h"

#include <archive.h>
#include <archive_entry.h>

#include <fstream>
#include <functional>
#include <memory>

namespace rayx::bench {
namespace {

using Members = std::map<std::string, std::string>;
using Archive = std::unique_ptr<archive, int (*)(archive*)>;

constexpr std::uint64_t kDebDataBytesMax = 512u << 20;

absl::Status Bad(const std::string& package, const std::string& what) {
  return absl::DataLossError(package + ": " + what);
}

absl::Status Damaged(const std::string& package, archive* reader) {
  const char* words = archive_error_string(reader);
  return Bad(package,
             std::string("not a sound package: ") + (words != nullptr ? words : "damaged"));
}

Archive NewReader() {
  Archive reader(archive_read_new(), archive_read_free);
  archive_read_support_filter_gzip(reader.get());
  archive_read_support_filter_xz(reader.get());
  archive_read_support_filter_zstd(reader.get());
  archive_read_support_filter_none(reader.get());
  archive_read_support_format_tar(reader.get());
  archive_read_support_format_ar(reader.get());
  return reader;
}

bool Climbs(const std::string& name) {
  if (name.empty() || name[0] == '/') return true;
  for (size_t begin = 0; begin <= name.size();) {
    const size_t end = std::min(name.find('/', begin), name.size());
    if (name.compare(begin, end - begin, "..") == 0) return true;
    begin = end + 1;
  }
  return false;
}

absl::StatusOr<std::string> ReadMember(archive* reader, std::uint64_t bytes_max,
                                       const std::string& package, const std::string& name) {
  std::string bytes, buffer(1 << 18, '\0');
  while (true) {
    const la_ssize_t count = archive_read_data(reader, buffer.data(), buffer.size());
    if (count < 0) return Damaged(package, reader);
    if (count == 0) return bytes;
    bytes.append(buffer.data(), static_cast<size_t>(count));
    if (bytes.size() > bytes_max) return Bad(package, name + " is larger than is allowed");
  }
}

// Reads every member's head; `limit_of` says how many bytes of one are wanted, 0: none.
absl::StatusOr<Members> ReadMembers(
    archive* reader, const std::string& package,
    const std::function<std::uint64_t(const std::string&)>& limit_of) {
  Members members;
  for (std::int64_t count = 0;; ++count) {
    archive_entry* entry = nullptr;
    const int state = archive_read_next_header(reader, &entry);
    if (state == ARCHIVE_EOF) return members;
    if (state != ARCHIVE_OK) return Damaged(package, reader);
    const char* raw_name = archive_entry_pathname(entry);
    std::string name = raw_name != nullptr ? raw_name : "";
    if (Climbs(name)) return Bad(package, "has a member that leaves its folder: '" + name + "'");
    if (name.rfind("./", 0) == 0) name.erase(0, 2);
    const auto read = static_cast<std::uint64_t>(archive_filter_bytes(reader, 0));
    const auto size = static_cast<std::uint64_t>(archive_entry_size(entry));
    if (count == kMembersMax || size > kUnpackedBytesMax || read > kUnpackedBytesMax - size) {
      return Bad(package, "holds more than is allowed");
    }
    const std::uint64_t limit = limit_of(name);
    if (limit == 0) continue;
    if (archive_entry_filetype(entry) != AE_IFREG || archive_entry_hardlink(entry) != nullptr) {
      return Bad(package, name + " is not a regular file");
    }
    auto bytes = ReadMember(reader, limit, package, name);
    if (!bytes.ok()) return bytes.status();
    if (!members.emplace(name, *std::move(bytes)).second) {
      return Bad(package, name + " is there twice");
    }
  }
}

absl::StatusOr<Members> ReadTar(archive* reader, const std::string& package,
                                const WantedMembers& wanted) {
  auto members = ReadMembers(reader, package, [&](const std::string& name) {
    const auto found = wanted.find(name);
    return found == wanted.end() ? 0 : found->second;
  });
  if (!members.ok()) return members;
  for (const auto& [name, limit] : wanted) {
    if (members->count(name) == 0) return Bad(package, "has no file " + name);
  }
  return members;
}

// The tar within a Debian package.
absl::StatusOr<std::string> ReadDebData(archive* reader, const std::string& package) {
  auto members = ReadMembers(reader, package, [](const std::string& name) -> std::uint64_t {
    return name.rfind("data.tar", 0) == 0 ? kDebDataBytesMax : 0;
  });
  if (!members.ok()) return members.status();
  if (members->size() != 1) return Bad(package, "is a Debian package with no data.tar");
  return std::move(members->begin()->second);
}

bool IsDeb(const std::string& package) {
  std::ifstream file(package, std::ios::binary);
  char magic[8] = {};
  file.read(magic, sizeof magic);
  return file && std::string(magic, sizeof magic) == "!<arch>\n";
}

}  // namespace

absl::StatusOr<Members> ReadPackage(const std::string& package, const WantedMembers& wanted) {
  Archive reader = NewReader();
  if (archive_read_open_filename(reader.get(), package.c_str(), 1 << 16) != ARCHIVE_OK) {
    return Damaged(package, reader.get());
  }
  if (!IsDeb(package)) return ReadTar(reader.get(), package, wanted);
  auto data = ReadDebData(reader.get(), package);
  if (!data.ok()) return data.status();
  Archive tar = NewReader();
  if (archive_read_open_memory(tar.get(), data->data(), data->size()) != ARCHIVE_OK) {
    return Damaged(package, tar.get());
  }
  return ReadTar(tar.get(), package, wanted);
}

}  // namespace rayx::bench
