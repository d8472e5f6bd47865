// examples/flags.h
//
// The flags of an example's own: --name value or --name=value.
//
//   int blocks = 40;
//   const example::Flags flags("05_data_pipeline", {{"blocks", &blocks, "how many are read"}});
//   if (flags.PrintHelp(argc, argv)) return 0;
//   rayx::Init(&argc, argv);  // takes RayX's own flags out of argv
//   flags.Read(argc, argv);   // throws std::invalid_argument for what is no flag
#pragma once

#include <cstddef>
#include <cstdlib>
#include <iostream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace example {

// A whole number from 1 on, with its default in place.
struct Flag {
  std::string name;
  int* value;
  std::string meaning;
};

class Flags {
 public:
  Flags(std::string program, std::vector<Flag> flags)
      : program_(std::move(program)), flags_(std::move(flags)) {}

  // Whether the first argument is --help; prints it then.
  bool PrintHelp(int argc, char** argv) const {
    if (argc < 2 || std::string_view(argv[1]) != "--help") return false;
    std::cout << "usage: " << program_
              << " [--local | --address ip:port|auto] [--num-cpus n] [--flag n ...]\n";
    for (const Flag& flag : flags_) {
      std::cout << "  --" << flag.name << "  " << flag.meaning << " (" << *flag.value << ")\n";
    }
    return true;
  }

  void Read(int argc, char** argv) const {
    for (int i = 1; i < argc; ++i) {
      std::string name = argv[i];
      std::string text;
      if (const std::size_t equals = name.find('='); equals != std::string::npos) {
        text = name.substr(equals + 1);
        name.resize(equals);
      } else if (i + 1 < argc) {
        text = argv[++i];
      }
      const Flag& flag = Find(name);
      *flag.value = Number(name, text);
    }
  }

 private:
  const Flag& Find(const std::string& name) const {
    for (const Flag& flag : flags_) {
      if (name == "--" + flag.name) return flag;
    }
    throw std::invalid_argument("no flag " + name + ": see --help");
  }
  static int Number(const std::string& name, const std::string& text) {
    char* end = nullptr;
    const long number = std::strtol(text.c_str(), &end, 10);
    if (text.empty() || *end != '\0' || number < 1 || number > 1'000'000'000) {
      throw std::invalid_argument(name + " takes a whole number from 1 on, not '" + text + "'");
    }
    return static_cast<int>(number);
  }

  std::string program_;
  std::vector<Flag> flags_;
};

}  // namespace example
