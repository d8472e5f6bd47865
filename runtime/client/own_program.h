// runtime/client/own_program.h
//
// What a driver says of its program, so that workers on any VM run the same.
//
// Purpose:  executable, libraries, working folder, environment.
// Owner:    ConnectCluster.
// Threads:  any, one at a time with changes of the environment.
// Promises: equal programs in equal environments say the same. Which folders are the system's, and
//           which variables are a terminal's or RayX's own, is decided here alone.
// Limits:   libraries that are loaded after Init are not known; Options::preload_libraries are.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "proto/types.pb.h"
#include "rayx/options.h"

namespace rayx::client {

proto::Program OwnProgram(const Options& options);

// In a folder that each VM has of its own system, and whose libraries are therefore not the
// program's: /lib, /usr/lib and their kin; not /usr/local, /opt or a home.
bool IsSystemPath(std::string_view path);
// Belongs to a terminal, a login or RayX itself and must not make two drivers' workers differ.
bool IsDeniedVariable(std::string_view name);
// `path` from `folder`, without "." and "..". A name without a folder stays one: it is looked for.
std::string AbsolutePath(const std::string& path, const std::string& folder);
// Each folder's libraries in its place, in the order of their names; others as they are. Throws
// MissingLibrary for a folder that cannot be read.
std::vector<std::string> ExpandFolders(const std::vector<std::string>& paths);
// The libraries that this process has loaded from outside the system's folders, in the order of
// their loading; absolute paths.
std::vector<std::string> LoadedLibraries();

}  // namespace rayx::client
