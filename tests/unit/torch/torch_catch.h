// LibTorch and Catch2 in one translation unit: both define CHECK; the tests want Catch2's.
#ifndef RAYX_TESTS_UNIT_TORCH_TORCH_CATCH_H_
#define RAYX_TESTS_UNIT_TORCH_TORCH_CATCH_H_

#include <torch/torch.h>

#undef CHECK
#include <catch2/catch.hpp>

#endif  // RAYX_TESTS_UNIT_TORCH_TORCH_CATCH_H_
