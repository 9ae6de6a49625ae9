// Where settings come from: defaults, a TOML file, environment variables, command-line overrides, in rising precedence.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "config/settings.h"

namespace contimg {

struct SettingsSources {
  std::optional<std::filesystem::path> file;                     // unset: CONTIMG_CONFIG of `environment`, else none
  std::vector<std::pair<std::string, std::string>> environment;  // name, value; see ProcessEnvironment()
  std::vector<std::string> overrides;                            // "section.key=value"
};

// The variables of this process whose names begin with "CONTIMG_".
std::vector<std::pair<std::string, std::string>> ProcessEnvironment();

enum class SettingOrigin { kDefault, kFile, kEnvironment, kCommandLine };
std::string_view ToString(SettingOrigin origin);  // "default", "file", "environment", "command line"

struct LoadedSettings {
  Settings values;
  struct Origin {
    SettingOrigin kind = SettingOrigin::kDefault;
    std::string source;  // "/etc/contimg.toml line 12", "CONTIMG_HTTP_LISTEN", "command line", "",
                         // "default, following another" (FollowDefaults)
  };
  std::vector<Origin> origins;                // parallel to AllSettings()
  std::optional<std::filesystem::path> file;  // the TOML file that was read
};

// Reads and checks everything. Throws Error{kUsage}: unreadable or malformed file, unknown section, key or variable
// (naming the nearest known one), value out of range (naming range, unit and source), broken rule between settings.
// A variable is taken for ours when it begins with "CONTIMG_<SECTION>_"; other CONTIMG_ variables are left alone.
// An environment variable that is set but empty means "not set".
LoadedSettings LoadSettings(const SettingsSources& sources);

// A sentence for each variable CONTIMG_… that no program reads and LoadSettings does not refuse: one that is set and
// does nothing. `environment` as of ProcessEnvironment.
std::vector<std::string> UnknownVariables(const std::vector<std::pair<std::string, std::string>>& environment);

// Checks that the directories can be used: scratch and state are set, all are absolute, and every standing directory
// is writable (the input directory: readable), or could be made where it is missing. Changes nothing on disk. Throws
// Error{kUsage} for what is not set or not absolute and Error{kIo} for what cannot be used, one sentence each.
void CheckPaths(const Settings& settings);
// Makes the standing directories that are missing. Errors as above.
void MakeDirectories(const Settings& settings);

}  // namespace contimg
