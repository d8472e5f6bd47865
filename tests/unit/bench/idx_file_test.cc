// Goal: a damaged data file is named and refused. Method: a sound file, damaged in every way.
#include "bench/data/idx_file.h"

#include <unistd.h>
#include <zlib.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

namespace rayx::bench {
namespace {

namespace fs = std::filesystem;
using namespace std::string_literals;

std::string Images(uint8_t count) {  // count images of 2x2
  return "\0\0\x08\x03\0\0\0"s + static_cast<char>(count) + "\0\0\0\2\0\0\0\2"s +
         std::string(4u * count, 'x');
}

absl::Status Parse(const std::string& bytes) {
  return ParseIdxHeader(bytes, bytes.size(), "file").status();
}

bool Says(const absl::Status& status, const std::string& words) {
  INFO(status);
  return std::string(status.message()).find("file: " + words) == 0;
}

TEST_CASE("ParseIdxHeader: a sound file") {
  const std::string bytes = Images(3);
  auto header = ParseIdxHeader(bytes, bytes.size(), "file");
  REQUIRE(header.ok());
  CHECK(header->sizes == std::vector<uint32_t>{3, 2, 2});
  CHECK(header->data_offset == 16);
  CHECK(header->elements == 12);
  CHECK(ExpectIdx(bytes, bytes.size(), {3, 2, 2}, "file").ok());
  CHECK(Says(ExpectIdx(bytes, bytes.size(), {4, 2, 2}, "file").status(), "has shape 3x2x2"));
}

TEST_CASE("ParseIdxHeader: truncated at every length") {
  const std::string bytes = Images(3);
  for (size_t length = 0; length < bytes.size(); ++length) {
    CHECK(Says(Parse(bytes.substr(0, length)), "truncated"));
  }
  CHECK(Says(Parse(bytes + "x"), "has bytes behind"));
}

TEST_CASE("ParseIdxHeader: wrong magic numbers") {
  std::string bytes = Images(1);
  bytes[0] = 1;
  CHECK(Says(Parse(bytes), "not an IDX file"));
  bytes = Images(1);
  bytes[2] = 0x0d;  // floats
  CHECK(Says(Parse(bytes), "an IDX file, but not of unsigned bytes"));
  for (char rank : {0, 4, 127}) {
    bytes = Images(1);
    bytes[3] = rank;
    CHECK(Says(Parse(bytes), "an IDX file of rank"));
  }
}

TEST_CASE("ParseIdxHeader: sizes whose product overflows are refused") {
  std::string bytes = Images(1);
  for (size_t i = 4; i < 16; ++i) bytes[i] = '\xff';
  CHECK(Says(Parse(bytes), "claims more elements"));
}

class TemporaryFile {
 public:
  TemporaryFile()
      : path_((fs::temp_directory_path() / ("idx-" + std::to_string(getpid()))).string()) {}
  ~TemporaryFile() { fs::remove(path_); }
  const std::string& path() const { return path_; }
  std::string Gzip(const std::string& bytes) {
    gzFile file = gzopen(path_.c_str(), "wb");
    gzwrite(file, bytes.data(), static_cast<unsigned>(bytes.size()));
    gzclose(file);
    std::ifstream in(path_, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(in), {});
  }
  void Write(const std::string& bytes) { std::ofstream(path_, std::ios::binary) << bytes; }

 private:
  std::string path_;
};

TEST_CASE("ReadGzip: sound, truncated, damaged, not gzip, too large, absent") {
  TemporaryFile file;
  const std::string plain = Images(100);
  const std::string packed = file.Gzip(plain);
  auto read = ReadGzip(file.path(), 1000);
  REQUIRE(read.ok());
  CHECK(*read == plain);
  CHECK(ReadGzip(file.path(), 100).status().code() == absl::StatusCode::kDataLoss);
  for (size_t length : {size_t{0}, size_t{5}, packed.size() / 2, packed.size() - 1}) {
    file.Write(packed.substr(0, length));
    CHECK(ReadGzip(file.path(), 1000).status().code() == absl::StatusCode::kDataLoss);
  }
  std::string damaged = packed;
  damaged[packed.size() - 6] ^= 1;  // in the CRC
  file.Write(damaged);
  CHECK(ReadGzip(file.path(), 1000).status().code() == absl::StatusCode::kDataLoss);
  file.Write(packed + "tail");
  CHECK(ReadGzip(file.path(), 1000).status().code() == absl::StatusCode::kDataLoss);
  file.Write(plain);
  CHECK(ReadGzip(file.path(), 1000).status().code() == absl::StatusCode::kDataLoss);
  CHECK(ReadGzip("/no/such/file", 1000).status().code() == absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace rayx::bench
