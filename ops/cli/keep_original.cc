#include "ops/cli/keep_original.h"

#include <sys/stat.h>

#include <cerrno>

#include "config/error.h"
#include "config/unfinished.h"
#include "ops/base/file_word.h"
#include "ops/base/sha256.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;

constexpr const char* kKeepStage = "import";
constexpr mode_t kReadOnly = 0444;

}  // namespace

std::optional<fs::path> OriginalPath(const ProductPaths& paths, const std::string& catalogue,
                                     const std::string& sha256) {
  if (paths.roots().scratch.empty()) return std::nullopt;
  return paths.Static("catalogs") / "raw" / FileWord(catalogue) / sha256;
}

std::optional<fs::path> KeepOriginal(const ProductPaths& paths, const std::string& catalogue, const fs::path& file,
                                     const std::string& sha256, Os& os) {
  const auto place = OriginalPath(paths, catalogue, sha256);
  if (!place || Exists(*place, os)) return place;
  os.CreateDirectories(place->parent_path());
  const Unfinished hidden(*place, os);
  os.CopyFile(file, hidden.path());
  if (FileSha256(hidden.path()) != sha256) {
    throw Error(ErrorKind::kBadInput, kKeepStage, file.string(), "has changed while it was read: import it again");
  }
  if (::chmod(hidden.path().c_str(), kReadOnly) != 0) {
    throw SystemError(kKeepStage, place->string(), "cannot be made read-only", errno);
  }
  os.SyncFile(hidden.path());
  os.Rename(hidden.path(), *place);
  os.SyncDirectory(place->parent_path());
  return place;
}

}  // namespace contimg::ops
