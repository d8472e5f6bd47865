// Mistakes that must not compile. check_refused.cmake compiles this file and looks for each
// sentence after `EXPECT:` in what the compiler says, as often as it stands here: equal sentences
// need different types, for which the compiler says them again.
#include <rayx/rayx.h>

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

int Plain(int x);
int TakesPointer(const int* x);
int TakesReference(std::string& x);
int TakesView(std::string_view x);
int* ReturnsPointer();
std::string_view ReturnsView();
struct Opaque {
  explicit Opaque(int);
  std::function<void()> f;
};
int TakesOpaque(const Opaque& x);
struct WithPointer {
  int* p;
};
int TakesWithPointer(const WithPointer& x);
struct Seventeen {
  int a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q;
};
int TakesSeventeen(const Seventeen& x);
struct Base {
  int a = 0;
  RAYX_SERIALIZE(a)
};
struct Derived : Base {
  int b = 0;
};
int TakesDerived(const Derived& x);
struct PlainBase {
  int a;
};
struct OfPlain : PlainBase {
  int b;
};
int TakesOfPlain(const OfPlain& x);
struct Virtual {
  virtual ~Virtual();
};
int TakesVirtual(const std::unique_ptr<Virtual>& x);
struct Class {
  static Class* Create(int);
  int Method(int);
};
struct Elsewhere {
  int Method(int);
};
std::tuple<int, float*> ReturnsPointerInParts();
std::vector<std::wstring_view> ReturnsViewsInParts();
struct WithView {
  std::string_view text;
};
int TakesNested(const std::vector<WithView>& x);
struct OpaqueToo {
  explicit OpaqueToo(int);
  std::function<void()> f;
};
int TakesMap(const std::map<std::string, OpaqueToo>& x);
struct MethodsToo {
  static MethodsToo* Create(const double* x);
  int TakesReference(int& x);
  Class* ReturnsPointer();
  std::u16string_view ReturnsView();
  double Real(int);
};

// EXPECT: The lambda of RAYX_LAMBDA captures
RAYX_LAMBDA(captures, [factor = 3](int x) { return factor * x; });
// EXPECT: RAYX_LAMBDA takes a lambda whose parameters have types
RAYX_LAMBDA(generic, [](auto x) { return x; });
RAYX_LAMBDA(takes_pointer, [](const char* x) { return *x; });
RAYX_LAMBDA(plain, [](float x) { return x; });

void Mistakes(const rayx::ObjectRef<std::string>& text, const rayx::ActorHandle<Class>& handle) {
  int here = 0;
  double there = 0;
  // EXPECT: The number of arguments is not the number of the function's parameters
  rayx::Task<&Plain>().Remote(1, 2);
  // EXPECT: An argument cannot be converted to the type of its parameter.
  rayx::Task<&Plain>().Remote(std::string());
  // EXPECT: The rayx::ObjectRef that is given refers to another type than the parameter's.
  rayx::Task<&Plain>().Remote(text);
  // EXPECT: A remote function cannot take a pointer
  rayx::Task<&TakesPointer>().Remote(&here);
  // EXPECT: A remote function cannot take a non-const reference
  rayx::Task<&TakesReference>().Remote(std::string());
  // EXPECT: A remote function cannot take a view
  rayx::Task<&TakesView>().Remote("text");
  // EXPECT: A remote function cannot return a pointer
  rayx::Task<&ReturnsPointer>().Remote();
  // EXPECT: A remote function cannot return a view
  rayx::Task<&ReturnsView>().Remote();
  // EXPECT: rayx::Task(f) takes a function.
  rayx::Task([here](int x) { return here + x; });
  // EXPECT: RAYX_REMOTE takes functions and member functions
  rayx::detail::RegisterAllRemote<7>("");
  // EXPECT: RayX cannot send this type
  rayx::Task<&TakesOpaque>().Remote(Opaque(1));
  // EXPECT: RayX cannot send a pointer
  rayx::Task<&TakesWithPointer>().Remote(WithPointer{&here});
  // EXPECT: RayX takes plain structs of at most 16 fields apart
  rayx::Task<&TakesSeventeen>().Remote(Seventeen());
  // EXPECT: RAYX_SERIALIZE stands in a base class
  rayx::Task<&TakesDerived>().Remote(Derived());
  // EXPECT: RayX cannot take a struct with a base class apart
  rayx::Task<&TakesOfPlain>().Remote(OfPlain());
  // EXPECT: functions would lose its derived part
  rayx::Task<&TakesVirtual>().Remote(std::unique_ptr<Virtual>());
  // EXPECT: handle.Task takes a member function of the actor's class
  handle.Task(&Plain);
  // EXPECT: The member function is not one of the actor's class.
  handle.Task(&Elsewhere::Method);
  // EXPECT: rayx::Actor takes a function that makes the actor
  rayx::Actor(&Class::Method);
  // EXPECT: rayx::Actor<&C::Create>() names the function that makes the actor, not its class.
  rayx::Actor<Class>();
  // EXPECT: An actor's factory returns C*, std::unique_ptr<C> or std::shared_ptr<C>.
  rayx::Actor(&Plain);
  // EXPECT: The number of arguments is not the number of the function's parameters
  rayx::Actor(&Class::Create).Remote();
  // EXPECT: A remote function cannot take a pointer
  rayx::Actor(&MethodsToo::Create).Remote(&there);
  const rayx::ActorHandle<MethodsToo> methods;
  // EXPECT: A remote function cannot take a non-const reference
  methods.Task(&MethodsToo::TakesReference).Remote(here);
  // EXPECT: A remote function cannot return a pointer
  methods.Task(&MethodsToo::ReturnsPointer).Remote();
  // EXPECT: A remote function cannot return a view
  methods.Task(&MethodsToo::ReturnsView).Remote();
  // EXPECT: The number of arguments is not the number of the function's parameters
  methods.Task(&MethodsToo::ReturnsView).Remote(1);
  // EXPECT: RayX cannot send a view
  rayx::Task<&TakesNested>().Remote(std::vector<WithView>());
  // EXPECT: RayX cannot send this type
  rayx::Task<&TakesMap>().Remote(std::map<std::string, OpaqueToo>());
  // EXPECT: RemoteEach gives a reference to each part of a result
  rayx::Task<&Plain>().RemoteEach(1);
  // EXPECT: A remote function cannot return a pointer
  rayx::Task<&ReturnsPointerInParts>().RemoteEach();
  // EXPECT: A remote function cannot return a view
  rayx::Task<&ReturnsViewsInParts>().SetNumReturns(2).RemoteEach();
  // EXPECT: RemoteEach gives a reference to each part of a result
  rayx::ActorHandle<MethodsToo>().Task(&MethodsToo::Real).RemoteEach(1);
  // EXPECT: A remote function cannot take a pointer
  rayx::Task(takes_pointer).Remote("text");
  // EXPECT: The number of arguments is not the number of the function's parameters
  rayx::Task(plain).Remote();
  // EXPECT: rayx::View is for std::string and for std::vector of plain numbers
  rayx::View<std::vector<std::string>> view;
}
