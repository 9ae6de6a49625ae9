#include "ops/base/log.h"

#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <utility>

#include "config/error.h"
#include "config/text.h"
#include "config/time.h"

namespace contimg::ops {
namespace {

struct State {
  std::atomic<LogLevel> level{LogLevel::kInfo};
  std::atomic<LogFormat> format{LogFormat::kText};
  const bool journal = std::getenv("JOURNAL_STREAM") != nullptr;
  std::mutex mutex;  // one line at a time
  std::array<std::atomic<std::uint64_t>, 4> lines{};
};

State& TheLog() {
  static State state;
  return state;
}

struct LevelWords {
  std::string_view word;
  int priority;  // syslog's
};
const LevelWords& Words(LogLevel level) {
  static const LevelWords words[] = {{"debug", 7}, {"info", 6}, {"warn", 4}, {"error", 3}};
  return words[static_cast<int>(level)];
}

void Write(LogLevel level, std::string_view group, std::string_view message) {
  State& log = TheLog();
  const LevelWords& words = Words(level);
  if (level < log.level) return;
  std::string line;
  if (log.format == LogFormat::kJson) {
    nlohmann::ordered_json value;
    value["time"] = UtcTime::Now().Stamp(3);
    value["level"] = words.word;
    if (!group.empty()) value["group"] = group;
    value["message"] = message;
    line = value.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
  } else {
    if (!log.journal) line = UtcTime::Now().Iso8601(3) + "Z ";
    line += fmt::format("{}: {}{}{}", words.word, Printable(group), group.empty() ? "" : ": ", Printable(message));
  }
  if (log.journal) line.insert(0, fmt::format("<{}>", words.priority));
  line += '\n';
  ++log.lines[static_cast<std::size_t>(level)];
  const std::lock_guard<std::mutex> lock(log.mutex);
  std::fwrite(line.data(), 1, line.size(), stderr);
  std::fflush(stderr);
}

}  // namespace

std::array<std::uint64_t, 4> LinesLogged() {
  std::array<std::uint64_t, 4> lines{};
  for (std::size_t i = 0; i < lines.size(); ++i) lines[i] = TheLog().lines[i];
  return lines;
}

std::string_view WordOf(LogLevel level) { return Words(level).word; }

LogLevel ParseLogLevel(std::string_view word) {
  for (LogLevel level : {LogLevel::kDebug, LogLevel::kInfo, LogLevel::kWarning, LogLevel::kError}) {
    if (Words(level).word == word) return level;
  }
  throw Error(ErrorKind::kUsage, "log", "log level",
              fmt::format("expected debug, info, warn or error and found '{}'", word));
}

LogFormat ParseLogFormat(std::string_view word) {
  if (word == "text") return LogFormat::kText;
  if (word == "json") return LogFormat::kJson;
  throw Error(ErrorKind::kUsage, "log", "log format", fmt::format("expected text or json and found '{}'", word));
}

void SetUpLog(LogLevel level, LogFormat format) {
  TheLog().format = format;
  TheLog().level = level;
}

namespace {

// Sentences that were said lately, and how often each was left out.
class SaidLately {
 public:
  // Whether `sentence` may be said now: at most `burst` times a minute. `n_left_out`: how often it was not, since it
  // was said last.
  bool MaySay(const std::string& sentence, int burst, int& n_left_out) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto now = Clock::now();
    if (said_.size() > kMost) Forget(now);
    const auto [at, is_new] = said_.try_emplace(sentence, Said{now, 0, 0});
    Said& said = at->second;
    if (now - said.since >= kMinute) said = Said{now, 0, said.n_left_out};
    if (said.n_said >= burst) {
      ++said.n_left_out;
      return false;
    }
    ++said.n_said;
    n_left_out = std::exchange(said.n_left_out, 0);
    return true;
  }

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr auto kMinute = std::chrono::minutes(1);
  static constexpr std::size_t kMost = 1000;  // sentences remembered
  struct Said {
    Clock::time_point since;
    int n_said = 0, n_left_out = 0;
  };
  void Forget(Clock::time_point now) {
    for (auto at = said_.begin(); at != said_.end();) at = now - at->second.since >= kMinute ? said_.erase(at) : ++at;
    if (said_.size() > kMost) said_.clear();
  }

  std::mutex mutex_;
  std::map<std::string, Said> said_;
};

constexpr int kBurst = 5;  // of one sentence about one group

void LogAtMost(int burst, LogLevel level, std::string_view group, std::string_view message) {
  static SaidLately said;
  int n_left_out = 0;
  if (!said.MaySay(fmt::format("{}\n{}", group, message), burst, n_left_out)) return;
  if (n_left_out == 0) return Write(level, group, message);
  Write(level, group, fmt::format("{} ({} more times in the last minutes)", message, n_left_out));
}

}  // namespace

void Log(LogLevel level, std::string_view group, std::string_view message) {
  if (level == LogLevel::kDebug) return Write(level, group, message);
  LogAtMost(kBurst, level, group, message);
}

void LogNowAndThen(LogLevel level, const std::string& message) { LogAtMost(1, level, "", message); }

}  // namespace contimg::ops
