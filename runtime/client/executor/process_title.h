// What `ps` shows for this process.
//
// Purpose:  "rayx worker:<task>" in the memory of the program's arguments: no system call.
// Owner:    the process.    Threads: SetProcessTitle one at a time.
// Limits:   cut to the room that the arguments and the environment had.
#ifndef RAYX_CLIENT_EXECUTOR_PROCESS_TITLE_H_
#define RAYX_CLIENT_EXECUTOR_PROCESS_TITLE_H_

#include <string>

namespace rayx::client {

// Before any SetProcessTitle, with main's arguments. Without it titles are not shown.
void KeepArguments(int argc, char** argv);
void SetProcessTitle(const std::string& title);
// The program's path, for messages.
std::string ProgramPath();

}  // namespace rayx::client

#endif  // RAYX_CLIENT_EXECUTOR_PROCESS_TITLE_H_
