#include "ops/base/child_process.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
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

// What the child needs, made before the fork: between fork and exec there are system calls only, for another thread may
// have held any lock of the C library (that of malloc, that of the locale) at the moment of the fork.
struct ChildPlan {
  char* const* arguments;
  int input, output, error;
  int nice;
  std::string oom_score;
  pid_t parent;
};

[[noreturn]] void BecomeChild(const ChildPlan& plan) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != plan.parent) ::_exit(127);  // the parent died before the line above
  for (int signal = 1; signal < NSIG; ++signal) ::signal(signal, SIG_DFL);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::dup2(plan.input, 0);
  ::dup2(plan.output, 1);
  if (plan.error >= 0) ::dup2(plan.error, 2);
  CloseFrom3();
  const rlimit no_core{0, 0};
  ::setrlimit(RLIMIT_CORE, &no_core);
  if (plan.nice != 0) (void)!::nice(plan.nice);
  const int score = ::open("/proc/self/oom_score_adj", O_WRONLY);
  if (score >= 0) {
    (void)!::write(score, plan.oom_score.data(), plan.oom_score.size());
    ::close(score);
  }
  ::execv(plan.arguments[0], plan.arguments);
  const char* why = ::strerrordesc_np(errno);  // unlike strerror it asks neither malloc nor the locale
  const char* program = plan.arguments[0];
  for (const char* part : {"cannot execute ", program, ": ", why != nullptr ? why : "unknown error", "\n"}) {
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
    if (options.standard_output) {
      MakePipe(output);
    } else {
      output[1] = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
      if (output[1] < 0) throw SystemError(kStage, "/dev/null", "cannot open", errno);
    }
    if (options.standard_input) {
      MakePipe(input);
    } else {
      input[0] = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
      if (input[0] < 0) throw SystemError(kStage, "/dev/null", "cannot open", errno);
    }
  } catch (...) {
    close_all();
    throw;
  }
  const ChildPlan plan{pointers.data(), input[0], output[1], error_fd, options.nice, std::to_string(options.oom_score),
                       ::getpid()};
  const pid_t pid = ::fork();
  if (pid == 0) BecomeChild(plan);
  const int fork_error = errno;
  ::setpgid(pid, pid);  // whichever of the two processes comes first
  for (int fd : {error_fd, output[1], input[0]}) {
    if (fd >= 0) ::close(fd);
  }
  if (pid < 0) {
    if (output[0] >= 0) ::close(output[0]);
    if (input[1] >= 0) ::close(input[1]);
    throw Error(ErrorKind::kResource, kStage, arguments[0], std::string("cannot fork: ") + std::strerror(fork_error));
  }
  if (output[0] >= 0) ::fcntl(output[0], F_SETFL, O_NONBLOCK);
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

bool EndStrayProcess(pid_t pid, std::uint64_t start_time, double limit_s) {
  const int fd = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));  // before the look: the number cannot be reused
  if (ProcessStartTime(pid) == start_time) {
    SignalGroup(pid, SIGKILL);
    pollfd end{fd, POLLIN, 0};
    if (fd >= 0) ::poll(&end, 1, static_cast<int>(limit_s * 1000));
  }
  if (fd >= 0) ::close(fd);
  return ProcessStartTime(pid) != start_time;
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

}  // namespace contimg::ops
