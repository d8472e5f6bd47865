// bench/data/staging_folder.h
//
// A folder is made beside its final place and appears there at once, whole, or not at all.
// Owner:    whoever makes a data set.           Threads: one.
// Inputs:   the folder that will hold the data set; it is made if it is not there.
// Promises: Publish() is one rename: a reader sees the old folder or the new one. What is left of a
//           process that was killed is removed by the next one (a lock tells the living from the
//           dead). The destructor removes everything that was not published.
#pragma once

#include <filesystem>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace rayx::bench {

class StagingFolder {
 public:
  static absl::StatusOr<StagingFolder> Make(const std::filesystem::path& parent);
  StagingFolder(StagingFolder&& other) noexcept;
  StagingFolder& operator=(StagingFolder&&) = delete;
  ~StagingFolder();

  std::filesystem::path work() const { return root_ / "work"; }  // for what is not published
  std::filesystem::path done() const { return root_ / "done"; }

  // Puts done() in the place of `target`, in `parent`. What is there goes if `replace`; else it is
  // left alone and the answer is kAlreadyExists.
  absl::Status Publish(const std::filesystem::path& target, bool replace);

 private:
  StagingFolder(std::filesystem::path root, int lock) : root_(std::move(root)), lock_(lock) {}

  std::filesystem::path root_;
  int lock_;
};

}  // namespace rayx::bench
