// runtime/vms/vm_init_main.cc
//
// rayx-vm-init: the small program around which a simulated VM is built. Statically linked, no
// dependencies, one thread.
//
//   boot   [--vm] [--name N] [--hosts FILE] [--bind FROM:TO]... [--join FILE]... --lifeline FD
//          --ready FD
//          makes the namespaces and stays as the keeper: child = init (PID 1 inside), which mounts
//          the private folders, says "ready <pid>" on the ready descriptor and reaps orphans until
//          the lifeline reaches end-of-file. Without --vm: a network namespace alone (the switch).
//   enter  PID START_TICKS FOLDER [--join FILE]... -- COMMAND...
//          runs a command inside, passes SIGTERM/SIGINT on, and ends as the command ended.
//
// Promises: no process inside outlives init; init does not outlive keeper or lifeline.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <vector>

namespace {

[[noreturn]] void Die(const std::string& what) {
  fprintf(stderr, "rayx-vm-init: %s: %s\n", what.c_str(), strerror(errno));
  _exit(126);
}

struct Bind {
  std::string from, to;
  int source = -1;  // O_PATH; opened in the new mount namespace, before /tmp and /run hide it
  bool is_folder = false;
};

struct BootOptions {
  bool vm = false;
  std::string name, hosts;
  std::vector<Bind> binds;
  std::vector<std::string> join;
  int lifeline = -1, ready = -1;
};

void Join(const std::vector<std::string>& files) {
  for (const std::string& path : files) {
    const int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, "0", 1) != 1) Die("cannot join the cgroup " + path);
    close(fd);
  }
}

void MakeFolders(const std::string& path) {
  for (size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
    mkdir(path.substr(0, slash).c_str(), 0755);
    if (slash == std::string::npos) return;
  }
}

std::string DescriptorPath(int fd) {
  return "/proc/self/fd/" + std::to_string(fd);
}

void MountPrivateFolder(const char* path, const char* options) {
  MakeFolders(path);
  if (mount("tmpfs", path, "tmpfs", MS_NOSUID | MS_NODEV, options) != 0) {
    Die(std::string("cannot mount a private ") + path);
  }
}

// A file of ours in place of a system file. Absent ones need no hiding.
void ReplaceFile(const std::string& source, const char* target) {
  if (access(target, F_OK) != 0) return;
  if (mount(source.c_str(), target, nullptr, MS_BIND, nullptr) != 0) {
    Die(std::string("cannot replace ") + target);
  }
}

void WriteNewFile(const std::string& path, const std::string& text) {
  FILE* file = fopen(path.c_str(), "we");
  if (file == nullptr || fwrite(text.data(), 1, text.size(), file) != text.size() ||
      fclose(file) != 0) {
    Die("cannot write " + path);
  }
}

// /sys of the new network namespace, with the cgroup tree of before.
void MountSys() {
  const int cgroups = open("/sys/fs/cgroup", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (mount("sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) != 0) return;
  if (cgroups >= 0) {
    mount(DescriptorPath(cgroups).c_str(), "/sys/fs/cgroup", nullptr, MS_BIND | MS_REC, nullptr);
    close(cgroups);
  }
}

void MountFolders(const BootOptions& options, const std::string& hosts) {
  MountPrivateFolder("/tmp", "mode=1777");
  MountPrivateFolder("/dev/shm", "mode=1777");
  MountPrivateFolder("/run", "mode=0755");
  MakeFolders("/run/home/.local/state");
  WriteNewFile("/run/hosts", hosts);
  WriteNewFile("/run/resolv.conf", "# A simulated VM has no resolver.\n");
  ReplaceFile("/run/hosts", "/etc/hosts");
  ReplaceFile("/run/resolv.conf", "/etc/resolv.conf");
  for (const Bind& bind : options.binds) {
    if (bind.is_folder) {
      MakeFolders(bind.to);
    } else {
      MakeFolders(bind.to.substr(0, bind.to.rfind('/')));
      close(open(bind.to.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
    }
    // Source through the old /proc, which still names this process until the new one is mounted.
    if (mount(DescriptorPath(bind.source).c_str(), bind.to.c_str(), nullptr, MS_BIND | MS_REC,
              nullptr) != 0) {
      Die("cannot show the VM " + bind.to);
    }
    close(bind.source);
  }
  MountSys();
  if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) != 0) {
    Die("cannot mount /proc");
  }
}

void RaiseLoopback() {
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  ifreq request = {};
  strcpy(request.ifr_name, "lo");
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) != 0) Die("cannot raise lo");
  close(fd);
}

// Keeps no pipe or terminal of the owner open.
void LetGoOfTerminal() {
  const int null = open("/dev/null", O_RDWR);
  for (int fd = 0; fd <= 2; ++fd) dup2(null, fd);
  close(null);
}

// PID 1: reaps whatever is orphaned, ends when the lifeline does. SIGCHLD is let in only during the
// wait, so that none is missed between reaping and sleeping.
[[noreturn]] void ReapUntilTheEnd(int lifeline) {
  signal(SIGTERM, SIG_IGN);
  signal(SIGINT, SIG_IGN);
  signal(SIGHUP, SIG_IGN);
  signal(SIGCHLD, [](int) {});  // interrupts ppoll
  sigset_t child, none;
  sigemptyset(&none);
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  sigprocmask(SIG_SETMASK, &child, nullptr);
  for (;;) {
    while (waitpid(-1, nullptr, WNOHANG) > 0) {
    }
    pollfd event = {lifeline, POLLIN, 0};
    if (ppoll(&event, 1, nullptr, &none) > 0 && (event.revents & (POLLHUP | POLLERR | POLLIN)))
      _exit(0);
  }
}

[[noreturn]] void RunInit(const BootOptions& options, const std::string& hosts, int go) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  char byte;
  if (read(go, &byte, 1) != 1) _exit(1);  // the keeper died, or could not start us
  close(go);
  setsid();
  Join(options.join);
  if (options.vm) {
    prctl(PR_SET_NAME, "rayx-vm-init");
    if (sethostname(options.name.c_str(), options.name.size()) != 0)
      Die("cannot set the host name");
    MountFolders(options, hosts);
  }
  RaiseLoopback();
  if (dprintf(options.ready, "ready\n") < 0) Die("cannot report");
  close(options.ready);
  LetGoOfTerminal();
  if (chdir("/") != 0) Die("cannot leave the folder");
  ReapUntilTheEnd(options.lifeline);
}

std::string ReadFile(const std::string& path) {
  std::string text;
  FILE* file = fopen(path.c_str(), "re");
  if (file == nullptr) Die("cannot read " + path);
  char buffer[4096];
  while (size_t n = fread(buffer, 1, sizeof buffer, file)) text.append(buffer, n);
  fclose(file);
  return text;
}

// Accounts first, then the VM's own; each is busy until the kernel has finished its processes.
void RemoveCgroup(const std::string& folder) {
  if (DIR* entries = opendir(folder.c_str())) {
    while (const dirent* entry = readdir(entries)) {
      if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
        RemoveCgroup(folder + "/" + entry->d_name);
    }
    closedir(entries);
  }
  for (int i = 0; i < 100 && rmdir(folder.c_str()) != 0 && errno == EBUSY; ++i) usleep(10000);
}

void OpenSources(std::vector<Bind>& binds) {
  for (Bind& bind : binds) {
    struct stat info;
    bind.source = open(bind.from.c_str(), O_PATH | O_CLOEXEC);
    if (bind.source < 0 || fstat(bind.source, &info) != 0) Die("cannot open " + bind.from);
    bind.is_folder = S_ISDIR(info.st_mode);
  }
}

int Boot(BootOptions options) {
  const std::string hosts = options.hosts.empty() ? "" : ReadFile(options.hosts);
  setsid();  // a Ctrl-C at the terminal is the owner's business
  int flags = CLONE_NEWNET;
  if (options.vm) flags |= CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID;
  if (unshare(flags) != 0) Die("cannot make namespaces");
  if (options.vm && mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    Die("cannot make the mounts private (in a chroot, / has to be a mount: mount --bind it to "
        "itself)");
  }
  OpenSources(options.binds);
  int go[2];
  if (pipe2(go, O_CLOEXEC) != 0) Die("pipe");
  const pid_t init = fork();
  if (init < 0) Die("fork");
  if (init == 0) {
    close(go[1]);
    RunInit(options, hosts, go[0]);
  }
  // The pid as the owner sees it goes out before init says that it is ready.
  dprintf(options.ready, "init %d\n", static_cast<int>(init));
  if (write(go[1], "g", 1) != 1) Die("cannot start init");
  close(options.ready);
  if (options.lifeline >= 0) close(options.lifeline);
  LetGoOfTerminal();
  int status = 0;
  while (waitpid(init, &status, 0) < 0 && errno == EINTR) {
  }
  // Every process inside is gone now: the kernel ends a pid namespace before its init is reaped.
  for (const std::string& file : options.join) RemoveCgroup(file.substr(0, file.rfind('/')));
  return WIFEXITED(status) ? WEXITSTATUS(status) : 0;
}

// --- enter ---

constexpr int kPassedOn[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGQUIT};
pid_t supervised = 0;
void PassOn(int signal_number) {
  if (supervised > 0) kill(supervised, signal_number);
}

// Returns in a new child, which dies with this process. This process stays behind, passes signals
// on, and ends as the child ends.
void ContinueInChild() {
  for (int s : kPassedOn) signal(s, PassOn);
  supervised = fork();
  if (supervised < 0) Die("fork");
  if (supervised == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (int s : kPassedOn) signal(s, SIG_DFL);
    return;
  }
  int status = 0;
  while (waitpid(supervised, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFSIGNALED(status)) {  // end the same way, without a core of our own
    prctl(PR_SET_DUMPABLE, 0);
    signal(WTERMSIG(status), SIG_DFL);
    kill(getpid(), WTERMSIG(status));
  }
  _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

bool StartTimeMatches(long pid, const char* expected) {
  const std::string stat = ReadFile("/proc/" + std::to_string(pid) + "/stat");
  size_t at = stat.rfind(')');
  for (int field = 2; field < 22 && at != std::string::npos; ++field) at = stat.find(' ', at + 1);
  return at != std::string::npos &&
         strtoull(stat.c_str() + at + 1, nullptr, 10) == strtoull(expected, nullptr, 10);
}

[[noreturn]] void Enter(int argc, char** argv) {
  if (argc < 6) Die("enter: too few arguments");
  const long pid = strtol(argv[2], nullptr, 10);
  std::vector<std::string> join;
  int at = 5;
  for (; at < argc && strcmp(argv[at], "--") != 0; ++at) {
    if (strcmp(argv[at], "--join") == 0 && at + 1 < argc) join.push_back(argv[++at]);
  }
  if (at + 1 >= argc) Die("enter: no command");
  const int pidfd = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
  if (pidfd < 0 || !StartTimeMatches(pid, argv[3])) Die("the VM is down");
  Join(join);
  if (setns(pidfd, CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID) != 0) {
    Die("cannot enter the VM");
  }
  close(pidfd);
  if (chdir(argv[4]) != 0) Die(std::string("the VM has no folder ") + argv[4]);
  // Twice: the first child is in the VM but has a parent outside, so that its orphans would go to
  // the machine's init; the second one's go to the VM's.
  ContinueInChild();
  ContinueInChild();
  if (!isatty(0)) setpgid(0, 0);
  execvp(argv[at + 1], argv + at + 1);
  Die(std::string("cannot run ") + argv[at + 1]);
}

BootOptions ReadBootOptions(int argc, char** argv) {
  BootOptions options;
  for (int i = 2; i < argc; ++i) {
    const std::string flag = argv[i];
    if (flag == "--vm") {
      options.vm = true;
      continue;
    }
    if (i + 1 >= argc) Die("boot: " + flag + " needs a value");
    const std::string value = argv[++i];
    if (flag == "--name") options.name = value;
    if (flag == "--hosts") options.hosts = value;
    if (flag == "--join") options.join.push_back(value);
    if (flag == "--lifeline") options.lifeline = atoi(value.c_str());
    if (flag == "--ready") options.ready = atoi(value.c_str());
    if (flag == "--bind") {
      const size_t colon = value.find(':');
      if (colon == std::string::npos) Die("boot: --bind needs FROM:TO");
      options.binds.push_back({value.substr(0, colon), value.substr(colon + 1)});
    }
  }
  return options;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string mode = argc > 1 ? argv[1] : "";
  if (mode == "boot") return Boot(ReadBootOptions(argc, argv));
  if (mode == "enter") Enter(argc, argv);
  fprintf(stderr, "rayx-vm-init: the inside of a simulated VM; started by RayX's benchmarks\n");
  return 2;
}
