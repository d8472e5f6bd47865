// bench/runner/report_command.h
//
// `rayx-bench report`: makes report.html of a result with bench/report/report.py.
#pragma once

#include <string>

namespace rayx::bench {

// $RAYX_VENV, else /opt/rayx/venv, else third_party/.venv of the checkout.
std::string VirtualEnvironment();

// `folder` is results/<id>. 0 when the report was written.
int MakeReport(const std::string& folder);

// The folder of `id` below `results`; "" names the latest result.
std::string ResultFolder(const std::string& results, const std::string& id);

}  // namespace rayx::bench
