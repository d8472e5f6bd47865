// A pipeline of actors: pieces of a signal go from stage to stage as references, and each stage
// remembers what it needs of the pieces before. All stages work at the same time, each on a piece
// of its own.
#include <rayx/rayx.h>

#include <cstdint>
#include <iostream>
#include <list>
#include <memory>
#include <random>
#include <utility>
#include <vector>

#include "../flags.h"

using Samples = std::vector<float>;

// Stands for a sensor: bumps of different heights in noise.
class Sensor {
 public:
  static std::unique_ptr<Sensor> Create() { return std::make_unique<Sensor>(); }
  Samples Read(int count) {
    Samples samples;
    samples.reserve(static_cast<std::size_t>(count));
    for (int i = 0; i < count; ++i, ++position_) {
      if (position_ % kPeriod == 0) height_ = static_cast<float>(random_() % 100);
      const auto distance = static_cast<float>(position_ % kPeriod) - kPeriod / 2;
      const float bump = height_ / (1 + distance * distance / 400);
      samples.push_back(bump + static_cast<float>(random_() % 1000) / 100);
    }
    return samples;
  }

 private:
  static constexpr int kPeriod = 5000;
  std::mt19937 random_;
  std::int64_t position_ = 0;
  float height_ = 0;
};

// A moving average: the first samples of a piece need the last ones of the piece before.
class Smoother {
 public:
  static std::unique_ptr<Smoother> Create() { return std::make_unique<Smoother>(); }
  Samples Push(const Samples& samples) {
    Samples smooth;
    smooth.reserve(samples.size());
    for (const float sample : samples) {
      sum_ += static_cast<double>(sample) - static_cast<double>(window_[next_]);
      window_[next_] = sample;
      next_ = (next_ + 1) % window_.size();
      smooth.push_back(static_cast<float>(sum_ / static_cast<double>(window_.size())));
    }
    return smooth;
  }

 private:
  Samples window_ = Samples(32);
  std::size_t next_ = 0;
  double sum_ = 0;
};

struct Peak {
  std::int64_t position;
  float height;
  friend bool operator==(const Peak& a, const Peak& b) {
    return a.position == b.position && a.height == b.height;
  }
};
using Peaks = std::vector<Peak>;

// The highest sample between a rise above the threshold and the next fall below it, which may be in
// a later piece.
class PeakFinder {
 public:
  static std::unique_ptr<PeakFinder> Create(float threshold) {
    return std::make_unique<PeakFinder>(threshold);
  }
  explicit PeakFinder(float threshold) : threshold_(threshold) {}
  Peaks Push(const Samples& samples) {
    Peaks peaks;
    for (const float sample : samples) {
      if (sample > threshold_ && sample > highest_.height) highest_ = {position_, sample};
      if (sample <= threshold_ && highest_.height > 0) {
        peaks.push_back(highest_);
        highest_ = {0, 0};
      }
      ++position_;
    }
    return peaks;
  }

 private:
  float threshold_;
  std::int64_t position_ = 0;
  Peak highest_ = {0, 0};
};

constexpr float kThreshold = 20;

Peaks RunPipeline(int pieces, int samples, std::size_t in_flight_max) {
  const auto sensor = rayx::Actor<&Sensor::Create>().SetName("sensor").Remote();
  const auto smoother = rayx::Actor<&Smoother::Create>().SetName("smoother").Remote();
  const auto finder = rayx::Actor<&PeakFinder::Create>().SetName("finder").Remote(kThreshold);
  Peaks found;
  std::list<rayx::ObjectRef<Peaks>> in_flight;
  const auto take_first = [&] {
    const std::shared_ptr<Peaks> peaks = in_flight.front().Get();  // kept while it is read
    found.insert(found.end(), peaks->begin(), peaks->end());
    in_flight.pop_front();
  };
  for (int piece = 0; piece < pieces; ++piece) {
    // Not faster than the slowest stage: so many pieces at most lie between the stages.
    if (in_flight.size() == in_flight_max) take_first();
    // A piece goes from actor to actor, never through this process. The calls of one caller run in
    // their order, so each stage sees the pieces as the sensor has made them.
    const auto raw = sensor.Task<&Sensor::Read>().Remote(samples);
    const auto smooth = smoother.Task<&Smoother::Push>().Remote(raw);
    in_flight.push_back(finder.Task<&PeakFinder::Push>().Remote(smooth));
  }
  while (!in_flight.empty()) take_first();
  return found;
}

// The stages are classes like any other: here the whole signal is one piece.
Peaks RunHere(int samples) {
  return PeakFinder(kThreshold).Push(Smoother().Push(Sensor().Read(samples)));
}

int main(int argc, char** argv) {
  int pieces = 30;
  int samples = 40'000;
  int in_flight = 6;
  const example::Flags flags("07_actor_pipeline", {{"pieces", &pieces, "pieces of the signal"},
                                                   {"samples", &samples, "samples of a piece"},
                                                   {"in-flight", &in_flight, "pieces at a time"}});
  if (flags.PrintHelp(argc, argv)) return 0;
  try {
    rayx::Init(&argc, argv);  // --local, --address ip:port, or nothing: a cluster of its own
    flags.Read(argc, argv);

    const Peaks peaks = RunPipeline(pieces, samples, static_cast<std::size_t>(in_flight));
    const bool same = peaks == RunHere(pieces * samples);
    std::cout << peaks.size() << " peaks in " << pieces << " pieces\n";
    for (std::size_t i = 0; i < peaks.size() && i < 5; ++i) {
      std::cout << "at " << peaks[i].position << ": " << static_cast<int>(peaks[i].height) << '\n';
    }
    std::cout << (same ? "as" : "NOT as") << " found in one piece without RayX\n";
    rayx::Shutdown();
    return same ? 0 : 1;
  } catch (const rayx::ActorDied& died) {  // a stage's state is lost, and the signal with it
    std::cerr << argv[0] << ": a stage is gone: " << died.what() << '\n';
    for (const std::string& line : died.log_lines()) std::cerr << "  " << line << '\n';
  } catch (const std::exception& error) {
    std::cerr << argv[0] << ": " << error.what() << '\n';
  }
  return 1;
}
