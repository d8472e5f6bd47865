// runtime/cli/command_line.h
//
// The commands of `rayx` that people type.
// Owner:    bin/.
// Threads:  one.
// Promises: a wrong option or command is named with what was expected, exit code 2; --help
//           everywhere.
#pragma once

namespace rayx::cli {

// The exit code.
int RunCommandLine(int argc, char** argv);

}  // namespace rayx::cli
