// Mistakes in Ray's API that must not compile, and what RayX does not have yet.
// ../unit/api/check_refused.cmake compiles this file and looks for each sentence after `EXPECT:` in
// what the compiler says, as often as it stands here.
#include <ray/api.h>

int Plain(int x);
int TakesReference(std::string& x);
struct Class {
  static Class* Create(int);
  int Method(int);
};
struct Elsewhere {
  int Method(int);
};
RAY_REMOTE(Plain, Class::Create, &Class::Method);

void Mistakes(ray::ActorHandle<Class> handle) {
  const std::vector<std::unordered_map<std::string, double>> bundles{{{"CPU", 1}}};
  const ray::PlacementGroupCreationOptions options{"name", bundles, ray::PlacementStrategy::SPREAD};
  // EXPECT: RayX has no placement groups yet.
  ray::CreatePlacementGroup(options);
  ray::PlacementGroup group;
  ray::Task(Plain).SetPlacementGroup(group, 0).Remote(1);
  // EXPECT: A remote function cannot take a non-const reference
  ray::Task(TakesReference).Remote(std::string("x"));
  // EXPECT: The number of arguments is not the number of the function's parameters
  ray::Task(Plain).Remote();
  // EXPECT: An argument cannot be converted to the type of its parameter.
  ray::Task(Plain).Remote(std::string("x"));
  // EXPECT: rayx::Task(f) takes a function.
  ray::Task([](int x) { return x; });
  // EXPECT: An actor's factory returns C*
  ray::Actor(Plain);
  // EXPECT: The member function is not one of the actor's class.
  handle.Task(&Elsewhere::Method);
}

void MoreOfPlacementGroups(ray::PlacementGroup group) {
  // EXPECT: RayX has no placement groups yet.
  group.Wait(10L);
}
