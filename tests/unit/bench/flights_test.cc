// Goal: the C++ kernel of flights cleans and encodes by the definition, wrong data are refused by
// name, and an arm that does its work wrong fails a gate. Method: small files; errors in data and
// work; a plain training loop in place of the trainer.
#include "bench/workloads/flights/features.h"

#include <cmath>
#include <fstream>

#include "bench/workloads/arm/arm_program.h"
#include "tests/unit/bench/arm_outcomes.h"
#include "tests/unit/bench/parquet_files.h"

namespace rayx::bench {
namespace {

std::string Failed(const WorkloadSpec& workload, const Outcome& outcome, const Outcome& reference,
                   int64_t steps, int nodes) {
  return FailedGates(workload, outcome, reference, {.steps = steps, .nodes = nodes});
}

constexpr int64_t kRows = 2300, kBlockRows = 400, kSteps = 6;
constexpr int64_t kHour = 3'600'000'000;

enum class Slip { kNone, kForgottenBlock, kOwnScale, kOtherRate };

class Files {
 public:
  Files() : folder_("flights") {
    std::ofstream(Path("airports.csv")) << "iata,name,city,state,country,latitude,longitude\n"
                                           "ORD,\"O, Hare\",Chicago,IL,USA,41.98,-87.9\n"
                                           "SFO,x,y,CA,USA,37.62,-122.37\n"
                                           "ANC,x,y,AK,USA,61.17,-150\n";
    for (int64_t i = 0; i < kRows; ++i) {
      const int64_t hour = i * 7 % 24;
      dates.push_back((11323 * 24 + i % 180 * 24 + hour) * kHour);  // from 2001-01-01, a Monday
      delays.push_back(i % 97 == 0 ? 5000 : i * 31 % 40 - 30 + hour);
      distances.push_back(i % 89 == 0 ? 0 : 100 + i % 1000);
      origins.push_back(i % 53 == 0 ? "???" : i % 2 == 0 ? "ORD" : "SFO");
      destinations.push_back(i % 3 == 0 ? "ORD" : "ANC");
    }
    Write({});
  }
  std::string Path(const std::string& name) const { return (folder_.path() / name).string(); }
  std::string flights() const { return Path("flights-3m.parquet"); }

  // With one column as given instead; null: without it.
  void Write(const std::pair<std::string, std::shared_ptr<arrow::Array>>& changed) const {
    const auto type = arrow::timestamp(arrow::TimeUnit::MICRO);
    NamedArrays columns = {{"date", ArrayOf<arrow::Int64Builder>(dates)->View(type).ValueOrDie()},
                           {"delay", ArrayOf<arrow::Int64Builder>(delays)},
                           {"distance", ArrayOf<arrow::Int64Builder>(distances)},
                           {"origin", ArrayOf<arrow::LargeStringBuilder>(origins)},
                           {"destination", ArrayOf<arrow::LargeStringBuilder>(destinations)}};
    if (!changed.first.empty()) {
      std::erase_if(columns, [&](const auto& column) { return column.first == changed.first; });
      if (changed.second) columns.push_back(changed);
    }
    WriteParquet(flights(), columns, 700);
  }
  std::vector<FlightBlock> Read(const std::vector<int64_t>& blocks) const {
    return ReadFlights(flights(), blocks, kBlockRows, ReadAirports(Path("airports.csv")));
  }
  std::vector<FlightBlock> ReadAll() const { return Read({0, 1, 2, 3, 4, 5}); }
  bool IsClean(size_t row) const {
    return delays[row] <= kDelayMax && distances[row] > 0 && origins[row] != "???" &&
           origins[row] != destinations[row];
  }
  Outcome Run(Slip slip = Slip::kNone) const;

  std::vector<int64_t> dates, delays, distances;
  std::vector<std::string> origins, destinations;
  const WorkloadSpec workload = WorkloadNamed("flights");

 private:
  const TestFolder folder_;
};

std::vector<torch::TensorBlock> EncodeAll(const std::vector<FlightBlock>& blocks, Slip slip) {
  std::vector<Moments> moments;
  for (size_t b = 0; b < blocks.size(); ++b) {
    if (!IsForEvaluation(static_cast<int64_t>(b))) moments.push_back(MomentsOf(blocks[b]));
  }
  std::vector<torch::TensorBlock> encoded;
  for (const FlightBlock& block : blocks) {
    encoded.push_back(
        Encode(block, ScaleOf(slip == Slip::kOwnScale ? std::vector{MomentsOf(block)} : moments)));
  }
  return encoded;
}

Outcome Files::Run(Slip slip) const {
  const auto encoded = EncodeAll(ReadAll(), slip);
  ::torch::manual_seed(1);
  ::torch::nn::Sequential model = MakeModel();
  ArmOutcome outcome;
  for (size_t step = 0; step < 4; ++step) {
    const torch::TensorBlock& block = encoded[step % 3];
    const at::Tensor loss = LogisticLoss(model->forward(block.features), block.labels);
    model->zero_grad();
    loss.backward();
    const ::torch::NoGradGuard no_grad;
    for (at::Tensor& parameter : model->parameters()) {
      parameter.sub_(parameter.grad(), slip == Slip::kOtherRate ? 0.9 : 1.0);
    }
    outcome.series["loss"].push_back(static_cast<double>(loss.item<float>()));
  }
  Sha256 features, weights;
  double sum = 0;
  for (size_t b = 0; b < encoded.size(); ++b) {
    if (slip == Slip::kForgottenBlock && b == 4) continue;
    const std::string digest = DigestOf(encoded[b]);
    features.Add(digest.data(), digest.size());
    outcome.values["clean_rows"] += static_cast<double>(encoded[b].labels.size(0));
  }
  for (const at::Tensor& parameter : model->parameters()) {
    weights.Add(parameter.const_data_ptr(), parameter.nbytes());
    sum += parameter.abs().sum().item<double>();
  }
  outcome.steps = kSteps;
  outcome.hashes = {{"dataset", Sha256OfFiles({flights(), Path("airports.csv")})},
                    {"features", Sha256::Hex(features.Binary())},
                    {"weights", Sha256::Hex(weights.Binary())}};
  outcome.values["weights_abs_sum"] = sum;
  outcome.values["auc"] = AreaUnderCurve(HistogramOf(encoded[3], model));
  ArmEvents(Path("rep.events"), 0).Result({"rep", kSteps, Path("rep")}, outcome);
  return ReadOutcome(Path("rep"), workload);
}

TEST_CASE("flights: clean rows are joined and encoded by the definition") {
  const Files files;
  const auto encoded = EncodeAll(files.ReadAll(), Slip::kNone);
  double mean = 0, rows = 0;
  for (size_t row = 0; row < static_cast<size_t>(kRows); ++row) {
    if (IsForEvaluation(static_cast<int64_t>(row) / kBlockRows) || !files.IsClean(row)) continue;
    mean += static_cast<double>(files.distances[row]);
    ++rows;
  }
  mean /= rows;
  int64_t at = 0, block = 0;
  for (size_t row = 0; row < static_cast<size_t>(kRows); ++row) {
    if (static_cast<int64_t>(row) / kBlockRows != block) {
      REQUIRE(encoded[static_cast<size_t>(block)].labels.size(0) == at);
      ++block;
      at = 0;
    }
    if (!files.IsClean(row)) continue;
    const at::Tensor features = encoded[static_cast<size_t>(block)].features[at];
    const auto label = encoded[static_cast<size_t>(block)].labels[at++].item<float>();
    const int64_t hours = files.dates[row] / kHour - 11323 * 24;
    REQUIRE(features[hours % 24].item<float>() == 1);
    REQUIRE(features[kHours + hours / 24 % 7].item<float>() == 1);
    REQUIRE(features.narrow(0, 0, kHours + kWeekdays).sum().item<float>() == 2);
    REQUIRE(label == (files.delays[row] > kLateAbove ? 1 : 0));
    const auto distance = features[kHours + kWeekdays].item<double>();
    REQUIRE((distance > 0) == (static_cast<double>(files.distances[row]) > mean));
    REQUIRE((features[kHours + kWeekdays + 3].item<float>() > 0) ==
            (files.destinations[row] == "ANC"));
  }
}

TEST_CASE("flights: a block is the same whichever blocks are read with it") {
  const Files files;
  const auto all = EncodeAll(files.ReadAll(), Slip::kOwnScale);
  const auto some = EncodeAll(files.Read({1, 2, 4}), Slip::kOwnScale);
  REQUIRE(some.size() == 3);
  CHECK(DigestOf(some[0]) == DigestOf(all[1]));
  CHECK(DigestOf(some[1]) == DigestOf(all[2]));
  CHECK(DigestOf(some[2]) == DigestOf(all[4]));
}

TEST_CASE("flights: the area under the curve counts pairs, equal ones half") {
  Histogram counts(2 * kBins);
  counts[0] = 1;           // early, below all
  counts[7] = 1;           // early
  counts[kBins + 7] = 1;   // late, with it
  counts[kBins + 90] = 2;  // late, above all
  CHECK(AreaUnderCurve(counts) == 5.5 / 6);
  CHECK(std::isnan(AreaUnderCurve(Histogram(2 * kBins))));
}

TEST_CASE("flights: each error fails the gates that look at it") {
  const Files files;
  const Outcome sound = files.Run();
  const auto failed = [&](Slip slip, int nodes) {
    return Failed(files.workload, files.Run(slip), sound, kSteps, nodes);
  };
  for (const int nodes : {1, 3}) {
    CHECK(failed(Slip::kNone, nodes).empty());
    CHECK(failed(Slip::kForgottenBlock, nodes) == "clean rows;features;");
    CHECK(failed(Slip::kOwnScale, nodes).find("features;loss trace;weights;") == 0);
    CHECK(failed(Slip::kOtherRate, nodes).find("loss trace;weights;") == 0);
  }
  Outcome other = sound;
  other.values["auc"] += 2e-5;
  CHECK(Failed(files.workload, other, sound, kSteps, 1) == "auc;");
  CHECK(Failed(files.workload, other, sound, kSteps, 3).empty());
  other.values["auc"] += 1e-4;
  CHECK(Failed(files.workload, other, sound, kSteps, 3) == "auc;");

  WorkloadSpec known = files.workload;
  known.known.at(0).by_steps[kSteps] = sound.values.at("clean_rows") + 1;
  CHECK(Failed(known, sound, sound, kSteps, 3) == "known clean rows;");
}

TEST_CASE("flights: a changed row fails by its data set") {
  Files files;
  const Outcome sound = files.Run();
  files.delays[5] += 30;
  files.Write({});
  CHECK(Failed(files.workload, files.Run(), sound, kSteps, 3).find("dataset;") == 0);
}

TEST_CASE("flights: wrong data are refused by name") {
  const Files files;
  const auto refused = [&](const std::string& words) {
    CHECK_THROWS_WITH(files.ReadAll(),
                      Catch::StartsWith(files.flights() + ": ") && Catch::Contains(words));
  };
  for (const std::string column : {"date", "delay", "origin"}) {
    files.Write({column, nullptr});
    refused("there is no column " + column);
    files.Write({column, ArrayOf<arrow::BooleanBuilder>(std::vector<bool>(kRows, true))});
    refused(column + " is of type bool");
  }
  files.Write({"distance", arrow::MakeArrayOfNull(arrow::int64(), kRows).ValueOrDie()});
  refused("distance has empty cells");
  files.Write({"origin", arrow::MakeArrayOfNull(arrow::large_utf8(), kRows).ValueOrDie()});
  refused("origin has empty cells");
  files.Write({});
  std::filesystem::resize_file(files.flights(), 2000);
  refused("");
  std::filesystem::remove(files.flights());
  refused("");
  std::ofstream(files.Path("airports.csv")) << "iata,latitude\nORD,1\n";
  CHECK_THROWS_WITH(ReadAirports(files.Path("airports.csv")),
                    Catch::StartsWith(files.Path("airports.csv")) && Catch::Contains("longitude"));
  std::ofstream(files.Path("airports.csv")) << "iata,latitude,longitude\nORD,north,1\n";
  CHECK_THROWS_WITH(ReadAirports(files.Path("airports.csv")),
                    Catch::StartsWith(files.Path("airports.csv")));
}

}  // namespace
}  // namespace rayx::bench
