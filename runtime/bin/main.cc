// `rayx`: the one binary. What people type is in cli/, the daemons are in daemons.h; a program that
// is its own worker (microbenchmark) enters worker mode before this main.
#include "bin/daemons.h"
#include "cli/command_line.h"

int main(int argc, char** argv) {
  int exit_code = 0;
  if (rayx::bin::RunDaemon(argc, argv, exit_code)) return exit_code;
  return rayx::cli::RunCommandLine(argc, argv);
}
