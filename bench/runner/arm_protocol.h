// bench/runner/arm_protocol.h
//
// What every arm program understands and answers, in whatever language it is written. The runner
// knows nothing else about an arm. Version 4.
//
// Command line (all arms the same; `--flag value` or `--flag=value`):
//   --data DIR         where rayx-data put the workload's files
//   --threads N        compute threads a rank                           (default 1)
//   --world-size N     number of ranks
//   --rank N           this rank, where the arm is started once a rank (torchrun says it otherwise)
//   --rendezvous A:P   where such ranks meet: rank 0 listens there; --own-address A: this rank's
//   --seed N           of the model's initialisation or of the first centres      (default 1)
//   --control PATH     FIFO from which rank 0 reads commands, one a line:
//                          run NAME STEPS SERIES_PREFIX    one repetition
//                          quit
//   --reps N --steps N without --control: so many repetitions at once, named r1.., by hand
//   --out PATH         file or FIFO to which rank 0 writes the events below (default: stdout)
//   --step-events      write the `step` events below: not in timed repetitions
//   --address A        cluster to use, arm `rayx` only
//   and those of its workload, below.
//
// Events: JSON objects, one a line, written by rank 0. Times are seconds, `at` is CLOCK_MONOTONIC.
//   {"event":"ready","protocol":4,"arm":S,"world_size":N,"threads":N,"torch":S,"blas":S,"at":T}
//       once, when the next command would start work at once: imports done, ranks connected. The
//       ranks of a warm-up are those of the repetitions after it. torch, blas: where it is used.
//   {"event":"phase","rep":S,"name":S,"seconds":T}
//       wall time between two points where all ranks have arrived, written when it ends: each of
//       the workload's phases, once. They are all that a repetition does from its command to the
//       end of the last one: the runner measures that span too, and shows what of it is in no
//       phase.
//   {"event":"step","rep":S,"done":N,"at":T}
//       N steps of the workload's main phase are done, as far as rank 0 knows. An arm that cannot
//       know writes none.
//   {"event":"result","rep":S,"steps":N,"hashes":{S:S},"values":{S:X},"texts":{S:S}}
//       ends the repetition. What only gates need is computed after the last phase. `hashes` are
//       SHA-256 in lower-case hex, one is "dataset"; a value that is not a number is null; `texts`
//       may be missing.
//   {"event":"error","message":S}                then a non-zero exit. The log has the message too:
//       only its first line is shown.
// Series NAME of a repetition lies in SERIES_PREFIX.NAME.txt before `result`: a number a line, %a.
//
// CPU time and memory are no part of the protocol: the runner reads them from the cgroup of the
// arm's processes, from the command to the end of the last phase, for every arm alike.
//
// The flags, phases and results of each workload: bench/workloads/README.md.
#pragma once

namespace rayx::bench {

inline constexpr int kArmProtocolVersion = 4;

}  // namespace rayx::bench
