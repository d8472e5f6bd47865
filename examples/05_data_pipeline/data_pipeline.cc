// A data pipeline: blocks are read, cleaned, transformed and summed up, many at a time, while only
// so many are in memory.
#include <rayx/rayx.h>

#include <algorithm>
#include <cstdint>
#include <iostream>
#include <list>
#include <map>
#include <random>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "../flags.h"

// Plain structs of numbers: a vector of them is one block of memory in the object store.
struct Ride {
  std::int32_t station;
  std::int32_t seconds;
  std::int32_t meters;
};
struct Speed {
  std::int32_t station;
  std::int32_t meters_per_hour;
};
struct Summary {
  std::int64_t rides = 0;
  std::int64_t meters_per_hour = 0;  // of all rides together
};
using Summaries = std::map<std::int32_t, Summary>;  // by station

// A block that cannot be read. RAYX_EXCEPTION: main catches what the task threw, as this type.
class BadBlock : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};
RAYX_EXCEPTION(BadBlock);

// Stands for a file of a data set: some lines are nonsense, and some files are damaged.
std::vector<Ride> Read(int block, int rows) {
  if (block % 16 == 13) throw BadBlock("block " + std::to_string(block) + ": wrong checksum");
  std::mt19937 random(static_cast<std::uint32_t>(block));
  const auto below = [&](std::uint32_t limit) {
    return static_cast<std::int32_t>(random() % limit);
  };
  std::vector<Ride> rides;
  rides.reserve(static_cast<std::size_t>(rows));
  for (int i = 0; i < rows; ++i) rides.push_back({below(5), below(3600) - 60, below(12'000)});
  return rides;
}

std::vector<Ride> Clean(std::vector<Ride> rides) {
  const auto is_nonsense = [](const Ride& ride) {
    return ride.seconds < 30 || ride.meters < 100 || ride.meters > ride.seconds * 15;
  };
  rides.erase(std::remove_if(rides.begin(), rides.end(), is_nonsense), rides.end());
  return rides;
}

std::vector<Speed> ToSpeeds(const std::vector<Ride>& rides) {
  std::vector<Speed> speeds;
  speeds.reserve(rides.size());
  for (const Ride& ride : rides) {
    speeds.push_back(
        {ride.station, static_cast<std::int32_t>(ride.meters * 3600LL / ride.seconds)});
  }
  return speeds;
}

Summaries Summarize(const std::vector<Speed>& speeds) {
  Summaries summaries;
  for (const Speed& speed : speeds) {
    Summary& summary = summaries[speed.station];
    ++summary.rides;
    summary.meters_per_hour += speed.meters_per_hour;
  }
  return summaries;
}

// In any order of the blocks the sum is the same.
void Add(Summaries& total, const Summaries& block) {
  for (const auto& [station, summary] : block) {
    Summary& sum = total[station];
    sum.rides += summary.rides;
    sum.meters_per_hour += summary.meters_per_hour;
  }
}

struct Result {
  Summaries total;
  std::set<std::string> left_out;  // why, a line a block
};

Result RunPipeline(int blocks, int rows, std::size_t in_flight_max) {
  Result result;
  std::list<rayx::ObjectRef<Summaries>> in_flight;
  const auto take_until = [&](std::size_t left) {
    while (in_flight.size() > left) {
      rayx::WaitResult<Summaries> waited =
          rayx::Wait(std::move(in_flight), 1, -1);  // whichever is first
      for (const rayx::ObjectRef<Summaries>& ready : waited.ready) {
        try {
          Add(result.total, *ready.Get());
        } catch (const BadBlock& bad) {  // thrown by Read, passed on by the stages behind it
          result.left_out.insert(bad.what());
        }
      }
      in_flight = std::move(waited.unready);
    }
  };
  for (int block = 0; block < blocks; ++block) {
    take_until(in_flight_max - 1);
    // A stage starts when its argument is there. Only the last reference is kept: each block is
    // freed as soon as the next stage has read it.
    const auto rides = rayx::Task<&Read>().Remote(block, rows);
    const auto clean = rayx::Task<&Clean>().Remote(rides);
    const auto speeds = rayx::Task<&ToSpeeds>().Remote(clean);
    in_flight.push_back(rayx::Task<&Summarize>().Remote(speeds));
  }
  take_until(0);
  return result;
}

Result RunHere(int blocks, int rows) {
  Result result;
  for (int block = 0; block < blocks; ++block) {
    try {
      Add(result.total, Summarize(ToSpeeds(Clean(Read(block, rows)))));
    } catch (const BadBlock& bad) {
      result.left_out.insert(bad.what());
    }
  }
  return result;
}

std::string Report(const Result& result) {
  std::ostringstream report;
  for (const auto& [station, sum] : result.total) {
    report << "station " << station << ": " << sum.rides << " rides, mean "
           << sum.meters_per_hour / sum.rides << " m/h\n";
  }
  for (const std::string& why : result.left_out) report << "left out: " << why << '\n';
  return report.str();
}

int main(int argc, char** argv) {
  int blocks = 40;
  int rows = 20'000;
  int in_flight = 6;
  const example::Flags flags("05_data_pipeline", {{"blocks", &blocks, "blocks to read"},
                                                  {"rows", &rows, "rows of a block"},
                                                  {"in-flight", &in_flight, "blocks at a time"}});
  if (flags.PrintHelp(argc, argv)) return 0;
  try {
    rayx::Init(&argc, argv);  // --local, --address ip:port, or nothing: a cluster of its own
    flags.Read(argc, argv);

    const auto in_flight_max = static_cast<std::size_t>(in_flight);
    const std::string report = Report(RunPipeline(blocks, rows, in_flight_max));
    const bool same = report == Report(RunHere(blocks, rows));
    std::cout << report << (same ? "as" : "NOT as") << " computed without RayX\n";
    rayx::Shutdown();
    return same ? 0 : 1;
  } catch (const std::exception& error) {
    std::cerr << argv[0] << ": " << error.what() << '\n';
    return 1;
  }
}
