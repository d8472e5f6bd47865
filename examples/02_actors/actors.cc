// Actors: objects that live somewhere in the cluster and keep their state between calls.
#include <rayx/rayx.h>

#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

class Counter {
 public:
  static std::unique_ptr<Counter> Create(int start) { return std::make_unique<Counter>(start); }
  explicit Counter(int start) : value_(start) {}

  int Add(int amount) { return value_ += amount; }
  int Value() const { return value_; }
  std::string Where() const {
    return rayx::GetRuntimeContext().InActor() ? "in an actor" : "elsewhere";
  }

 private:
  int value_;
};
// Makes Actor(Counter::Create) and handle.Task(&Counter::Add) work. Task<&Counter::Add>() needs no
// such line.
RAYX_REMOTE(Counter::Create, &Counter::Add, &Counter::Value, &Counter::Where);

// Counts the words that many tasks send it.
class Dictionary {
 public:
  static std::unique_ptr<Dictionary> Create() { return std::make_unique<Dictionary>(); }
  void Count(const std::vector<std::string>& words) {
    for (const std::string& word : words) ++counts_[word];
  }
  std::map<std::string, int> Counts() const { return counts_; }

 private:
  std::map<std::string, int> counts_;
};

// A handle is a value: it travels to tasks and other actors.
int count_words(rayx::ActorHandle<Dictionary> dictionary, const std::string& line) {
  std::vector<std::string> words;
  std::string word;
  for (const char c : line + " ") {
    if (c != ' ') {
      word += c;
    } else if (!word.empty()) {
      words.push_back(std::move(word));
      word.clear();
    }
  }
  dictionary.Task<&Dictionary::Count>().Remote(words).Get();
  return static_cast<int>(words.size());
}

int main(int argc, char** argv) {
  if (argc > 1 && std::string_view(argv[1]) == "--help") {
    std::cout << "usage: 02_actors [--local | --address ip:port|auto] [--num-cpus n]\n";
    return 0;
  }
  try {
    rayx::Init(argc, argv);  // --local, --address ip:port, or nothing: a cluster of its own

    const rayx::ActorHandle<Counter> counter =
        rayx::Actor(Counter::Create).SetName("counter").Remote(100);
    // The calls of one caller run in order.
    std::vector<rayx::ObjectRef<int>> sums;
    for (int i = 1; i <= 5; ++i) sums.push_back(counter.Task(&Counter::Add).Remote(i));
    for (const auto& sum : rayx::Get(sums)) std::cout << *sum << ' ';
    std::cout << '\n';
    std::cout << "it runs " << *counter.Task(&Counter::Where).Remote().Get() << '\n';

    // By its name an actor is found from everywhere in the job.
    const auto found = rayx::GetActor<Counter>("counter");
    std::cout << "found by name: " << *found->Task(&Counter::Value).Remote().Get() << '\n';
    std::cout << "no such name: " << (rayx::GetActor<Counter>("nobody") ? "found" : "nothing")
              << '\n';

    const auto dictionary = rayx::Actor<&Dictionary::Create>().Remote();
    std::vector<rayx::ObjectRef<int>> lines;
    for (const char* line : {"the quick brown fox", "jumps over the lazy dog", "the end"}) {
      lines.push_back(rayx::Task<&count_words>().Remote(dictionary, line));
    }
    int words = 0;
    for (const auto& count : rayx::Get(lines)) words += *count;
    const auto counts = dictionary.Task<&Dictionary::Counts>().Remote().Get();
    std::cout << words << " words, " << counts->size() << " different, 'the' " << counts->at("the")
              << " times\n";

    // After its death every call of an actor fails with ActorDied.
    counter.Kill();
    try {
      counter.Task(&Counter::Value).Remote().Get();
    } catch (const rayx::ActorDied&) {
      std::cout << "the counter is dead\n";
    }
    rayx::Shutdown();
  } catch (const std::exception& error) {
    std::cerr << argv[0] << ": " << error.what() << '\n';
    return 1;
  }
  return 0;
}
