#include "ops/migration/tree_stamp.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <vector>

#include "config/checksum.h"
#include "config/error.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;

struct stat Look(const fs::path& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) throw SystemError("migrate", path.string(), "cannot look at", errno);
  return status;
}

}  // namespace

TreeStamp StampOf(const fs::path& path, Os& os) {
  TreeStamp stamp;
  Xxh64 hash;
  const std::function<void(const fs::path&)> walk = [&](const fs::path& at) {
    const struct stat status = Look(at);
    if (at == path) {
      stamp.device = status.st_dev;
      stamp.inode = status.st_ino;
    }
    if (S_ISLNK(status.st_mode) && stamp.link.empty()) stamp.link = at;
    if (at.filename() == "table.lock") return;  // changes whenever somebody opens the table
    hash.Add(at.lexically_relative(path).string());
    hash.AddNumber('\0');
    if (S_ISDIR(status.st_mode)) {
      std::vector<fs::path> entries = os.List(at);
      std::sort(entries.begin(), entries.end());
      for (const fs::path& entry : entries) walk(entry);
      return;
    }
    hash.AddNumber(static_cast<std::int64_t>(status.st_size));
    hash.AddNumber(static_cast<std::int64_t>(status.st_mtim.tv_sec));
    hash.AddNumber(static_cast<std::int64_t>(status.st_mtim.tv_nsec));
    stamp.bytes += static_cast<std::uint64_t>(status.st_size);
    stamp.newest_unix_s = std::max(stamp.newest_unix_s, static_cast<double>(status.st_mtim.tv_sec) +
                                                            1e-9 * static_cast<double>(status.st_mtim.tv_nsec));
  };
  walk(path);
  stamp.fingerprint = hash.Hex();
  return stamp;
}

std::uint64_t InodeOf(const fs::path& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) == 0) return status.st_ino;
  if (errno == ENOENT || errno == ENOTDIR) return 0;
  throw SystemError("migrate", path.string(), "cannot look at", errno);
}

}  // namespace contimg::ops
