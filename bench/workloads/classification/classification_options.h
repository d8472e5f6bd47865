// bench/workloads/classification/classification_options.h
//
// The workload's own flags, the same for all arms.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>

namespace rayx::bench {

struct ClassificationOptions {
  std::string model;
  int64_t block_rows = 65536, batch = 512;
  double learning_rate = 0.3;

  bool is_mlp() const { return model == "mlp"; }
};

inline void AddClassificationFlags(CLI::App& app, ClassificationOptions& options) {
  app.add_option("--model", options.model, "What is trained")
      ->required()
      ->check(CLI::IsMember({"logreg", "mlp"}));
  app.add_option("--block-rows", options.block_rows, "Rows of a block")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 30));
  app.add_option("--batch", options.batch, "Global batch")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 30));
  app.add_option("--lr", options.learning_rate, "Learning rate")->check(CLI::Range(0.0, 100.0));
}

}  // namespace rayx::bench
