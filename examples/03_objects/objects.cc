// Objects: values that are stored once and read from everywhere.
#include <rayx/rayx.h>

#include <cstdint>
#include <iostream>
#include <numeric>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// Plain structs of up to 16 fields travel as they are.
struct Reading {
  double time = 0;
  float value = 0;
  std::int32_t sensor = 0;
};

struct Station {
  std::string name;
  std::vector<Reading> readings;  // one block of memory, never taken apart
  std::optional<std::string> remark;
};

// A class says what of it travels.
class Mean {
 public:
  void Add(double value) {
    sum_ += value;
    ++count_;
  }
  double Value() const { return count_ == 0 ? 0 : sum_ / count_; }
  RAYX_SERIALIZE(sum_, count_)

 private:
  double sum_ = 0;
  int count_ = 0;
};

Station measure(const std::string& name, int readings) {
  Station station{name, {}, std::nullopt};
  for (int i = 0; i < readings; ++i) {
    station.readings.push_back({0.5 * i, static_cast<float>(i % 90), i % 3});
  }
  if (readings > 1000) station.remark = "many";
  return station;
}

Mean mean_of_sensor(const Station& station, int sensor) {
  Mean mean;
  for (const Reading& reading : station.readings) {
    if (reading.sensor == sensor) mean.Add(reading.value);
  }
  return mean;
}

// A parameter of type ObjectRef receives the reference; a parameter T receives the value.
std::size_t count_bytes(const std::vector<rayx::ObjectRef<std::vector<std::uint8_t>>>& parts) {
  std::size_t bytes = 0;
  for (const auto& part : parts) bytes += rayx::GetView(part).size();
  return bytes;
}

std::uint64_t checksum(const std::vector<std::uint32_t>& numbers) {
  return std::accumulate(numbers.begin(), numbers.end(), std::uint64_t{0});
}

int main(int argc, char** argv) {
  if (argc > 1 && std::string_view(argv[1]) == "--help") {
    std::cout << "usage: 03_objects [--local | --address ip:port|auto] [--num-cpus n]\n";
    return 0;
  }
  try {
    rayx::Init(argc, argv);  // --local, --address ip:port, or nothing: a cluster of its own

    // Put stores a value; every task that is given the reference reads the same bytes.
    std::vector<std::uint32_t> numbers(1'000'000);
    std::iota(numbers.begin(), numbers.end(), 0U);
    const auto stored = rayx::Put(numbers);
    std::cout << "sum in two tasks: " << *rayx::Task<&checksum>().Remote(stored).Get() << ' '
              << *rayx::Task<&checksum>().Remote(stored).Get() << '\n';

    // A view reads in place, without a copy.
    const rayx::View<std::vector<std::uint32_t>> view = rayx::GetView(stored);
    std::cout << "last of " << view.size() << ": " << view[view.size() - 1] << '\n';

    // The result of one task is the argument of others, wherever it lies.
    const rayx::ObjectRef<Station> station = rayx::Task<&measure>().Remote("north", 3000);
    for (int sensor = 0; sensor < 3; ++sensor) {
      std::cout << "mean of sensor " << sensor << ": "
                << rayx::Task<&mean_of_sensor>().Remote(station, sensor).Get()->Value() << '\n';
    }
    std::cout << "remark: " << station.Get()->remark.value_or("none") << '\n';

    // References inside values keep their objects.
    std::vector<rayx::ObjectRef<std::vector<std::uint8_t>>> parts;
    for (int i = 1; i <= 4; ++i) {
      parts.push_back(rayx::Put(std::vector<std::uint8_t>(static_cast<std::size_t>(i) * 100'000)));
    }
    const auto bytes = rayx::Task<&count_bytes>().Remote(std::move(parts));
    std::cout << "bytes in all parts: " << *bytes.Get() << '\n';

    rayx::KeyValue::Put("color", "green");
    std::cout << "color: " << rayx::KeyValue::Get("color").value_or("none")
              << ", shape: " << rayx::KeyValue::Get("shape").value_or("none") << '\n';
    rayx::Shutdown();
  } catch (const std::exception& error) {
    std::cerr << argv[0] << ": " << error.what() << '\n';
    return 1;
  }
  return 0;
}
