#include "bench/runner/catalogue/arms.h"
#include "bench/runner/catalogue/workloads.h"

namespace rayx::bench {

WorkloadSpec Etl() {
  using enum GateKind;
  return {
      .name = "etl",
      .title =
          "4,194,304 made-up sales: filter, derive, join stores, group by, shuffle, global sort",
      .dataset_folder = "table-4194304x0-s1",
      .dataset_files = {"meta.json"},  // written last
      .dataset_sha256 = "8517bf4cded74a99633497c9f76e1f128ba27298426d33eb4803c1b93be92f5d",
      .dataset_command =
          "rayx-data gen table --num_samples 4194304 --num_features 0 --seed 1 --format parquet",
      .arguments = {"--block-rows=65536"},
      .steps = {.smoke = 4, .quick = 32, .quick_warm_up = 8, .full = 64, .full_warm_up = 8},
      .smallest_suite = "smoke",
      .step_word = "block",
      .phases = {"clean", "group", "sort"},
      .main_phase = "sort",
      .compared_phases = {"clean", "group", "sort"},
      .gates = {{"totals", "totals", "rows and cents of every group", kHash},
                {"rows", "rows", "clean rows, in any order", kText},
                {"order", "order", "clean rows, in the order of the whole", kText},
                {"clean rows", "clean_rows", "rows in all groups", kValue},
                {"sorted rows", "sorted_rows", "sorted rows", kValue},
                {"revenue", "revenue_cents", "cents in all groups", kValue},
                {"descents", "descents", "rows that are not behind the one before them", kValue}},
      // By the generator, which knows what it has made dirty.
      .known =
          {{"known clean rows",
            "sorted_rows",
            "sorted rows",
            {{4, 246818}, {32, 1973876}, {64, 3947704}}},
           {"known revenue",
            "revenue_cents",
            "cents in all groups",
            {{4, 1181135153}, {32, 9467610952}, {64, 18922210167}}},
           {"known order", "descents", "rows that are not behind the one before them", {{0, 0}}}},
      .same_on_any_nodes = true,
      .qualities = {{"clean_rows", "clean rows", 9}, {"revenue_cents", "revenue in cents", 12}},
      .remark =
          "RayX and native C++ run the same compiled kernel, the Python arms NumPy’s and "
          "LibTorch’s operators: RayX against native C++ compares runtimes, against native Python "
          "runtime and kernel together. Arrow reads the files in all of them.",
      .arms = Join(
          {RayxArm("etl", "RayX: C++, a task a block and step, rows pass between VMs as objects"),
           NativeCppArm("etl")},
          PythonArms("etl",
                     "as a student would: every rank reads everything, rank 0 gathers "
                     "and sorts"))};
}

}  // namespace rayx::bench
