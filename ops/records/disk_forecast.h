// When the scratch disk is going to be too full for new work, by what its free space did in the last days: the least of
// each hour is kept in a file of the state directory, so that a restart forgets nothing.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <vector>

#include "config/os.h"

namespace contimg::ops {

struct DiskHour {
  std::int64_t hour = 0;        // since 1970, UTC
  double least_free_bytes = 0;  // of what was seen within it
};

// <state>/disk_history.json: {"size_bytes": of the disk, "hours": [[hour, least free bytes]…]}, in the order of time.
class DiskHistory {
 public:
  // Reads what there is; a file that cannot be read counts as none.
  explicit DiskHistory(const std::filesystem::path& state_directory);

  // What is free now. Hours that are older than seven days, or to come (of a clock that was wrong), are forgotten, and
  // all are when the disk is another one: its size differs by more than a hundredth.
  void Add(double unix_s, const DiskSpace& space);
  void Save(Os& os) const;  // throws Error

  const std::vector<DiskHour>& hours() const { return hours_; }
  double size_bytes() const { return size_bytes_; }

 private:
  std::filesystem::path file_;
  double size_bytes_ = 0;
  std::vector<DiskHour> hours_;
};

// Seconds until `critical_bytes` are free; nothing while that is not known (fewer than twelve hours, none of them new),
// or the disk does not shrink.
//
// Rates are medians of the slopes of all pairs of hours (Theil 1950; Sen 1968, J. Am. Stat. Assoc. 63, 1379), and count
// when the upper bound of their one-sided 95 % confidence interval is negative (Gilbert 1987, Statistical Methods for
// Environmental Pollution Monitoring, 16.5.2).
//
//  - A rise of more than a hundredth of the disk and of five times the scatter of the hourly changes is a cleanup.
//  - While cleanups recur (there were two, and the next is not overdue: one and a half times the longest pause is not
//    over yet), what counts is whether the disk sinks from one low point before a cleanup to the next. That takes four.
//  - Else the steps of cleanup are taken out, and what counts is how fast the disk shrinks without them: over all hours
//    or over the last 24, whichever is faster.
std::optional<double> SecondsToCritical(const DiskHistory& history, double free_bytes, double critical_bytes,
                                        double now_unix_s);

}  // namespace contimg::ops
