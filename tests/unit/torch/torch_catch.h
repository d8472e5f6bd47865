// tests/unit/torch/torch_catch.h
//
// LibTorch and Catch2 in one translation unit: both define CHECK; the tests want Catch2's.
#pragma once

#include <torch/torch.h>

// Once: a precompiled header has this file, and does not know it again.
#ifndef CHECK_THROWS
#undef CHECK
#include <catch2/catch.hpp>
#endif
