#include "ops/migration/apart.h"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <optional>

#include "config/descriptor.h"
#include "config/error.h"
#include "config/stopwatch.h"
#include "ops/migration/stage_name.h"

namespace contimg::ops {
namespace {

constexpr int kLookAroundMs = 100;  // how often a wait looks whether it is cancelled
constexpr int kAnswers = 3;         // the child's only descriptor beyond the standard ones

bool WriteAll(int fd, const void* data, std::size_t size) {
  const char* p = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t n = ::write(fd, p, size);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    p += n;
    size -= static_cast<std::size_t>(n);
  }
  return true;
}

[[noreturn]] void RunChild(int answers, std::size_t begin, std::size_t n,
                           const std::function<std::string(std::size_t)>& work) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  const struct rlimit none {};
  ::setrlimit(RLIMIT_CORE, &none);
  for (const int number : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) ::signal(number, SIG_DFL);
  // Locks that the parent holds must not outlive it here.
  if (::dup2(answers, kAnswers) != kAnswers) ::_exit(1);
  ::close_range(kAnswers + 1, ~0U, 0);
  for (std::size_t i = begin; i < n; ++i) {
    const std::string text = work(i);
    const std::uint64_t size = text.size();
    if (!WriteAll(kAnswers, &size, sizeof size) || !WriteAll(kAnswers, text.data(), text.size())) ::_exit(1);
  }
  ::_exit(0);
}

class Child {
 public:
  Child(std::size_t begin, std::size_t n, const std::function<std::string(std::size_t)>& work) {
    int ends[2];
    if (::pipe(ends) != 0) throw SystemError(kMigrateStage, "", "cannot make a pipe", errno);
    answers_.Reset(ends[0]);
    Descriptor theirs(ends[1]);
    pid_ = ::fork();
    if (pid_ < 0) throw SystemError(kMigrateStage, "", "cannot make a process", errno);
    if (pid_ == 0) RunChild(theirs.get(), begin, n, work);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() { End(); }

  // The next answer; nothing when the child is at its end, or took too long (`late`).
  std::optional<std::string> Next(const RunContext& context, double limit_s, bool& late) {
    const Stopwatch watch;
    std::uint64_t size = 0;
    std::string text;
    const auto read = [&](char* to, std::size_t wanted) {
      while (wanted > 0) {
        context.CheckCancelled(kMigrateStage);
        late = watch.Seconds() > limit_s;
        if (late) return false;
        struct pollfd waits {
          answers_.get(), POLLIN, 0
        };
        if (::poll(&waits, 1, kLookAroundMs) <= 0) continue;
        const ssize_t n = ::read(answers_.get(), to, wanted);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        to += n;
        wanted -= static_cast<std::size_t>(n);
      }
      return true;
    };
    if (!read(reinterpret_cast<char*>(&size), sizeof size)) return std::nullopt;
    text.resize(size);
    if (!read(text.data(), text.size())) return std::nullopt;
    return text;
  }
  // How it ended, in words. Ends it if it is still there.
  std::string End() {
    if (pid_ <= 0) return "";
    ::kill(pid_, SIGKILL);  // nothing to one that is dead already
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = 0;
    return WIFSIGNALED(status) ? fmt::format("died of signal {}", WTERMSIG(status))
                               : fmt::format("ended with status {}", WEXITSTATUS(status));
  }

 private:
  Descriptor answers_;
  pid_t pid_ = 0;
};

}  // namespace

void EachApart(std::size_t n, const std::function<std::string(std::size_t)>& work,
               const std::function<void(std::size_t, const std::string&, const std::string&)>& take,
               const RunContext& context, const ApartLimits& limits) {
  std::optional<Child> child;
  for (std::size_t i = 0; i < n; ++i) {
    context.CheckCancelled(kMigrateStage);
    if (!child) child.emplace(i, n, work);
    bool late = false;
    if (const auto text = child->Next(context, limits.seconds, late)) {
      take(i, *text, "");
      continue;
    }
    const std::string death = child->End();
    child.reset();
    take(i, "", late ? fmt::format("took longer than {:g} s", limits.seconds) : death);
  }
}

}  // namespace contimg::ops
