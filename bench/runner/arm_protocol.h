// bench/runner/arm_protocol.h
//
// What every arm program of a workload understands and answers, in whatever language it is written.
// The runner knows nothing else about an arm. Version 2.
//
// Command line (all arms the same; `--flag value` or `--flag=value`):
//   --data DIR         where rayx-data put the raw files
//   --seed N           initialisation of the model                      (default 1)
//   --sampler-seed N   epoch e permutes with seed N + e                 (default 45)
//   --batch N          global batch, split contiguously over the ranks  (default 64)
//   --lr X             learning rate of plain SGD                       (default 0.001)
//   --threads N        compute threads a rank                           (default 1)
//   --world-size N     number of ranks
//   --rank N           this rank, where the arm is started once a rank (torchrun says it otherwise)
//   --control PATH     FIFO from which rank 0 reads commands, one a line:
//                          run NAME STEPS LOSS_FILE        one repetition
//                          quit
//   --reps N --steps N without --control: so many repetitions at once, named r1.., by hand
//   --out PATH         file or FIFO to which rank 0 writes the events below (default: stdout)
//   --address A        cluster to use, arm `rayx` only
//
// Events: JSON objects, one a line, written by rank 0. Times are seconds, `at` is CLOCK_MONOTONIC.
//   {"event":"ready","protocol":2,"arm":S,"world_size":N,"threads":N,"torch":S,"blas":S,"at":T}
//       once, when the next command would start work at once: imports done, ranks connected. The
//       ranks of a warm-up are those of the repetitions after it.
//   {"event":"phase","rep":S,"name":"load"|"preprocess"|"train"|"evaluate","seconds":T}
//       wall time between two points where all ranks have arrived, written when it ends. The phases
//       are all that a repetition does from its command to the end of `evaluate`: the runner
//       measures that span too, and shows what of it is in no phase.
//   {"event":"loss","rep":S,"path":S}            one line a step: mean loss of the global batch, %a
//   {"event":"result","rep":S,"steps":N,"dataset_sha256":S,"features_sha256":S,
//    "weights_sha256":S,"weights_abs_sum":X,"accuracy":X}
//       ends the repetition. Checksums are taken after the last phase.
//   {"event":"error","message":S}                then a non-zero exit. The log has the message too:
//       only its first line is shown.
//
// CPU time and memory are no part of the protocol: the runner reads them from the cgroup of the
// arm's processes, from the command to the end of `evaluate`, for every arm alike.
//
// Checksums (lower-case hex):
//   dataset    SHA-256 of the four raw files' bytes: train images, train labels, test images, test
//              labels.
//   features   SHA-256 of the concatenated binary SHA-256 of each block's float32 bytes: blocks of
//              kFeatureBlockRows rows of train, then of test.
//   weights    SHA-256 of the parameters' float32 bytes in the model's order; weights_abs_sum is
//              the sum of their absolute values in double, for comparisons with a tolerance.
//
// What the phases must have done when they end (fmnist-mlp):
//   load        the raw files are checked. Their rows are mapped or in memory, or are read where
//               and when they are preprocessed: then that is part of `preprocess`.
//   preprocess  each rank can read float32 features of every training row, standardised:
//               (x / 255 - mean) / deviation in float32, mean and deviation over all training
//               pixels from sums of x/255 and of its square, in double, per block of
//               kFeatureBlockRows rows, merged in block order, cast once.
//   train       STEPS optimiser steps from freshly seeded weights. Step b of epoch e takes rows
//              [b * batch, (b + 1) * batch) of the epoch's permutation, the last step what is left;
//              rank r its contiguous part of them, the first ranks one row more where it is uneven.
//              The loss is the mean over the whole batch.
//   evaluate    accuracy on all test rows is known to rank 0.
#pragma once

namespace rayx::bench {

inline constexpr int kArmProtocolVersion = 2;
inline constexpr int kFeatureBlockRows = 5000;

}  // namespace rayx::bench
