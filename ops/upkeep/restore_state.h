// Putting back a backup of the state: the databases of a folder made by `contimg backup` take the place of those in the
// state directory, which are kept aside.
//
//   <state>/restore-20251014T120000Z/       the copies that are still to take their places; its name, given in one step
//                                           when all are there and checked, is the decision
//   <state>/ingest.sqlite3.before-20251014T120000Z[-wal|-shm]       what was there
//
// Whoever is killed in the middle leaves either nothing but a hidden folder, or a folder restore-… from which the next
// run goes on; contimg-stream does not start while there is one.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "config/os.h"
#include "config/run_context.h"
#include "ops/upkeep/backup.h"

namespace contimg::ops {

struct RestoreStateRequest {
  std::filesystem::path folder;        // of the backup
  std::filesystem::path state;         // the state directory
  std::vector<std::string> databases;  // names ("products"); empty: all that the backup has
  std::string stamp;                   // "20251014T120000Z", of now
};

struct RestoredFile {
  std::string file;  // "products.sqlite3"
  std::uint64_t bytes = 0;
  int version = 0;
  bool replaces = false;  // one that is there
  std::string kept_as;    // the name of that one afterwards
};

struct RestorePlan {
  Backup backup;
  std::vector<RestoredFile> files;
  std::vector<std::string> left;  // databases of the state that the backup does not have, or that were not asked for
};

// Reads and checks the whole backup. Error{kBadInput} when it is damaged, Error{kUsage} when it was made by a newer
// program or has no such database, Error{kResource} when the state's disk has no room for it. Changes nothing.
RestorePlan PlanRestore(const RestoreStateRequest& request, Os& os);
// Carries it out and opens every database, which brings older ones up to date. The caller holds the InstanceLock.
// A tree marker's identity comes back where the state has none.
void RestoreState(const RestoreStateRequest& request, const RestorePlan& plan, const RunContext& context);

// The folder of a restore that was decided and not finished.
std::optional<std::filesystem::path> UnfinishedRestore(const std::filesystem::path& state, Os& os);
// Goes on with it. The caller holds the InstanceLock. Returns the databases that took their places now.
std::vector<std::string> FinishRestore(const std::filesystem::path& state, Os& os);
// Throws Error{kIo} with the cure while there is an unfinished one.
void RequireNoUnfinishedRestore(const std::filesystem::path& state, Os& os);

// The folder that `which` means: "latest", a day ("2025-10-13", its newest), a name as `contimg backup list` shows it,
// or a directory (with a slash). Error{kUsage} when there is none.
std::filesystem::path FindBackup(const std::filesystem::path& directory, const std::string& which, Os& os);

}  // namespace contimg::ops
