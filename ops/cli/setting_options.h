// Options of a command that stand for settings: option, environment and file go through one check, with one range.
#pragma once

#include <CLI/CLI.hpp>
#include <map>
#include <string>

#include "config/settings.h"

namespace contimg::ops {

class SettingOptions {
 public:
  // Adds `option` ("--gain") for the setting `key` ("image.gain"). Throws Error{kBug} for a key that does not exist.
  // The object must stay in its place until the command has run.
  CLI::Option* Add(CLI::App* command, const std::string& option, const std::string& key, const std::string& help);
  bool Given(const std::string& option) const;
  // Sets what was given. Throws Error{kUsage} that names setting, range, value and option.
  void Apply(Settings& settings) const;

 private:
  struct Entry {
    const SettingInfo* setting;
    std::string text;
    CLI::Option* option;
  };
  std::map<std::string, Entry> entries_;  // by option; a map keeps the texts in their places
};

// For options that stand for no setting: a finite number between two limits, both allowed.
CLI::Validator Between(double low, double high);

}  // namespace contimg::ops
