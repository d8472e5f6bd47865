// librayx_main.a: what -Wl,--wrap=main puts in front of the user's main. In worker mode that never
// runs.
#include "client/worker_mode.h"

extern "C" int __real_main(int argc, char** argv, char** environment);

extern "C" int __wrap_main(int argc, char** argv, char** environment) {
  if (rayx::client::IsWorkerMode()) rayx::client::RunWorkerMode(argc, argv);
  return __real_main(argc, argv, environment);
}
