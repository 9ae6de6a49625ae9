#include "ops/base/child_process.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <sstream>

#include "config/error.h"

namespace contimg::ops {
namespace {

constexpr const char* kStage = "executor";

// The fields of /proc/<pid>/stat behind the program's name (which may hold spaces): state is the first.
std::vector<std::string> ReadStat(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  std::getline(file, text);
  const std::size_t name_end = text.rfind(')');
  if (name_end == std::string::npos) return {};
  std::istringstream fields(text.substr(name_end + 1));
  std::vector<std::string> result;
  for (std::string field; fields >> field;) result.push_back(field);
  return result;
}

// A pipe end of ours must not be inherited by the next child, or the reader never sees its end.
void MakePipe(std::array<int, 2>& ends) {
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw SystemError(kStage, "pipe", "cannot make", errno);
}

void CloseFrom3() {
#ifdef SYS_close_range
  if (::syscall(SYS_close_range, 3U, ~0U, 0U) == 0) return;
#endif
  for (int fd = 3; fd < 1024; ++fd) ::close(fd);
}

// Runs between fork and exec: system calls only.
[[noreturn]] void BecomeChild(const ChildOptions& options, char* const* arguments, int input, int output, int error,
                              pid_t parent) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(127);  // the parent died before the line above
  for (int signal = 1; signal < NSIG; ++signal) ::signal(signal, SIG_DFL);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::dup2(input, 0);
  ::dup2(output, 1);
  if (error >= 0) ::dup2(error, 2);
  CloseFrom3();
  const rlimit no_core{0, 0};
  ::setrlimit(RLIMIT_CORE, &no_core);
  if (options.nice != 0) (void)!::nice(options.nice);
  const int score = ::open("/proc/self/oom_score_adj", O_WRONLY);
  if (score >= 0) {
    std::array<char, 16> text{};
    const int n = std::snprintf(text.data(), text.size(), "%d", options.oom_score);
    (void)!::write(score, text.data(), static_cast<std::size_t>(n));
    ::close(score);
  }
  ::execv(arguments[0], arguments);
  const char* why = std::strerror(errno);
  for (const char* part : {"cannot execute ", static_cast<const char*>(arguments[0]), ": ", why, "\n"}) {
    (void)!::write(2, part, std::strlen(part));
  }
  ::_exit(127);
}

}  // namespace

Child StartChild(const ChildOptions& options) {
  std::vector<std::string> arguments = options.arguments;
  std::vector<char*> pointers;
  pointers.reserve(arguments.size() + 1);
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  pointers.push_back(nullptr);

  int error_fd = -1;
  if (!options.error_file.empty()) {
    error_fd = ::open(options.error_file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    if (error_fd < 0) throw SystemError(kStage, options.error_file.string(), "cannot open", errno);
  }
  std::array<int, 2> output{-1, -1}, input{-1, -1};
  const auto close_all = [&] {
    for (int fd : {error_fd, output[0], output[1], input[0], input[1]}) {
      if (fd >= 0) ::close(fd);
    }
  };
  try {
    MakePipe(output);
    if (options.standard_input) {
      MakePipe(input);
    } else {
      input[0] = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    }
  } catch (...) {
    close_all();
    throw;
  }
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid == 0) BecomeChild(options, pointers.data(), input[0], output[1], error_fd, parent);
  const int fork_error = errno;
  ::setpgid(pid, pid);  // whichever of the two processes comes first
  for (int fd : {error_fd, output[1], input[0]}) {
    if (fd >= 0) ::close(fd);
  }
  if (pid < 0) {
    ::close(output[0]);
    if (input[1] >= 0) ::close(input[1]);
    throw Error(ErrorKind::kResource, kStage, arguments[0], std::string("cannot fork: ") + std::strerror(fork_error));
  }
  ::fcntl(output[0], F_SETFL, O_NONBLOCK);
  if (input[1] >= 0) ::fcntl(input[1], F_SETFL, O_NONBLOCK);
  return {pid, input[1], output[0]};
}

std::optional<ChildEnd> TryWait(pid_t pid) {
  int status = 0;
  rusage usage{};
  const pid_t waited = ::wait4(pid, &status, WNOHANG, &usage);
  if (waited == 0 || (waited < 0 && errno == EINTR)) return std::nullopt;
  ChildEnd end;
  if (waited < 0) {  // collected elsewhere: nothing is known
    end.exit_status = 127;
    return end;
  }
  if (WIFSIGNALED(status)) {
    end.signal = WTERMSIG(status);
  } else {
    end.exit_status = WEXITSTATUS(status);
  }
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  end.user_s = seconds(usage.ru_utime);
  end.system_s = seconds(usage.ru_stime);
  end.peak_memory_bytes = static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
  return end;
}

void SignalGroup(pid_t pid, int signal) {
  if (pid > 1) ::kill(-pid, signal);
}

std::uint64_t ProcessStartTime(pid_t pid) {
  constexpr std::size_t kState = 0, kStartTime = 19;
  const std::vector<std::string> stat = ReadStat(pid);
  if (stat.size() <= kStartTime || stat[kState] == "Z" || stat[kState] == "X") return 0;
  return std::strtoull(stat[kStartTime].c_str(), nullptr, 10);
}

std::uint64_t GroupMemoryBytes(pid_t pid) {
  // Workers have no children of their own, so the leader is the group.
  std::ifstream file("/proc/" + std::to_string(pid) + "/statm");
  std::uint64_t total = 0, resident = 0;
  file >> total >> resident;
  return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace contimg::ops
