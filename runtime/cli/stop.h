// runtime/cli/stop.h
//
// `rayx stop`: ends this user's session on this VM: on the head's VM the cluster, elsewhere this
// node.
// Owner:    the command line.
// Threads:  one.
// Promises: when it returns 0 nothing of a started session is left but logs, also when head, node
//           or supervisor had been killed before. Nothing to stop is 0 too.
#pragma once

namespace rayx::cli {

int RunStop();

}  // namespace rayx::cli
