#include "bin/process_title.h"

#include <sys/prctl.h>

#include <algorithm>
#include <cstring>

namespace rayx::bin {

void SetProcessTitle(int argc, char** argv, const std::string& title) {
  if (argc < 1) return;
  char* const begin = argv[0];
  char* end = begin;
  for (int i = 0; i < argc; ++i) {
    if (argv[i] != end) break;  // the kernel lays them out back to back
    end = argv[i] + std::strlen(argv[i]) + 1;
  }
  const size_t room = static_cast<size_t>(end - begin);
  if (room == 0) return;
  std::memset(begin, 0, room);
  std::memcpy(begin, title.data(), std::min(title.size(), room - 1));
  std::string name = title;
  std::replace(name.begin(), name.end(), ' ', '-');
  ::prctl(PR_SET_NAME, name.substr(0, 15).c_str());
}

}  // namespace rayx::bin
