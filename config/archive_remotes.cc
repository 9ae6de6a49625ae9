#include "config/archive_remotes.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <toml++/toml.h>
#include <algorithm>
#include <cctype>

#include "config/error.h"
#include "config/product_class.h"
#include "config/trimmed.h"

namespace contimg {
namespace {

constexpr std::string_view kKey = "archive.remotes";
constexpr double kShortestS = 1, kLongestS = 604800;
constexpr std::int64_t kMostRetries = 100;

Error Refuse(const std::string& message) { return Error(ErrorKind::kUsage, "config", std::string(kKey), message); }

bool IsName(std::string_view text) {
  return !text.empty() && text.size() <= 64 && text.front() != '-' && std::all_of(text.begin(), text.end(), [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_';
  });
}

void CheckTarget(const std::string& target) {
  const bool control = std::any_of(target.begin(), target.end(),
                                   [](char c) { return std::iscntrl(static_cast<unsigned char>(c)) != 0; });
  const std::size_t colon =
      target.find(':', 1);  // ":local:/data" is a remote without a section in rclone's configuration
  if (control || target.empty() || target.front() == '-' || (target.front() != '/' && colon == std::string::npos)) {
    throw Refuse(fmt::format("expected a target like NAME:PATH or an absolute directory, found '{}'", target));
  }
}

void Complete(ArchiveRemote& remote) {
  CheckTarget(remote.target);
  if (remote.name.empty() && remote.target.front() != '/')
    remote.name = remote.target.substr(0, remote.target.find(':'));
  if (!IsName(remote.name)) {
    throw Refuse(
        fmt::format("expected a name of letters, digits, - and _ for {}, found '{}'", remote.target, remote.name));
  }
}

template <class Value>
Value Expect(const toml::node& node, std::string_view key, const char* what) {
  const auto value = node.value<Value>();
  if (!value) throw Refuse(fmt::format("expected {} for {}", what, key));
  return *value;
}

ArchiveRemote FromTable(const toml::table& table) {
  ArchiveRemote remote;
  for (const auto& [key, node] : table) {
    const std::string_view name = key.str();
    if (name == "name") {
      remote.name = Expect<std::string>(node, name, "a text");
    } else if (name == "target") {
      remote.target = Expect<std::string>(node, name, "a text");
    } else if (name == "timeout_s") {
      remote.timeout_s = Expect<double>(node, name, "a number of seconds");
      if (!(remote.timeout_s >= kShortestS && remote.timeout_s <= kLongestS)) {
        throw Refuse(
            fmt::format("expected timeout_s from {} to {} s, found {}", kShortestS, kLongestS, remote.timeout_s));
      }
    } else if (name == "retries") {
      const auto retries = Expect<std::int64_t>(node, name, "a whole number");
      if (retries < 0 || retries > kMostRetries) {
        throw Refuse(fmt::format("expected retries from 0 to {}, found {}", kMostRetries, retries));
      }
      remote.retries = static_cast<int>(retries);
    } else if (name == "classes") {
      remote.classes = ParseProductClasses(kKey, Expect<std::string>(node, name, "words separated by commas"));
    } else {
      throw Refuse(fmt::format("has no key '{}': expected name, target, timeout_s, retries or classes", name));
    }
  }
  if (remote.target.empty()) throw Refuse("expected a target in each of its tables");
  Complete(remote);
  return remote;
}

}  // namespace

std::vector<ArchiveRemote> ParseArchiveRemotes(std::string_view text) {
  text = Trimmed(text);
  std::vector<ArchiveRemote> remotes;
  if (text.empty()) return remotes;
  if (text.front() != '[') {
    ArchiveRemote remote;
    remote.target = std::string(text);
    Complete(remote);
    return {remote};
  }
  toml::table root;
  try {
    root = toml::parse("remotes = " + std::string(text));
  } catch (const toml::parse_error& error) {
    throw Refuse(fmt::format("expected a list of tables like [{{target = \"lake:contimg\"}}], found '{}'", text));
  }
  const toml::array* list = root["remotes"].as_array();
  if (list == nullptr || root.size() != 1) throw Refuse("expected one list of tables");
  for (const toml::node& node : *list) {
    const toml::table* table = node.as_table();
    if (table == nullptr) throw Refuse("expected a list of tables, one for each remote");
    remotes.push_back(FromTable(*table));
    for (std::size_t i = 0; i + 1 < remotes.size(); ++i) {
      if (remotes[i].name == remotes.back().name || remotes[i].target == remotes.back().target) {
        throw Refuse(fmt::format("expected remotes that differ, found {} ({}) twice", remotes.back().name,
                                 remotes.back().target));
      }
    }
  }
  return remotes;
}

std::vector<std::string> ParseProductClasses(std::string_view key, std::string_view text) {
  std::vector<std::string> classes;
  const auto& known = AllProductClasses();
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find(',', at), text.size());
    const std::string_view word = Trimmed(text.substr(at, end - at));
    at = end + 1;
    if (word.empty()) continue;
    if (std::find(known.begin(), known.end(), word) == known.end()) {
      throw Error(ErrorKind::kUsage, "config", std::string(key),
                  fmt::format("expected classes of products ({}), found '{}'", fmt::join(known, ", "), word));
    }
    if (std::find(classes.begin(), classes.end(), word) == classes.end()) classes.emplace_back(word);
  }
  return classes;
}

}  // namespace contimg
