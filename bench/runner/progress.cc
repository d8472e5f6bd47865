#include "bench/runner/progress.h"

#include <unistd.h>

#include <cstdio>

namespace rayx::bench {

Progress::Progress(int steps_total)
    : terminal_(isatty(STDOUT_FILENO) != 0),
      total_(steps_total),
      start_(std::chrono::steady_clock::now()) {}

void Progress::Clear() {
  if (terminal_) printf("\r\033[K");
}

void Progress::Begin(const std::string& what) {
  what_ = what;
  if (!terminal_) return;
  constexpr int kWidth = 24;
  const int filled = total_ > 0 ? done_ * kWidth / total_ : 0;
  std::string left = "";
  if (done_ > 2) {
    const auto passed =
        std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - start_);
    const long seconds = passed.count() * (total_ - done_) / done_;
    left = ", about " + std::to_string(seconds / 60) + " min " + std::to_string(seconds % 60) +
           " s left";
  }
  Clear();
  printf("[%s%s] %d/%d %s%s", std::string(filled, '#').c_str(),
         std::string(kWidth - filled, '.').c_str(), done_ + 1, total_, what.c_str(), left.c_str());
  fflush(stdout);
}

void Progress::End(const std::string& outcome) {
  ++done_;
  if (terminal_) return;
  printf("[%3d/%d] %s: %s\n", done_, total_, what_.c_str(), outcome.c_str());
  fflush(stdout);
}

void Progress::Note(const std::string& sentence) {
  Clear();
  printf("%s\n", sentence.c_str());
  fflush(stdout);
}

}  // namespace rayx::bench
