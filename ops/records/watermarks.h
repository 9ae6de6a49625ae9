// Whether the disks have room for new work.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

#include "config/os.h"
#include "config/settings.h"

namespace contimg::ops {

enum class DiskLevel { kGood, kWarning, kCritical };

// The free space at which a level of the scratch disk begins, and the rule it comes from. What is set holds on every
// disk, the stricter of bytes and part where both are; only what is not set goes by the size of the disk.
struct DiskLimit {
  std::uint64_t free_bytes = 0;
  std::string rule;  // "disk.critical_free_bytes", "default: 5 % of the disk"
};
struct DiskLimits {
  DiskLimit warning, critical;
};
DiskLimits ScratchLimits(std::uint64_t total_bytes, const DiskSettings& settings);
// "alert below 200.0 GB free (default), no new work below 50.0 GB (disk.critical_free_bytes)"
std::string Describe(const DiskLimits& limits);

DiskLevel ScratchLevel(const DiskSpace& space, const DiskSettings& settings);
// The staging file system (memory): relative limits.
DiskLevel StagingLevel(const DiskSpace& space, const DiskSettings& settings);

struct DiskReport {
  struct Disk {
    DiskSpace space;
    DiskLevel level = DiskLevel::kGood;
    std::string sentence;  // when not good
    std::string rule;      // of the limits in force
    std::string path;      // where it was measured
  };
  std::map<std::string, Disk> disks;  // "scratch", "staging", "state"; "images" where they have their own disk
  bool dispatch_allowed = true;
};
// Measures and judges. A directory that cannot be asked counts as critical. Does not throw.
DiskReport LookAtDisks(Os& os, const DirectoryRoots& roots, const DiskSettings& settings);

// "12.3 GB", "4.2 MB"
std::string SpaceWords(std::uint64_t bytes);

}  // namespace contimg::ops
