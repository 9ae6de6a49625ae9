// The places where copies of products go (archive.remotes): rclone remotes, each with its own limits. C++17-clean.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace contimg {

struct ArchiveRemote {
  std::string name;         // by which databases, options and sentences call it; letters, digits, "-", "_"
  std::string target;       // rclone's "NAME:PATH", or an absolute directory
  double timeout_s = 3600;  // of one transfer; one that takes longer is ended
  int retries = 5;          // further attempts of a transfer that failed for a passing reason
  std::vector<std::string>
      classes;  // whose products go there; empty: RemotesOf (config/settings.h) gives it those of archive.classes
};

// `text`: a TOML list of tables on one line, `[{target = "lake:contimg", timeout_s = 7200}, {…}]`, or a target alone;
// empty: none. A remote without a name has that before the colon of its target. Throws Error{kUsage} about
// archive.remotes: no list, unknown key, value of another type or out of range, two of one name, target that is
// neither.
std::vector<ArchiveRemote> ParseArchiveRemotes(std::string_view text);

// The words of a list separated by commas, each once, without blanks around them. Throws Error{kUsage} about `key` for
// one that is no class of products (config/product_class.h).
std::vector<std::string> ParseProductClasses(std::string_view key, std::string_view text);

}  // namespace contimg
