#include "bench/data/idx_file.h"

#include <zlib.h>

#include <cerrno>
#include <cstring>
#include <memory>

namespace rayx::bench {
namespace {

uint32_t BigEndian32(std::string_view bytes, size_t at) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
  return value;
}

absl::Status Bad(const std::string& name, const std::string& what) {
  return absl::DataLossError(name + ": " + what);
}

std::string Shape(const std::vector<uint32_t>& sizes) {
  std::string text;
  for (uint32_t size : sizes) text += (text.empty() ? "" : "x") + std::to_string(size);
  return text;
}

}  // namespace

absl::StatusOr<IdxHeader> ParseIdxHeader(std::string_view bytes, uint64_t total_bytes,
                                         const std::string& name) {
  if (bytes.size() < 4) return Bad(name, "truncated: shorter than an IDX magic number");
  if (bytes[0] != 0 || bytes[1] != 0) return Bad(name, "not an IDX file (wrong magic number)");
  if (bytes[2] != 8)
    return Bad(name, "an IDX file, but not of unsigned bytes (wrong magic number)");
  const int rank = static_cast<unsigned char>(bytes[3]);
  if (rank < 1 || rank > 3) return Bad(name, "an IDX file of rank " + std::to_string(rank));
  IdxHeader header;
  header.data_offset = 4 + 4 * static_cast<uint64_t>(rank);
  if (bytes.size() < header.data_offset) return Bad(name, "truncated in its IDX header");
  header.elements = 1;
  for (int i = 0; i < rank; ++i) {
    const uint32_t size = BigEndian32(bytes, 4 + 4 * static_cast<size_t>(i));
    header.sizes.push_back(size);
    // Both factors are below 2^32 and 2^31: no overflow before the bound is checked.
    header.elements *= size;
    if (header.elements > kIdxBytesMax) return Bad(name, "claims more elements than are allowed");
  }
  if (total_bytes < header.data_offset + header.elements) {
    return Bad(name, "truncated: " + std::to_string(total_bytes) + " bytes where " +
                         Shape(header.sizes) + " needs " +
                         std::to_string(header.data_offset + header.elements));
  }
  if (total_bytes > header.data_offset + header.elements) {
    return Bad(name, "has bytes behind its " + Shape(header.sizes) + " elements");
  }
  return header;
}

absl::StatusOr<IdxHeader> ExpectIdx(std::string_view bytes, uint64_t total_bytes,
                                    const std::vector<uint32_t>& expected,
                                    const std::string& name) {
  auto header = ParseIdxHeader(bytes, total_bytes, name);
  if (header.ok() && header->sizes != expected) {
    return Bad(name, "has shape " + Shape(header->sizes) + " instead of " + Shape(expected));
  }
  return header;
}

absl::StatusOr<std::string> ReadGzip(const std::string& path, uint64_t bytes_max) {
  std::unique_ptr<FILE, int (*)(FILE*)> file(fopen(path.c_str(), "rbe"), fclose);
  if (!file) return absl::NotFoundError(path + ": " + strerror(errno));
  z_stream stream = {};
  if (inflateInit2(&stream, 15 + 16) != Z_OK) return absl::InternalError("zlib does not start");
  std::unique_ptr<z_stream, int (*)(z_stream*)> end(&stream, inflateEnd);
  std::string result;
  std::vector<unsigned char> input(1 << 18), output(1 << 20);
  for (int state = Z_OK; state != Z_STREAM_END;) {
    stream.avail_in = static_cast<uInt>(fread(input.data(), 1, input.size(), file.get()));
    stream.next_in = input.data();
    if (stream.avail_in == 0) return Bad(path, "truncated gzip stream");
    do {
      stream.next_out = output.data();
      stream.avail_out = static_cast<uInt>(output.size());
      state = inflate(&stream, Z_NO_FLUSH);
      if (state != Z_OK && state != Z_STREAM_END && state != Z_BUF_ERROR) {
        return Bad(path, std::string("not a sound gzip file: ") +
                             (stream.msg != nullptr ? stream.msg : "damaged"));
      }
      result.append(reinterpret_cast<char*>(output.data()), output.size() - stream.avail_out);
      if (result.size() > bytes_max) return Bad(path, "decompresses to more than is allowed");
    } while (stream.avail_out == 0 && state != Z_STREAM_END);
  }
  if (stream.avail_in != 0 || fgetc(file.get()) != EOF) {
    return Bad(path, "has bytes behind its gzip stream");
  }
  return result;
}

}  // namespace rayx::bench
