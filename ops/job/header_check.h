// Looks into subband files in a process of its own: a damaged HDF5 file can crash or hang the library that reads it,
// and must then take neither the daemon nor a group job with it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "config/error.h"
#include "config/group_observation.h"
#include "ingest/group_assembler.h"

namespace contimg::ops {

struct CheckResult {
  std::filesystem::path path;
  std::optional<ingest::SubbandFile> file;  // when readable
  ErrorKind kind = ErrorKind::kBadInput;    // when not
  std::string message;
  GroupObservation observation = {};  // when readable: where the telescope looked
};

// One file, in this process: name, header, times, size and fingerprint. Never throws for the state of the file.
CheckResult CheckSubbandFile(const std::filesystem::path& path);

// The checking process: one path per line on stdin, one JSON line per path on stdout, until stdin ends.
int RunHeaderCheck();

std::string FormatCheckResult(const CheckResult& result);
std::optional<CheckResult> ParseCheckResult(const std::string& line);

// A digest of size and samples spread over the whole file (first and last 64 KiB, 62 blocks of 4 KiB between): two
// files of one subband that differ anywhere differ in their noise, so in the samples. Throws Error{kIo}.
std::string Fingerprint(const std::filesystem::path& path);
// Whether that is `recorded`, by this version or an earlier one (which hashed otherwise). Throws Error{kIo}.
bool HasFingerprint(const std::filesystem::path& path, const std::string& recorded);
// Exact comparison. Throws Error{kIo} when either cannot be read.
bool SameBytes(const std::filesystem::path& a, const std::filesystem::path& b);

}  // namespace contimg::ops
