// The product's settings: one typed struct per section, generated from settings.def, and what is known about each
// setting. Loading from files, the environment and the command line is in config/settings_loader.h.
//
// A stage takes its own section's struct ("const ImageSettings&"), never the whole. C++17-clean.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/archive_remotes.h"
#include "config/product_paths.h"

namespace contimg {

// struct PathSettings { std::string scratch_dir; … }; struct IngestSettings { … }; and so on, with their defaults.
#define CONTIMG_SECTION(type, section, help) struct type {
#define CONTIMG_SECTION_END() \
  }                           \
  ;
#define CONTIMG_INTEGER(section, name, value, low, high, unit, help) std::int64_t name = value;
#define CONTIMG_NUMBER(section, name, value, low, high, unit, help) double name = value;
#define CONTIMG_SWITCH(section, name, value, help) bool name = value;
#define CONTIMG_TEXT(section, name, value, help) std::string name = value;
#define CONTIMG_CHOICE(section, name, value, words, help) std::string name = value;
#define CONTIMG_TABLES(section, name, help) std::string name;
#include "config/settings.def"

struct Settings {
#define CONTIMG_SECTION(type, section, help) type section;
#include "config/settings.def"
};

enum class SettingType { kInteger, kNumber, kSwitch, kText, kChoice, kTables };

// One line of settings.def.
struct SettingInfo {
  std::string_view section;
  std::string_view name;
  SettingType type;
  std::string_view unit;  // "" for counts and texts
  double minimum;         // integers and numbers
  double maximum;
  std::string_view words;  // choices: "a|b|c"
  std::string_view help;
  void* (*field)(Settings&);  // the field itself

  std::string key() const;          // "ingest.deadline_s"
  std::string environment() const;  // "CONTIMG_INGEST_DEADLINE_S"; section paths: "CONTIMG_SCRATCH_DIR"
};

// All settings in the order of settings.def, and the sections with their help.
const std::vector<SettingInfo>& AllSettings();
const std::vector<std::pair<std::string_view, std::string_view>>& AllSections();

// The setting named "section.name", or null.
const SettingInfo* FindSetting(std::string_view key);

// Sets one field from text, units allowed (switches: true|false|yes|no|on|off|1|0). `source` says where the text comes
// from in the message. Throws Error{kUsage} that names value, source, range and unit.
void SetFromText(Settings& settings, const SettingInfo& info, std::string_view text, std::string_view source);
// The value in its canonical spelling: a bare number in the declared unit (shortest form that reads back exactly),
// true/false, or the text.
std::string ToText(const Settings& settings, const SettingInfo& info);

// The archive's remotes, each with the classes that go there. Throws Error{kUsage}, which CheckRules has done before.
std::vector<ArchiveRemote> RemotesOf(const ArchiveSettings& archive);

// Defaults that depend on another setting: where one of a pair was set and the other was not, the other follows, so
// that a default alone never breaks a rule (expected_subbands = 4 makes min_subbands 4). `is_set` says of a key whether
// somebody gave it a value; those are left alone. Call it before CheckRules.
void FollowDefaults(Settings& settings, const std::function<bool(std::string_view key)>& is_set);
// Rules between settings (min_subbands ≤ expected_subbands…). Throws Error{kUsage} on the first that is broken.
void CheckRules(const Settings& settings);

// All settings as "section.name=value", the form of command-line overrides: a job file carries them to its worker.
std::vector<std::string> AsOverrides(const Settings& settings);
// 16 hexadecimal digits that identify every setting except the section "paths" (where a product lies does not change
// it): XXH64 of the canonical spelling.
std::string SettingsHash(const Settings& settings);

// The directories with their defaults filled in (input_dir = <scratch_dir>/incoming and so on).
DirectoryRoots Roots(const Settings& settings);

// docs/configuration.md.
std::string GenerateSettingsReference();

// The candidate nearest to `word` by edit distance (insert, delete, replace, swap of neighbours), or "" when even the
// nearest has nothing to do with it.
std::string NearestWord(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace contimg
