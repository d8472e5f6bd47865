#include "node/parts/program_parts.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "base/log.h"
#include "rpc/errors.h"

namespace rayx::node {

using model::JobId;
using model::NodeNumber;

namespace {

constexpr size_t kCopyBytes = 1 << 20;

ErrorCode CodeOfFile(const base::Status& status) {
  if (absl::IsResourceExhausted(status)) return ErrorCode::kOutOfDisk;
  if (absl::IsDataLoss(status)) return ErrorCode::kLibraryMismatch;
  return ErrorCode::kMissingLibrary;
}

base::Status Copy(const PartFile& file, const PartStream::Sink& sink) {
  std::string buffer(kCopyBytes, '\0');
  for (uint64_t at = 0; at < file.bytes;) {
    const uint64_t wanted = std::min<uint64_t>(buffer.size(), file.bytes - at);
    const ssize_t got = ::pread(file.fd.get(), buffer.data(), wanted, static_cast<off_t>(at));
    if (got <= 0) return absl::DataLossError("the file has become shorter");
    RAYX_RETURN_IF_ERROR(sink({buffer.data(), static_cast<size_t>(got)}));
    at += static_cast<uint64_t>(got);
  }
  return absl::OkStatus();
}

}  // namespace

ProgramParts::ProgramParts(io::Loop& loop, ProgramPartsOptions options)
    : loop_(loop),
      options_(std::move(options)),
      folder_(options_.session_folder + "/parts"),
      folder_status_(folder_.Prepare()),
      core_({.host_name = options_.host_name, .folder = folder_.path(), .self = options_.self}) {}

ProgramParts::~ProgramParts() {
  Stop();
}

void ProgramParts::Stop() {
  *alive_ = false;
  for (auto& [id, transfer] : transfers_) transfer.stream->Cancel();
  files_.Stop();
  transport_.Stop();
  waiting_.clear();
  served_.clear();
}

void ProgramParts::Post(std::function<void()> call) {
  loop_.PostAlways([alive = alive_, call = std::move(call)] {
    if (*alive) call();
  });
}

void ProgramParts::MakeManifest(proto::Program program,
                                std::function<void(base::StatusOr<Manifest>)> done) {
  files_.Do([this, program = std::move(program), done = std::move(done)] {
    auto manifest = std::make_shared<base::StatusOr<Manifest>>(
        node::MakeManifest(program, options_.self, identities_));
    Post([manifest, done] { done(std::move(*manifest)); });
  });
}

void ProgramParts::Serve(JobId job, Manifest manifest) {
  for (const auto& [other, served] : served_) ShareFiles(served, manifest);
  served_[job] = std::move(manifest);
}

base::StatusOr<std::string> ProgramParts::ImageOf(const std::string& key) const {
  base::StatusOr<std::string> image = std::string();
  for (const auto& [job, manifest] : served_) {
    if (manifest.program.key() != key) continue;
    image = node::ImageOf(manifest);
    if (image.ok() && image->empty()) break;  // of two drivers, one was started from these files
  }
  return image;
}

std::shared_ptr<const PartFile> ProgramParts::Find(const std::string& sha256) const {
  for (const auto& [job, manifest] : served_) {
    const auto file = manifest.files.find(sha256);
    if (file != manifest.files.end()) return file->second;
  }
  const std::string path = core_.PathOf(sha256);
  if (path.empty()) return nullptr;
  auto fd = FileIdentities::Open(path);
  struct stat info {};
  if (!fd.ok() || ::fstat(fd->get(), &info) != 0) return nullptr;
  return std::make_shared<const PartFile>(
      PartFile{*std::move(fd), static_cast<uint64_t>(info.st_size), StateOf(info)});
}

void ProgramParts::Want(const proto::Program& program, JobId job, Answer answer) {
  if (const auto status = ProgramPartsCore::CheckProgram(program); !status.ok()) {
    return answer(ErrorOf(ErrorCode::kInvalidOption, std::string(base::Message(status))));
  }
  waiting_[program.key()].push_back(std::move(answer));
  core_.OnWant(program, job, effects_);
  RunEffects();
}

void ProgramParts::OnJobEnded(JobId job) {
  if (served_.count(job) != 0) ended_.push_back(job);
  if (ended_.size() > kEndedKept) {
    served_.erase(ended_.front());
    ended_.pop_front();
  }
  core_.OnJobEnded(job, effects_);
  RunEffects();
}

void ProgramParts::OnNodeDead(NodeNumber node, const std::string& reason) {
  core_.OnNodeDead(node, reason, effects_);
  RunEffects();
}

void ProgramParts::RemoveFolder(const std::string& path) {
  files_.Do([path] {
    std::error_code error;
    std::filesystem::remove_all(path, error);
    if (error) RAYX_LOG(kWarning) << path << " cannot be removed: " << error.message();
  });
}

void ProgramParts::RunEffects() {
  if (running_effects_) return;  // what an answer adds is run by the outer call
  running_effects_ = true;
  for (bool more = true; more;) {
    PartsEffects step;
    std::swap(step, effects_);
    for (const auto& cancel : step.cancels) {
      if (auto it = transfers_.find(cancel.id); it != transfers_.end()) it->second.stream->Cancel();
    }
    for (const std::string& key : step.unlinks) files_.Do([this, key] { folder_.Unlink(key); });
    for (const std::string& part : step.removes) files_.Do([this, part] { folder_.Remove(part); });
    for (const auto& look : step.looks) Look(look);
    for (const auto& fetch : step.fetches) Fetch(fetch);
    for (const auto& link : step.links) Link(link);
    for (const auto& ready : step.ready) {
      options_.on_plan(ready.key, ready.plan);
      AnswerAll(ready.key, {});
    }
    for (const auto& failure : step.failures) {
      RAYX_LOG(kWarning) << "a program cannot be started: " << failure.message;
      AnswerAll(failure.key, ErrorOf(failure.code, failure.message));
    }
    more = !effects_.empty();
  }
  running_effects_ = false;
}

proto::ErrorInfo ProgramParts::ErrorOf(ErrorCode code, const std::string& message) const {
  proto::ErrorInfo error = rpc::MakeErrorInfo(code, message);
  error.set_node(options_.self.value);
  error.set_host(options_.host_name);
  return error;
}

void ProgramParts::AnswerAll(const std::string& key, const proto::ErrorInfo& error) {
  auto answers = waiting_.extract(key);
  if (!answers) return;
  for (const Answer& answer : answers.mapped()) answer(error);
}

void ProgramParts::Look(const PartsEffects::Look& look) {
  files_.Do([this, look] {
    std::vector<PartLook> looks;
    for (int i = 0; i < look.program.parts_size(); ++i) {
      looks.push_back(LookFor(look.program.parts(i), ProgramPartsCore::IsExecutable(i),
                              options_.search_path, identities_));
    }
    Post([this, key = look.key, looks = std::move(looks)] {
      core_.OnLooked(key, looks, effects_);
      RunEffects();
    });
  });
}

void ProgramParts::Link(const PartsEffects::Link& link) {
  files_.Do([this, link] {
    const base::Status status = folder_.Link(link.key, link.links);
    Post([this, key = link.key, status] {
      core_.OnLinked(key, status.ok() ? ErrorCode::kNone : CodeOfFile(status),
                     std::string(base::Message(status)), effects_);
      RunEffects();
    });
  });
}

void ProgramParts::FetchedLater(uint64_t id, Outcome outcome) {
  Post([this, id, outcome = std::move(outcome)] {
    transfers_.erase(id);
    core_.OnFetched(id, outcome.code, outcome.why, effects_);
    RunEffects();
  });
}

void ProgramParts::Fetch(const PartsEffects::Fetch& fetch) {
  if (!folder_status_.ok()) {
    return FetchedLater(fetch.id,
                        {CodeOfFile(folder_status_), std::string(base::Message(folder_status_))});
  }
  std::shared_ptr<const PartFile> own;
  std::shared_ptr<grpc::Channel> channel;
  if (fetch.node == options_.self) {
    own = Find(fetch.sha256);
    if (own == nullptr) return FetchedLater(fetch.id, {ErrorCode::kMissingLibrary, "it is gone"});
  } else {
    channel = options_.find_channel(fetch.node);
    if (channel == nullptr) {
      return FetchedLater(fetch.id, {ErrorCode::kNodeDied, "that node is not known here"});
    }
  }
  Transfer& transfer = transfers_[fetch.id];
  transfer.stream = std::make_shared<PartStream>();
  transport_.Do([this, fetch, own, channel, stream = transfer.stream] {
    FetchedLater(fetch.id, Bring(*stream, channel, own, fetch, folder_.path()));
  });
}

ProgramParts::Outcome ProgramParts::Bring(PartStream& stream,
                                          std::shared_ptr<grpc::Channel> channel,
                                          const std::shared_ptr<const PartFile>& own,
                                          const PartsEffects::Fetch& fetch,
                                          const std::string& folder) {
  if (stream.cancelled()) return {ErrorCode::kCancelled, "nobody wants it any more"};
  auto writer = PartWriter::Begin(folder, fetch.sha256, fetch.bytes);
  if (!writer.ok()) {
    return {CodeOfFile(writer.status()), std::string(base::Message(writer.status()))};
  }
  base::Status file_status;
  const PartStream::Sink sink = [&](std::string_view data) {
    return file_status = writer->Write(data);
  };
  proto::PartRequest request;
  request.set_sha256(fetch.sha256);
  const base::Status status = own != nullptr
                                  ? Copy(*own, sink)
                                  : stream.Run(std::move(channel), request, fetch.bytes, sink);
  if (status.ok() && !stream.cancelled()) file_status = writer->Finish();
  if (!file_status.ok()) return {CodeOfFile(file_status), std::string(base::Message(file_status))};
  if (stream.cancelled()) {
    return {ErrorCode::kNodeDied, "it sent nothing for " + std::to_string(kStall.count()) + " s"};
  }
  if (status.ok()) return {};
  const bool is_told = absl::IsNotFound(status) || absl::IsDataLoss(status);
  return {is_told ? CodeOfFile(status) : ErrorCode::kNodeDied, std::string(base::Message(status))};
}

void ProgramParts::Tick() {
  const model::TimePoint now = loop_.Now();
  for (auto& [id, transfer] : transfers_) {
    const uint64_t progress = transfer.stream->progress();
    if (!transfer.stream->running() || progress != transfer.progress ||
        transfer.since == model::TimePoint{}) {
      transfer.progress = progress;
      transfer.since = now;
    } else if (now - transfer.since >= kStall && !transfer.stream->cancelled()) {
      transfer.stream->Cancel();
    }
  }
}

}  // namespace rayx::node
