// contimg-stream: the service that watches, groups, queues and dispatches, for months on end.
//
// One thread runs everything (an io context): file events, header checks' and workers' output, timers, HTTP. What is
// dangerous runs in processes of its own (reading HDF5 and casacore tables, the work itself), what is slow on a thread
// of its own (ops/daemon/background.h). A failing database or disk delays what needs it and is reported; it does not
// end the service. tests/lint/loop_rooms.sh and tests/integration/loop_faults_test.py see to that.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "config/os.h"
#include "config/settings.h"
#include "ingest/file_watcher.h"

namespace contimg::ops {

struct DaemonOptions {
  Settings settings;
  std::function<Settings()> reload;  // on SIGHUP; throws Error when the new settings are no good
  std::filesystem::path program;     // the contimg binary that runs the workers
  Os* os = nullptr;                  // null: the real one
  ingest::WatcherOptions watcher;
};

// Runs until SIGTERM or SIGINT. Throws Error when it cannot start: bad paths, another daemon on the same state
// directory, a database that cannot be used, a port that is taken.
void RunDaemon(const DaemonOptions& options);

// The command line of contimg-stream.
struct StreamArgs {
  std::string config, log_level, log_format;
  std::vector<std::string> overrides;
  bool check_only = false;
};
void DescribeStream(CLI::App& app, StreamArgs& args);

// `contimg-stream …`: parses the command line, loads the settings, runs the daemon. Returns the exit status.
int RunStream(int argc, char** argv);

}  // namespace contimg::ops
