#include "ops/daemon/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <chrono>
#include <cstdlib>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <utility>

#include "config/error.h"
#include "config/time.h"

namespace contimg::ops {
namespace {

struct State {
  std::shared_ptr<spdlog::logger> logger;
  LogFormat format = LogFormat::kText;
  bool journal = false;
};

State& TheLog() {
  static State state = [] {
    State made;
    made.logger = std::make_shared<spdlog::logger>("contimg", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made.logger->set_pattern("%v");
    made.journal = std::getenv("JOURNAL_STREAM") != nullptr;
    return made;
  }();
  return state;
}

struct LevelWords {
  std::string_view word;
  spdlog::level::level_enum level;
  int priority;  // syslog's
};
const LevelWords& Words(LogLevel level) {
  static const LevelWords words[] = {{"debug", spdlog::level::debug, 7},
                                     {"info", spdlog::level::info, 6},
                                     {"warn", spdlog::level::warn, 4},
                                     {"error", spdlog::level::err, 3}};
  return words[static_cast<int>(level)];
}

}  // namespace

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
  TheLog().logger->set_level(Words(level).level);
}

void Log(LogLevel level, std::string_view group, std::string_view message) {
  State& log = TheLog();
  const LevelWords& words = Words(level);
  if (!log.logger->should_log(words.level)) return;
  std::string line;
  if (log.format == LogFormat::kJson) {
    nlohmann::ordered_json value;
    value["time"] = UtcTime::Now().Iso8601(3) + "Z";
    value["level"] = words.word;
    if (!group.empty()) value["group"] = group;
    value["message"] = message;
    line = value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  } else {
    if (!log.journal) line = UtcTime::Now().Iso8601(3) + "Z ";
    line += fmt::format("{}: {}{}{}", words.word, group, group.empty() ? "" : ": ", message);
  }
  if (log.journal) line.insert(0, fmt::format("<{}>", words.priority));
  log.logger->log(words.level, "{}", line);
}

void LogNowAndThen(LogLevel level, const std::string& message) {
  using Clock = std::chrono::steady_clock;
  struct Said {
    Clock::time_point at;
    int n_left_out = 0;
  };
  constexpr auto kPause = std::chrono::minutes(1);
  constexpr std::size_t kMost = 100;  // sentences remembered
  static std::mutex mutex;
  static std::map<std::string, Said> said;
  int n_left_out = 0;
  {
    const std::lock_guard<std::mutex> lock(mutex);
    const auto now = Clock::now();
    const auto [at, is_new] = said.try_emplace(message, Said{now, 0});
    if (!is_new && now - at->second.at < kPause) {
      ++at->second.n_left_out;
      return;
    }
    n_left_out = std::exchange(at->second.n_left_out, 0);
    at->second.at = now;
    if (said.size() > kMost) said.clear();
  }
  Log(level, "", n_left_out > 0 ? fmt::format("{} ({} more times in the last minutes)", message, n_left_out) : message);
}

}  // namespace contimg::ops
