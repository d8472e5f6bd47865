#include "client/core/output_digest.h"

namespace rayx::client {

void OutputDigest::OnLine(const OutputSource& from, bool is_stderr, const std::string& line,
                          model::TimePoint now, std::vector<ShownText>& shown) {
  OnTick(now, shown);
  const auto show = [&] { shown.push_back({is_stderr, from.prefix + line + "\n"}); };
  if (line.find_first_not_of(" \t\r") == std::string::npos) return show();
  if (const auto found = seen_.find({is_stderr, line}); found != seen_.end()) {
    if (found->second.first.process == from.process) return show();
    ++found->second.repeats;
    return;
  }
  show();
  if (seen_.size() >= kLinesMax || bytes_ + line.size() > kBytesMax) return;
  const auto added = seen_.emplace(std::pair(is_stderr, line), Seen{from}).first;
  bytes_ += line.size();
  ends_.emplace_back(now + kRepeatsWindow, added);
}

void OutputDigest::OnTick(model::TimePoint now, std::vector<ShownText>& shown) {
  while (!ends_.empty() && ends_.front().first <= now) TellOldest(shown);
}

void OutputDigest::OnEnd(std::vector<ShownText>& shown) {
  while (!ends_.empty()) TellOldest(shown);
}

void OutputDigest::TellOldest(std::vector<ShownText>& shown) {
  const Lines::iterator oldest = ends_.front().second;
  ends_.pop_front();
  const auto& [key, seen] = *oldest;
  const auto& [is_stderr, line] = key;
  if (seen.repeats > 0) {
    shown.push_back({is_stderr, seen.first.prefix + line + " [" + std::to_string(seen.repeats) +
                                    (seen.repeats == 1 ? " more time" : " more times") +
                                    " from other workers]\n"});
  }
  bytes_ -= line.size();
  seen_.erase(oldest);
}

model::TimePoint OutputDigest::next_due() const {
  return ends_.empty() ? model::kNever : ends_.front().first;
}

}  // namespace rayx::client
