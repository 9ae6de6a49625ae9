// What keeps the place in order: runs of cleanup, archive, backup, verify and the like, and the damage they found
// (operations.sqlite3). Times are UTC seconds since 1970 ("unix_s") and come from the caller.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "state/database.h"

namespace contimg::state {

enum class RunOutcome { kRunning, kOk, kFailed, kRefused, kCancelled };
std::string_view ToString(RunOutcome outcome);  // "running", "ok", "failed", "refused", "cancelled"

struct MaintenanceRow {
  std::int64_t id = 0;  // given by the store
  std::string kind;     // "cleanup", "archive", "backup", "verify", "restore", "migrate"…
  std::string actor;    // "operator", "timer", "script", "daemon"
  std::string host;
  int pid = 0;
  bool dry_run = false;  // changed nothing, by wish
  double started_at = 0;
  double updated_at = 0;              // the last sign of life
  std::optional<double> finished_at;  // nothing: running, or killed
  RunOutcome outcome = RunOutcome::kRunning;
  std::string error;  // one sentence
  double progress = 0;
  std::string figures_json = "{}";
};

// Damage found on reading again what is on record.
struct IntegrityFinding {
  std::int64_t id = 0;
  double at = 0;
  std::string place;    // "local", "archive", "backup"
  std::string subject;  // path of the product, REMOTE:OBJECT of the archive, folder of the backup
  std::string detail;   // expected and found
  std::optional<double> resolved_at;
};

class MaintenanceStore {
 public:
  explicit MaintenanceStore(const std::filesystem::path& path, const DatabaseOptions& options = {});

  // --- runs
  // `claim`, with the row's id: before anybody else sees the row. What it throws undoes it.
  std::int64_t Begin(const MaintenanceRow& row, double now, const std::function<void(std::int64_t id)>& claim = {});
  void SetProgress(std::int64_t id, double progress, double now);
  void Finish(std::int64_t id, RunOutcome outcome, std::string_view error, std::string_view figures_json, double now);
  // Runs that did not finish and of which `lives` says no: their process was killed. They become failed. Returns how
  // many.
  int CloseAbandoned(const std::function<bool(const MaintenanceRow&)>& lives, double now);
  std::vector<MaintenanceRow> List(std::string_view kind, int limit);  // newest first; empty kind: all; 0: no limit
  // The newest run of each kind that ended, without dry runs.
  std::vector<MaintenanceRow> LastEnded();
  // kind → when the newest run that changed or checked something (dry runs do not) ended well. Ends that are still to
  // come are of a clock that was ahead, and say nothing.
  std::map<std::string, double> LastSuccess(double now);
  // (kind, outcome) → number; of runs that ended, without dry runs.
  std::map<std::pair<std::string, std::string>, std::int64_t> Counts();

  // Key → sum of the numbers with that key in an object of the figures, over all runs of a kind that were no dry ones:
  // SumFigures("archive", "$.failed_for").
  std::map<std::string, std::int64_t> SumFigures(std::string_view kind, std::string_view object);
  // The newest run of a kind that ended well with such figures ("$.databases").
  std::optional<MaintenanceRow> LastWith(std::string_view kind, std::string_view figure);

  // --- damage
  // Records it unless the same is open already. Returns whether it is new.
  bool Report(const IntegrityFinding& finding);
  // What is open at this place about this subject is over: it was read again and is whole, or is gone by policy.
  void Resolve(std::string_view place, std::string_view subject, double now);
  std::vector<IntegrityFinding> OpenFindings();
  std::map<std::string, std::int64_t> FindingCounts();  // place → number ever found

  Database& database() { return db_; }

 private:
  Database db_;
};

}  // namespace contimg::state
