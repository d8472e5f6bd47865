// tests/unit/local/lambdas.h
//
// A lambda that two source files see, and one of a name that both have for themselves.
#pragma once

#include <string>

#include "rayx/rayx.h"

namespace lambdas {

RAYX_LAMBDA(shout, [](const std::string& text) { return text + "!"; });

}  // namespace lambdas

std::string ShoutOfOtherFile(const std::string& text);
int StepOfOtherFile(int x);
