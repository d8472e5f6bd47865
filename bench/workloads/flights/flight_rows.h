// bench/workloads/flights/flight_rows.h
//
// Flights of a block of raw rows, cleaned and joined with the airports. Arrow reads.
// Owner:    a task.                             Threads: one; computes on one thread.
// Inputs:   flights-3m.parquet and airports.csv; whatever they are not is a std::runtime_error that
//           names the file.
// Promises: the rows of a block depend on nothing but its raw rows and the airports.
// Pairs:    bench/native/flights.py does the same.
#pragma once

#include <rayx/torch.h>

#include <cstdint>
#include <string>
#include <vector>

namespace rayx::bench {

// A delay outside is a slip of whoever wrote it down (minutes).
inline constexpr int64_t kDelayMin = -60, kDelayMax = 1000;
inline constexpr int64_t kLateAbove = 15;
// Distance, then latitude and longitude of the origin and of the destination.
inline constexpr int64_t kNumbers = 5;

// The airports of a file, in its order.
struct Airports {
  std::vector<std::string> codes;
  std::vector<double> latitudes, longitudes;
};
Airports ReadAirports(const std::string& path);

// The clean rows of a block, by column.
struct FlightBlock {
  at::Tensor numbers;  // double [kNumbers, rows]
  at::Tensor times;    // uint8 [2, rows]: hour of the day; weekday, 0 = Monday
  at::Tensor late;     // float [rows]: 1 or 0

  RAYX_SERIALIZE(numbers, times, late)
};

// Rows of the table.
int64_t CountFlights(const std::string& path);

// The clean rows of blocks of `block_rows` raw rows each. `blocks` ascend; what lies between the
// first and the last of them is read at once.
std::vector<FlightBlock> ReadFlights(const std::string& path, const std::vector<int64_t>& blocks,
                                     int64_t block_rows, const Airports& airports);

}  // namespace rayx::bench
