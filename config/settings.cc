#include "config/settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <limits>

#include "config/archive_remotes.h"
#include "config/checksum.h"
#include "config/error.h"
#include "config/product_class.h"
#include "config/quantity.h"
#include "config/stage_name.h"

namespace contimg {
namespace {

std::vector<std::string_view> SplitWords(std::string_view words) {
  std::vector<std::string_view> parts;
  while (!words.empty()) {
    const std::size_t bar = words.find('|');
    parts.push_back(words.substr(0, bar));
    words.remove_prefix(bar == std::string_view::npos ? words.size() : bar + 1);
  }
  return parts;
}

template <typename T>
T& Field(Settings& settings, const SettingInfo& info) {
  return *static_cast<T*>(info.field(settings));
}

// SettingInfo::field needs a mutable object; reading through it changes nothing.
template <typename T>
const T& Field(const Settings& settings, const SettingInfo& info) {
  return *static_cast<const T*>(info.field(const_cast<Settings&>(settings)));
}

std::string NumberText(const SettingInfo& info, double value) {
  if (info.type == SettingType::kInteger) return fmt::format("{}", static_cast<std::int64_t>(value));
  return fmt::format("{}", value);
}

std::string RangeText(const SettingInfo& info) {
  std::string text = fmt::format("{} to {}", NumberText(info, info.minimum), NumberText(info, info.maximum));
  if (!info.unit.empty()) text += fmt::format(" {}", info.unit);
  return text;
}

std::string Upper(std::string_view text) {
  std::string upper(text);
  for (char& c : upper) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return upper;
}

Error Refuse(const SettingInfo& info, std::string_view text, std::string_view source, const std::string& expected) {
  return Error(ErrorKind::kUsage, kConfigStage, info.key(),
               fmt::format("expected {}, found '{}' ({})", expected, text, source));
}

std::string ExpectedNumber(const SettingInfo& info) {
  std::string text = info.type == SettingType::kInteger ? "a whole number from " : "a number from ";
  text += RangeText(info);
  const std::string units = CompatibleUnits(info.unit);
  if (!units.empty()) text += fmt::format(" (units: {})", units);
  return text;
}

// Optimal string alignment distance: insertions, deletions, replacements and swaps of neighbours cost 1.
std::size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<std::vector<std::size_t>> d(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) d[i][0] = i;
  for (std::size_t j = 0; j <= b.size(); ++j) d[0][j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    for (std::size_t j = 1; j <= b.size(); ++j) {
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
    }
  }
  return d[a.size()][b.size()];
}

std::vector<SettingInfo> MakeTable() {
  using T = SettingType;
  std::vector<SettingInfo> table;
#define CONTIMG_ENTRY(section, name, type, unit, low, high, words, help)                                          \
  table.push_back({#section, #name, type, unit, static_cast<double>(low), static_cast<double>(high), words, help, \
                   [](Settings& s) -> void* { return &s.section.name; }});
#define CONTIMG_INTEGER(section, name, value, low, high, unit, help) \
  CONTIMG_ENTRY(section, name, T::kInteger, unit, low, high, "", help)
#define CONTIMG_NUMBER(section, name, value, low, high, unit, help) \
  CONTIMG_ENTRY(section, name, T::kNumber, unit, low, high, "", help)
#define CONTIMG_SWITCH(section, name, value, help) CONTIMG_ENTRY(section, name, T::kSwitch, "", 0, 1, "", help)
#define CONTIMG_TEXT(section, name, value, help) CONTIMG_ENTRY(section, name, T::kText, "", 0, 0, "", help)
#define CONTIMG_CHOICE(section, name, value, words, help) \
  CONTIMG_ENTRY(section, name, T::kChoice, "", 0, 0, words, help)
#define CONTIMG_TABLES(section, name, help) CONTIMG_ENTRY(section, name, T::kTables, "", 0, 0, "", help)
#include "config/settings.def"
#undef CONTIMG_ENTRY
  return table;
}

void Require(bool holds, const char* key, const std::string& rule) {
  if (!holds) throw Error(ErrorKind::kUsage, kConfigStage, key, rule);
}

// Every class that is archived needs as many remotes as it needs copies.
void CheckArchive(const ArchiveSettings& archive) {
  const std::vector<ArchiveRemote> remotes = RemotesOf(archive);
  for (const std::string_view name : AllProductClasses()) {
    const auto n = std::count_if(remotes.begin(), remotes.end(), [&](const ArchiveRemote& remote) {
      return std::find(remote.classes.begin(), remote.classes.end(), name) != remote.classes.end();
    });
    if (n == 0) continue;
    Require(n >= archive.copies, "archive.copies",
            fmt::format("is {}, and {} of archive.remotes take {}: name another remote", archive.copies, n, name));
  }
}

void CheckBackup(const Settings& settings) {
  if (settings.backup.remote.empty()) return;
  const std::vector<ArchiveRemote> remotes = RemotesOf(settings.archive);
  Require(std::any_of(remotes.begin(), remotes.end(),
                      [&](const ArchiveRemote& remote) { return remote.name == settings.backup.remote; }),
          "backup.remote",
          fmt::format("is '{}', and no table of archive.remotes has that name", settings.backup.remote));
}

// Tables and mosaics are kept for good unless an age says otherwise.
void CheckRetention(const RetentionSettings& retention) {
  for (const std::string& word : ParseProductClasses("retention.pressure_order", retention.pressure_order)) {
    Require(word != "caltables" && word != "mosaics", "retention.pressure_order",
            fmt::format("names {}, which never leave under pressure: take the word out", word));
  }
}

}  // namespace

std::string SettingInfo::key() const { return fmt::format("{}.{}", section, name); }

std::string SettingInfo::environment() const {
  if (section == "paths") return "CONTIMG_" + Upper(name);
  return fmt::format("CONTIMG_{}_{}", Upper(section), Upper(name));
}

const std::vector<SettingInfo>& AllSettings() {
  static const std::vector<SettingInfo> table = MakeTable();
  return table;
}

const std::vector<std::pair<std::string_view, std::string_view>>& AllSections() {
  static const std::vector<std::pair<std::string_view, std::string_view>> sections{
#define CONTIMG_SECTION(type, section, help) {#section, help},
#include "config/settings.def"
  };
  return sections;
}

const SettingInfo* FindSetting(std::string_view key) {
  for (const SettingInfo& info : AllSettings()) {
    if (key.size() == info.section.size() + 1 + info.name.size() &&
        key.substr(0, info.section.size()) == info.section && key[info.section.size()] == '.' &&
        key.substr(info.section.size() + 1) == info.name) {
      return &info;
    }
  }
  return nullptr;
}

void SetFromText(Settings& settings, const SettingInfo& info, std::string_view text, std::string_view source) {
  switch (info.type) {
    case SettingType::kInteger:
    case SettingType::kNumber: {
      const auto value = ParseQuantity(text, info.unit);
      if (!value || *value < info.minimum || *value > info.maximum) {
        throw Refuse(info, text, source, ExpectedNumber(info));
      }
      if (info.type == SettingType::kNumber) {
        Field<double>(settings, info) = *value;
        return;
      }
      // Units make exact decimals inexact ("0.2TB"); anything else must be whole.
      const double whole = std::round(*value);
      if (std::abs(whole - *value) > 1e-9 * std::max(1.0, std::abs(whole))) {
        throw Refuse(info, text, source, ExpectedNumber(info));
      }
      Field<std::int64_t>(settings, info) = static_cast<std::int64_t>(whole);
      return;
    }
    case SettingType::kSwitch: {
      std::string word(text);
      for (char& c : word) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
      const bool on = word == "true" || word == "yes" || word == "on" || word == "1";
      if (!on && word != "false" && word != "no" && word != "off" && word != "0") {
        throw Refuse(info, text, source, "true or false");
      }
      Field<bool>(settings, info) = on;
      return;
    }
    case SettingType::kChoice: {
      const auto words = SplitWords(info.words);
      if (std::find(words.begin(), words.end(), text) == words.end()) {
        throw Refuse(info, text, source,
                     words.size() == 1 ? fmt::format("{}, as nothing else is available yet", words.front())
                                       : fmt::format("one of {}", fmt::join(words, ", ")));
      }
      Field<std::string>(settings, info) = std::string(text);
      return;
    }
    case SettingType::kText:
    case SettingType::kTables:
      if (text.find('\n') != std::string_view::npos || text.find('\0') != std::string_view::npos) {
        throw Refuse(info, text, source, "one line of text");
      }
      Field<std::string>(settings, info) = std::string(text);
      return;
  }
}

std::string ToText(const Settings& settings, const SettingInfo& info) {
  switch (info.type) {
    case SettingType::kInteger:
      return fmt::format("{}", Field<std::int64_t>(settings, info));
    case SettingType::kNumber:
      return fmt::format("{}", Field<double>(settings, info));
    case SettingType::kSwitch:
      return Field<bool>(settings, info) ? "true" : "false";
    case SettingType::kText:
    case SettingType::kChoice:
    case SettingType::kTables:
      break;
  }
  return Field<std::string>(settings, info);
}

std::vector<ArchiveRemote> RemotesOf(const ArchiveSettings& archive) {
  std::vector<ArchiveRemote> remotes = ParseArchiveRemotes(archive.remotes);
  const std::vector<std::string> classes = ParseProductClasses("archive.classes", archive.classes);
  for (ArchiveRemote& remote : remotes) {
    if (remote.classes.empty()) remote.classes = classes;
  }
  return remotes;
}

void FollowDefaults(Settings& s, const std::function<bool(std::string_view key)>& is_set) {
  // `follower` = `value` when `leader` was set and it was not.
  const auto follow = [&](std::string_view leader, std::string_view follower, auto& field, auto value) {
    if (is_set(leader) && !is_set(follower)) field = value;
  };
  follow("ingest.expected_subbands", "ingest.min_subbands", s.ingest.min_subbands, s.ingest.expected_subbands);
  follow("queue.lease_s", "queue.heartbeat_s", s.queue.heartbeat_s, std::min(s.queue.heartbeat_s, s.queue.lease_s / 3));
  follow("queue.heartbeat_s", "queue.lease_s", s.queue.lease_s, std::max(s.queue.lease_s, 3 * s.queue.heartbeat_s));
  follow("queue.backoff_limit_s", "queue.backoff_first_s", s.queue.backoff_first_s,
         std::min(s.queue.backoff_first_s, s.queue.backoff_limit_s));
  follow("queue.backoff_first_s", "queue.backoff_limit_s", s.queue.backoff_limit_s,
         std::max(s.queue.backoff_limit_s, s.queue.backoff_first_s));
  follow("disk.staging_warn_used_fraction", "disk.staging_critical_used_fraction",
         s.disk.staging_critical_used_fraction,
         std::max(s.disk.staging_critical_used_fraction, s.disk.staging_warn_used_fraction));
  follow("disk.staging_critical_used_fraction", "disk.staging_warn_used_fraction", s.disk.staging_warn_used_fraction,
         std::min(s.disk.staging_warn_used_fraction, s.disk.staging_critical_used_fraction));
}

void CheckRules(const Settings& s) {
  Require(s.ingest.min_subbands <= s.ingest.expected_subbands, "ingest.min_subbands",
          fmt::format("is {}, which is more than ingest.expected_subbands ({})", s.ingest.min_subbands,
                      s.ingest.expected_subbands));
  Require(
      2 * s.queue.heartbeat_s <= s.queue.lease_s, "queue.heartbeat_s",
      fmt::format("is {} s, which must be at most half of queue.lease_s ({} s)", s.queue.heartbeat_s, s.queue.lease_s));
  Require(s.queue.backoff_first_s <= s.queue.backoff_limit_s, "queue.backoff_first_s",
          fmt::format("is {} s, which is more than queue.backoff_limit_s ({} s)", s.queue.backoff_first_s,
                      s.queue.backoff_limit_s));
  Require(s.image.max_uv_lambda == 0 || s.image.min_uv_lambda < s.image.max_uv_lambda, "image.min_uv_lambda",
          fmt::format("is {}, which must be below image.max_uv_lambda ({}), or no baseline is left",
                      s.image.min_uv_lambda, s.image.max_uv_lambda));
  Require(s.disk.warn_free_bytes == 0 || s.disk.critical_free_bytes <= s.disk.warn_free_bytes,
          "disk.critical_free_bytes",
          fmt::format("is {} B, which is more than disk.warn_free_bytes ({} B)", s.disk.critical_free_bytes,
                      s.disk.warn_free_bytes));
  Require(s.disk.critical_used_fraction == 0 || s.disk.warn_used_fraction <= s.disk.critical_used_fraction,
          "disk.warn_used_fraction",
          fmt::format("is {}, which is more than disk.critical_used_fraction ({})", s.disk.warn_used_fraction,
                      s.disk.critical_used_fraction));
  Require(s.disk.staging_warn_used_fraction <= s.disk.staging_critical_used_fraction, "disk.staging_warn_used_fraction",
          fmt::format("is {}, which is more than disk.staging_critical_used_fraction ({})",
                      s.disk.staging_warn_used_fraction, s.disk.staging_critical_used_fraction));
  CheckArchive(s.archive);
  CheckBackup(s);
  CheckRetention(s.retention);
}

std::vector<std::string> AsOverrides(const Settings& settings) {
  std::vector<std::string> all;
  for (const SettingInfo& info : AllSettings()) all.push_back(info.key() + "=" + ToText(settings, info));
  return all;
}

std::string SettingsHash(const Settings& settings) {
  Xxh64 hash;
  for (const SettingInfo& info : AllSettings()) {
    if (info.section != "paths") hash.Add(info.key() + "=" + ToText(settings, info) + "\n");
  }
  return hash.Hex();
}

DirectoryRoots Roots(const Settings& settings) {
  const PathSettings& p = settings.paths;
  DirectoryRoots roots;
  roots.scratch = p.scratch_dir;
  roots.state = p.state_dir;
  roots.staging = p.staging_dir;
  const auto below = [&](const std::string& set, const char* name) -> std::filesystem::path {
    if (!set.empty()) return set;
    return roots.scratch.empty() ? std::filesystem::path() : roots.scratch / name;
  };
  roots.input = below(p.input_dir, "incoming");
  roots.output = below(p.output_dir, "ms");
  roots.images = below(p.images_dir, "images");
  roots.tmp = below(p.tmp_dir, "tmp");
  return roots;
}

std::string NearestWord(std::string_view word, const std::vector<std::string>& candidates) {
  std::string nearest;
  std::size_t best = std::numeric_limits<std::size_t>::max();
  for (const std::string& candidate : candidates) {
    const std::size_t distance = EditDistance(word, candidate);
    if (distance < best) {
      best = distance;
      nearest = candidate;
    }
  }
  // More than half of the letters wrong: no relation.
  return best * 2 <= std::max(word.size(), nearest.size()) ? nearest : "";
}

std::string GenerateSettingsReference() {
  const Settings defaults;
  std::string text =
      "# Configuration reference\n\n"
      "<!-- Generated from config/settings.def by `contimg config reference`. -->\n\n"
      "A setting comes from, in order of precedence: the command line (`--set section.key=value`), the environment, "
      "the\n"
      "TOML file named by `--config` or `CONTIMG_CONFIG`, its default. Numbers may carry any unit of their dimension\n"
      "(`10min`, `200GB`, `95%`); bare numbers are in the unit given here. Unknown keys are errors. `contimg config "
      "show`\n"
      "prints the values in effect and where each comes from; `contimg config check` validates them and the paths.\n";
  for (const auto& [section, help] : AllSections()) {
    text += fmt::format("\n## {}\n\n{}\n\n| key | environment | default | allowed | meaning |\n|---|---|---|---|---|\n",
                        section, help);
    for (const SettingInfo& info : AllSettings()) {
      if (info.section != section) continue;
      const std::string value = ToText(defaults, info);
      std::string allowed = "text";
      if (info.type == SettingType::kSwitch) allowed = "true, false";
      if (info.type == SettingType::kTables) allowed = "list of tables";
      if (info.type == SettingType::kChoice) allowed = fmt::format("{}", fmt::join(SplitWords(info.words), ", "));
      if (info.type == SettingType::kInteger || info.type == SettingType::kNumber) allowed = RangeText(info);
      const std::string unit = info.unit.empty() ? "" : fmt::format(" {}", info.unit);
      text += fmt::format("| `{}` | `{}` | {} | {} | {} |\n", info.key(), info.environment(),
                          value.empty() ? "(empty)" : fmt::format("`{}`{}", value, unit), allowed, info.help);
    }
  }
  return text;
}

}  // namespace contimg
