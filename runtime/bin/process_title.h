// runtime/bin/process_title.h
//
// What ps shows: "rayx head".
// Owner:    main.      Threads: the main thread, before others start.
// Limits:   as long as the arguments that the process was started with.
#pragma once

#include <string>

namespace rayx::bin {

// Writes over the memory of argv, which must not be used afterwards.
void SetProcessTitle(int argc, char** argv, const std::string& title);

}  // namespace rayx::bin
