// A run of what keeps the place in order (cleanup, archive, backup, verify, restore, migrate…): one row in
// operations.sqlite3 from its beginning to its end, whoever started it; and the lock by which those that move or remove
// products exclude one another.
#pragma once

#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "config/descriptor.h"
#include "config/run_context.h"
#include "state/maintenance_store.h"

namespace contimg::ops {

// Exclusive, on <state>/maintenance.lock; the kernel drops it with the process. Cleanup, archive, restore and migrate
// take it; backup and verify do not.
class MaintenanceLock {
 public:
  // Throws Error{kBusy} with what holds it ("cleanup, process 4711").
  MaintenanceLock(const std::filesystem::path& state_directory, const std::string& kind);

 private:
  Descriptor file_;
};

struct MaintenanceRequest {
  std::filesystem::path database;  // operations.sqlite3
  std::string kind;                // "cleanup"
  std::string actor;               // "operator", "timer", "script", "daemon"
  bool dry_run = false;
};

// Fills `figures` (goes into the row, also when it throws) and says how it ended: kOk, kFailed or kRefused. It gets
// `context` with a reporter that keeps the row's progress besides.
using MaintenanceWork = std::function<state::RunOutcome(const RunContext& context, nlohmann::ordered_json& figures)>;

// Runs `work` between the beginning and the end of its row; what it throws is written there (cancelled or failed) and
// goes through. Rows of killed runs are closed first. A database that cannot be written is one warning and
// stops no work: cleanup must be possible on a full disk. Returns what `work` returned.
state::RunOutcome RunMaintenance(const MaintenanceRequest& request, const RunContext& context,
                                 const MaintenanceWork& work);

// Runs on record in `database` that did not finish and whose process is gone become failed. A lock file beside the
// database, which the kernel drops with its holder (config/unfinished.h), says whether it is. Returns how many; error
// as state/database.h says.
int CloseKilledRuns(const std::filesystem::path& database);

// Who started this process: "timer" (a unit of systemd), "operator" (somebody at a terminal), else "script".
std::string MaintenanceActor();

}  // namespace contimg::ops
