// Remote tasks: calling a function somewhere else, and waiting for what it returns.
#include <rayx/rayx.h>

#include <iostream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

// Any function can be a task. Its id is its name and signature; Task<&square>() registers it.
int square(int x) {
  return x * x;
}

int add(int a, int b) {
  return a + b;
}

std::string greet(const std::string& name) {
  return "Hello, " + name + "!";
}

double reciprocal(double x) {
  if (x == 0) throw std::invalid_argument("reciprocal of zero");
  return 1 / x;
}

// A task may start tasks of its own and wait for them.
int sum_of_squares(int n) {
  std::vector<rayx::ObjectRef<int>> squares;
  for (int i = 1; i <= n; ++i) squares.push_back(rayx::Task<&square>().Remote(i));
  int sum = 0;
  for (const auto& value : rayx::Get(squares)) sum += *value;
  return sum;
}

int main(int argc, char** argv) {
  if (argc > 1 && std::string_view(argv[1]) == "--help") {
    std::cout << "usage: 01_hello [--local | --address ip:port|auto] [--num-cpus n]\n";
    return 0;
  }
  try {
    rayx::Init(argc, argv);  // --local, --address ip:port, or nothing: a cluster of its own

    // Remote returns at once, Get waits.
    const rayx::ObjectRef<std::string> greeting = rayx::Task<&greet>().Remote("world");
    std::cout << *greeting.Get() << '\n';

    // A result can be an argument before it is there.
    const rayx::ObjectRef<int> nine = rayx::Task<&square>().Remote(3);
    const rayx::ObjectRef<int> sixteen = rayx::Task<&square>().Remote(4);
    std::cout << "3*3 + 4*4 = " << *rayx::Task<&add>().Remote(nine, sixteen).Get() << '\n';

    std::cout << "1*1 + ... + 10*10 = " << *rayx::Task<&sum_of_squares>().Remote(10).Get() << '\n';

    // What a task throws is thrown by Get, as the same type.
    try {
      rayx::Task<&reciprocal>().Remote(0.0).Get();
    } catch (const std::invalid_argument& error) {
      std::cout << "caught: " << error.what() << '\n';
    }

    // Wait tells which results are there.
    std::vector<rayx::ObjectRef<double>> halves;
    for (int i = 1; i <= 4; ++i) halves.push_back(rayx::Task<&reciprocal>().Remote(2.0 * i));
    const rayx::WaitResult<double> result = rayx::Wait(halves, 4, 60'000);
    std::cout << result.ready.size() << " of 4 are ready\n";

    rayx::Shutdown();
  } catch (const std::exception& error) {
    std::cerr << argv[0] << ": " << error.what() << '\n';
    return 1;
  }
  return 0;
}
