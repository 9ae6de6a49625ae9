#include "config/settings_loader.h"

#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <toml++/toml.h>
#include <algorithm>
#include <cctype>
#include <cerrno>

#include "config/error.h"
#include "config/os.h"
#include "config/stage_name.h"

namespace contimg {
namespace {

namespace fs = std::filesystem;

std::string Suggestion(std::string_view word, const std::vector<std::string>& candidates) {
  const std::string nearest = NearestWord(word, candidates);
  return nearest.empty() ? "" : fmt::format(", did you mean '{}'?", nearest);
}

std::vector<std::string> Keys() {
  std::vector<std::string> keys;
  for (const SettingInfo& info : AllSettings()) keys.push_back(info.key());
  return keys;
}

std::vector<std::string> Variables() {
  std::vector<std::string> names{"CONTIMG_CONFIG"};
  for (const SettingInfo& info : AllSettings()) names.push_back(info.environment());
  return names;
}

const SettingInfo& FindOrRefuse(const std::string& key, std::string_view source) {
  if (const SettingInfo* info = FindSetting(key)) return *info;
  throw Error(ErrorKind::kUsage, kConfigStage, key,
              fmt::format("is no setting ({}){}", source, Suggestion(key, Keys())));
}

std::string Quoted(std::string_view text) {
  std::string quoted;
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      quoted += fmt::format("\\u{:04x}", static_cast<unsigned char>(c));
    } else {
      quoted += c;
    }
  }
  return "\"" + quoted + "\"";
}

// A TOML value as it may stand in one line. What no setting takes (dates) becomes a value that none takes either.
std::string OnOneLine(const toml::node& node) {
  std::string text;
  const auto add = [&](const std::string& part) { text += text.empty() ? part : ", " + part; };
  if (const toml::array* list = node.as_array()) {
    for (const toml::node& each : *list) add(OnOneLine(each));
    return "[" + text + "]";
  }
  if (const toml::table* table = node.as_table()) {
    for (const auto& [key, value] : *table) add(Quoted(key.str()) + " = " + OnOneLine(value));
    return "{" + text + "}";
  }
  if (const auto* s = node.as_string()) return Quoted(s->get());
  if (const auto* i = node.as_integer()) return fmt::format("{}", i->get());
  if (const auto* d = node.as_floating_point()) return fmt::format("{}", d->get());
  const auto* b = node.as_boolean();
  return b != nullptr && b->get() ? "true" : "false";
}

class Loader {
 public:
  Loader() { loaded_.origins.resize(AllSettings().size()); }

  void Set(const SettingInfo& info, std::string_view text, SettingOrigin kind, const std::string& source) {
    SetFromText(loaded_.values, info, text, source);
    loaded_.origins[static_cast<std::size_t>(&info - AllSettings().data())] = {kind, source};
  }

  void ReadFile(const fs::path& path) {
    loaded_.file = path;
    toml::table root;
    if (!IsFile(path)) {
      throw Error(ErrorKind::kUsage, kConfigStage, path.string(), "the configuration file is missing or not a file");
    }
    try {
      root = toml::parse(RealOs().ReadFile(path), path.string());
    } catch (const toml::parse_error& error) {
      throw Error(ErrorKind::kUsage, kConfigStage, fmt::format("{} line {}", path.string(), error.source().begin.line),
                  fmt::format("is not valid TOML: {}", error.description()));
    }
    std::vector<std::string> sections;
    for (const auto& [section, help] : AllSections()) sections.emplace_back(section);
    for (const auto& [section, node] : root) {
      const std::string name(section.str());
      if (std::find(sections.begin(), sections.end(), name) == sections.end()) {
        throw Error(ErrorKind::kUsage, kConfigStage, fmt::format("[{}]", name),
                    fmt::format("is no section of settings ({}){}", Place(path, node), Suggestion(name, sections)));
      }
      const toml::table* table = node.as_table();
      if (table == nullptr) {
        throw Error(ErrorKind::kUsage, kConfigStage, name, fmt::format("must be a section ({})", Place(path, node)));
      }
      for (const auto& [key, value] : *table) ReadValue(path, name + "." + std::string(key.str()), value);
    }
  }

  void ReadEnvironment(const std::vector<std::pair<std::string, std::string>>& environment) {
    for (const auto& [name, value] : environment) {
      if (value.empty()) continue;
      const SettingInfo* info = nullptr;
      for (const SettingInfo& candidate : AllSettings()) {
        if (candidate.environment() == name) info = &candidate;
      }
      if (info != nullptr) {
        Set(*info, value, SettingOrigin::kEnvironment, name);
      } else if (HasSectionPrefix(name)) {
        throw Error(ErrorKind::kUsage, kConfigStage, name,
                    "is no setting (environment variable)" + Suggestion(name, Variables()));
      }
    }
  }

  void ReadOverrides(const std::vector<std::string>& overrides) {
    for (const std::string& text : overrides) {
      const std::size_t equals = text.find('=');
      if (equals == std::string::npos) {
        throw Error(ErrorKind::kUsage, kConfigStage, text, "expected section.key=value on the command line");
      }
      const std::string key = text.substr(0, equals);
      const SettingInfo& info = FindOrRefuse(key, "command line");
      Set(info, std::string_view(text).substr(equals + 1), SettingOrigin::kCommandLine, "command line");
    }
  }

  LoadedSettings Take() {
    const Settings before = loaded_.values;
    FollowDefaults(loaded_.values, [this](std::string_view key) {
      const SettingInfo* info = FindSetting(key);
      return info != nullptr &&
             loaded_.origins[static_cast<std::size_t>(info - AllSettings().data())].kind != SettingOrigin::kDefault;
    });
    for (std::size_t i = 0; i < AllSettings().size(); ++i) {
      const SettingInfo& info = AllSettings()[i];
      if (ToText(before, info) != ToText(loaded_.values, info))
        loaded_.origins[i].source = "default, following another";
    }
    CheckRules(loaded_.values);
    return std::move(loaded_);
  }

 private:
  static std::string Place(const fs::path& path, const toml::node& node) {
    return fmt::format("{} line {}", path.string(), node.source().begin.line);
  }

  static bool HasSectionPrefix(const std::string& name) {
    for (const auto& [section, help] : AllSections()) {
      std::string prefix = fmt::format("CONTIMG_{}_", section);
      for (char& c : prefix) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
      if (name.compare(0, prefix.size(), prefix) == 0) return true;
    }
    return false;
  }

  void ReadValue(const fs::path& path, const std::string& key, const toml::node& value) {
    const std::string place = Place(path, value);
    const SettingInfo& info = FindOrRefuse(key, place);
    std::string text;
    if (const auto* s = value.as_string()) {
      text = s->get();
    } else if (const auto* i = value.as_integer()) {
      text = fmt::format("{}", i->get());
    } else if (const auto* d = value.as_floating_point()) {
      text = fmt::format("{}", d->get());
    } else if (const auto* b = value.as_boolean()) {
      text = b->get() ? "true" : "false";
    } else if (value.is_array() && info.type == SettingType::kTables) {
      text = OnOneLine(value);
    } else {
      throw Error(ErrorKind::kUsage, kConfigStage, key,
                  fmt::format("expected one value, found a list or table ({})", place));
    }
    Set(info, text, SettingOrigin::kFile, place);
  }

  LoadedSettings loaded_;
};

void RequireUsable(const fs::path& directory, int mode, const char* what) {
  std::error_code error;
  if (!fs::is_directory(directory, error)) {
    throw Error(ErrorKind::kIo, kConfigStage, directory.string(), "expected a directory, found something else");
  }
  if (::access(directory.c_str(), mode) != 0) {
    throw SystemError(kConfigStage, directory.string(), fmt::format("the directory is not {}", what), errno);
  }
}

// Calls `use` for every standing directory with the access it needs.
template <class Use>
void ForStandingDirectories(const DirectoryRoots& roots, const Use& use) {
  for (const fs::path& directory : ProductPaths(roots).StandingDirectories()) {
    if (directory == roots.input) {
      use(directory, R_OK | X_OK, "readable");
    } else {
      use(directory, W_OK | X_OK, "writable");
    }
  }
}

// Workers make the staging directory when they need it. What is made at the root of the file system is a name mistyped,
// and what holds no files (/proc, /sys) has no room, whatever it answers about permissions.
void CheckStaging(const fs::path& staging) {
  std::error_code error;
  fs::path there = staging;
  if (fs::exists(staging, error)) {
    RequireUsable(staging, W_OK | X_OK, "writable");
  } else {
    while (!fs::exists(there, error) && there != there.parent_path()) there = there.parent_path();
    if (there == there.root_path()) {
      throw Error(ErrorKind::kUsage, kConfigStage, "CONTIMG_STAGING_DIR",
                  fmt::format("expected a directory in memory like /dev/shm/contimg, and nothing of {} is there",
                              staging.string()));
    }
    RequireUsable(there, W_OK | X_OK, "writable");
  }
  struct statfs system {};  // a tmpfs may have no limit, and says 0 then
  if (::statfs(there.c_str(), &system) == 0 && system.f_blocks == 0 && system.f_type != TMPFS_MAGIC) {
    throw Error(ErrorKind::kUsage, kConfigStage, "CONTIMG_STAGING_DIR",
                fmt::format("expected a directory that can hold files, and {} cannot", there.string()));
  }
}

}  // namespace

std::vector<std::pair<std::string, std::string>> ProcessEnvironment() {
  std::vector<std::pair<std::string, std::string>> ours;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const std::size_t equals = text.find('=');
    if (equals == std::string_view::npos || text.compare(0, 8, "CONTIMG_") != 0) continue;
    ours.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  }
  return ours;
}

std::string_view ToString(SettingOrigin origin) {
  switch (origin) {
    case SettingOrigin::kFile:
      return "file";
    case SettingOrigin::kEnvironment:
      return "environment";
    case SettingOrigin::kCommandLine:
      return "command line";
    case SettingOrigin::kDefault:
      break;
  }
  return "default";
}

LoadedSettings LoadSettings(const SettingsSources& sources) {
  Loader loader;
  std::optional<fs::path> file = sources.file;
  for (const auto& [name, value] : sources.environment) {
    if (!file && name == "CONTIMG_CONFIG" && !value.empty()) file = value;
  }
  if (file) loader.ReadFile(*file);
  loader.ReadEnvironment(sources.environment);
  loader.ReadOverrides(sources.overrides);
  return loader.Take();
}

std::vector<std::string> UnknownVariables(const std::vector<std::pair<std::string, std::string>>& environment) {
  std::vector<std::string> sentences;
  for (const auto& [name, value] : environment) {
    const auto ends_so = [&name = name](const SettingInfo& info) {  // CONTIMG_LOG_LEVEL for CONTIMG_DAEMON_LOG_LEVEL
      const std::string variable = info.environment(), end = name.substr(std::string("CONTIMG").size());
      return variable.size() > end.size() && variable.substr(variable.size() - end.size()) == end;
    };
    const auto& all = AllSettings();
    const bool known =
        name == "CONTIMG_CONFIG" ||
        std::any_of(all.begin(), all.end(), [&name = name](const auto& info) { return info.environment() == name; });
    if (known || value.empty()) continue;
    const auto meant = std::find_if(all.begin(), all.end(), ends_so);
    sentences.push_back(
        fmt::format("{}: is no setting and does nothing (environment variable){}", name,
                    meant == all.end() ? "" : fmt::format(", did you mean '{}'?", meant->environment())));
  }
  return sentences;
}

void CheckPaths(const Settings& settings) {
  const DirectoryRoots roots = Roots(settings);
  const std::pair<const char*, const fs::path*> named[] = {
      {"CONTIMG_SCRATCH_DIR", &roots.scratch}, {"CONTIMG_STATE_DIR", &roots.state},
      {"CONTIMG_INPUT_DIR", &roots.input},     {"CONTIMG_OUTPUT_DIR", &roots.output},
      {"CONTIMG_IMAGES_DIR", &roots.images},   {"CONTIMG_TMP_DIR", &roots.tmp},
      {"CONTIMG_STAGING_DIR", &roots.staging}};
  for (const auto& [variable, path] : named) {
    if (path->empty()) {
      throw Error(ErrorKind::kUsage, kConfigStage, variable, "is not set: expected the path of a directory");
    }
    if (path->is_relative()) {
      throw Error(ErrorKind::kUsage, kConfigStage, variable,
                  fmt::format("expected an absolute path, found '{}'", path->string()));
    }
  }
  CheckStaging(roots.staging);
  ForStandingDirectories(roots, [](const fs::path& directory, int mode, const char* what) {
    std::error_code error;
    if (fs::exists(directory, error)) return RequireUsable(directory, mode, what);
    fs::path above = directory.parent_path();
    while (!fs::exists(above, error) && above != above.parent_path()) above = above.parent_path();
    if (!fs::is_directory(above, error) || ::access(above.c_str(), W_OK | X_OK) != 0) {
      throw Error(ErrorKind::kIo, kConfigStage, directory.string(),
                  fmt::format("the directory does not exist and cannot be made in {}", above.string()));
    }
  });
}

void MakeDirectories(const Settings& settings) {
  CheckPaths(settings);
  ForStandingDirectories(Roots(settings), [](const fs::path& directory, int mode, const char* what) {
    std::error_code error;
    fs::create_directories(directory, error);
    if (error) {
      throw Error(ErrorKind::kIo, kConfigStage, directory.string(),
                  fmt::format("the directory does not exist and cannot be made: {}", error.message()));
    }
    RequireUsable(directory, mode, what);
  });
}

}  // namespace contimg
