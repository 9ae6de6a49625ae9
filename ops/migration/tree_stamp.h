// What stands under a name, without reading it: enough to see whether it is still the same.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "config/os.h"

namespace contimg::ops {

struct TreeStamp {
  std::string fingerprint;              // of relative names, sizes and times of change of all files; without table.lock
  std::uint64_t bytes = 0;              // of all files
  double newest_unix_s = 0;             // the latest change of a file
  std::uint64_t device = 0, inode = 0;  // of the name itself
  std::filesystem::path link;           // the first link in it (or itself); empty: none
};

// Of a file, or of a directory and all below it; links are not followed. Throws Error{kIo} when it is not there or
// cannot be looked at.
TreeStamp StampOf(const std::filesystem::path& path, Os& os = RealOs());

// The inode of the name itself; 0: there is nothing of the name. Throws Error{kIo} when that cannot be told.
std::uint64_t InodeOf(const std::filesystem::path& path);

}  // namespace contimg::ops
