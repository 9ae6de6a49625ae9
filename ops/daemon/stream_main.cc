#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <exception>

#include "config/error.h"
#include "config/settings_loader.h"
#include "ops/daemon/daemon.h"
#include "ops/daemon/log.h"
#include "ops/version.h"

namespace contimg::ops {

int RunStream(int argc, char** argv) {
  CLI::App app{"contimg-stream: watches the correlator's files, groups them and has every group processed"};
  app.set_version_flag("--version", std::string("contimg-stream ") + kVersion);
  SettingsSources sources;
  std::string config, log_level, log_format;
  bool check_only = false;
  app.add_option("--config", config, "TOML file with settings (default: $CONTIMG_CONFIG)")->check(CLI::ExistingFile);
  app.add_option("--set", sources.overrides, "Override a setting: section.key=value (repeatable)");
  app.add_option("--log-level", log_level, "debug, info, warn or error");
  app.add_option("--log-format", log_format, "text or json");
  app.add_flag("--check", check_only, "Check settings and directories, then end");
  try {
    app.parse(argc, argv);
    if (!config.empty()) sources.file = config;
    if (!log_level.empty()) sources.overrides.push_back("daemon.log_level=" + log_level);
    if (!log_format.empty()) sources.overrides.push_back("daemon.log_format=" + log_format);
    sources.environment = ProcessEnvironment();

    DaemonOptions options;
    options.settings = LoadSettings(sources).values;
    options.reload = [sources] { return LoadSettings(sources).values; };
    options.program = std::filesystem::read_symlink("/proc/self/exe").parent_path() / "contimg";
    SetUpLog(ParseLogLevel(options.settings.daemon.log_level), ParseLogFormat(options.settings.daemon.log_format));
    if (!std::filesystem::exists(options.program)) {
      throw Error(ErrorKind::kUsage, "daemon", options.program.string(),
                  "expected the contimg program beside contimg-stream and found none");
    }
    if (check_only) {
      ValidatePaths(options.settings);
      return 0;
    }
    RunDaemon(options);
    return 0;
  } catch (const CLI::Success& request) {
    return app.exit(request);
  } catch (const CLI::ParseError& error) {
    fmt::print(stderr, "contimg-stream: {} (try --help)\n", error.what());
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
