// tests/run_tests.h
//
// Catch2's session, compiled once for all tests. A test that is also a driver or a worker has a
// main of its own and calls it; all others have the main of main.cc.
#pragma once

namespace rayx::testing {

// Exit status as Catch2 defines it: 0 only if every test case passed.
int RunTests(int argc, char** argv);

}  // namespace rayx::testing
