// The checksum that a calibration table is registered with and compared by.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "config/os.h"

namespace contimg::ops {

// Every file of a table but its lock, which changes whenever somebody opens the table; sorted. Error{kIo} when the
// folder cannot be listed.
std::vector<std::filesystem::path> TableFiles(const std::filesystem::path& table, Os& os = RealOs());

// FNV-1a over the names and contents of a table's files, as 16 hexadecimal digits. Error{kIo} when one cannot be read.
std::string TableChecksum(const std::filesystem::path& table, Os& os = RealOs());

}  // namespace contimg::ops
