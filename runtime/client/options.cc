// Flags, options and environment (rayx/options.h) become one Options.
#include "rayx/options.h"

#include <cstdlib>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "base/log.h"
#include "base/slips.h"
#include "rayx/errors.h"

namespace rayx::detail {
namespace {

// What the command line said, apart from the options: the last word of each kind wins.
struct Spoken {
  bool address = false;
  bool local = false;
  std::string own_cluster;  // a flag that only a cluster of the program's own heeds
};

[[noreturn]] void Refuse(const std::string& flag, const std::string& value,
                         const std::string& expected) {
  throw InvalidOption(flag + ": '" + value + "' is wrong; expected " + expected + ".");
}

double ParseAmount(const std::string& flag, const std::string& value) {
  char* end = nullptr;
  const double amount = std::strtod(value.c_str(), &end);
  if (value.empty() || *end != '\0' || !(amount >= 0 && amount <= 1e6)) {
    Refuse(flag, value, "a number from 0 to 1000000");
  }
  return amount;
}

std::uint64_t ParseBytes(const std::string& flag, const std::string& value) {
  char* end = nullptr;
  const unsigned long long bytes = std::strtoull(value.c_str(), &end, 10);
  if (value.empty() || value[0] < '0' || value[0] > '9' || *end != '\0' || bytes > (1ULL << 50)) {
    Refuse(flag, value, "a number of bytes up to 2^50");
  }
  return bytes;
}

bool ParseBool(const std::string& flag, const std::string& value) {
  if (value == "1" || value == "true") return true;
  if (value == "0" || value == "false") return false;
  Refuse(flag, value, "0, 1, true or false");
}

std::vector<std::string> Split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::size_t begin = 0;
  while (begin <= text.size()) {
    const std::size_t end = std::min(text.find(separator, begin), text.size());
    if (end > begin) parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

std::string ParseLevel(const std::string& flag, const std::string& value) {
  const auto level = base::ParseLogLevel(value);
  if (!level.ok()) Refuse(flag, value, "debug, info, warning, error or off");
  return value;
}

using Setter =
    std::function<void(Options&, Spoken&, const std::string& flag, const std::string& value)>;

const std::map<std::string, Setter, std::less<>>& Flags() {
  static const auto* flags = [] {
    const Setter address = [](Options& o, Spoken& s, const std::string& f, const std::string& v) {
      if (v.empty()) Refuse(f, v, "ip:port or auto");
      o.address = v;
      s.address = true;
    };
    const Setter job_namespace = [](Options& o, Spoken&, const std::string&, const std::string& v) {
      o.job_namespace = v;
    };
    const Setter preload = [](Options& o, Spoken&, const std::string&, const std::string& v) {
      o.preload_libraries = Split(v, ':');
    };
    return new std::map<std::string, Setter, std::less<>>{
        {"address", address},
        {"ray_address", address},
        {"namespace", job_namespace},
        {"ray_job_namespace", job_namespace},
        {"code_search_path", preload},
        {"ray_code_search_path", preload},
        {"ray_head_args",
         [](Options& o, Spoken& s, const std::string& f, const std::string& v) {
           o.head_args = Split(v, ' ');
           s.own_cluster = f;
         }},
        {"num_cpus",
         [](Options& o, Spoken& s, const std::string& f, const std::string& v) {
           o.num_cpus = ParseAmount(f, v);
           s.own_cluster = f;
         }},
        {"num_gpus",
         [](Options& o, Spoken& s, const std::string& f, const std::string& v) {
           o.num_gpus = ParseAmount(f, v);
           s.own_cluster = f;
         }},
        {"object_store_memory",
         [](Options& o, Spoken& s, const std::string& f, const std::string& v) {
           o.object_store_memory = ParseBytes(f, v);
           s.own_cluster = f;
         }},
        {"log_level", [](Options& o, Spoken&, const std::string& f,
                         const std::string& v) { o.log_level = ParseLevel(f, v); }},
        {"local",
         [](Options& o, Spoken& s, const std::string& f, const std::string& v) {
           o.local_mode = ParseBool(f, v);
           s.local = o.local_mode;
         }},
    };
  }();
  return *flags;
}

// Shorter names have neighbours that are words of their own (local, locale, focal).
constexpr std::size_t kGuardedNameMin = 7;

// A slip that is taken for a flag of the program's own would start a cluster that nobody meant.
void RefuseSlip(const std::string& name) {
  for (const auto& [known, setter] : Flags()) {
    if (known.size() < kGuardedNameMin || name.size() > known.size() + 1) continue;
    if (base::SlipsBetween(name, known) > 1) continue;
    throw InvalidOption("--" + name + ": RayX has no such flag; did you mean --" + known +
                        "? A flag of the program's own by this name has to stand behind a `--`.");
  }
}

struct Flag {
  std::string name;  // as in Flags(); "" when the argument is none of ours
  bool has_value = false;
  std::string value;
};

Flag ReadFlag(std::string_view argument) {
  if (argument.substr(0, 2) != "--" || argument.size() == 2) return {};
  Flag flag;
  const std::size_t equals = argument.find('=');
  flag.name = argument.substr(2, equals == std::string_view::npos ? equals : equals - 2);
  for (char& c : flag.name) {
    if (c == '-') c = '_';
  }
  if (equals != std::string_view::npos) {
    flag.has_value = true;
    flag.value = argument.substr(equals + 1);
  }
  if (!Flags().contains(flag.name)) {
    RefuseSlip(flag.name);
    flag.name.clear();
  }
  return flag;
}

std::string FromEnvironment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

void ReadEnvironment(Options& options, bool level_is_default) {
  const std::string level = FromEnvironment("RAYX_LOG_LEVEL");
  if (level_is_default && !level.empty()) options.log_level = ParseLevel("RAYX_LOG_LEVEL", level);
  if (!options.address.empty() || options.local_mode) return;
  const std::string local = FromEnvironment("RAYX_LOCAL_MODE");
  if (!local.empty() && ParseBool("RAYX_LOCAL_MODE", local)) {
    options.local_mode = true;
  } else {
    options.address = FromEnvironment("RAYX_ADDRESS");
  }
}

void CheckOptions(const Options& options) {
  const auto check = [](const char* name, double amount) {
    if (!(amount <= 1e6)) Refuse(name, std::to_string(amount), "a number up to 1000000");
  };
  check("Options::num_cpus", options.num_cpus);
  check("Options::num_gpus", options.num_gpus);
  ParseLevel("Options::log_level", options.log_level);
  for (const auto& [name, value] : options.env) {
    if (name.empty() || name.find('=') != std::string::npos ||
        name.find('\0') != std::string::npos || value.find('\0') != std::string::npos) {
      Refuse("Options::env", name, "the name of an environment variable");
    }
  }
}

}  // namespace

Options ResolveOptions(Options options, int argc, const char* const* argv,
                       std::vector<bool>* used) {
  const bool level_is_default = options.log_level == Options().log_level;
  Spoken spoken;
  bool level_spoken = false;
  if (used != nullptr) used->assign(static_cast<std::size_t>(argc < 0 ? 0 : argc), false);
  for (int i = 1; i < argc; ++i) {
    if (std::string_view(argv[i]) == "--") break;
    Flag flag = ReadFlag(argv[i]);
    if (flag.name.empty()) continue;
    if (used != nullptr) (*used)[static_cast<std::size_t>(i)] = true;
    const std::string spelled = "--" + flag.name;
    if (!flag.has_value && flag.name == "local") {
      flag.value = "true";
    } else if (!flag.has_value) {
      if (i + 1 >= argc) throw InvalidOption(spelled + ": a value must follow.");
      flag.value = argv[++i];
      if (used != nullptr) (*used)[static_cast<std::size_t>(i)] = true;
    }
    level_spoken = level_spoken || flag.name == "log_level";
    Flags().at(flag.name)(options, spoken, spelled, flag.value);
  }
  if (spoken.address && spoken.local) {
    throw InvalidOption("--local and --address exclude each other: the one wants no cluster.");
  }
  if (spoken.address) options.local_mode = false;
  if (options.local_mode) options.address.clear();
  ReadEnvironment(options, level_is_default && !level_spoken);
  if (!spoken.own_cluster.empty() && !options.address.empty()) {
    throw InvalidOption(spoken.own_cluster + " is for a cluster of the program's own; that at '" +
                        options.address + "' (--address, RAYX_ADDRESS) has what its `rayx start` " +
                        "was told.");
  }
  CheckOptions(options);
  return options;
}

}  // namespace rayx::detail
