#include "store/transfer/data_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/log.h"
#include "rpc/secret.h"
#include "store/transfer/serving_connection.h"

namespace rayx::store {
namespace {

constexpr int kAcceptedAtOnce = 16;
constexpr auto kAcceptPause = std::chrono::milliseconds(100);

base::Status CannotListen(const io::Address& address) {
  return absl::UnavailableError("cannot listen for data on " + address.ToString() + ": " +
                                std::strerror(errno));
}

base::StatusOr<base::UniqueFd> Listen(io::Address& address) {
  base::UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return CannotListen(address);
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in name = {};
  socklen_t length = sizeof name;
  name.sin_family = AF_INET;
  name.sin_port = htons(address.port);
  if (::inet_pton(AF_INET, address.ip.c_str(), &name.sin_addr) != 1) {
    return absl::InvalidArgumentError("not an IPv4 address: " + address.ip);
  }
  if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&name), length) != 0 ||
      ::listen(fd.get(), SOMAXCONN) != 0 ||
      ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&name), &length) != 0) {
    return CannotListen(address);
  }
  address.port = ntohs(name.sin_port);
  return fd;
}

}  // namespace

struct DataServer::Shared {
  Shared(DataServerOptions own_options, DataThreads& own_threads, Post own_post,
         std::shared_ptr<const rpc::StreamSecurity> own_security)
      : options(std::move(own_options)),
        threads(own_threads),
        post(std::move(own_post)),
        security(std::move(own_security)) {}

  const DataServerOptions options;
  DataThreads& threads;
  const Post post;
  const std::shared_ptr<const rpc::StreamSecurity> security;
  NodeStore* store = nullptr;  // on the loop; null before SetStore and after Stop

  std::mutex mutex;
  size_t open = 0;  // under mutex
  // Without a token, the oldest first. Under mutex.
  std::vector<std::pair<const ServingConnection*, std::weak_ptr<ServingConnection>>> strangers;

  void OnKnown(const ServingConnection* connection) {
    const std::lock_guard lock(mutex);
    std::erase_if(strangers, [&](const auto& entry) { return entry.first == connection; });
  }
  void OnClosed(const ServingConnection* connection) {
    OnKnown(connection);
    const std::lock_guard lock(mutex);
    --open;
  }
  // False: there are too many. `oldest`: who has to go for it.
  bool Admit(const std::shared_ptr<ServingConnection>& connection,
             std::shared_ptr<ServingConnection>& oldest) {
    const std::lock_guard lock(mutex);
    if (open >= options.connections_max) return false;
    ++open;
    if (strangers.size() >= options.strangers_max) {
      oldest = strangers.front().second.lock();
      strangers.erase(strangers.begin());
    }
    strangers.emplace_back(connection.get(), connection);
    return true;
  }
};

namespace {

// Somebody's duty to answer: a request that the loop dropped is answered too.
class Duty {
 public:
  explicit Duty(std::shared_ptr<ServingConnection> connection)
      : connection_(std::move(connection)) {}
  ~Duty() {
    if (connection_ != nullptr) Refuse(DataAnswer::kRefused, "the node is starting or stopping");
  }
  void Answer(ServedObject object) {
    const auto connection = std::exchange(connection_, nullptr);
    connection->thread().Post([connection, object = std::make_shared<const ServedObject>(
                                               std::move(object))] { connection->Answer(object); });
  }
  void Refuse(DataAnswer answer, std::string why) {
    const auto connection = std::exchange(connection_, nullptr);
    connection->thread().Post(
        [connection, answer, why = std::move(why)] { connection->Refuse(answer, why); });
  }

 private:
  std::shared_ptr<ServingConnection> connection_;
};

}  // namespace

// On a data thread.
class DataServer::Listener : public std::enable_shared_from_this<Listener> {
 public:
  Listener(std::shared_ptr<Shared> shared, base::UniqueFd fd)
      : shared_(std::move(shared)),
        thread_(shared_->threads.Next()),
        fd_(std::move(fd)),
        events_(MakeEvents(shared_)) {}

  void Begin() {
    thread_.Post([self = shared_from_this()] {
      const auto status = self->thread_.loop().AddFd(self->fd_.get(), EPOLLIN,
                                                     [self](uint32_t) { self->OnReady(); });
      if (!status.ok()) RAYX_LOG(kError) << "no data can be served: " << base::Message(status);
    });
  }
  void End() {
    thread_.Post([self = shared_from_this()] {
      self->thread_.loop().RemoveFd(self->fd_.get());
      self->fd_.Reset();
    });
  }

 private:
  static std::shared_ptr<const ServingConnection::Events> MakeEvents(
      const std::shared_ptr<Shared>& shared) {
    auto events = std::make_shared<ServingConnection::Events>();
    events->token = shared->options.credentials.token;
    events->on_known = [shared](ServingConnection* known) { shared->OnKnown(known); };
    events->on_closed = [shared](ServingConnection* closed) { shared->OnClosed(closed); };
    events->on_request = [shared](std::shared_ptr<ServingConnection> asker,
                                  const DataRequest& request) {
      shared->post([shared, duty = std::make_shared<Duty>(std::move(asker)), request] {
        Serve(*shared, *duty, request);
      });
    };
    return events;
  }

  // On the loop.
  static void Serve(const Shared& shared, Duty& duty, const DataRequest& request) {
    if (shared.store == nullptr) return;
    auto object = shared.store->Serve(request.source, {request.offset, request.bytes},
                                      model::NodeNumber{request.asker});
    if (object.ok()) return duty.Answer(*std::move(object));
    const bool is_wrong = object.status().code() == base::StatusCode::kInvalidArgument;
    const bool is_lost = !is_wrong && ErrorCodeOf(object.status()) == ErrorCode::kObjectLost;
    duty.Refuse(is_lost ? DataAnswer::kLost : DataAnswer::kRefused,
                std::string(base::Message(object.status())));
  }

  void OnReady() {
    // Then others have their turn: among them, those that greet, before they are pushed out.
    for (int i = 0; i < kAcceptedAtOnce; ++i) {
      base::UniqueFd fd(::accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
      if (fd) {
        Take(std::move(fd));
      } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
        return;
      } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        return Pause();
      }
      // Else one that has gone again: the next.
    }
  }

  // No descriptor is left: those who wait keep waiting.
  void Pause() {
    thread_.loop().ChangeFd(fd_.get(), 0);
    thread_.loop().AddTimerAfter(kAcceptPause, [self = shared_from_this()] {
      if (self->fd_) self->thread_.loop().ChangeFd(self->fd_.get(), EPOLLIN);
    });
  }

  void Take(base::UniqueFd fd) {
    DataThread& thread = shared_->threads.Next();
    const DataServerOptions& options = shared_->options;
    const auto connection = std::make_shared<ServingConnection>(
        thread,
        ServingConnection::Limits{options.handshake_max, options.stall_max, options.idle_max},
        events_);
    std::shared_ptr<ServingConnection> oldest;
    if (!shared_->Admit(connection, oldest)) return;
    if (oldest != nullptr) {
      oldest->thread().Post([oldest] { oldest->Close("too many others wait to greet"); });
    }
    thread.Post([connection, security = shared_->security,
                 fd = std::make_shared<base::UniqueFd>(std::move(fd))] {
      if (connection->is_closed()) return;
      connection->Begin(rpc::ByteStream::Accepted(std::move(*fd), security));
    });
  }

  const std::shared_ptr<Shared> shared_;
  DataThread& thread_;
  base::UniqueFd fd_;
  const std::shared_ptr<const ServingConnection::Events> events_;
};

base::StatusOr<std::unique_ptr<DataServer>> DataServer::Start(DataServerOptions options,
                                                              DataThreads& threads, Post post) {
  RAYX_CHECK(rpc::IsToken(options.credentials.token), "a server has a token");
  RAYX_ASSIGN_OR_RETURN(auto security, rpc::StreamSecurity::OfServer(options.credentials));
  io::Address address{options.ip, options.port};
  RAYX_ASSIGN_OR_RETURN(base::UniqueFd fd, Listen(address));
  const auto shared =
      std::make_shared<Shared>(std::move(options), threads, std::move(post), std::move(security));
  std::unique_ptr<DataServer> server(new DataServer(shared, address));
  server->listener_ = std::make_shared<Listener>(shared, std::move(fd));
  server->listener_->Begin();
  return server;
}

void DataServer::SetStore(NodeStore& store) {
  shared_->store = &store;
}

DataServer::~DataServer() {
  Stop();
}

void DataServer::Stop() {
  shared_->store = nullptr;
  if (listener_ != nullptr) std::exchange(listener_, nullptr)->End();
}

}  // namespace rayx::store
