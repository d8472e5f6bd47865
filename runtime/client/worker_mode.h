// runtime/client/worker_mode.h
//
// A user's program as a zygote or a worker.
//
// Purpose:  what happens instead of the user's main: wrap_main.cc enters it after static
//           initialisation; Init() enters it in a program that was linked without the wrapper. As a
//           zygote the program waits, started and linked, and forks a worker whenever its daemon
//           asks for one; as a worker it serves calls.
// Owner:    the process.
// Threads:  the main thread.
// Inputs:   RAYX_WORKER_FD, RAYX_WORKER_MODE (zygote | exec), RAYX_WORKER_TOKEN of the environment,
//           read and unset before main by a constructor of the library, so that programs which user
//           code starts are not workers.
// Promises: RunWorkerMode does not return. The zygote forks only while it has one thread; a worker
//           ends by _exit after flushing stdio, when the daemon says so or is gone. In both SIGINT
//           is ignored, and SIGPIPE does nothing unless the program has set what it does.
#pragma once

namespace rayx::client {

bool IsWorkerMode();
[[noreturn]] void RunWorkerMode(int argc, char** argv);

}  // namespace rayx::client
