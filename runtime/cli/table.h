// runtime/cli/table.h
//
// What commands print: columns for people, JSON for programs.
// Owner:    one command.      Threads: one.
// Promises: what comes from the cluster is printed without control characters.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>
#include <vector>

namespace rayx::cli {

class Table {
 public:
  explicit Table(std::vector<std::string> header) : header_(std::move(header)) {}
  void Add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  bool empty() const { return rows_.empty(); }
  void Print(std::ostream& out) const;

 private:
  const std::vector<std::string> header_;
  std::vector<std::vector<std::string>> rows_;
};

// "1.5 GiB"
std::string FormatBytes(uint64_t bytes);
// Units of 1/kResourceUnit as a number: "0.5".
std::string FormatUnits(int64_t units);
std::string Printable(const std::string& text);
// The same with its tabs.
std::string PrintableLine(const std::string& text);

}  // namespace rayx::cli
