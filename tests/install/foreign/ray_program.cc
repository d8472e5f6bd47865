// Goal: a program in Ray's API works on an installed RayX. Method: as program.cc, with <ray/api.h>.
#include <ray/api.h>

int Square(int x) {
  return x * x;
}
RAY_REMOTE(Square);

int main(int argc, char** argv) {
  ray::RayConfig config;
  config.local_mode = argc == 1;
  ray::Init(config, argc, argv);
  const int square = *ray::Get(ray::Task(Square).Remote(7));
  ray::Shutdown();
  std::cout << "square " << square << " by Ray's API\n";
  return square == 49 ? 0 : 1;
}
