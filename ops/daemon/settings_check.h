// Whether jobs could run with these settings, asked of the very parsers and readers that the jobs use, before the night
// rather than by its first group. Reads files; makes and changes nothing.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "config/settings_loader.h"
#include "config/time.h"

namespace contimg::ops {

struct SettingsFindings {
  // One sentence each: key, value and where it was set, what is allowed, what was found.
  std::vector<std::string> errors;    // every group would fail
  std::vector<std::string> outdated;  // every group of today's data would fail; older data can be processed
  std::vector<std::string> warnings;  // it works, but not as somebody who wrote this would expect
};

// kAll also loads AOFlagger's library where it is wanted, which brings GTK and Python into the process.
enum class CheckDepth { kNoForeignLibraries, kAll };

// The names of http.allowed_hosts, lower case. Throws Error{kUsage} for what can be no name of a host.
std::vector<std::string> ParseHosts(const std::string& names);

// Everything but the directories (CheckDirectories of ops/daemon/tree_guard.h does those). Does not throw for a wrong
// setting. `now`: the time of the data that are to come.
SettingsFindings CheckSettings(const LoadedSettings& loaded, UtcTime now, CheckDepth depth = CheckDepth::kAll);

// As `check` asks for it: throws Error{kUsage} for the last of errors and outdated ones, after `say` was called with
// every warning and every other one.
using SayFinding = std::function<void(bool wrong, const std::string& sentence)>;
void RequireWorkable(const SettingsFindings& findings, const SayFinding& say);

// image.beam_file, or --beam-file: a name without a folder that does not exist here may stand among the site's beam
// models
// (<scratch>/static/beam-model). Other names come back as they are.
std::string FindBeamFile(const std::string& name, const Settings& settings);

}  // namespace contimg::ops
