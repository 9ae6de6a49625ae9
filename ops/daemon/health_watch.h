// Gathers what the judgement of the health rests on (ops/records/health.h) and keeps the judgement at hand. Belongs to
// the daemon's thread. Nothing here throws for the state of disks and directories; queries to the queue throw Error.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <exception>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "config/os.h"
#include "config/settings.h"
#include "ops/base/clock.h"
#include "ops/daemon/dispatcher.h"
#include "ops/daemon/ingest_service.h"
#include "ops/daemon/tree_guard.h"
#include "ops/daemon/upkeep_watch.h"
#include "ops/records/health.h"
#include "ops/records/reconciler.h"
#include "ops/records/watermarks.h"

namespace contimg::ops {

// --- single looks, for tests
// Why no files can come from the directory; empty: they can.
std::string IncomingTrouble(const std::filesystem::path& directory);
// Files in quarantine, with the reasons that lie beside them. `now` in unix_s. Throws Error{kIo}.
HealthFacts::Quarantine LookIntoQuarantine(const std::filesystem::path& directory, double now, Os& os = RealOs());
// What of another copy of the newest one is to be had: fills `other` and `other_recorded`. Throws Error.
void FindOtherCopy(HealthFacts::Quarantine& quarantine, const std::filesystem::path& incoming, state::GroupStore& store,
                   Os& os = RealOs());
// Files that look like data and whose names the pipeline does not know: how many and one of them. What a writer still
// has open (dotted, "…_incomplete.hdf5") and files of other kinds do not count.
std::pair<std::size_t, std::string> CountUnknownNames(const std::filesystem::path& directory);

class HealthWatch {
 public:
  struct Sources {
    state::GroupStore& store;
    WriteQueue& writes;
    IngestService& ingest;
    Dispatcher& dispatcher;
    CalibrationScheduler& calibration;
    Reconciler& reconciler;
    DaemonClock& clock;
    TreeGuard& trees;
    Metrics& metrics;
    UpkeepWatch& upkeep;
    Os& os;
    ProductPaths paths;
  };
  HealthWatch(const Sources& sources, const Settings& settings);
  void Apply(const Settings& settings) { settings_ = settings; }

  // Every disk.check_s: disks, trees, quarantine, names.
  void LookAtDisks();
  // Ten times a second: the incoming directory now and then, the clock, whether the trees are still there.
  void Tick(bool stopping);
  // When the queue may have changed.
  void LookAtQueue();
  // Something threw in the loop, or a turn went well.
  void Failed(const std::exception& error);
  void WentWell() { database_failure_.reset(); }

  // True while work may start.
  bool may_start() const { return disks_.dispatch_allowed && sources_.trees.well(); }
  const DiskReport& disks() const { return disks_; }

  struct Judgement {
    HealthVerdict verdict;
    std::vector<HealthFinding> findings;
  };
  // As things stand now; what came and went since the last call is logged.
  Judgement Judge();

 private:
  HealthFacts Facts();

  Sources sources_;
  Settings settings_;
  bool stopping_ = false;
  DiskReport disks_;
  HealthFacts::Quarantine quarantine_;
  std::pair<std::size_t, std::string> unknown_names_;
  std::string incoming_trouble_;
  double incoming_lost_at_ = 0;
  double next_look_ = 0;
  HealthFacts::Groups failing_, dead_, held_;
  std::vector<HealthFacts::Task> tasks_;
  double last_done_at_ = 0;
  struct Failure {
    std::string words;
    ErrorKind kind = ErrorKind::kBug;
    double since = 0;
  };
  std::optional<Failure> database_failure_;
  double writes_fail_since_ = 0;
  std::deque<std::pair<double, std::string>> loop_errors_;  // of the last hour
  std::optional<double> clock_offset_;                      // system's minus steady
  double clock_step_s_ = 0, clock_stepped_at_ = 0;
  HealthMemory memory_;
};

}  // namespace contimg::ops
