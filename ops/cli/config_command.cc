// `contimg config`: the settings in effect and where each comes from, their check, and their reference.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "config/text.h"
#include "config/time.h"
#include "ops/archive/archiver.h"
#include "ops/cli/commands.h"
#include "ops/cli/program_options.h"
#include "ops/daemon/settings_check.h"
#include "ops/daemon/tree_guard.h"
#include "ops/records/watermarks.h"

namespace contimg::ops {
namespace {

struct ShowOptions {
  std::vector<std::string> names;  // keys or sections; empty: all
  bool json = false;
  bool changed = false;  // only what does not come from its default
};

// The selected settings as indices into AllSettings(). Throws Error{kUsage} for a name that selects nothing.
std::vector<std::size_t> Select(const ShowOptions& options, const LoadedSettings& loaded) {
  std::vector<bool> used(options.names.size(), false);
  std::vector<std::size_t> selected;
  for (std::size_t i = 0; i < AllSettings().size(); ++i) {
    const SettingInfo& info = AllSettings()[i];
    bool wanted = options.names.empty();
    for (std::size_t n = 0; n < options.names.size(); ++n) {
      if (options.names[n] != info.section && options.names[n] != info.key()) continue;
      wanted = used[n] = true;
    }
    if (options.changed && loaded.origins[i].kind == SettingOrigin::kDefault) continue;
    if (wanted) selected.push_back(i);
  }
  const auto unused = std::find(used.begin(), used.end(), false);
  if (unused != used.end()) {
    throw Error(ErrorKind::kUsage, "config", options.names[static_cast<std::size_t>(unused - used.begin())],
                "is neither a setting nor a section");
  }
  return selected;
}

void Show(const ShowOptions& options) {
  const LoadedSettings loaded = CurrentSettings();
  const std::vector<std::size_t> selected = Select(options, loaded);
  const auto source = [&](std::size_t i) {
    const LoadedSettings::Origin& origin = loaded.origins[i];
    return origin.source.empty() ? std::string(ToString(origin.kind)) : origin.source;
  };
  if (options.json) {
    nlohmann::json rows = nlohmann::json::array();
    for (const std::size_t i : selected) {
      const SettingInfo& info = AllSettings()[i];
      rows.push_back({{"key", info.key()},
                      {"value", ToText(loaded.values, info)},
                      {"unit", info.unit},
                      {"origin", ToString(loaded.origins[i].kind)},
                      {"source", source(i)},
                      {"environment", info.environment()}});
    }
    const nlohmann::json all{{"hash", SettingsHash(loaded.values)},
                             {"file", loaded.file ? nlohmann::json(loaded.file->string()) : nlohmann::json()},
                             {"settings", rows}};
    fmt::print("{}\n", all.dump(2));
    return;
  }
  std::size_t key_width = 0, value_width = 0;
  std::vector<std::string> values;
  for (const std::size_t i : selected) {
    const SettingInfo& info = AllSettings()[i];
    const std::string value = ToText(loaded.values, info);
    values.push_back(value.empty() ? "(empty)" : info.unit.empty() ? value : fmt::format("{} {}", value, info.unit));
    key_width = std::max(key_width, info.key().size());
    value_width = std::max(value_width, std::min<std::size_t>(values.back().size(), 40));
  }
  for (std::size_t n = 0; n < selected.size(); ++n) {
    fmt::print("{:<{}}  {:<{}}  {}\n", AllSettings()[selected[n]].key(), key_width, values[n], value_width,
               source(selected[n]));
  }
}

}  // namespace

void AddConfigCommand(CLI::App& app) {
  CLI::App* config = app.add_subcommand("config", "settings: what is in effect, whether it is valid, what there is");
  config->require_subcommand(1);

  CLI::App* show = config->add_subcommand("show", "every setting, its value and where it comes from");
  auto options = std::make_shared<ShowOptions>();
  show->add_option("NAME", options->names, "settings or sections to show; all when none is given");
  show->add_flag("--json", options->json, "print JSON");
  show->add_flag("--changed", options->changed, "only settings that do not have their default");
  show->callback([options] { Show(*options); });

  CLI::App* check = config->add_subcommand(
      "check", "check settings, the files they name, and directories; nothing on disk is changed");
  check->callback([] {
    const LoadedSettings loaded = CurrentSettings();
    CheckDirectories(loaded.values);
    RequireWorkable(CheckSettings(loaded, UtcTime::Now()), [](bool wrong, const std::string& sentence) {
      fmt::print(stderr, "contimg: {}{}\n", wrong ? "" : "warning: ", Printable(sentence));
    });
    try {
      CheckRemotes(loaded.values);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kIo) throw;  // another user's secrets
      fmt::print(stderr, "contimg: warning: {}\n", Printable(error.what()));
    }
    fmt::print("settings and directories are valid (hash {})\n", SettingsHash(loaded.values));
    for (const auto& [name, disk] : LookAtDisks(RealOs(), Roots(loaded.values), loaded.values.disk).disks) {
      fmt::print("{:<8} {} free of {}: {}\n", name, SpaceWords(disk.space.free_bytes),
                 SpaceWords(disk.space.total_bytes), disk.rule);
      if (!disk.sentence.empty()) fmt::print("         {}\n", disk.sentence);
    }
  });

  CLI::App* reference = config->add_subcommand("reference", "the reference of all settings, as Markdown");
  reference->callback([] { std::fputs(GenerateSettingsReference().c_str(), stdout); });
}

}  // namespace contimg::ops
