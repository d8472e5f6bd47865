// The beginning and the end of a program's use of RayX.
//
// Threads:  any; one at a time does the work, the others wait for it.
// Promises: a program may end without Shutdown. After Shutdown, Init may be called again.
#ifndef RAYX_INIT_H_
#define RAYX_INIT_H_

#include "rayx/detail/visibility.h"
#include "rayx/options.h"

namespace rayx {

// Connects this program to its cluster (options.h says to which). Does nothing when it is
// connected. In a worker process that was linked without RayX's main wrapper it does not return.
RAYX_PUBLIC void Init(const Options& options = {});
// With the flags of options.h, which stay in argv.
RAYX_PUBLIC void Init(int argc, char** argv, const Options& options = {});
// With the flags of options.h, which are removed from argv: for programs that parse the rest
// themselves.
RAYX_PUBLIC void Init(int* argc, char** argv, const Options& options = {});
// As Ray spells it.
inline void Init(const Options& options, int argc, char** argv) {
  Init(argc, argv, options);
}

// Between Init and Shutdown; always in a worker.
RAYX_PUBLIC bool IsInitialized();

// Ends the connection: waiting calls throw, references turn useless, actors of this job end except
// detached ones, which the cluster takes over first (in 30 s). Nothing without one, or in a worker.
RAYX_PUBLIC void Shutdown();

}  // namespace rayx

#endif  // RAYX_INIT_H_
