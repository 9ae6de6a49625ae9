// Backups at a remote of archive.remotes, where they outlive all disks of this machine: the files of a backup as
// objects
//
//   backups/2025-10-13T030000Z/ingest.sqlite3 …
//   backups/2025-10-13T030000Z/SHA256SUMS         last: with it, the backup is whole
//
// Each is read back before it gets its name, and again under it. Nothing is removed there unless
// backup.remote_keep_days says so. `rclone copy` of such a folder and `sha256sum -c SHA256SUMS` need nothing of
// contimg.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "config/run_context.h"
#include "ops/archive/remote.h"
#include "ops/upkeep/backup.h"

namespace contimg::ops {

// The names of the whole ones there, oldest first. Throws what Remote throws.
std::vector<std::string> BackupsAt(const Remote& remote);

struct ShippingOptions {
  std::string owner;     // of parts (PartOwner)
  bool in_use = false;   // there are other objects, so the remote's mark must be there
  std::string verified;  // the name of one that was checked a moment ago (it was made then): not again
  double keep_days = 0;  // MayBackupGo there; what would go at once is not taken there
  double now = 0;        // unix_s
};
// Takes those of `directory` there that are not, the newest first; returns their names. As often as the remote's number
// of retries, what does not read back is copied anew. Error{kBadInput} when a backup here is damaged, or something else
// has a name there; and what Remote throws. Those before it are whole then.
std::vector<std::string> ShipBackups(const Remote& remote, const std::filesystem::path& directory,
                                     const ShippingOptions& options, const RunContext& context);

// Removes those there that may go, by the rule for those here (MayBackupGo); returns their names. Only folders with the
// name and the backup.json of a backup, and of these only the files that it lists: SHA256SUMS first, backup.json last,
// so that what a killed run leaves is no backup, and is finished by the next. Nothing goes unless the newest whole one
// is among `fresh` (read back in this run) or is read again and is whole: Error{kBadInput} otherwise.
std::vector<std::string> PruneBackupsAt(const Remote& remote, const ShippingOptions& options,
                                        const std::vector<std::string>& fresh, const RunContext& context);

// Brings one back into `directory`, checked like every backup (VerifyBackup) before it gets its name; one that is there
// already is checked only. `name` as BackupsAt says, or "latest". Error{kUsage} when there is none of that name.
Backup FetchBackup(const Remote& remote, const std::string& name, const std::filesystem::path& directory,
                   const RunContext& context);

}  // namespace contimg::ops
