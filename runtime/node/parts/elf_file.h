// runtime/node/parts/elf_file.h
//
// What an ELF file says of itself that matters when it is run on another VM.
// Owner:    values.           Threads: any.
// Inputs:   any file; it may hold anything.
// Promises: reads only; what is malformed, of another machine or no ELF file at all gives empty
//           facts. Formats: ELF-64 (gABI), little endian; notes as the GNU tools write them.
// Limits:   128 segments, 64 KiB of notes and of dynamic entries each, an RPATH of 4 KiB.
#pragma once

#include <string>

namespace rayx::node {

struct ElfFacts {
  std::string build_id;  // hex; "": none
  std::string rpath;     // DT_RPATH, where no DT_RUNPATH takes its place
};

ElfFacts ReadElf(int fd);

}  // namespace rayx::node
