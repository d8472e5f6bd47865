#include "bench/data/gen_command.h"

#include <algorithm>
#include <cstdio>
#include <thread>
#include <vector>

#include "bench/data/data_folder.h"

namespace rayx::bench {
namespace {

// Both spellings of an option: --num_samples,--num-samples.
std::string Spellings(const std::string& name) {
  std::string dashed = name;
  std::replace(dashed.begin(), dashed.end(), '_', '-');
  return "--" + name + (dashed == name ? "" : ",--" + dashed);
}

template <typename Value>
CLI::Option* Add(GenArguments& to, const std::string& name, Value& value, const std::string& help) {
  return to.command->add_option(Spellings(name), value, help)->capture_default_str();
}

const char* Description(DataKind kind) {
  switch (kind) {
    case DataKind::kClassification:
      return "Gaussian classes whose best possible accuracy is known; features of many scales";
    case DataKind::kBlobs:
      return "Gaussian clusters, for k-means";
    case DataKind::kTable:
      return "Sales of mixed types with holes and dirt, and the stores to join them with";
    case DataKind::kGraph:
      return "Directed edges, degrees by a power law, for PageRank";
  }
  return "";
}

void AddKindOptions(GenArguments& to) {
  GenerateSpec& spec = to.spec;
  const bool is_classes = spec.kind == DataKind::kClassification;
  const bool is_blobs = spec.kind == DataKind::kBlobs;
  if (spec.kind == DataKind::kGraph) {
    to.command
        ->add_option("--num_nodes,--num-nodes,--num_features,--num-features", spec.features,
                     "Nodes")
        ->capture_default_str();
    return;
  }
  Add(to, "num_features", spec.features,
      spec.kind == DataKind::kTable ? "Columns of measures, beside the fixed ones"
                                    : "Columns of numbers");
  if (is_classes) {
    Add(to, "classes", spec.classes, "Classes, at most --num_features");
    Add(to, "separation", spec.separation, "Distance between class centres, in deviations");
    Add(to, "noise", spec.noise, "Share of rows with another class's label");
  } else if (is_blobs) {
    Add(to, "classes", spec.classes, "Clusters");
    Add(to, "separation", spec.separation, "Deviation of the centres, in deviations of a cluster");
    Add(to, "noise", spec.noise, "Share of rows that lie anywhere (label -1)");
  } else {
    Add(to, "noise", spec.noise, "Share of prices and categories that are dirty");
  }
  Add(to, "missing", spec.missing, "Share of cells that are empty");
}

void AddKind(CLI::App& gen, DataKind kind, GenArguments& to) {
  to.spec = DefaultSpec(kind);
  to.out = DataFolder();
  to.options.threads = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  to.command = gen.add_subcommand(KindName(kind), Description(kind));
  const char* rows = kind == DataKind::kGraph ? "Edges" : "Rows";
  to.command->add_option(Spellings("num_samples"), to.spec.rows, rows)->required();
  AddKindOptions(to);
  Add(to, "seed", to.spec.seed, "Another seed is other data");
  std::vector<std::string> formats = {"csv", "parquet"};
  if (to.spec.classes > 0) formats.push_back("libsvm");
  Add(to, "format", to.format, "Of the files")->check(CLI::IsMember(formats));
  Add(to, "out", to.out, "The folder to put the data set's folder in ($RAYX_DATA)");
  Add(to, "chunk_rows", to.options.chunk_rows, "Rows a file");
  Add(to, "threads", to.options.threads, "Threads that write");
  to.command->add_flag("--force", to.options.force, "Replace what is there under this name");
}

std::string BestAccuracyLine(const DataMeta& meta) {
  if (!meta.facts.contains("best_accuracy")) return "";
  char text[128];
  const auto& best = meta.facts["best_accuracy"];
  snprintf(text, sizeof text, ", best possible accuracy %.3f %% (standard error %.3f)",
           100 * best.value("value", 0.0), 100 * best.value("standard_error", 0.0));
  return text;
}

}  // namespace

CLI::App* AddGenCommand(CLI::App& app, std::list<GenArguments>& arguments) {
  CLI::App* gen = app.add_subcommand("gen", "Make up a data set whose truth is known");
  gen->require_subcommand(1);
  for (DataKind kind :
       {DataKind::kClassification, DataKind::kBlobs, DataKind::kTable, DataKind::kGraph}) {
    AddKind(*gen, kind, arguments.emplace_back());
  }
  gen->footer(
      "A data set lies in <out>/<kind>-<rows>x<features>-s<seed>/: part-00000.<format>, ... and\n"
      "meta.json with every file's SHA-256, the truth behind the data and what is known about it,\n"
      "for example the best accuracy that any classifier can reach. Every row is a function of\n"
      "seed and row alone: any number of threads and any --chunk_rows give the same rows.\n"
      "Example: rayx-data gen classification --num_samples 1000000 --num_features 20");
  return gen;
}

int RunGen(const std::list<GenArguments>& arguments) {
  for (const GenArguments& kind : arguments) {
    if (!kind.command->parsed()) continue;
    GenerateOptions options = kind.options;
    auto format = ParseFormat(kind.format);
    if (format.ok()) options.format = *format;
    auto made = format.ok() ? GenerateDataSet(kind.spec, options, kind.out)
                            : absl::StatusOr<GenerateResult>(format.status());
    if (!made.ok()) {
      fprintf(stderr, "rayx-data: %s\n", std::string(made.status().message()).c_str());
      return 1;
    }
    fprintf(stderr, "%s: %lld rows in %zu files%s\n",
            made->was_there ? "the same data is there already" : "made",
            static_cast<long long>(kind.spec.rows), made->meta.files.size(),
            BestAccuracyLine(made->meta).c_str());
    printf("%s\n", made->folder.c_str());
    return 0;
  }
  return 1;
}

}  // namespace rayx::bench
