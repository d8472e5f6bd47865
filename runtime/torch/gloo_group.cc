#include "torch/gloo_group.h"

#include <gloo/common/error.h>
#include <torch/torch.h>
#include <torch/version.h>
#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>

#include "rayx/errors.h"

namespace rayx::torch {
namespace {

// Gloo's headers are not part of LibTorch: with another release of the library they would lie.
void CheckLibrary() {
  const std::string config = at::show_config();
  const std::string key = "TORCH_VERSION=";
  const std::size_t at = config.find(key);
  const std::string found =
      at == std::string::npos
          ? "unknown"
          : config.substr(at + key.size(), config.find(',', at) - at - key.size());
  if (found != TORCH_VERSION) {
    throw LibraryMismatch("process groups were built for LibTorch " TORCH_VERSION
                          ", but this process has loaded release " +
                          found);
  }
}

}  // namespace

c10::intrusive_ptr<c10d::ProcessGroup> ConnectGloo(const c10::intrusive_ptr<c10d::Store>& store,
                                                   const GlooOptions& options) {
  CheckLibrary();
  const auto gloo_options = c10d::ProcessGroupGloo::Options::create(options.timeout);
  gloo_options->devices.push_back(
      c10d::ProcessGroupGloo::createDeviceForHostname(options.address, /*lazyInit=*/false));
  const auto gloo =
      c10::make_intrusive<c10d::ProcessGroupGloo>(store, options.rank, options.size, gloo_options);
  auto group = c10::make_intrusive<c10d::ProcessGroup>(store, options.rank, options.size);
  group->setBackend(c10::DeviceType::CPU, c10d::ProcessGroup::GLOO,
                    c10::static_intrusive_pointer_cast<c10d::Backend>(gloo));
  group->setDefaultBackend(c10d::ProcessGroup::GLOO);
  return group;
}

bool IsGroupFailure(const std::exception& error) {
  return dynamic_cast<const gloo::Exception*>(&error) != nullptr ||
         dynamic_cast<const c10::DistError*>(&error) != nullptr;
}

std::string GroupFailureText(const std::exception& error) {
  const auto* c10_error = dynamic_cast<const c10::Error*>(&error);
  std::string text = c10_error != nullptr ? c10_error->what_without_backtrace() : error.what();
  // Gloo: "[path/pair.cc:537] Read error [127.0.0.1]:5809: Connection reset by peer. This is ..."
  if (text.rfind("[/", 0) == 0 && text.find("] ") != std::string::npos) {
    text.erase(0, text.find("] ") + 2);
  }
  return text.substr(0, text.find(". This is typically"));
}

}  // namespace rayx::torch
