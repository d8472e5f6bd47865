// Goal: workers' output is printed in order, and an output that takes nothing holds nobody up.
// Method: pipes for stdout and stderr, read late or never.
#include "client/output_printer.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <string>
#include <thread>

#include "base/fd.h"

namespace rayx::client {
namespace {

struct Pipe {
  Pipe() {
    int fds[2];
    REQUIRE(::pipe2(fds, O_CLOEXEC) == 0);
    read = base::UniqueFd(fds[0]);
    write = base::UniqueFd(fds[1]);
  }
  // Until `text` was read; what else came is dropped.
  bool ReadUntil(const std::string& text) {
    while (seen.find(text) == std::string::npos) {
      char buffer[65536];
      const ssize_t bytes = ::read(read.get(), buffer, sizeof buffer);
      if (bytes <= 0) return false;
      seen.append(buffer, static_cast<size_t>(bytes));
    }
    return true;
  }
  base::UniqueFd read, write;
  std::string seen;
};

TEST_CASE(
    "OutputPrinter: lines come in order, each on its own stream, all of them before Stop returns") {
  Pipe out, err;
  {
    OutputPrinter printer(out.write.get(), err.write.get());
    std::string expected;
    for (int i = 0; i < 1000; ++i) {
      expected += std::to_string(i) + "\n";
      printer.Push({1, ""}, false, {std::to_string(i)});
    }
    printer.Push({1, ""}, true, {"wrong"});
    CHECK(out.ReadUntil("999\n"));
    CHECK(out.seen == expected);
  }
  CHECK(err.ReadUntil("wrong\n"));
}

TEST_CASE(
    "OutputPrinter: a pipe that nobody reads costs lines, which are counted, and never a wait") {
  Pipe out, err;
  OutputPrinter printer(out.write.get(), err.write.get());
  const std::string piece(1 << 20, 'x');
  for (int i = 0; i < 32; ++i)
    printer.Push({1, ""}, false, {piece});  // returns, though the pipe holds 64 KiB
  std::thread reader([&] { out.ReadUntil("the end"); });
  // As soon as there is room again it says what was lost.
  while (true) {
    printer.Push({1, ""}, true, {"later"});
    pollfd readable{err.read.get(), POLLIN, 0};
    if (::poll(&readable, 1, 10) > 0) break;
  }
  CHECK(err.ReadUntil("later\n"));
  CHECK(err.seen.find("lines of workers' output were dropped") != std::string::npos);
  printer.Push({1, ""}, false, {"the end"});
  reader.join();
}

TEST_CASE("OutputPrinter: Stop gives up on an output that takes nothing") {
  Pipe out, err;
  OutputPrinter printer(out.write.get(), err.write.get());
  printer.Push({1, ""}, false, {std::string(1 << 20, 'x')});
  printer.Stop();  // would wait for ever
  printer.Push({1, ""}, false, {"ignored"});
}

TEST_CASE("OutputPrinter: what workers print alike is counted at the end, or shown if so wanted") {
  for (const auto wanted : {WorkerOutput::kRepeatsCounted, WorkerOutput::kEveryLine}) {
    Pipe out, err;
    {
      OutputPrinter printer(out.write.get(), err.write.get(), wanted);
      for (uint64_t worker : {1, 2, 3}) {
        printer.Push({worker, "(w" + std::to_string(worker) + ") "}, false, {"ready"});
      }
    }
    out.write.Reset();
    out.ReadUntil("never said");
    CHECK(out.seen == (wanted == WorkerOutput::kEveryLine
                           ? "(w1) ready\n(w2) ready\n(w3) ready\n"
                           : "(w1) ready\n(w1) ready [2 more times from other workers]\n"));
  }
}

}  // namespace
}  // namespace rayx::client
