// Checksums of products (XXH64, config/checksum.h).
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

#include "config/os.h"

namespace contimg::ops {

// 16 hexadecimal digits. Of a file: its content. Of a directory: the sorted lines "<checksum>  <relative name>\n" of
// the files in it, without casacore's table.lock, which changes whenever somebody opens a table. `known`: checksums, by
// relative name, of files that need not be read. Throws Error{kIo}.
std::string ProductChecksum(const std::filesystem::path& path, int threads = 1, Os& os = RealOs(),
                            const std::map<std::string, std::string>& known = {});

// Bytes of the files at or below `path`.
std::uint64_t ProductBytes(const std::filesystem::path& path, Os& os = RealOs());

}  // namespace contimg::ops
