// Goal: ids of functions are stable, differ where functions differ, and are found by pointer.
// Method: ids of known functions are compared with numbers written down here.
#include <catch2/catch.hpp>

#include <string>
#include <vector>

#include "rayx/rayx.h"
#include "tests/unit/api/internal_linkage.h"

namespace function_id {

int Square(int x) {
  return x * x;
}
double Square(double x) {
  return x * x;
}
std::string Join(const std::vector<std::string>&, char) {
  return "";
}
template <class T>
T Identity(T value) {
  return value;
}

struct Base {
  virtual ~Base() = default;
  int Shared() const noexcept { return 1; }
  virtual int Virtual(int x) { return x; }
};
struct Other {
  virtual ~Other() = default;
  int other = 5;
  int FromOther() { return other; }
};
struct Thing : Base, Other {
  static std::unique_ptr<Thing> Create() { return std::make_unique<Thing>(); }
  int Own(int x) { return x + 1; }
  int Own(int x, int y) { return x + y; }
  int Virtual(int x) override { return 2 * x; }
};

static int Internal(int x) {
  return x - 1;
}

RAYX_LAMBDA(cube, [](int x) { return x * x * x; });
namespace {
RAYX_LAMBDA(hidden, [](int x) noexcept { return x; });
}  // namespace

}  // namespace function_id

using namespace function_id;  // NOLINT

RAYX_REMOTE(RAYX_FUNC(Square, int), RAYX_FUNC(Square, double), Join, Identity<int>);
RAYX_REMOTE(Thing::Create, RAYX_FUNC(&Thing::Own, int), RAYX_FUNC(&Thing::Own, int, int),
            &Base::Shared, &Thing::Virtual, &Base::Virtual, &Other::FromOther);
RAYX_REMOTE(Internal);

namespace {

template <class F>
std::uint64_t IdOf(F function) {
  return rayx::detail::IdOfPointer<F, false>(function, "test");
}
std::string NameOf(std::uint64_t id) {
  const rayx::detail::FunctionEntry* entry = rayx::detail::FindFunction(id);
  return entry == nullptr ? "unknown" : entry->name;
}

}  // namespace

TEST_CASE("FunctionId: names are what people write") {
  CHECK(NameOf(rayx::detail::kFunctionId<RAYX_FUNC(Square, int)>) ==
        "int function_id::Square(int)");
  CHECK(NameOf(rayx::detail::kFunctionId<RAYX_FUNC(&Thing::Own, int)>) ==
        "int function_id::Thing::Own(int)");
  CHECK(NameOf(rayx::detail::kFunctionId<&Base::Shared>) ==
        "int function_id::Base::Shared() const noexcept");
}

TEST_CASE("FunctionId: ids do not change from build to build") {
  CHECK(rayx::detail::kFunctionId<RAYX_FUNC(Square, int)> == 0x908d0472a7585ed3ULL);
  CHECK(rayx::detail::kFunctionId<&Join> == 0xe56996d232e80cc8ULL);
  CHECK(rayx::detail::kFunctionId<&Base::Shared> == 0xb9dbbf418b76124fULL);
}

TEST_CASE("FunctionId: a lambda has the name and the id of where RAYX_LAMBDA stands") {
  using rayx::detail::LambdaId;
  constexpr std::uint64_t cube = LambdaId<function_id::RayxLambdaOf_cube>();
  CHECK(NameOf(cube) == "int function_id::cube(int)");
  CHECK(cube == 0x4ddd48efeb119b58ULL);
  const auto scope =
      rayx::detail::ScopeOf(rayx::detail::TypeName<function_id::RayxLambdaOf_hidden>(), "hidden");
  CHECK(scope.is_internal);
  CHECK_FALSE(
      rayx::detail::ScopeOf(rayx::detail::TypeName<function_id::RayxLambdaOf_cube>(), "cube")
          .is_internal);
  CHECK_THAT(NameOf(LambdaId<function_id::RayxLambdaOf_hidden>()),
             Catch::EndsWith("::hidden(int) noexcept"));
}

TEST_CASE("FunctionId: internal linkage is seen in mangled names") {
  using rayx::detail::IsInternalName;
  CHECK(IsInternalName("3TagIXadL_ZL1fiEEE"));
  CHECK(IsInternalName("3TagIXadL_ZN3appL1fEiEEE"));
  CHECK(IsInternalName("3TagIXadL_ZN12_GLOBAL__N_11hEvEEE"));
  CHECK(IsInternalName("3TagIXadL_ZN3app1C4MakeEN12_GLOBAL__N_11QEEEE"));
  CHECK_FALSE(IsInternalName("3TagIXadL_Z1fiEEE"));
  CHECK_FALSE(IsInternalName("3TagIXadL_Z9FULL_ZLIBiEEE"));
  CHECK_FALSE(IsInternalName("3TagIXadL_ZN3app5LabelEiEEE"));
  CHECK_FALSE(IsInternalName("3TagIXadL_ZNK3app1C1mEiEEE"));
  CHECK_FALSE(IsInternalName("3TagIXadL_ZN3app2idIiEET_S2_EEE"));
}

TEST_CASE("FunctionId: overloads, instances and virtual functions differ") {
  CHECK(IdOf(RAYX_FUNC(Square, int)) == rayx::detail::kFunctionId<RAYX_FUNC(Square, int)>);
  CHECK(IdOf(RAYX_FUNC(Square, int)) != IdOf(RAYX_FUNC(Square, double)));
  CHECK(IdOf(RAYX_FUNC(&Thing::Own, int)) != IdOf(RAYX_FUNC(&Thing::Own, int, int)));
  CHECK(IdOf(&Thing::Virtual) != IdOf(&Base::Virtual));
  CHECK(IdOf(&Identity<int>) == rayx::detail::kFunctionId<&Identity<int>>);
}

TEST_CASE(
    "FunctionId: the thread's memory of the last pointer does not mix functions of one type") {
  for (int i = 0; i < 3; ++i) {
    CHECK(NameOf(IdOf(&Identity<int>)) == "int function_id::Identity<int>(int)");
    CHECK(NameOf(IdOf(RAYX_FUNC(Square, int))) == "int function_id::Square(int)");
  }
}

TEST_CASE(
    "FunctionId: static functions of one name in two files differ when RAYX_REMOTE names them") {
  CHECK(IdOf(&Internal) != rayx::detail::kFunctionId<&Internal>);
  CHECK(IdOf(&Internal) != InternalIdOfOtherFile());
  CHECK(NameOf(IdOf(&Internal)) == NameOf(InternalIdOfOtherFile()));
  CHECK_NOTHROW(rayx::detail::CheckRegistry());
}

TEST_CASE("FunctionId: a function without RAYX_REMOTE is named in the error") {
  try {
    rayx::Task(&InternalIdOfOtherFile);
    FAIL("nothing was thrown");
  } catch (const rayx::UnknownFunction& error) {
    CHECK(std::string(error.what()).find("RAYX_REMOTE") != std::string::npos);
  }
}

TEST_CASE(
    "FunctionId: a method of a shifted base is refused with advice, or goes by its template form") {
  const rayx::ActorHandle<Thing> handle(rayx::detail::RawActor{1, 1});
  CHECK_NOTHROW(handle.Task(&Base::Shared));
  CHECK_THROWS_AS(handle.Task(&Other::FromOther), rayx::InvalidOption);
  CHECK_NOTHROW(handle.Task<&Other::FromOther>());
}
