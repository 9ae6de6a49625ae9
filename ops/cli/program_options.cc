#include "ops/cli/program_options.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>

#include "config/machine.h"
#include "config/os.h"
#include "config/text.h"
#include "config/time.h"

namespace contimg::ops {
namespace {

enum class Level { kDebug, kInfo, kWarn, kError };

Level LevelOf(const std::string& word) {
  if (word == "debug") return Level::kDebug;
  if (word == "warn") return Level::kWarn;
  if (word == "error") return Level::kError;
  return Level::kInfo;
}

// A terminal that cannot go back to the start of a line.
bool IsDumb() {
  const char* kind = std::getenv("TERM");
  return kind == nullptr || std::string_view(kind) == "dumb";
}

class ConsoleReporter final : public Reporter {
 public:
  ConsoleReporter()
      : terminal_(isatty(STDERR_FILENO) == 1 && !IsDumb()),
        json_(Options().log_format == "json"),
        level_(Options().quiet ? Level::kError : LevelOf(Options().log_level)) {}
  ~ConsoleReporter() override { ClearBar(); }

  void Progress(std::string_view stage, double fraction) override {
    if (level_ > Level::kInfo) return;
    const std::lock_guard lock(mutex_);
    // Whole steps only, never backwards: threads finish their parts in any order.
    const int step = static_cast<int>(fraction * (terminal_ && !json_ ? 40 : 10) + 1e-9);
    const auto [at, fresh] = last_step_.try_emplace(std::string(stage), -1);
    if (step <= at->second) return;
    at->second = step;
    if (json_) {
      Print(nlohmann::json{{"time", UtcTime::Now().Stamp(3)}, {"stage", stage}, {"progress", fraction}}.dump());
    } else if (terminal_) {
      fmt::print(stderr, "\r\033[K{:<12} [{:<40}] {:3.0f} %", stage, std::string(static_cast<std::size_t>(step), '#'),
                 fraction * 100);
      std::fflush(stderr);
      bar_ = fraction < 1;
      if (!bar_) fmt::print(stderr, "\r\033[K");
    } else if (step == 10) {
      fmt::print(stderr, "{}: done\n", stage);
    }
  }
  void Warn(std::string_view stage, std::string_view message) override {
    Line(Level::kWarn, "warning", stage, message);
  }
  void Info(std::string_view stage, std::string_view message) override { Line(Level::kInfo, "info", stage, message); }

 private:
  void Line(Level level, const char* word, std::string_view stage, std::string_view message) {
    if (level < level_) return;
    const std::lock_guard lock(mutex_);
    ClearBar();
    if (json_) {
      Print(nlohmann::json{{"time", UtcTime::Now().Stamp(3)}, {"level", word}, {"stage", stage}, {"message", message}}
                .dump());
    } else {
      Print(level == Level::kWarn ? fmt::format("{}: warning: {}", stage, Printable(message))
                                  : fmt::format("{}: {}", stage, Printable(message)));
    }
  }
  void Print(const std::string& line) { fmt::print(stderr, "{}\n", line); }
  void ClearBar() {
    if (bar_) fmt::print(stderr, "\r\033[K");
    bar_ = false;
  }

  std::mutex mutex_;
  std::map<std::string, int> last_step_;
  bool terminal_;
  bool json_;
  bool bar_ = false;
  Level level_;
};

}  // namespace

ProgramOptions& Options() {
  static ProgramOptions options;
  return options;
}

void AddProgramOptions(CLI::App& app) {
  ProgramOptions& options = Options();
  app.add_option("--config", options.config_file, "TOML file with settings (default: $CONTIMG_CONFIG)")
      ->type_name("FILE");
  app.add_option("--set", options.overrides, "one setting, overriding file and environment; may be repeated")
      ->type_name("SECTION.KEY=VALUE")
      ->take_all()
      ->allow_extra_args(false);
  app.add_option("--log-level", options.log_level, "least severity of what is printed")
      ->check(CLI::IsMember({"debug", "info", "warn", "error"}))
      ->capture_default_str();
  // Before a command runs, so that none has to know of it.
  app.add_flag_callback(
      "--quiet",
      [] {
        Options().quiet = true;
        if (std::freopen("/dev/null", "w", stdout) == nullptr) {
          throw SystemError("contimg", "/dev/null", "cannot open", errno);
        }
      },
      "print nothing but errors");
  app.add_option("--log-format", options.log_format, "form of messages on stderr")
      ->check(CLI::IsMember({"text", "json"}))
      ->capture_default_str();
}

LoadedSettings CurrentSettings() {
  SettingsSources sources;
  if (!Options().config_file.empty()) sources.file = Options().config_file;
  sources.environment = ProcessEnvironment();
  sources.overrides = Options().overrides;
  LoadedSettings loaded = LoadSettings(sources);
  static std::once_flag said;
  std::call_once(said, [&] {
    const auto reporter = MakeConsoleReporter();
    for (const std::string& sentence : UnknownVariables(sources.environment)) reporter->Warn("contimg", sentence);
  });
  return loaded;
}

std::unique_ptr<Reporter> MakeConsoleReporter() { return std::make_unique<ConsoleReporter>(); }

int ThreadsOr(std::int64_t wanted) { return wanted > 0 ? static_cast<int>(wanted) : AvailableProcessors(); }

}  // namespace contimg::ops
