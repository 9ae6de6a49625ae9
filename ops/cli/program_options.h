// Options that every subcommand shares: settings, log level and format; and how a command talks to a person.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <vector>

#include "config/run_context.h"
#include "config/settings_loader.h"

namespace contimg::ops {

struct ProgramOptions {
  std::string config_file;             // --config
  std::vector<std::string> overrides;  // --set section.key=value
  std::string log_level = "info";      // --log-level: debug, info, warn, error
  std::string log_format = "text";     // --log-format: text, json
  bool quiet = false;                  // --quiet: errors alone
};

// Those of this process, filled by the parser before a command runs.
ProgramOptions& Options();

// Adds the shared options to the program.
void AddProgramOptions(CLI::App& app);

// The settings as this command line asks for them. Warns, once, of variables CONTIMG_… that do nothing. Throws
// Error{kUsage}.
LoadedSettings CurrentSettings();

// Reports to stderr: a progress bar on a terminal, plain lines elsewhere (progress in steps of ten per cent), one JSON
// object a line with --log-format json. Thread-safe.
std::unique_ptr<Reporter> MakeConsoleReporter();

// `wanted` threads, or all processors at hand for 0.
int ThreadsOr(std::int64_t wanted);

}  // namespace contimg::ops
