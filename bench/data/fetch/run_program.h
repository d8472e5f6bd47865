// bench/data/fetch/run_program.h
//
// Runs a program of the system and waits for it.
// Threads:  any.
// Promises: the program's output goes to the log; its exit is told apart from its absence.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace rayx::bench {

enum class ProgramEnd { kSucceeded, kFailed, kNotFound };

// argv[0] is looked for in PATH. Runs in `folder`; output and errors are appended to `log`.
// `on_wait` is called a few times a second while the program runs.
ProgramEnd RunProgram(const std::vector<std::string>& argv, const std::filesystem::path& folder,
                      const std::filesystem::path& log, const std::function<void()>& on_wait);

// A log, or of a long one the first and the last 600 characters: some programs say the cause first,
// others last.
std::string EndsOfLog(const std::filesystem::path& log);

}  // namespace rayx::bench
