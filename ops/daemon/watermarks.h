// Whether the disks have room for new work.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "config/os.h"
#include "config/settings.h"

namespace contimg::ops {

enum class DiskLevel { kGood, kWarning, kCritical };

// The scratch disk: absolute limits where the disk is at least ten times as large as they are, relative ones elsewhere.
DiskLevel ScratchLevel(const DiskSpace& space, const DiskSettings& settings);
// The staging file system (memory): relative limits.
DiskLevel StagingLevel(const DiskSpace& space, const DiskSettings& settings);

struct DiskReport {
  DiskSpace scratch, state, staging;
  std::map<std::string, DiskLevel> levels;  // "scratch", "staging", "state"; "images" where they have their own disk
  bool dispatch_allowed = true;
  std::vector<std::string> troubles;  // one sentence each
};
// Measures and judges. A directory that cannot be asked counts as critical.
DiskReport LookAtDisks(Os& os, const DirectoryRoots& roots, const DiskSettings& settings);

}  // namespace contimg::ops
