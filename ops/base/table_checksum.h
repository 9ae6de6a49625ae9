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

// That of a product (ops/base/checksum.h). Error{kIo} when a file cannot be read.
std::string TableChecksum(const std::filesystem::path& table, Os& os = RealOs());
// Whether that is `recorded`, by this version or by contimg 0.1, which hashed otherwise.
bool HasTableChecksum(const std::filesystem::path& table, const std::string& recorded, Os& os = RealOs());

}  // namespace contimg::ops
