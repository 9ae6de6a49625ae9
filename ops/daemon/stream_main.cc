#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <exception>
#include <utility>

#include "config/error.h"
#include "config/os.h"
#include "config/settings_loader.h"
#include "config/text.h"
#include "config/time.h"
#include "ops/base/log.h"
#include "ops/base/standard_output.h"
#include "ops/base/version.h"
#include "ops/daemon/daemon.h"
#include "ops/daemon/settings_check.h"
#include "ops/daemon/tree_guard.h"
#include "ops/upkeep/restore_state.h"
#include "state/database.h"

namespace contimg::ops {
namespace {

void LogFinding(bool wrong, const std::string& sentence) {
  Log(wrong ? LogLevel::kError : LogLevel::kWarning, "", sentence);
}

}  // namespace

void DescribeStream(CLI::App& app, StreamArgs& args) {
  app.description("contimg-stream: watches the correlator's files, groups them and has every group processed");
  app.set_version_flag("--version", std::string("contimg-stream ") + kVersion);
  app.add_option("--config", args.config, "TOML file with settings (default: $CONTIMG_CONFIG)");
  app.add_option("--set", args.overrides, "override a setting: section.key=value (repeatable)");
  app.add_option("--log-level", args.log_level, "debug, info, warn or error");
  app.add_option("--log-format", args.log_format, "text or json");
  app.add_flag("--check", args.check_only, "check settings and directories, then end; nothing on disk is changed");
}

int RunStream(int argc, char** argv) {
  KeepStandardStreams();
  CLI::App app;
  StreamArgs args;
  DescribeStream(app, args);
  try {
    app.parse(argc, argv);
    SettingsSources sources;
    if (!args.config.empty()) sources.file = args.config;
    sources.overrides = args.overrides;
    if (!args.log_level.empty()) sources.overrides.push_back("daemon.log_level=" + args.log_level);
    if (!args.log_format.empty()) sources.overrides.push_back("daemon.log_format=" + args.log_format);
    sources.environment = ProcessEnvironment();

    DaemonOptions options;
    const LoadedSettings loaded = LoadSettings(sources);
    options.settings = loaded.values;
    options.reload = [sources] {
      const LoadedSettings fresh = LoadSettings(sources);
      SettingsFindings findings = CheckSettings(fresh, UtcTime::Now(), CheckDepth::kNoForeignLibraries);
      for (const std::string& sentence : std::exchange(findings.outdated, {})) Log(LogLevel::kError, "", sentence);
      RequireWorkable(findings, LogFinding);
      return fresh.values;
    };
    std::error_code error;
    options.program = std::filesystem::read_symlink("/proc/self/exe", error).parent_path() / "contimg";
    state::SetMigrationNotice([](const std::string& sentence) { Log(LogLevel::kWarning, "", sentence); });
    SetUpLog(ParseLogLevel(options.settings.daemon.log_level), ParseLogFormat(options.settings.daemon.log_format));
    for (const std::string& sentence : UnknownVariables(sources.environment)) {
      Log(LogLevel::kWarning, "", sentence);
    }
    if (!Exists(options.program)) {
      throw Error(ErrorKind::kUsage, "daemon", options.program.string(),
                  "expected the contimg program beside contimg-stream and found none");
    }
    RequireNoUnfinishedRestore(Roots(options.settings).state, RealOs());
    if (args.check_only) {
      CheckDirectories(options.settings);
      RequireWorkable(CheckSettings(loaded, UtcTime::Now()), LogFinding);
      return 0;
    }
    // What would kill every group keeps the service from starting; a table that has run out leaves older data to work
    // on.
    SettingsFindings findings = CheckSettings(loaded, UtcTime::Now(), CheckDepth::kNoForeignLibraries);
    for (const std::string& sentence : std::exchange(findings.outdated, {})) Log(LogLevel::kError, "", sentence);
    RequireWorkable(findings, LogFinding);
    RunDaemon(options);
    return 0;
  } catch (const CLI::Success& request) {
    const int status = app.exit(request);
    try {
      FinishOutput();
    } catch (const Error& error) {
      Log(LogLevel::kError, "", error.what());
      return ExitStatus(error.kind());
    }
    return status;
  } catch (const CLI::ParseError& error) {
    fmt::print(stderr, "contimg-stream: {} (try --help)\n", Printable(error.what()));
    return ExitStatus(ErrorKind::kUsage);
  } catch (const Error& error) {
    Log(LogLevel::kError, "", error.what());
    return ExitStatus(error.kind());
  } catch (const std::exception& error) {
    Log(LogLevel::kError, "", fmt::format("internal error: {}", error.what()));
    return ExitStatus(ErrorKind::kBug);
  }
}

}  // namespace contimg::ops
