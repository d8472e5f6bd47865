// runtime/base/heap.h
//
// How the process's heap deals with what was freed.
#pragma once

namespace rayx::base {

// Freed memory stays with the process, up to 32 MiB, and blocks of less than 8 MiB come from it.
// Values come and go by the thousand; glibc as it is gives their memory back to the system each
// time they are gone, and takes it again, fault by fault: a quarter of the CPU time of a transfer.
// Who has tuned glibc by its environment variables keeps what was chosen. At start, before threads.
void KeepFreedMemory();

}  // namespace rayx::base
