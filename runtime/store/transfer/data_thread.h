// runtime/store/transfer/data_thread.h
//
// The threads that move the bytes of objects, and what a connection is to one of them.
// Owner:    DataThreads: the node daemon. A DataConnection is its thread's from Add until it is
//           closed.
// Threads:  Next, Post and Stop from any; everything of a DataConnection on its own thread.
// Promises: a thread never blocks but for events, gives each of its connections a turn, and looks
//           at each every kDataTick. Stop closes every connection and joins; a call that was
//           posted too late is destroyed, not run.
// Limits:   a connection stays on the thread that it was given to.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "base/status.h"
#include "io/loop.h"
#include "model/time.h"
#include "rpc/byte_stream.h"

namespace rayx::store {

inline constexpr model::Duration kDataTick = std::chrono::milliseconds(100);
inline constexpr size_t kDataTurnBytes = size_t{4}
                                         << 20;  // of a connection, then others have theirs

class DataThread;

class DataConnection : public std::enable_shared_from_this<DataConnection> {
 public:
  explicit DataConnection(DataThread& thread) : thread_(thread) {}
  virtual ~DataConnection() = default;
  DataConnection(const DataConnection&) = delete;
  DataConnection& operator=(const DataConnection&) = delete;

  DataThread& thread() const { return thread_; }
  // Its stream goes and OnClosed is called; a second time nothing.
  void Close(std::string_view why);
  bool is_closed() const { return is_closed_; }

 protected:
  enum class Next : uint8_t {
    kRead,     // again when the descriptor is readable
    kWrite,    // again when it is writable
    kAgain,    // again after the others' turns
    kNothing,  // not before somebody calls Run
    kClose,
  };

  // Goes on as far as it can within a turn. Not called any more once it is closed.
  virtual Next Advance() = 0;
  virtual void OnTick(model::TimePoint now) = 0;
  virtual void OnClosed(std::string_view why) = 0;

  // From here on the thread has it. Errors: ResourceExhausted, and then it is not open.
  base::Status Open(std::unique_ptr<rpc::ByteStream> stream);
  // Advances, then waits for what that said.
  void Run();
  rpc::ByteStream& stream() { return *stream_; }
  model::TimePoint Now() const;

  // Of a step that is not kDone. kClose: why() says why.
  Next WaitFor(rpc::StreamStep step);
  Next CloseFor(std::string why);
  const std::string& why() const { return why_; }

 private:
  friend class DataThread;
  void OnEvents(uint32_t events);
  void Watch(uint32_t events);

  DataThread& thread_;
  std::unique_ptr<rpc::ByteStream> stream_;
  uint32_t watched_ = 0;    // epoll events
  bool is_posted_ = false;  // a Run is
  bool is_closed_ = false;
  std::string why_;
};

class DataThread {
 public:
  static base::StatusOr<std::unique_ptr<DataThread>> Start(size_t number);
  ~DataThread();  // Stop

  // False: it has stopped.
  bool Post(std::function<void()> call);
  void Stop();
  // On this thread.
  io::Loop& loop() { return *loop_; }

 private:
  friend class DataConnection;
  explicit DataThread(std::unique_ptr<io::Loop> loop) : loop_(std::move(loop)) {}
  void Enter(std::shared_ptr<DataConnection> connection);
  void Tick();

  const std::unique_ptr<io::Loop> loop_;
  // The open ones. On this thread.
  std::set<std::shared_ptr<DataConnection>> connections_;
  bool is_ticking_ = false;
  std::thread thread_;
};

class DataThreads {
 public:
  // `count`: 0 = as many as this VM has use for.
  static base::StatusOr<std::unique_ptr<DataThreads>> Start(size_t count = 0);
  ~DataThreads() { Stop(); }  // all of them before the first is freed: one may ask for Next()
  void Stop();
  // In turn.
  DataThread& Next();

 private:
  std::vector<std::unique_ptr<DataThread>> threads_;
  std::atomic<size_t> next_{0};
};

}  // namespace rayx::store
