#include "cli/microbenchmark/report.h"

#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "model/versions.h"

namespace rayx::cli {
namespace {

constexpr int kSchema = 1;

template <class... Values>
std::string Format(const char* format, Values... values) {
  const int bytes = std::snprintf(nullptr, 0, format, values...);
  std::string text(static_cast<size_t>(std::max(bytes, 0)) + 1, '\0');
  std::snprintf(text.data(), text.size(), format, values...);
  text.pop_back();
  return text;
}

// How many times as good as Ray the same source is on RayX.
double TimesRay(const RayFigure& figure, Unit unit) {
  return RatioTo(figure.same_source, figure.median, unit);
}

const RayFigure* Find(const RayColumn& ray, const Figure& figure) {
  const auto found = ray.figures.find(figure.name);
  return found == ray.figures.end() ? nullptr : &found->second;
}

std::string RayPartOf(const RayColumn& ray, const Figure& figure) {
  const RayFigure* const beside = Find(ray, figure);
  if (beside == nullptr) return "";
  return Format(" %12.4g %12.4g %9.3g", beside->median, beside->same_source,
                TimesRay(*beside, figure.unit));
}

std::string LineOf(const RowResult& row, const Measured& measured, const Limits& limits,
                   const RayColumn& ray, int width) {
  const Figure& figure = measured.figure;
  const std::string start = Format("%-*s %6s ", width, figure.name.c_str(), UnitName(figure.unit));
  if (!row.failed.empty()) return start + "FAILED: " + row.failed + "\n";
  if (!row.not_run.empty()) return start + "not run: " + row.not_run + "\n";
  const double limit = *LimitOf(measured, limits);
  return start +
         Format("%12.4g %12.4g %12.4g %12.4g %9.3g", measured.median, measured.p10, measured.p90,
                limit, RatioTo(limit, measured.median, figure.unit)) +
         RayPartOf(ray, figure) + "\n";
}

nlohmann::json JsonRow(const RowResult& row, const Measured& measured, const Limits& limits,
                       const RayColumn& ray) {
  const Figure& figure = measured.figure;
  const std::optional<double> limit = LimitOf(measured, limits);
  nlohmann::json json = {{"name", figure.name}, {"unit", UnitName(figure.unit)}};
  for (const char* number : {"median", "p10", "p90", "limit", "ratio"}) json[number] = nullptr;
  if (limit) json["limit"] = *limit;
  if (const RayFigure* const beside = Find(ray, figure); beside != nullptr) {
    json["ray"] = {{"median", beside->median},
                   {"p10", beside->p10},
                   {"p90", beside->p90},
                   {"same_source", beside->same_source},
                   {"times", TimesRay(*beside, figure.unit)}};
  }
  if (row.has_numbers()) {
    json["median"] = measured.median;
    json["p10"] = measured.p10;
    json["p90"] = measured.p90;
    json["ratio"] = RatioTo(*limit, measured.median, figure.unit);
    return json;
  }
  if (!row.failed.empty()) {
    json["failed"] = row.failed;
  } else {
    json["not_run"] = row.not_run;
  }
  return json;
}

}  // namespace

std::string FormatTable(const std::vector<RowResult>& rows, const Limits& limits,
                        const RayColumn& ray, const std::string& remark) {
  size_t width = 0;
  for (const RowResult& row : rows) {
    for (const Measured& each : row.figures) width = std::max(width, each.figure.name.size());
  }
  const int columns = static_cast<int>(width);
  std::string text = Format("%-*s %6s %12s %12s %12s %12s %9s", columns, "row", "unit", "median",
                            "p10", "p90", "limit", "ratio");
  const bool has_ray = !ray.release.empty();
  if (has_ray) {
    text += Format(" %12s %12s %9s", ("Ray " + ray.release).c_str(), "same source", "times");
  }
  text += "\n";
  for (const RowResult& row : rows) {
    for (const Measured& each : row.figures) text += LineOf(row, each, limits, ray, columns);
  }
  return text +
         Format(
             "\nlimits of this run: ring round trip %.3f us, fork %.0f us, warm memcpy of 80 MiB "
             "%.2f GB/s, warm read of it %.2f GB/s\n"
             "limit: what so many round trips, forks or bytes take one after another; of "
             "transfers a stream\n"
             "beside them, of broadcasts one transfer, of memory processes that do nothing\n"
             "ratio: how many times the limit a row costs (1 = as good as the machine; less where "
             "many calls\n"
             "are under way at once, or none leaves the process)\n",
             limits.ring_us, limits.fork_us, limits.copy_gbs, limits.read_gbs) +
         (has_ray ? "same source: the program that was measured on Ray, in Ray's C++ API, on RayX; "
                    "times: how many\n"
                    "times as good that is as Ray\n"
                  : "") +
         (remark.empty() ? "" : remark + "\n");
}

std::string FormatJson(const std::vector<RowResult>& rows, const Limits& limits,
                       const RayColumn& ray, const std::string& remark) {
  utsname system{};
  ::uname(&system);
  nlohmann::json json;
  json["schema"] = kSchema;
  json["env"] = {{"release", model::kRelease},
                 {"kernel", system.release},
                 {"cores", ::sysconf(_SC_NPROCESSORS_ONLN)},
                 {"ring_round_trip_us", limits.ring_us},
                 {"fork_us", limits.fork_us},
                 {"warm_memcpy_gb_per_s", limits.copy_gbs},
                 {"warm_read_gb_per_s", limits.read_gbs},
                 {"cache_line_bytes", limits.cache_line_bytes}};
  if (!ray.release.empty()) json["env"]["ray_release"] = ray.release;
  if (!remark.empty()) json["env"]["remark"] = remark;
  json["rows"] = nlohmann::json::array();
  for (const RowResult& row : rows) {
    for (const Measured& each : row.figures)
      json["rows"].push_back(JsonRow(row, each, limits, ray));
  }
  return json.dump(2) + "\n";
}

}  // namespace rayx::cli
