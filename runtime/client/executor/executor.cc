#include "client/executor/executor.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "client/cluster_client.h"
#include "client/error_bridge.h"
#include "io/process_title.h"

namespace rayx::client {
namespace {

// "int app::square(int)" -> "app::square".
std::string ShortName(std::string_view name) {
  int depth = 0;  // of template arguments
  size_t begin = 0;
  for (size_t i = 0; i < name.size(); ++i) {
    if (name[i] == '<') ++depth;
    if (name[i] == '>') --depth;
    if (depth > 0) continue;
    if (name[i] == '(') return std::string(name.substr(begin, i - begin));
    if (name[i] == ' ') begin = i + 1;
  }
  return std::string(name);
}

constexpr auto kTitleAfter = std::chrono::milliseconds(1);
constexpr size_t kSpareWorkspaces = 16;
constexpr size_t kSpareBytesMax = 64 * 1024;  // of a buffer that is kept

// Writes results as reply items; large ones go to the store first.
class ReplySink final : public detail::ResultSink {
 public:
  // `returned` gets what the results refer to, with a hold on each.
  ReplySink(ClusterClient& client, const model::FrameHeader& call, std::vector<std::byte>& body,
            std::vector<ClusterClient::Core::Returned>& returned)
      : client_(client), call_(call), writer_(body), returned_(returned) {}

  void Emit(size_t index, const detail::Packed& value) override {
    if (index != count_) {
      Throw(ErrorCode::kSerializationError, "results were emitted out of order");
    }
    ++count_;
    if (!value.references.empty()) AddReferences(index, value.references);
    const size_t bytes = value.EncodedBytes();
    if (bytes <= model::kInlineValueBytesMax) {
      value.EncodeTo(writer_.AddInlineSpace(bytes).data());
      return;
    }
    model::ObjectId object = call_.task;
    object.sequence += index;
    writer_.AddStored(client_.StoreValue(object, call_.job, value));
  }
  size_t count_wanted() const override {
    return (call_.flags & model::kFlagEachResult) != 0 ? call_.result_count : 0;
  }
  size_t count() const { return count_; }
  uint16_t item_count() const { return writer_.item_count(); }

 private:
  // The function's own handles end with it, before anybody is told who holds these next.
  void AddReferences(size_t index, const std::vector<detail::RawRef>& references) {
    auto& returned = returned_.emplace_back();
    returned.index = static_cast<uint32_t>(index);
    for (const detail::RawRef& ref : references) {
      client_.Retain(ref);
      returned.objects.push_back({model::ProcessId{ref.owner}, ref.sequence});
    }
    writer_.AddReferences(returned.objects);
  }

  ClusterClient& client_;
  const model::FrameHeader& call_;
  model::BodyWriter writer_;
  size_t count_ = 0;
  std::vector<ClusterClient::Core::Returned>& returned_;
};

}  // namespace

std::unique_ptr<Executor::Workspace> Executor::TakeWorkspace() {
  if (spare_.empty()) return std::make_unique<Workspace>();
  std::unique_ptr<Workspace> workspace = std::move(spare_.back());
  spare_.pop_back();
  return workspace;
}

void Executor::KeepWorkspace(std::unique_ptr<Workspace> workspace) {
  const bool small = workspace->call.body.capacity() <= kSpareBytesMax &&
                     workspace->outcome.results.capacity() <= kSpareBytesMax;
  if (!small || spare_.size() >= kSpareWorkspaces) return;
  workspace->outcome.results.clear();
  workspace->outcome.returned.clear();
  spare_.push_back(std::move(workspace));
}

bool Executor::FindCall() {
  if (exit_asked_) return false;
  if (next_) return true;
  const auto& peers = client_.links().peers();
  if (turn_.goes_on() && peer_ < peers.size() && ClaimCallOf(*peers[peer_])) {
    turn_.GoOn();
    return true;
  }
  turn_.Begin();
  for (size_t tried = 0; tried < peers.size(); ++tried) {
    if (++peer_ >= peers.size()) peer_ = 0;
    if (ClaimCallOf(*peers[peer_])) return true;
  }
  return false;
}

bool Executor::ClaimCallOf(Peer& peer) {
  constexpr auto kCalls = shm::Lane::kCalls;
  while (!peer.dead && peer.channel->Look(kCalls) == shm::ReadResult::kFrame) {
    const shm::ReceivedFrame& frame = peer.channel->Front(kCalls);
    const bool theirs = peer.process.is_daemon() || frame.header.source == peer.process;
    if (!theirs || !peer.channel->TryClaim(frame)) {
      peer.channel->Pop(kCalls);
      continue;
    }
    next_ = TakeWorkspace();
    next_->call.header = frame.header;
    next_->call.body.assign(frame.body.begin(), frame.body.end());
    next_->call.peer = peer.process;
    peer.channel->Pop(kCalls);
    client_.links().CountCall();
    return true;
  }
  return false;
}

void Executor::RunOne(std::unique_lock<Baton>& lock) {
  std::unique_ptr<Workspace> workspace = std::move(next_);
  const Call& call = workspace->call;
  const model::TimePoint since = std::exchange(free_since_, model::kNever);
  const model::TimePoint end =
      Run(lock, *workspace, since,
          [&](model::FrameHeader& reply, std::span<const std::byte> results, model::Duration ran) {
            turn_.Ended(ran);
            const model::ProcessId* const next = FindCall() ? &next_->call.peer : nullptr;
            const bool at_once = CallTurn::ShowsAtOnce(call.peer, ran, next);
            client_.SendReply(call.peer, call.header, reply, results, at_once);
          });
  if (next_ && concurrency_ == 1) free_since_ = end;
  KeepWorkspace(std::move(workspace));
}

void Executor::RunHere(std::unique_lock<Baton>& lock, const model::FrameHeader& header,
                       std::vector<std::byte> body, Deliver deliver) {
  std::unique_ptr<Workspace> workspace = TakeWorkspace();
  workspace->call = {header, std::move(body), {}};
  Run(lock, *workspace, model::kNever, deliver);
  KeepWorkspace(std::move(workspace));
}

model::TimePoint Executor::Run(std::unique_lock<Baton>& lock, Workspace& workspace,
                               model::TimePoint since, Deliver deliver) {
  const model::FrameHeader& header = workspace.call.header;
  const detail::FunctionEntry* entry = detail::FindFunction(header.function.value);
  ExecutionContext context;
  if (entry != nullptr) context.task_name = entry->name;
  context.task = header.task;
  context.attempt = header.attempt;
  context.actor = header.kind == model::FrameKind::kTask ? model::ActorId{} : header.actor;
  context.incarnation = incarnation_;
  Running running;
  // One that was there already begins where the one before ended, or where those before began that
  // no clock was read for.
  running.since = since != model::kNever ? since : client_.Now();
  const bool is_timed = clock_.Begins(entry, since != model::kNever);
  Begin(running, entry);
  lock.unlock();

  ExecutionContext* const outer = ClusterClient::CurrentContext();
  ClusterClient::CurrentContext() = &context;
  Execute(workspace, entry);
  ClusterClient::CurrentContext() = outer;
  const model::TimePoint end = is_timed ? client_.Now() : running.since;

  lock.lock();
  const model::Duration ran =
      is_timed ? clock_.Timed(entry, end - running.since) : clock_.Untimed();
  const Outcome& outcome = workspace.outcome;
  const bool waited =
      client_.RegisterBeforeReply(lock, header, outcome.returned, outcome.succeeded);
  // A worker that is told to end fails what its user code waits for. That is not the call's own
  // outcome: its owner learns of this process's death and judges it.
  if (outcome.succeeded || !client_.ending()) Reply(workspace, ran, deliver);
  End(running);
  return waited ? model::kNever : end;
}

void Executor::Begin(Running& running, const detail::FunctionEntry* entry) {
  if (entry != titled_ || title_ == nullptr) {  // once for a run of calls of one function
    titled_ = entry;
    title_ = &titles_.try_emplace(entry, entry != nullptr ? ShortName(entry->name) : "unknown")
                  .first->second;
  }
  running.title = title_;
  running_.push_back(&running);
  if (CallDepth()++ == 0) ++busy_threads_;
  Show(title_);
  client_.OnBusyThreads(exit_asked_);
}

// What is shown is then the newest of the others, if any: one that runs inside another's Get goes
// back to that one.
void Executor::End(Running& running) {
  if (--CallDepth() == 0) --busy_threads_;
  if (running_.back() == &running) {
    running_.pop_back();
  } else {
    std::erase(running_, &running);
  }
  if (running.shown && running_.empty()) io::SetProcessTitle("rayx worker:idle");
  if (!running_.empty()) Show(running_.back()->title);
  client_.OnBusyThreads(exit_asked_);
}

void Executor::ShowIdle() {
  if (running_.empty()) Show(nullptr);
}

void Executor::Show(const std::string* title) {
  if (std::exchange(shown_, title) == title) return;
  client_.ShowTask(title != nullptr ? std::string_view(*title) : std::string_view());
}

void Executor::Reply(Workspace& workspace, model::Duration ran, Deliver deliver) {
  model::FrameHeader& reply = workspace.call.header;  // most of it stays as it is
  reply.kind = model::FrameKind::kReply;
  reply.flags = workspace.outcome.succeeded ? 0 : model::kFlagFailed;
  reply.destination = reply.source;
  reply.source = client_.self();
  reply.item_count = workspace.outcome.items;
  const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(ran).count();
  reply.number = static_cast<uint64_t>(std::max<int64_t>(micros, 0));
  deliver(reply, workspace.outcome.results, ran);
}

void Executor::Execute(Workspace& workspace, const detail::FunctionEntry* entry) {
  Call& call = workspace.call;
  Outcome& outcome = workspace.outcome;
  std::vector<std::byte>& results = outcome.results;
  outcome.succeeded = false;
  try {
    FetchArguments(call, workspace.arguments);
    ReplySink sink(client_, call.header, results, outcome.returned);
    RunFunction(call, entry, workspace.arguments, sink);
    const uint16_t wanted = call.header.result_count;
    const bool is_void = sink.count() == 0 && wanted <= 1;
    if (sink.count() != wanted && !is_void) {
      Throw(ErrorCode::kSerializationError, "it returned " + std::to_string(sink.count()) +
                                                " results, and its caller expects " +
                                                std::to_string(wanted));
    }
    if (results.size() > model::kBodyBytesMax) {
      Throw(ErrorCode::kSerializationError, "the results exceed 512 KiB by value in all");
    }
    outcome.items = sink.item_count();
    outcome.succeeded = true;
  } catch (...) {
    proto::ErrorInfo info = ToInfo(detail::CaptureException(std::current_exception()));
    const bool is_own = info.node() == 0;  // else it has come from another task
    if (is_own) {
      info.set_node(client_.self().node().value);
      info.set_pid(::getpid());
      info.set_host(client_.welcome().welcome.host_name());
    }
    if (info.attempt() == 0) info.set_attempt(call.header.attempt);
    if (is_own && info.code() == static_cast<int>(ErrorCode::kTaskError)) {
      info.set_message(std::string(ClusterClient::CurrentContext()->task_name) +
                       " failed (attempt " + std::to_string(info.attempt()) + ", pid " +
                       std::to_string(info.pid()) + " on " + info.host() + "): " + info.message());
    }
    results.clear();
    model::BodyWriter writer(results);
    std::string bytes = info.SerializeAsString();
    if (bytes.size() > model::kInlineValueBytesMax) {  // a what() without bounds
      info.set_what(info.what().substr(0, 16 * 1024));
      info.set_message(info.message().substr(0, 16 * 1024));
      bytes = info.SerializeAsString();
    }
    writer.AddError(std::as_bytes(std::span(bytes)));
    outcome.items = 1;
  }
  workspace.arguments.clear();  // with what they pin
}

void Executor::FetchArguments(Call& call, detail::Arguments& arguments) {
  // What may look into the arguments after the call has ended keeps them; nothing small does.
  std::shared_ptr<const std::vector<std::byte>> buffer;
  if (call.body.size() >= detail::kOutOfBandBytesMin) {
    buffer = std::make_shared<const std::vector<std::byte>>(std::move(call.body));
  }
  std::vector<model::StoredLocation> stored;
  std::vector<size_t> stored_index;
  model::BodyReader reader(buffer ? *buffer : call.body, call.header.item_count);
  model::Item item;
  while (reader.Next(item)) {
    detail::Fetched& argument = arguments.emplace_back();
    switch (item.kind) {
      case model::ItemKind::kInline:
        argument.data = item.bytes.data();
        argument.bytes = item.bytes.size();
        argument.pin = buffer;
        break;
      case model::ItemKind::kStored:
        stored.push_back(item.stored);
        stored_index.push_back(arguments.size() - 1);
        break;
      case model::ItemKind::kError:
        detail::ThrowError(DecodeError(item.bytes));
      case model::ItemKind::kReferences:
        Throw(ErrorCode::kSerializationError, "malformed call: references without a value");
    }
  }
  if (reader.error() != model::FrameError::kNone) {
    Throw(ErrorCode::kSerializationError,
          std::string("malformed call: ") + model::ToString(reader.error()));
  }
  if (stored.empty()) return;
  std::vector<detail::Fetched> fetched = client_.FetchStored(stored, model::kNever);
  for (size_t i = 0; i < fetched.size(); ++i) {
    arguments[stored_index[i]] = std::move(fetched[i]);
  }
}

void Executor::RunFunction(const Call& call, const detail::FunctionEntry* entry,
                           const detail::Arguments& arguments, detail::ResultSink& sink) {
  if (entry == nullptr) {
    char id[32];
    std::snprintf(id, sizeof id, "%016lx", static_cast<unsigned long>(call.header.function.value));
    // Its caller puts the name in the place of the id (client/error_bridge.cc).
    Throw(ErrorCode::kUnknownFunction,
          std::string("function ") + id + " is not registered in program " + io::ProgramPath() +
              " on " + client_.welcome().welcome.host_name() +
              ": name it with RAYX_REMOTE where it is defined; if it stands in a static library, "
              "link that with rayx_link_whole; if in a library that is loaded at run time, name "
              "that in Options::preload_libraries");
  }
  switch (call.header.kind) {
    case model::FrameKind::kTask:
      if (entry->task == nullptr) break;
      entry->task(arguments, sink);
      return;
    case model::FrameKind::kActorCreate:
      if (entry->factory == nullptr) break;
      MakeActor(call, *entry, arguments);
      return;
    case model::FrameKind::kActorCall:
      if (entry->method == nullptr) break;
      if (!actor_ || call.header.actor != actor_id_) {
        Throw(ErrorCode::kActorDied,
              "actor " + model::ToString(call.header.actor) + " is not in this process");
      }
      entry->method(actor_.get(), arguments, sink);
      return;
    default:
      break;
  }
  Throw(ErrorCode::kUnknownFunction, entry->name + " was called as something that it is not");
}

void Executor::MakeActor(const Call& call, const detail::FunctionEntry& factory,
                         const detail::Arguments& arguments) {
  if (actor_) {
    Throw(ErrorCode::kInvalidOption, "process " + model::ToString(client_.self()) +
                                         " hosts actor " + model::ToString(actor_id_) + " already");
  }
  const uint64_t concurrency = std::max(call.header.number, uint64_t{1});
  if (concurrency > kConcurrencyMax) {
    Throw(ErrorCode::kInvalidOption, "an actor that serves " + std::to_string(concurrency) +
                                         " calls at once: at most " +
                                         std::to_string(kConcurrencyMax) + " are possible");
  }
  actor_ = factory.factory(arguments);
  if (!actor_) {
    Throw(ErrorCode::kTaskError, "it returned no object");
  }
  actor_id_ = call.header.actor;
  incarnation_ = call.header.incarnation;
  for (; concurrency_ < concurrency; ++concurrency_) {
    if (const auto thread = StartTaskThread(client_, kConcurrentStackBytes); !thread.ok()) {
      Throw(ErrorCode::kOutOfMemory, "SetMaxConcurrency(" + std::to_string(concurrency) + ")",
            thread.status());
    }
  }
}

void Executor::OnTick(model::TimePoint now) {
  if (!WantsTicks() || now - running_.back()->since < kTitleAfter) return;
  running_.back()->shown = true;
  io::SetProcessTitle("rayx worker:" + *running_.back()->title);
}

}  // namespace rayx::client
