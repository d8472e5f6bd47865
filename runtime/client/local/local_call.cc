#include "client/local/local_call.h"

#include <unistd.h>

#include <array>
#include <cstdio>
#include <exception>
#include <utility>

#include "rayx/errors.h"

namespace rayx::client {
namespace {

class LocalResults : public detail::ResultSink {
 public:
  LocalResults(LocalObjects& objects, const std::vector<detail::RawRef>& results, bool in_parts)
      : objects_(objects), results_(results), in_parts_(in_parts) {}
  void Emit(std::size_t index, const detail::Packed& value) override {
    if (index < results_.size()) {
      objects_.SetValue(results_[index], EncodeForLocal(value), value.references);
    }
  }
  std::size_t count_wanted() const override { return in_parts_ ? results_.size() : 0; }

 private:
  LocalObjects& objects_;
  const std::vector<detail::RawRef>& results_;
  const bool in_parts_;
};

}  // namespace

const std::string& LocalHostName() {
  static const std::string* name = [] {
    std::array<char, 256> text{};
    return new std::string(::gethostname(text.data(), text.size() - 1) == 0 ? text.data()
                                                                            : "localhost");
  }();
  return *name;
}

std::string DescribeCall(const char* kind, std::uint64_t function,
                         const detail::CallOptions& options) {
  std::string description = std::string(kind) + " ";
  if (!options.name.empty()) {
    description += "'" + options.name + "' ";
  }
  if (const detail::FunctionEntry* entry = detail::FindFunction(function)) {
    return description + entry->name;
  }
  std::array<char, 32> hexadecimal{};
  std::snprintf(hexadecimal.data(), hexadecimal.size(), "%016llx",
                static_cast<unsigned long long>(function));
  return description + hexadecimal.data();
}

detail::ErrorRecord CaptureLocal(const std::string& label) {
  detail::ErrorRecord record = detail::CaptureException(std::current_exception());
  if (record.code != ErrorCode::kTaskError || record.pid != 0) return record;
  record.message = label + " failed (local mode): " + record.message;
  record.node = 1;
  record.pid = static_cast<int>(::getpid());
  record.host = LocalHostName();
  record.attempt = 1;
  return record;
}

LocalArguments::LocalArguments(LocalObjects& objects, detail::ArgumentList arguments)
    : objects_(objects) {
  items_.reserve(arguments.size());
  for (const detail::Argument& argument : arguments) {
    Item item;
    if (argument.is_reference) {
      item.reference = argument.reference;
      held_.push_back(argument.reference);
    } else {
      item.value = EncodeForLocal(*argument.value);
      held_.insert(held_.end(), argument.value->references.begin(),
                   argument.value->references.end());
    }
    items_.push_back(std::move(item));
  }
  for (const detail::RawRef& ref : held_) objects_.Retain(ref);
}

LocalArguments::~LocalArguments() {
  for (const detail::RawRef& ref : held_) objects_.Release(ref);
}

detail::Arguments LocalArguments::Fetch(std::uint64_t blocked_actor) const {
  detail::Arguments fetched(items_.size());
  for (std::size_t i = 0; i < items_.size(); ++i) {
    if (items_[i].reference.owner != 0) {
      objects_.Get(&items_[i].reference, 1, detail::kForever, &fetched[i], blocked_actor);
    } else {
      fetched[i] = items_[i].value;
    }
  }
  return fetched;
}

LocalCall::LocalCall(LocalObjects& objects, std::uint64_t function,
                     const detail::CallOptions& options, detail::ArgumentList arguments,
                     std::string label, std::uint64_t actor, detail::RawRef* results,
                     std::size_t result_count)
    : objects_(objects),
      function_(function),
      options_(options),
      label_(std::move(label)),
      arguments_(objects, arguments) {
  for (std::size_t i = 0; i < result_count; ++i) {
    results[i] = objects_.Create(label_, actor);
    objects_.Retain(results[i]);
    results_.push_back(results[i]);
  }
}

LocalCall::~LocalCall() {
  for (const detail::RawRef& ref : results_) objects_.Release(ref);
}

void LocalCall::Run(void* self, std::uint64_t blocked_actor) {
  try {
    Invoke(self, arguments_.Fetch(blocked_actor));
  } catch (...) {
    Fail(CaptureLocal(label_));
  }
}

void LocalCall::Invoke(void* self, const detail::Arguments& arguments) {
  const detail::FunctionEntry* entry = detail::FindFunction(function_);
  LocalResults sink(objects_, results_, options_.each_result);
  if (entry != nullptr && entry->method != nullptr && self != nullptr) {
    entry->method(self, arguments, sink);
  } else if (entry != nullptr && entry->task != nullptr && self == nullptr) {
    entry->task(arguments, sink);
  } else {
    throw UnknownFunction(label_ + ": this program has no such function.");
  }
}

void LocalCall::Fail(const detail::ErrorRecord& error) {
  for (const detail::RawRef& ref : results_) objects_.SetError(ref, error);
}

}  // namespace rayx::client
