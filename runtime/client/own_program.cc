#include "client/own_program.h"

#include <link.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "io/process_title.h"
#include "rayx/errors.h"

namespace rayx::client {
namespace {

namespace fs = std::filesystem;

// Whole folders; `/lib` stands for `/lib/...`.
constexpr std::string_view kSystemFolders[] = {"/lib",       "/lib32",      "/lib64",
                                               "/libx32",    "/usr/lib",    "/usr/lib32",
                                               "/usr/lib64", "/usr/libx32", "/usr/libexec"};

constexpr std::string_view kDeniedNames[] = {"_", "SHLVL", "PWD", "OLDPWD", "WINDOWID", "DISPLAY"};
constexpr std::string_view kDeniedPrefixes[] = {"TERM", "SSH_", "XDG_SESSION_", "DBUS_", "RAYX_"};

std::string CurrentFolder() {
  std::error_code ignored;
  return fs::current_path(ignored).string();
}

int AddLibrary(dl_phdr_info* info, size_t, void* paths) {
  const std::string_view name = info->dlpi_name == nullptr ? "" : info->dlpi_name;
  // "" is the executable, a name without a folder the kernel's vdso.
  if (name.find('/') != std::string_view::npos) {
    static_cast<std::vector<std::string>*>(paths)->emplace_back(name);
  }
  return 0;
}

void AddEnvironment(const Options& options, proto::Program& program) {
  std::set<std::string> variables;  // in one order, so that equal environments have equal keys
  for (char** at = environ; at != nullptr && *at != nullptr; ++at) {
    const std::string variable = *at;
    const std::string name = variable.substr(0, variable.find('='));
    if (!IsDeniedVariable(name) && !options.env.contains(name)) variables.insert(variable);
  }
  for (const auto& [name, value] : options.env) variables.insert(name + "=" + value);
  for (const std::string& variable : variables) program.add_environment(variable);
}

}  // namespace

bool IsSystemPath(std::string_view path) {
  return std::any_of(std::begin(kSystemFolders), std::end(kSystemFolders),
                     [&](std::string_view folder) {
                       return path.starts_with(folder) && path.size() > folder.size() &&
                              path[folder.size()] == '/';
                     });
}

bool IsDeniedVariable(std::string_view name) {
  return std::find(std::begin(kDeniedNames), std::end(kDeniedNames), name) !=
             std::end(kDeniedNames) ||
         std::any_of(std::begin(kDeniedPrefixes), std::end(kDeniedPrefixes),
                     [&](std::string_view prefix) { return name.starts_with(prefix); });
}

// A link is not looked through: on another VM the same path may be one without it.
std::string AbsolutePath(const std::string& path, const std::string& folder) {
  if (path.find('/') == std::string::npos) return path;
  const fs::path whole = fs::path(folder) / path;
  const fs::path shortened = whole.lexically_normal();
  std::error_code error;  // "link/.." is not where the link is
  return (fs::equivalent(whole, shortened, error) || error ? shortened : whole).string();
}

std::vector<std::string> ExpandFolders(const std::vector<std::string>& paths) {
  std::vector<std::string> expanded;
  for (const std::string& path : paths) {
    std::error_code error;
    if (!fs::is_directory(path, error)) {
      expanded.push_back(path);
      continue;
    }
    std::vector<std::string> libraries;
    for (fs::directory_iterator i(path, error), end; !error && i != end; i.increment(error)) {
      if (i->path().extension() == ".so") libraries.push_back(i->path().string());
    }
    if (error) {
      throw MissingLibrary("Options::preload_libraries: " + path +
                           " cannot be read: " + error.message());
    }
    std::sort(libraries.begin(), libraries.end());
    expanded.insert(expanded.end(), libraries.begin(), libraries.end());
  }
  return expanded;
}

std::vector<std::string> LoadedLibraries() {
  std::vector<std::string> names;
  ::dl_iterate_phdr(&AddLibrary, &names);
  const std::string folder = CurrentFolder();
  std::vector<std::string> paths;
  for (const std::string& name : names) {
    std::string path = AbsolutePath(name, folder);
    if (!IsSystemPath(path)) paths.push_back(std::move(path));
  }
  return paths;
}

proto::Program OwnProgram(const Options& options) {
  proto::Program program;
  program.set_executable(io::ProgramPath());
  const std::string folder = CurrentFolder();
  for (const std::string& library : ExpandFolders(options.preload_libraries)) {
    program.add_preload_libraries(AbsolutePath(library, folder));
  }
  const fs::path asked = fs::path(folder) / options.working_folder;
  program.set_working_folder(options.working_folder.empty() ? folder
                                                            : asked.lexically_normal().string());
  for (const std::string& path : LoadedLibraries()) {
    program.add_parts()->set_path(path);
  }
  AddEnvironment(options, program);
  return program;
}

}  // namespace rayx::client
