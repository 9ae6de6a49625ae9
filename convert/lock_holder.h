// Who holds a lock, in words for people.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>

namespace contimg::convert {

// "process 4711 (contimg flag)"
std::string ProcessWords(pid_t pid);
// "process 4711 (contimg flag)": who holds a flock on `path`; "another process" when the system does not tell.
std::string LockHolder(const std::filesystem::path& path);

}  // namespace contimg::convert
