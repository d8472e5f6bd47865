// A program whose workers print: `printer say LINE WORKERS`, `printer flood BYTES`.
#include <rayx/rayx.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

struct Printer {
  static Printer* Create() { return new Printer; }
  int Say(const std::string& line) {
    std::printf("%s\n", line.c_str());
    std::fflush(stdout);
    return 0;
  }
  // Numbered lines of 100 bytes.
  std::int64_t Flood(std::int64_t bytes) {
    for (std::int64_t i = 0; i < bytes / 100; ++i) {
      std::printf("%099lld\n", static_cast<long long>(i));
    }
    std::fflush(stdout);
    return bytes / 100;
  }
};

int main(int argc, char** argv) try {
  rayx::Init(&argc, argv);
  if (argc == 4 && std::strcmp(argv[1], "say") == 0) {
    std::vector<rayx::ActorHandle<Printer>> printers;
    for (int i = 0; i < std::atoi(argv[3]); ++i) {
      printers.push_back(rayx::Actor<&Printer::Create>().Remote());
    }
    for (auto& printer : printers) printer.Task<&Printer::Say>().Remote(std::string(argv[2])).Get();
    return 0;
  }
  if (argc == 3 && std::strcmp(argv[1], "flood") == 0) {
    auto printer = rayx::Actor<&Printer::Create>().Remote();
    const auto lines = printer.Task<&Printer::Flood>().Remote(std::int64_t{std::atoll(argv[2])});
    std::printf("%lld lines\n", static_cast<long long>(*lines.Get(300'000)));
    return 0;
  }
  std::fprintf(stderr, "usage: printer say LINE WORKERS | flood BYTES\n");
  return 2;
} catch (const rayx::Error& error) {
  std::fprintf(stderr, "%s: %s\n", rayx::ErrorName(error.code()), error.what());
  return 1;
}
