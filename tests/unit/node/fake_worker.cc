#include "fake_worker.h"

#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "fake_process.h"
#include "node/wire.h"

namespace rayx::node::testing {
namespace {

[[noreturn]] void Work(io::PacketSocket socket, uint64_t token) {
  FakeProcess process(std::move(socket));
  proto::ClientMessage hello;
  *hello.mutable_hello()->mutable_versions() = OwnClientVersions();
  hello.mutable_hello()->set_role(proto::WORKER);
  hello.mutable_hello()->set_pid(::getpid());
  hello.mutable_hello()->set_worker_token(token);
  if (std::getenv("FAKE_OTHER_RELEASE") != nullptr) {
    hello.mutable_hello()->mutable_versions()->set_layout(77);
    std::fprintf(stderr, "of another release\n");  // so that it has a log, whose name has its pid
    process.Send(hello);
    for (;;) ::pause();  // whatever it is told
  }
  process.Send(hello);
  if (!process.Await(proto::DaemonMessage::kWelcome)) ::_exit(3);
  while (!process.closed()) {
    if (process.Await(proto::DaemonMessage::kExit, 0)) ::_exit(0);
    const auto call = process.AwaitFrame(20);
    if (!call || !IsCall(call->header.kind)) continue;
    model::FrameHeader reply = call->header;
    reply.kind = model::FrameKind::kReply;
    reply.destination = call->header.source;
    std::vector<std::byte> body;
    model::BodyWriter writer(body);
    const auto answer = [&](const std::string& text) {
      writer.AddInline(std::as_bytes(std::span(text)));
      reply.item_count = writer.item_count();
    };
    switch (call->header.function.value) {
      case kEcho:
        body = call->body;
        break;
      case kDie:
        std::fprintf(stderr, "about to die\n");
        ::raise(SIGKILL);
        break;
      case kDieLoudly:
        for (int i = 0; i < 30; ++i) {
          std::fprintf(stderr, "%s\n", std::string(7000, static_cast<char>('a' + i % 26)).c_str());
        }
        ::raise(SIGKILL);
        break;
      case kLeaveChild: {
        const pid_t child = ::fork();
        if (child == 0) {
          ::setsid();
          ::close(1);
          ::close(2);
          for (;;) ::pause();
        }
        answer(std::to_string(child));
        break;
      }
      case kExit:
        ::_exit(7);
      case kPrint:
        std::printf("hello from a task\n");
        std::fflush(stdout);
        break;
      case kPid:
        answer(std::to_string(::getpid()));
        break;
      case kHang:
        process.set_reads_rings(false);
        std::printf("hanging\n");
        std::fflush(stdout);
        while (!process.closed() && !process.Await(proto::DaemonMessage::kExit, 100)) {
        }
        ::_exit(0);
      case kThrow: {
        proto::ErrorInfo error;
        error.set_code(1);
        error.set_message("the constructor threw");
        const std::string bytes = error.SerializeAsString();
        writer.AddError(std::as_bytes(std::span(bytes)));
        reply.item_count = 1;
        reply.flags = model::kFlagFailed;
        break;
      }
      case kAllocate: {
        proto::ClientMessage ask;
        ask.mutable_allocate()->set_request_id(1);
        ask.mutable_allocate()->mutable_object()->set_owner(call->header.source.value);
        ask.mutable_allocate()->mutable_object()->set_sequence(call->header.task.sequence);
        ask.mutable_allocate()->set_job(process.welcome.job());
        ask.mutable_allocate()->set_bytes(1 << 20);
        process.Send(ask);
        const auto allocated = process.Await(proto::DaemonMessage::kAllocated);
        answer(allocated ? allocated->allocated().SerializeAsString() : "");
        break;
      }
      default:
        break;
    }
    while (!process.SendFrame(reply, body) && !process.closed()) {
      process.Await(proto::DaemonMessage::kExit, 1);
    }
  }
  ::_exit(0);
}

[[noreturn]] void RunZygote(io::PacketSocket socket) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (std::getenv("FAKE_ZYGOTE_DIES") != nullptr) {
    std::fprintf(stderr, "no library of that name\n");
    ::_exit(9);
  }
  if (std::getenv("FAKE_ZYGOTE_IS_KILLED") != nullptr) ::kill(::getpid(), SIGKILL);
  const auto tell = [&](const proto::ZygoteMessage& message) {
    const std::string bytes = message.SerializeAsString();
    socket.Send(std::as_bytes(std::span(bytes)));
  };
  proto::ZygoteMessage ready;
  ready.mutable_ready()->set_can_fork(std::getenv("FAKE_CANNOT_FORK") == nullptr);
  tell(ready);
  io::Packet packet;
  while (socket.Receive(packet) == io::SocketResult::kOk) {
    proto::ZygoteMessage order;
    if (!order.ParseFromArray(packet.bytes.data(), static_cast<int>(packet.bytes.size()))) continue;
    const uint64_t token = order.fork_worker().worker_token();
    const pid_t daemon = ::getppid();
    const long pid =
        ::syscall(SYS_clone, CLONE_PARENT | SIGCHLD, nullptr, nullptr, nullptr, nullptr);
    if (pid == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (::getppid() != daemon) ::_exit(0);
      ::dup2(packet.fds[1].get(), 1);
      ::dup2(packet.fds[2].get(), 2);
      io::PacketSocket own(std::move(packet.fds[0]));
      packet.fds.clear();
      socket.Close();
      Work(std::move(own), token);
    }
    packet.fds.clear();
    proto::ZygoteMessage forked;
    forked.mutable_forked()->set_worker_token(token);
    forked.mutable_forked()->set_pid(static_cast<int32_t>(pid));
    tell(forked);
    if (std::getenv("FAKE_SAYS_TWICE") != nullptr) tell(forked);
  }
  ::_exit(0);
}

}  // namespace

bool IsFakeWorker() {
  return std::getenv("RAYX_WORKER_FD") != nullptr;
}

void RunFakeWorker() {
  io::PacketSocket socket{base::UniqueFd(std::atoi(std::getenv("RAYX_WORKER_FD")))};
  if (std::string(std::getenv("RAYX_WORKER_MODE")) == "zygote") RunZygote(std::move(socket));
  Work(std::move(socket), std::strtoull(std::getenv("RAYX_WORKER_TOKEN"), nullptr, 10));
}

}  // namespace rayx::node::testing
