#include "io/process_title.h"

#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstring>

namespace rayx::io {
namespace {

char* title_begin = nullptr;
size_t title_bytes = 0;
char program_path[PATH_MAX] = {};  // "": what the kernel says

}  // namespace

void KeepArguments(int argc, char** argv, TitleRoom room) {
  if (argc < 1 || argv == nullptr || argv[0] == nullptr) return;
  char* end = argv[0];
  for (int i = 0; i < argc && argv[i] == end; ++i) end += std::strlen(argv[i]) + 1;
  // The environment that follows is copied before it is overwritten.
  for (char** variable = room == TitleRoom::kEnvironment ? environ : nullptr;
       variable != nullptr && *variable != nullptr && *variable == end; ++variable) {
    end += std::strlen(*variable) + 1;
    *variable = ::strdup(*variable);
  }
  title_begin = argv[0];
  title_bytes = static_cast<size_t>(end - argv[0]);
}

void SetProcessTitle(const std::string& title) {
  if (title_bytes < 2) return;
  const size_t bytes = std::min(title.size(), title_bytes - 1);
  std::memcpy(title_begin, title.data(), bytes);
  std::memset(title_begin + bytes, 0, title_bytes - bytes);
}

void SetProgramPath(const char* path) {
  std::strncpy(program_path, path, sizeof program_path - 1);
}

std::string ProgramPath() {
  if (program_path[0] != '\0') return program_path;
  char path[PATH_MAX];
  const ssize_t bytes = ::readlink("/proc/self/exe", path, sizeof path);
  return bytes > 0 ? std::string(path, static_cast<size_t>(bytes)) : "?";
}

}  // namespace rayx::io
