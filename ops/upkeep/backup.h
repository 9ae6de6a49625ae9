// Backups of the state: the databases, copied while they are in use, checked, and published in one step.
//
//   <directory>/2025-10-13T030000Z/   ingest.sqlite3 products.sqlite3 … backup.json
//
// A folder of such a name is whole: it is made under a hidden name (config/unfinished.h), every copy is read back and
// checked, everything is synced, and then it gets its name. What a killed process left is swept by the next one.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "config/product_paths.h"
#include "config/run_context.h"
#include "config/settings.h"

namespace contimg::ops {

struct BackupRequest {
  std::filesystem::path directory;               // where backups are
  std::string name;                              // BackupName
  std::vector<std::filesystem::path> databases;  // that are not there are left out (no catalogue was imported yet)
  double keep_days = 0;                          // older backups are removed afterwards; 0: none is
};

struct BackedUpDatabase {
  std::string file;  // "ingest.sqlite3"
  int version = 0;   // of its schema
  std::uint64_t bytes = 0;
  std::string checksum;  // XXH64
};

struct Backup {
  std::filesystem::path folder;
  double made_at = 0;  // unix_s
  std::string program_version;
  std::vector<BackedUpDatabase> databases;
  std::uint64_t bytes() const;
};

// "2025-10-13T030000Z" of "2025-10-13T03:00:00".
std::string BackupName(std::string_view timestamp);
// Where backups go (backup.dir, else the state directory's own), and which databases belong to them: what refers to
// others comes before what it refers to.
std::filesystem::path BackupDirectory(const Settings& settings, const ProductPaths& paths);
std::vector<std::filesystem::path> DatabasesOf(const ProductPaths& paths);

// Makes one, unless a whole one of that name is there: then that one is checked. Error{kResource} when the disk is
// full, Error{kBadInput} when a database is damaged, Error{kBusy}, Error{kIo}; nothing of the name is left then.
// Reports its progress as stage "backup".
Backup MakeBackup(const BackupRequest& request, const RunContext& context);

// The whole ones, oldest first; a folder whose backup.json cannot be read is none.
std::vector<Backup> ListBackups(const std::filesystem::path& directory, Os& os);
// Reads every copy again: its size, its checksum, its pages, indices and references. Error{kBadInput} with what is
// wrong.
Backup VerifyBackup(const std::filesystem::path& folder, Os& os);
// Removes backups older than `keep_days`; the newest three stay whatever their age, so that a clock gone wrong removes
// nothing that is needed. Returns how many went. 0 days: none goes.
int PruneBackups(const std::filesystem::path& directory, double keep_days, double now, Os& os);

}  // namespace contimg::ops
