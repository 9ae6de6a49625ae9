// The service's log: one line per event on stderr, as text or JSON, each with the group it concerns. Under systemd the
// journal gets its priorities by sd-daemon(3)'s "<4>" prefixes.
#pragma once

#include <fmt/format.h>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace contimg::ops {

enum class LogLevel { kDebug, kInfo, kWarning, kError };
enum class LogFormat { kText, kJson };

LogLevel ParseLogLevel(std::string_view word);    // "debug", "info", "warn", "error"; Error{kUsage} otherwise
LogFormat ParseLogFormat(std::string_view word);  // "text", "json"

void SetUpLog(LogLevel level, LogFormat format);
// `group` may be empty. The same sentence about the same group is said five times a minute at most, then with how often
// it has been left out (debug: always): what fails, or comes and goes, at every turn must not fill a disk. Control
// characters are spelt. Thread-safe.
void Log(LogLevel level, std::string_view group, std::string_view message);
// Lines written so far, by level.
std::array<std::uint64_t, 4> LinesLogged();
std::string_view WordOf(LogLevel level);  // "debug", "info", "warn", "error"
// For what fails again at every turn of a loop: once a minute at most. Thread-safe.
void LogNowAndThen(LogLevel level, const std::string& message);

}  // namespace contimg::ops
