// bench/data/data_folder.h
//
// Where the suite keeps real data: $RAYX_DATA, else bench/.data of the checkout that holds this
// program's build, else ./bench/.data.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>

namespace rayx::bench {

// The checkout above a build tree's program (build/x/bin/rayx-bench), or the working folder.
inline std::filesystem::path Checkout() {
  namespace fs = std::filesystem;
  std::error_code error;
  fs::path folder = fs::read_symlink("/proc/self/exe", error).parent_path();
  for (; !error && folder.has_relative_path(); folder = folder.parent_path()) {
    if (fs::exists(folder / "bench/native/arm.py", error)) return folder;
  }
  return fs::current_path(error);
}

inline std::string DataFolder() {
  if (const char* named = std::getenv("RAYX_DATA"); named != nullptr && *named != 0) return named;
  return (Checkout() / "bench/.data").string();
}

}  // namespace rayx::bench
