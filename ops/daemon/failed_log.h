// ms/failed/YYYY-MM-DD/<timestamp>.log: why a group was given up and how to try it by hand.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "config/error.h"
#include "config/os.h"

namespace contimg::ops {

struct FailedRecord {
  std::string group;
  int attempts = 0;
  ErrorKind kind = ErrorKind::kBug;
  std::string message;
  std::string stage;
  int exit_status = 0;
  int signal = 0;
  double wall_s = 0, cpu_s = 0;
  std::uint64_t peak_memory_bytes = 0;
  std::vector<std::string> inputs;
  std::string left;     // the Measurement Set kept for a look; empty: none
  std::string command;  // repeats the last attempt; empty when none was made
  std::string last_output;
};

// Never throws: a log that cannot be written is reported in the service's log.
void WriteFailedLog(Os& os, const std::filesystem::path& path, const FailedRecord& record);
std::string FormatFailedLog(const FailedRecord& record);

}  // namespace contimg::ops
