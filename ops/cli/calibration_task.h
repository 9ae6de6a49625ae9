// What `contimg predict`, `solve` and `apply` share: settings, console, and the model that options name.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <vector>

#include "calibrate/field_model.h"
#include "config/run_context.h"
#include "ops/cli/commands.h"
#include "ops/cli/program_options.h"
#include "ops/cli/setting_options.h"

namespace contimg::ops {

// --calibrator and --catalog.
struct ModelOptions {
  std::string calibrator, catalogue;

  void Add(CLI::App* command);
  // Throws Error{kUsage} when neither is given.
  void Check() const;
  // Out of the files and the source database; Error{kBadInput} for what nobody knows.
  calibrate::ModelSources Find(const Settings& settings, const calibrate::FieldView& view) const;
};

struct CalibrationTask {
  explicit CalibrationTask(const SettingOptions& options);

  LoadedSettings settings;
  std::unique_ptr<Reporter> reporter;  // the console's
  RunContext context;
};

// The words between commas; empty ones are left out.
std::vector<std::string> SplitWords(const std::string& text);

}  // namespace contimg::ops
