// Goal: an arm that trains on wrong rows, or wrongly, fails a gate, and wrong data is refused by
// name. Method: the C++ arm's own code on a small table, what it writes read as the runner reads
// it; then a wrong cell, another seed, a step left out, a forgotten part, labels that mean nothing.
#include <cmath>

#include "bench/workloads/arm/uniform_number.h"
#include "bench/workloads/classification/classification_rank.h"
#include "tests/unit/bench/arm_outcomes.h"
#include "tests/unit/bench/parquet_files.h"

namespace rayx::bench {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kSteps = 6;
constexpr int kPartRows = 300, kParts = 3;

struct Table {
  double shift = 0;        // of one cell
  bool senseless = false;  // labels
  std::string lacks = "";  // a column
  int32_t label_of_row_7 = 1;
};

class Classes {
 public:
  Classes() : folder_("classification") {
    std::ofstream(path("meta.json")) << R"({"facts": {"best_accuracy": {"value": 0.9}}})";
    Write({});
  }

  // Two classes around two places; one cell of 1000 is empty.
  void Write(const Table& table) const {
    for (uint64_t part = 0; part < kParts; ++part) {
      std::vector<int32_t> labels;
      for (uint64_t row = 0; row < kPartRows; ++row) {
        labels.push_back(UniformNumber(1, part * kPartRows + row) < 0.5 ? 0 : 1);
      }
      NamedArrays arrays;
      for (uint64_t column = 0; column < kFeatures; ++column) {
        arrays.emplace_back("f" + std::to_string(column), Column(table, part, column, labels));
      }
      if (table.senseless) {
        for (size_t row = 0; row < labels.size(); ++row) labels[row] = row % 2 == 0 ? 0 : 1;
      }
      if (part == 0) labels[7] = table.label_of_row_7;
      arrays.emplace_back("label", ArrayOf<arrow::Int32Builder>(labels));
      std::erase_if(arrays, [&](const auto& array) { return array.first == table.lacks; });
      WriteParquet(path("part-" + std::to_string(part) + ".parquet"), arrays, 200);
    }
  }
  fs::path path(const std::string& name) const { return folder_.path() / name; }
  std::string folder() const { return folder_.path(); }

  Outcome Run(int64_t steps = kSteps, uint64_t seed = 1, double learning_rate = 0.1) const {
    ArmOptions options;
    options.data = folder();
    options.seed = seed;
    const ClassificationOptions classification = {
        .model = "logreg", .block_rows = 128, .batch = 64, .learning_rate = learning_rate};
    GlooRanks ranks(options);
    const std::string prefix = path("rep");
    ArmEvents events(prefix + ".events", 0);
    RunClassification(options, classification, {"rep", steps, prefix}, ranks, events);
    return ReadOutcome(prefix, workload);
  }
  std::string Failed(const Outcome& outcome, const Outcome& reference,
                     int64_t steps = kSteps) const {
    return FailedGates(workload, outcome, reference, {.steps = steps, .nodes = 1});
  }

  const WorkloadSpec workload = WorkloadNamed("classification-logreg");

 private:
  static std::shared_ptr<arrow::Array> Column(const Table& table, uint64_t part, uint64_t column,
                                              const std::vector<int32_t>& labels) {
    arrow::DoubleBuilder builder;
    bool good = true;
    for (uint64_t row = 0; row < labels.size(); ++row) {
      const uint64_t cell = (part * kPartRows + row) * kFeatures + column;
      double value = UniformNumber(2, cell) * 3 + labels[row] + static_cast<double>(column);
      if (part == 1 && row == 5 && column == 3) value += table.shift;
      const bool is_empty = UniformNumber(3, cell) < 0.001;
      good = good && (is_empty ? builder.AppendNull() : builder.Append(value)).ok();
    }
    REQUIRE(good);
    std::shared_ptr<arrow::Array> array;
    REQUIRE(builder.Finish(&array).ok());
    return array;
  }

  const TestFolder folder_;
};

TEST_CASE("Classification: the same work passes; another seed, rate or number of steps fails") {
  const Classes classes;
  const Outcome sound = classes.Run();
  REQUIRE(sound.series.at("loss").numbers.size() == kSteps);
  CHECK(sound.values.at("rows") > 800);
  CHECK(sound.values.at("rows") < kParts * kPartRows);
  CHECK(classes.Failed(classes.Run(), sound).empty());
  CHECK(classes.Failed(classes.Run(kSteps, 2), sound).find("features;loss trace;weights;") == 0);
  CHECK(classes.Failed(classes.Run(kSteps, 1, 0.1001), sound).find("loss trace;weights;") == 0);
  CHECK(classes.Failed(classes.Run(kSteps - 1), sound)
            .find("steps;loss complete;loss trace;weights;") == 0);
}

TEST_CASE(
    "Classification: a wrong cell and a forgotten part fail, also where the data is lied about") {
  const Classes classes;
  const Outcome sound = classes.Run();
  classes.Write({.shift = 1e-3});
  Outcome planted = classes.Run();
  CHECK(classes.Failed(planted, sound).find("dataset;features;") == 0);
  planted.hashes["dataset"] = sound.hashes.at("dataset");
  CHECK(classes.Failed(planted, sound).find("features;") == 0);

  classes.Write({});
  fs::remove(classes.path("part-1.parquet"));
  planted = classes.Run();
  planted.hashes["dataset"] = sound.hashes.at("dataset");
  CHECK(classes.Failed(planted, sound).find("rows;features;") == 0);
}

TEST_CASE(
    "Classification: a model that has learned nothing misses the known best, like its reference") {
  constexpr int64_t kEnough = 100;
  const Classes classes;
  classes.Write({.senseless = true});
  const Outcome planted = classes.Run(kEnough);
  CHECK(planted.values.at("accuracy") < 0.7);
  CHECK(classes.Failed(planted, planted, kEnough) == "known best;");
}

TEST_CASE("Classification: data that is missing, cut off or of other columns is refused by name") {
  const Classes classes;
  const std::string part = classes.path("part-2.parquet");
  classes.Write({.lacks = "f31"});
  CHECK_THROWS_WITH(classes.Run(), Catch::Contains(".parquet: there is no column f31"));
  classes.Write({.lacks = "label"});
  CHECK_THROWS_WITH(classes.Run(), Catch::Contains(".parquet: there is no column label"));
  classes.Write({.label_of_row_7 = 2});
  CHECK_THROWS_WITH(classes.Run(), classes.folder() + ": label 2 is not one of 0 to 1");
  classes.Write({});
  fs::resize_file(part, fs::file_size(part) / 2);
  CHECK_THROWS_WITH(classes.Run(), Catch::StartsWith(part + ": "));
  classes.Write({});
  std::ofstream(classes.path("meta.json")) << "{}";
  CHECK_THROWS_WITH(classes.Run(), Catch::StartsWith(classes.path("meta.json").string() + ": "));
  fs::remove(classes.path("meta.json"));
  CHECK_THROWS_WITH(classes.Run(), "cannot read " + classes.path("meta.json").string());
  for (const char* name : {"part-0.parquet", "part-1.parquet", "part-2.parquet"}) {
    fs::remove(classes.path(name));
  }
  CHECK_THROWS_WITH(classes.Run(), classes.folder() + ": there is no Parquet file");
}

}  // namespace
}  // namespace rayx::bench
