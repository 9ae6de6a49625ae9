// What keeps the place in order, as figures for Prometheus and facts for the health: read from the databases now and
// then, off the loop, whoever wrote there (the service's own tasks, timers, an operator).
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "config/product_paths.h"
#include "config/settings.h"
#include "ops/daemon/background.h"
#include "ops/metrics/metrics.h"
#include "ops/records/disk_forecast.h"
#include "ops/records/health.h"
#include "ops/records/watermarks.h"
#include "state/archive_store.h"
#include "state/maintenance_store.h"

namespace contimg::ops {

struct UpkeepFigures {
  std::optional<double> first_start;                                 // of this state, unix_s
  std::map<std::string, double> last_success;                        // kind of maintenance → unix_s
  std::map<std::string, double> last_duration_s;                     // of the newest run that ended
  std::map<std::pair<std::string, std::string>, std::int64_t> runs;  // (kind, outcome) → number
  std::map<std::string, std::int64_t> removed_bytes;                 // class → by cleanup, ever
  std::map<std::string, std::int64_t> blocked_bytes;                 // class → kept by the last cleanup
  std::map<std::string, std::int64_t> archive_objects;               // state → number
  std::int64_t archive_backlog_bytes = 0;                  // present, of classes that are archived, with too few copies
  std::map<std::string, std::int64_t> integrity_failures;  // place → ever found
  std::int64_t open_findings = 0;                          // not made good
  std::map<std::string, std::int64_t> checked_bytes;       // place → read again, ever
  std::map<std::string, std::int64_t> archive_failures;    // kind of error → ever
  std::map<std::string, std::int64_t> backup_bytes;        // database → in the newest backup
  std::map<std::string, double> newest_product;            // kind → begin of its data, unix_s
  struct Failure {
    std::string sentence;
    double at = 0;
  };
  std::map<std::string, Failure> failed;  // kind → its last run, where that failed
  std::vector<state::LostObject> lost;    // archived objects that are gone and not made good, newest first
  struct Damage {                         // on disk, as found by verify
    state::IntegrityFinding finding;
    bool has_copy = false;
  };
  std::vector<Damage> damage;                                                // oldest first
  std::map<std::string, std::pair<std::uint64_t, std::uint64_t>> databases;  // name → bytes, of the log beside it
};

// Reads what there is; what is not there yet counts as none. Error as state/database.h says.
UpkeepFigures ReadUpkeepFigures(const ProductPaths& paths, const ArchiveSettings& archive, double unix_s);

// Reads them every minute, closes runs on record that were killed, and hands them on; keeps the history of the scratch
// disk.
class UpkeepWatch {
 public:
  // `started_unix_s`: when the service was.
  UpkeepWatch(const Settings& settings, const ProductPaths& paths, Background& background, Metrics& metrics,
              double started_unix_s)
      : settings_(settings),
        paths_(paths),
        background_(background),
        metrics_(metrics),
        started_unix_(started_unix_s),
        history_(paths.roots().state) {}

  // `disks`: as last measured; null while it is not certain that these are the right ones.
  void Tick(double steady_s, double unix_s, const DiskReport* disks);
  // `tasks_done_at`: kind → when the service's own task was last done (unix_s).
  void SetGauges(const std::map<std::string, double>& tasks_done_at, const DiskReport& disks);
  // What the health rests on of all this.
  void Tell(HealthFacts& facts) const;
  // As ops/records/disk_forecast.h says.
  std::optional<double> seconds_to_critical() const { return seconds_to_critical_; }

 private:
  void KeepHistory(double steady_s, double unix_s, const DiskReport* disks);
  HealthFacts::Waiting WaitingFor(const std::string& kind, double last) const;
  void SetLimits(const DiskReport& disks);
  const Settings& settings_;
  const ProductPaths& paths_;
  Background& background_;
  Metrics& metrics_;
  double started_unix_;
  double next_ = 0, next_history_ = 0, next_save_ = 0;
  bool reading_ = false;
  bool known_ = false;  // figures_ were read once
  UpkeepFigures figures_;
  DiskHistory history_;
  std::optional<double> seconds_to_critical_;
};

}  // namespace contimg::ops
