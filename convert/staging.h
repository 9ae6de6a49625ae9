// Private working folders for unfinished products: one per piece of work, locked by its owner, removed at the end,
// swept by the next run when the owner died.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "config/os.h"
#include "config/unfinished.h"

namespace contimg::convert {

// A folder <root>/<name>/ that this process owns until destruction, by an OwnerLock on <root>/.<name>.lock.
class StagingArea {
 public:
  // Makes the folder (and root) empty and takes the lock. Throws Error{kBusy} when another living process owns it.
  StagingArea(const std::filesystem::path& root, const std::string& name, Os& os);
  ~StagingArea();  // removes the folder and the lock; errors are dropped, a later sweep takes what is left
  StagingArea(const StagingArea&) = delete;
  StagingArea& operator=(const StagingArea&) = delete;

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  OwnerLock lock_;
};

// Removes every folder below `root` whose owner is gone. Returns how many. Never throws for a missing root.
int SweepStaging(const std::filesystem::path& root, Os& os);

struct StagingChoice {
  std::filesystem::path root;
  std::string fallback_reason;  // empty when the preferred root serves
};

// `preferred` when it can be made, is writable and has room for `bytes` (on tmpfs: when memory has, too), else
// `fallback`; Error{kResource} when that has no room either. `bytes` counts the staged product; `memory_bytes` what
// else the work is going to hold in memory.
StagingChoice ChooseStagingRoot(const std::filesystem::path& preferred, const std::filesystem::path& fallback,
                                std::uint64_t bytes, std::uint64_t memory_bytes, Os& os);

}  // namespace contimg::convert
