// runtime/io/process_title.h
//
// What `ps` shows for this process.
//
// Purpose:  "rayx head", "rayx worker:<task>" in the memory of the program's arguments: no system
//           call.
// Owner:    the process.
// Threads:  SetProcessTitle one at a time.
// Limits:   cut to the room that the arguments, or these and the environment, had.
#pragma once

#include <string>

namespace rayx::io {

// With kEnvironment the title may also take the room of the environment, which is copied elsewhere
// and is then not in /proc/<pid>/environ any more.
enum class TitleRoom { kArguments, kEnvironment };
// Before any SetProcessTitle, with main's arguments. Without it titles are not shown.
void KeepArguments(int argc, char** argv, TitleRoom room);
void SetProcessTitle(const std::string& title);
// The program's path, for messages: a worker's is the one that its driver was started by.
std::string ProgramPath();
// Also before other static initialisers.
void SetProgramPath(const char* path);

}  // namespace rayx::io
