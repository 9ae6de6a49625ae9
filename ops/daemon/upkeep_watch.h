// What keeps the place in order, as figures for Prometheus: read from the databases now and then, off the loop, whoever
// wrote there (the service's own tasks, timers, an operator).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "config/product_paths.h"
#include "config/settings.h"
#include "ops/daemon/background.h"
#include "ops/metrics/metrics.h"
#include "ops/records/watermarks.h"

namespace contimg::ops {

struct UpkeepFigures {
  std::map<std::string, double> last_success;                        // kind of maintenance → unix_s
  std::map<std::string, double> last_duration_s;                     // of the newest run that ended
  std::map<std::pair<std::string, std::string>, std::int64_t> runs;  // (kind, outcome) → number
  std::map<std::string, std::int64_t> removed_bytes;                 // class → by cleanup, ever
  std::map<std::string, std::int64_t> blocked_bytes;                 // class → kept by the last cleanup
  std::map<std::string, std::int64_t> archive_objects;               // state → number
  std::int64_t archive_backlog_bytes = 0;                  // present, of classes that are archived, with too few copies
  std::map<std::string, std::int64_t> integrity_failures;  // place → ever found
  std::int64_t open_findings = 0;                          // not made good
  std::map<std::string, std::pair<std::uint64_t, std::uint64_t>> databases;  // name → bytes, of the log beside it
};

// Reads what there is; what is not there yet counts as none. Error as state/database.h says.
UpkeepFigures ReadUpkeepFigures(const ProductPaths& paths, const ArchiveSettings& archive);

// Reads them every minute and hands them to Prometheus; runs that were killed are closed on record first.
class UpkeepWatch {
 public:
  UpkeepWatch(const Settings& settings, const ProductPaths& paths, Background& background, Metrics& metrics)
      : settings_(settings), paths_(paths), background_(background), metrics_(metrics) {}

  void Tick(double steady_s);
  // `tasks_done_at`: kind → when the service's own task was last done (unix_s).
  void SetGauges(const std::map<std::string, double>& tasks_done_at, const DiskReport& disks);

 private:
  void SetLimits(const DiskReport& disks);
  const Settings& settings_;
  const ProductPaths& paths_;
  Background& background_;
  Metrics& metrics_;
  double next_ = 0;
  bool reading_ = false;
  bool known_ = false;  // figures_ were read once
  UpkeepFigures figures_;
};

}  // namespace contimg::ops
