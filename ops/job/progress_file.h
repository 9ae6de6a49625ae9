// The progress of a job as lines of a file in its folder: what a worker says can be read wherever the folder can, by an
// executor that has no pipe to it and by a daemon that was started since.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "ops/job/job.h"

namespace contimg::ops {

std::filesystem::path ProgressFile(const std::filesystem::path& folder);  // progress.jsonl

// Reads what was added since the last call.
class ProgressReader {
 public:
  // The longest line that is taken. What workers say is short; one that damaged input or a fault makes write without
  // end must not fill the daemon's memory.
  static constexpr std::size_t kLongestLine = 1 << 16;

  explicit ProgressReader(std::filesystem::path file) : file_(std::move(file)) {}
  // Whole lines only, at most a megabyte of them at a time; lines that are no progress are left out. Never throws: a
  // file that is not there yet, or cannot be read now, has nothing new.
  std::vector<ProgressLine> Read();
  // A line was longer than the longest: nothing more is read.
  bool endless() const { return endless_; }

 private:
  std::filesystem::path file_;
  std::uint64_t offset_ = 0;
  bool endless_ = false;
};

}  // namespace contimg::ops
