// runtime/cli/microbenchmark/report.h
//
// What `rayx microbenchmark` prints.
// Owner:    microbenchmark.cc.      Threads: any (no state).
// Promises: a figure without numbers is shown with the reason; in JSON they are null (the limit
//           too, if the row measures it), and `failed` or `not_run` says why. JSON: {schema, env,
//           rows: [{name, unit, median, p10, p90, limit, ratio}]}; the schema's number changes with
//           the meaning of a field. Where there is Ray's number, a row has
//           `ray: {median, p10, p90, same_source, times}` too.
#pragma once

#include <string>
#include <vector>

#include "cli/microbenchmark/limits.h"
#include "cli/microbenchmark/ray_column.h"
#include "cli/microbenchmark/row.h"

namespace rayx::cli {

// `remark`: MachineLoad's, or "".
std::string FormatTable(const std::vector<RowResult>& rows, const Limits& limits,
                        const RayColumn& ray = {}, const std::string& remark = "");
std::string FormatJson(const std::vector<RowResult>& rows, const Limits& limits,
                       const RayColumn& ray = {}, const std::string& remark = "");

}  // namespace rayx::cli
