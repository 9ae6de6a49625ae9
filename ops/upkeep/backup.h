// Backups of the state: the databases, copied while they are in use, and what the service needs besides them; checked,
// and published in one step.
//
//   <directory>/2025-10-13T030000Z/   ingest.sqlite3 products.sqlite3 … identity.json contimg.env backup.json
//   SHA256SUMS
//
// A folder of such a name is whole: it is made under a hidden name (config/unfinished.h), every copy is read back and
// checked, everything is synced, and then it gets its name. What a killed process left is swept by the next one.
// `sha256sum -c SHA256SUMS` in the folder checks it without contimg.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/product_paths.h"
#include "config/run_context.h"
#include "config/settings.h"
#include "state/database.h"

namespace contimg::ops {

struct BackupRequest {
  std::filesystem::path directory;               // where backups are
  std::string name;                              // BackupName
  std::vector<std::filesystem::path> databases;  // that are not there are left out (no catalogue was imported yet)
  std::vector<std::filesystem::path> files;      // likewise: small ones that are copied as they are
  std::vector<std::pair<std::string, std::string>> texts;  // file name, content
  double keep_days = 0;                                    // older backups are removed afterwards; 0: none is
};

struct BackedUpFile {
  std::string file;  // "ingest.sqlite3"
  int version = 0;   // of a database's schema
  std::uint64_t bytes = 0;
  std::string sha256;
};

struct Backup {
  std::filesystem::path folder;
  double made_at = 0;  // unix_s
  std::string program_version;
  std::vector<BackedUpFile> databases;
  std::vector<BackedUpFile> files;   // the others, without backup.json and SHA256SUMS
  std::vector<std::string> removed;  // names of older ones that went when it was made
  std::uint64_t bytes() const;       // of the databases
};

// "2025-10-13T030000Z" of "2025-10-13T03:00:00", and whether a name has that form.
std::string BackupName(std::string_view timestamp);
bool IsBackupName(std::string_view name);
// Where backups go: backup.dir, else the state directory's own.
std::filesystem::path BackupDirectory(const Settings& settings, const ProductPaths& paths);
// All that belongs to a backup of this state, without a name. What refers to others comes before what it refers to.
BackupRequest BackupOf(const Settings& settings, const ProductPaths& paths);
// "CONTIMG_SCRATCH_DIR=/stage/contimg" and so on: every setting that is not the default, from wherever it came, as an
// environment file of systemd, which a shell reads as well.
std::string EnvironmentFileOf(const Settings& settings);

// Makes one, unless a whole one of that name is there: then that one is checked. Error{kResource} when the disk is
// full, Error{kBadInput} when a database is damaged, Error{kBusy}, Error{kIo}; nothing of the name is left then.
// Reports its progress as stage "backup".
Backup MakeBackup(const BackupRequest& request, const RunContext& context);
// The same as a run on record in `operations`, the database (ops/records/maintenance_run.h).
Backup MakeRecordedBackup(const BackupRequest& request, const std::filesystem::path& operations,
                          const std::string& actor, const RunContext& context);

// The whole ones, oldest first; a folder whose backup.json cannot be read is none.
std::vector<Backup> ListBackups(const std::filesystem::path& directory, Os& os);
// Reads everything again: sizes, checksums, the databases' pages, indices and references. Error{kBadInput} with what
// is wrong; Error{kUsage} for what a newer program made.
Backup VerifyBackup(const std::filesystem::path& folder, Os& os);
// What a backup.json says, without folder, and a SHA256SUMS (file → digest), of backups elsewhere. Errors about
// `subject` as those of VerifyBackup.
Backup ParseBackup(const std::string& text, const std::string& subject);
std::map<std::string, std::string> ParseBackupSums(const std::string& text, const std::string& subject);
// Whether one of that age may be removed: older than `keep_days` (0: none may), and not among the newest three, which
// stay whatever their age, so that a clock gone wrong removes nothing that is needed. `n_newer`: whole ones.
bool MayBackupGo(std::size_t n_newer, double made_at, double keep_days, double now);
// Removes those that may go; returns their names.
std::vector<std::string> PruneBackups(const std::filesystem::path& directory, double keep_days, double now, Os& os);

// The schema of the database of that file name; Error{kBadInput} for another name.
const state::Schema& SchemaOf(const std::filesystem::path& file);

}  // namespace contimg::ops
