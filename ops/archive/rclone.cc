#include "ops/archive/rclone.h"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <string_view>

#include "config/descriptor.h"
#include "config/error.h"
#include "config/os.h"
#include "config/text.h"
#include "ops/archive/stage_name.h"
#include "ops/base/child_process.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr int kLookEveryMs = 100;
constexpr std::size_t kLongestWords = 300;

RcloneEnd::Kind KindOf(int status) {
  switch (status) {
    case 0:
      return RcloneEnd::Kind::kOk;
    case 3:
    case 4:
      return RcloneEnd::Kind::kMissing;
    case 7:
    case 8:
      return RcloneEnd::Kind::kFatal;
    default:
      return RcloneEnd::Kind::kPassing;
  }
}

// The last complaint: of JSON lines (--use-json-log) their "msg", of others what follows the time.
std::string LastWords(const std::string& log) {
  std::string last;
  std::istringstream lines(log);
  for (std::string line; std::getline(lines, line);) {
    const nlohmann::json line_json = nlohmann::json::parse(line, nullptr, false);
    if (line_json.is_object()) {
      if (const std::string level = line_json.value("level", ""); level == "error" || level == "critical") {
        last = line_json.value("msg", "");
      }
    } else if (const std::size_t failed = line.find("Failed to "); failed != std::string::npos) {
      last = line.substr(failed);
    } else if (last.empty() && line.find("NOTICE") == std::string::npos) {
      last = line;
    }
  }
  last = Printable(last);
  return last.size() > kLongestWords ? last.substr(0, kLongestWords) + "…" : last;
}

std::string Content(int fd) {
  std::string text;
  std::array<char, 4096> buffer;
  off_t at = 0;
  for (ssize_t n = 0; (n = ::pread(fd, buffer.data(), buffer.size(), at)) > 0; at += n) {
    text.append(buffer.data(), static_cast<std::size_t>(n));
    if (text.size() > (std::size_t{1} << 20)) break;
  }
  return text;
}

// Ends what is still there, whatever happens.
class Running {
 public:
  Running(Child child, std::string_view input, double kill_after_s)
      : child_(child), input_(child.input), output_(child.output), unread_(input), kill_after_s_(kill_after_s) {}
  ~Running() {
    if (!end_) End();
  }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;
  int output() const { return output_.get(); }
  // As much as it takes now, without waiting. One that has closed its end reads no more.
  void Feed() {
    while (input_.open()) {
      const ssize_t n = unread_.empty() ? 0 : ::write(input_.get(), unread_.data(), unread_.size());
      if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
      if (n > 0) unread_.remove_prefix(static_cast<std::size_t>(n));
      if (n < 0 || unread_.empty()) input_.Reset();
    }
  }
  bool HasEnded() {
    if (!end_) end_ = TryWait(child_.pid);
    return end_.has_value();
  }
  const ChildEnd& end() const { return *end_; }
  void End() {
    SignalGroup(child_.pid, SIGTERM);
    const auto limit = Clock::now() + std::chrono::duration<double>(kill_after_s_);
    while (!HasEnded()) {
      if (Clock::now() > limit) SignalGroup(child_.pid, SIGKILL);
      ::poll(nullptr, 0, 10);
    }
  }

 private:
  Child child_;
  Descriptor input_, output_;
  std::string_view unread_;
  double kill_after_s_;
  std::optional<ChildEnd> end_;
};

}  // namespace

fs::path FindRclone() {
  const char* path = std::getenv("PATH");
  std::istringstream folders(path != nullptr ? path : "/usr/local/bin:/usr/bin:/bin");
  for (std::string folder; std::getline(folders, folder, ':');) {
    const fs::path program = fs::path(folder.empty() ? "." : folder) / "rclone";
    if (::access(program.c_str(), X_OK) == 0 && IsFile(program)) return program;
  }
  return {};
}

RcloneEnd Rclone::Run(const std::vector<std::string>& words, double timeout_s, const Sink& output,
                      std::string_view input) const {
  if (options_.program.empty()) {
    throw Error(ErrorKind::kUsage, kArchiveStage, "rclone", "is not installed, and nothing else copies to archives");
  }
  const Descriptor log(::memfd_create("rclone-log", MFD_CLOEXEC));
  if (!log.open()) throw SystemError(kArchiveStage, "rclone", "cannot keep its messages", errno);
  ChildOptions child;
  child.arguments = {options_.program.string()};
  child.arguments.insert(child.arguments.end(), words.begin(), words.end());
  for (const char* word : {"--retries=1", "--low-level-retries=3", "--contimeout=10s", "--timeout=60s",
                           "--use-json-log", "--stats=0", "--ask-password=false"}) {
    child.arguments.emplace_back(word);
  }
  if (!options_.config.empty()) child.arguments.push_back("--config=" + options_.config.string());
  if (!options_.bandwidth.empty()) child.arguments.push_back("--bwlimit=" + options_.bandwidth);
  child.error_file = fmt::format("/proc/self/fd/{}", log.get());
  child.standard_input = !input.empty();
  Running running(StartChild(child), input, options_.kill_after_s);

  const auto limit = Clock::now() + std::chrono::duration<double>(timeout_s);
  std::vector<char> buffer(std::size_t{1} << 17);
  bool open = true;
  while (open || !running.HasEnded()) {
    if (options_.cancelled != nullptr && options_.cancelled->load(std::memory_order_relaxed)) {
      throw Error(ErrorKind::kCancelled, kArchiveStage, "", "cancelled on request");
    }
    if (Clock::now() > limit) {
      throw Error(ErrorKind::kTimeout, kArchiveStage, "rclone", fmt::format("was not done within {} s", timeout_s));
    }
    running.Feed();
    if (!open) {
      ::poll(nullptr, 0, 5);
      continue;
    }
    pollfd ready{running.output(), POLLIN, 0};
    ::poll(&ready, 1, kLookEveryMs);
    const ssize_t n = ::read(running.output(), buffer.data(), buffer.size());
    if (n > 0 && output) output(buffer.data(), static_cast<std::size_t>(n));
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) open = false;
  }
  RcloneEnd end;
  end.status = running.end().signal != 0 ? 128 + running.end().signal : running.end().exit_status;
  end.kind = KindOf(end.status);
  if (end.kind != RcloneEnd::Kind::kOk) end.words = LastWords(Content(log.get()));
  return end;
}

std::vector<std::string> ConfiguredRemotes(const fs::path& config) {
  std::vector<std::string> names;
  std::istringstream lines(RealOs().ReadFile(config));
  for (std::string line; std::getline(lines, line);) {
    const std::size_t close = line.find(']');
    if (!line.empty() && line.front() == '[' && close != std::string::npos) names.push_back(line.substr(1, close - 1));
  }
  return names;
}

}  // namespace contimg::ops
