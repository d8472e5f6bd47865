#include "store/transfer/data_thread.h"

#include <pthread.h>

#include <algorithm>

#include "base/check.h"
#include "io/clock.h"

namespace rayx::store {
namespace {

constexpr size_t kThreadsMax = 4;

const io::Clock& DataClock() {
  static const io::PosixClock clock;
  return clock;
}

}  // namespace

// --- A connection ---

base::Status DataConnection::Open(std::unique_ptr<rpc::ByteStream> stream) {
  RAYX_CHECK(stream_ == nullptr && !is_closed_, "a connection is opened once");
  const auto self = shared_from_this();
  RAYX_RETURN_IF_ERROR(
      thread_.loop().AddFd(stream->fd(), 0, [self](uint32_t events) { self->OnEvents(events); }));
  stream_ = std::move(stream);
  thread_.Enter(self);
  return base::OkStatus();
}

void DataConnection::Close(std::string_view why) {
  if (std::exchange(is_closed_, true)) return;
  const auto self = shared_from_this();
  if (stream_ != nullptr) {
    thread_.loop().RemoveFd(stream_->fd());
    thread_.connections_.erase(self);
    stream_.reset();
  }
  OnClosed(why);
}

void DataConnection::OnEvents(uint32_t events) {
  if (is_posted_) return;
  if (watched_ == 0) {
    // Reported unasked; nothing that it does now would notice.
    if ((events & (EPOLLERR | EPOLLHUP)) != 0) Close("the other side has gone");
    return;
  }
  Run();
}

void DataConnection::Run() {
  if (is_closed_) return;
  const auto self = shared_from_this();
  const Next next = Advance();
  if (is_closed_) return;
  switch (next) {
    case Next::kRead:
      return Watch(EPOLLIN);
    case Next::kWrite:
      return Watch(EPOLLOUT);
    case Next::kNothing:
      return Watch(0);
    case Next::kClose:
      return Close(why_);
    case Next::kAgain:
      if (std::exchange(is_posted_, true)) return;
      thread_.loop().PostAlways([self] {
        self->is_posted_ = false;
        self->Run();
      });
  }
}

void DataConnection::Watch(uint32_t events) {
  if (events == watched_) return;
  watched_ = events;
  thread_.loop().ChangeFd(stream_->fd(), events);
}

DataConnection::Next DataConnection::WaitFor(rpc::StreamStep step) {
  switch (step) {
    case rpc::StreamStep::kWantsRead:
      return Next::kRead;
    case rpc::StreamStep::kWantsWrite:
      return Next::kWrite;
    case rpc::StreamStep::kEnded:
      return CloseFor("the other side has closed the connection");
    default:
      return CloseFor(stream_->error());
  }
}

DataConnection::Next DataConnection::CloseFor(std::string why) {
  why_ = std::move(why);
  return Next::kClose;
}

model::TimePoint DataConnection::Now() const {
  return thread_.loop().Now();
}

// --- A thread ---

base::StatusOr<std::unique_ptr<DataThread>> DataThread::Start(size_t number) {
  RAYX_ASSIGN_OR_RETURN(auto loop, io::Loop::Create(DataClock()));
  std::unique_ptr<DataThread> thread(new DataThread(std::move(loop)));
  thread->thread_ = std::thread([raw = thread->loop_.get()] { raw->Run(); });
  ::pthread_setname_np(thread->thread_.native_handle(),
                       ("rayx-data-" + std::to_string(number)).c_str());
  return thread;
}

DataThread::~DataThread() {
  Stop();
}

bool DataThread::Post(std::function<void()> call) {
  return loop_->PostAlways(std::move(call));
}

void DataThread::Stop() {
  if (!thread_.joinable()) return;
  loop_->PostAlways([this] {
    for (const auto& connection : std::set(connections_))
      connection->Close("this node is stopping");
    loop_->Stop();
  });
  thread_.join();
  loop_->Close();
}

void DataThread::Enter(std::shared_ptr<DataConnection> connection) {
  connections_.insert(std::move(connection));
  if (std::exchange(is_ticking_, true)) return;
  loop_->AddTimerAfter(kDataTick, [this] { Tick(); });
}

void DataThread::Tick() {
  const model::TimePoint now = loop_->Now();
  for (const auto& connection : std::set(connections_)) {
    if (!connection->is_closed()) connection->OnTick(now);
  }
  is_ticking_ = !connections_.empty();
  if (is_ticking_) loop_->AddTimerAfter(kDataTick, [this] { Tick(); });
}

// --- All of them ---

base::StatusOr<std::unique_ptr<DataThreads>> DataThreads::Start(size_t count) {
  if (count == 0) {
    count = std::clamp<size_t>(std::thread::hardware_concurrency(), 1, kThreadsMax);
  }
  auto threads = std::make_unique<DataThreads>();
  for (size_t i = 0; i < count; ++i) {
    RAYX_ASSIGN_OR_RETURN(auto thread, DataThread::Start(i));
    threads->threads_.push_back(std::move(thread));
  }
  return threads;
}

void DataThreads::Stop() {
  for (const auto& thread : threads_) thread->Stop();
}

DataThread& DataThreads::Next() {
  return *threads_[next_.fetch_add(1, std::memory_order_relaxed) % threads_.size()];
}

}  // namespace rayx::store
