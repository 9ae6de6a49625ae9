// What may be wrong with the service: codes, findings, how they are told to others and since when they stand. Which
// there are is judged in ops/records/health.h.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace contimg::ops {

enum class HealthSeverity { kAmber, kRed };
std::string_view ToString(HealthSeverity severity);  // "amber", "red"

// Labels of the metric contimg_health and anchors of docs/operations/health.md: fixed words, here and nowhere else.
enum class HealthCode {
  kTreeMissing,          // "tree_missing": a directory tree without its marker, most likely not mounted
  kTreeForeign,          // "tree_foreign": it belongs to another state
  kTreeReadOnly,         // "tree_read_only"
  kDiskFull,             // "disk_full": scratch or images, warning or critical
  kStagingFull,          // "staging_full"
  kStateFull,            // "state_full"
  kDiskWillFill,         // "disk_will_fill": scratch, by what its free space did in the last days
  kIncomingMissing,      // "incoming_missing": gone, renamed, unreadable
  kFilesQuarantined,     // "files_quarantined"
  kNamesUnknown,         // "names_unknown": files in incoming whose names are not recognised
  kFilesUnreadable,      // "files_unreadable": not readable yet, tried again
  kGroupsFailing,        // "groups_failing": failed and to be tried again
  kGroupsDead,           // "groups_dead": given up
  kGroupsHeld,           // "groups_held"
  kTasksFailing,         // "tasks_failing": work that is no group, a backup for one: failed, given up or held
  kCopiesLost,           // "copies_lost": archived objects that are gone or damaged, and not made good
  kIntegrityDamaged,     // "integrity_damaged": products that are not what was recorded
  kArchiveBehind,        // "archive_behind": products wait for copies, and runs fail or are overdue
  kBackupBehind,         // "backup_behind": overdue, here or at the remote, or not taken there
  kCalibrationMissing,   // "calibration_missing": no valid table, or groups wait for one
  kCalibrationExpiring,  // "calibration_expiring"
  kCalibrationDamaged,   // "calibration_damaged": a registered table has changed on disk
  kCalibrationFailed,    // "calibration_failed": the last solves failed
  kDatabaseBusy,         // "database_busy": locked by another program or not writable now
  kDatabaseDamaged,      // "database_damaged"
  kBehindSky,            // "behind_sky": groups wait for workers
  kNoData,               // "no_data"
  kAntennasWithoutSky,   // "antennas_without_sky"
  kWorkersKilled,        // "workers_killed": by a signal, a time limit, for memory
  kClockStepped,         // "clock_stepped"
  kProductsMissing,      // "products_missing": recorded, not on disk
  kProductsUnknown,      // "products_unknown": on disk, of no known group
  kListeningOpenly,      // "listening_openly": HTTP on every address of the machine
  kLoopFailing,          // "loop_failing": an unexpected error in the service's own loop
};
std::string_view ToString(HealthCode code);
// In the order in which findings of one severity are shown.
const std::vector<HealthCode>& AllHealthCodes();

struct HealthFinding {
  HealthSeverity severity = HealthSeverity::kAmber;
  HealthCode code = HealthCode::kTreeMissing;
  std::string sentence;  // what is wrong, with numbers and paths; no full stop
  std::string cure;      // a command that works when pasted; empty when no command cures it
  double since = 0;      // unix_s; 0: not known
};

// Since when each finding has stood: those that do not say so themselves get the time at which their code first came,
// and keep it until the code has been away.
class HealthMemory {
 public:
  struct Change {
    HealthFinding finding;
    bool gone = false;
  };
  // Returns what came, changed its severity or went away, for the log.
  std::vector<Change> Remember(std::vector<HealthFinding>& findings, double now);

 private:
  std::map<HealthCode, HealthFinding> standing_;
};

// In the status document: "health": [{severity, code, sentence, cure, since (ISO 8601 UTC with Z, or null)}].
nlohmann::ordered_json ToJson(const std::vector<HealthFinding>& findings);
// Back from a status document; what cannot be read is left out.
std::vector<HealthFinding> FindingsOf(const nlohmann::ordered_json& status);

}  // namespace contimg::ops
