// The runtime environment of a job: RayConfig::runtime_env.
//
// Purpose:  the fields of one, each a value of JSON by its name.
// Owner:    a value.
// Threads:  one at a time.
// Promises: RayX gives a job its env_vars and its working_dir (a folder, which it does not send to
//           other VMs: options.h). Init throws RayRuntimeEnvException for any other field: an
//           environment that is not there must not look as if it were.
// Limits:   where nlohmann-json's header is missing there is no RuntimeEnv. That of a task or an
//           actor is refused by the call: RayX has one a job.
#ifndef RAY_API_RUNTIME_ENV_H_
#define RAY_API_RUNTIME_ENV_H_

#if __has_include(<nlohmann/json.hpp>)
#define RAY_HAS_RUNTIME_ENV 1
#include <ray/api/ray_exception.h>

#include <exception>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace ray {

class RuntimeEnv {
 public:
  // A field: any value that nlohmann-json takes.
  template <class T>
  void Set(const std::string& name, const T& value) {
    Try("cannot be set", name, [&] { fields_[name] = value; });
  }
  template <class T>
  T Get(const std::string& name) const {
    T value{};
    Try("cannot be read", name, [&] { value = fields_.at(name).template get<T>(); });
    return value;
  }
  // A field's value as JSON.
  void SetJsonStr(const std::string& name, const std::string& json) {
    Try("is no JSON", name, [&] { fields_[name] = nlohmann::json::parse(json); });
  }
  std::string GetJsonStr(const std::string& name) const {
    std::string json;
    Try("cannot be read", name, [&] { json = fields_.at(name).dump(); });
    return json;
  }
  bool Contains(const std::string& name) const { return fields_.contains(name); }
  // Whether it was there.
  bool Remove(const std::string& name) { return fields_.erase(name) != 0; }
  bool Empty() const { return fields_.empty(); }

  // As one object of JSON.
  std::string Serialize() const {
    std::string json;
    Try("cannot be written", "", [&] { json = fields_.dump(); });
    return json;
  }
  static RuntimeEnv Deserialize(const std::string& json) {
    RuntimeEnv made;
    Try("is no JSON", "", [&] {
      made.fields_ = nlohmann::json::parse(json);
      if (!made.fields_.is_object())
        throw internal::RayRuntimeEnvException("an object is expected");
    });
    return made;
  }
  // The names of all fields.
  std::vector<std::string> Names() const {
    std::vector<std::string> names;
    for (const auto& field : fields_.items()) names.push_back(field.key());
    return names;
  }

 private:
  template <class Action>
  static void Try(const char* failed, const std::string& name, Action&& action) {
    try {
      action();
    } catch (const std::exception& error) {
      throw internal::RayRuntimeEnvException("RuntimeEnv" +
                                             (name.empty() ? "" : ": field " + name) + " " +
                                             failed + ": " + error.what());
    }
  }

  nlohmann::json fields_ = nlohmann::json::object();
};

}  // namespace ray
#endif

#endif  // RAY_API_RUNTIME_ENV_H_
