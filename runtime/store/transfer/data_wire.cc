#include "store/transfer/data_wire.h"

#include <string>

#include "rpc/secret.h"

namespace rayx::store {

base::StatusOr<DataVerdict> Judge(const DataGreeting& greeting, std::string_view token) {
  if (greeting.magic != kDataMagic) return absl::NotFoundError("not a greeting");
  // The token first: who has none learns nothing of us.
  if (!rpc::EqualInConstantTime({greeting.token, kTokenTextBytes}, token)) {
    return DataVerdict::kWrongToken;
  }
  return greeting.version == kDataVersion ? DataVerdict::kWelcome : DataVerdict::kWrongVersion;
}

base::Status CheckHead(const DataHead& head, ByteRange asked) {
  const auto wrong = [](const char* what) {
    return absl::InvalidArgumentError(std::string("an answer with ") + what);
  };
  switch (head.answer) {
    case DataAnswer::kBytes: {
      if (head.count > kCopiesToldMax) return wrong("too many copies");
      const bool is_inside = head.offset >= asked.offset && head.offset <= asked.end() &&
                             head.bytes <= asked.end() - head.offset;
      return is_inside ? base::OkStatus() : wrong("bytes that were not asked for");
    }
    case DataAnswer::kLost:
    case DataAnswer::kRefused:
      return head.count <= kRefusalBytesMax ? base::OkStatus() : wrong("too long a text");
  }
  return wrong("an unknown meaning");
}

}  // namespace rayx::store
