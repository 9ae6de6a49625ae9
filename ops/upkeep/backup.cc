#include "ops/upkeep/backup.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "config/os.h"
#include "config/time.h"
#include "config/unfinished.h"
#include "ops/base/checksum.h"
#include "ops/base/version.h"
#include "state/database.h"
#include "state/schema/schemas.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kStage = "backup";
constexpr const char* kManifest = "backup.json";
constexpr int kFormat = 1;
constexpr std::size_t kAlwaysKept = 3;

const state::Schema& SchemaOf(const fs::path& file) {
  const std::string name = file.stem().string();
  for (const state::Schema* schema :
       {&state::IngestSchema(), &state::CalRegistrySchema(), &state::ProductsSchema(), &state::MasterSourcesSchema()}) {
    if (schema->name == name) return *schema;
  }
  throw Error(ErrorKind::kBadInput, kStage, file.string(), "is none of contimg's databases");
}

// Opens a copy that nobody writes to and reads all of it.
int CheckCopy(const fs::path& copy) {
  state::Database database(copy, SchemaOf(copy), state::DatabaseOptions::ForOneLook());
  database.CheckThoroughly();
  return database.version();
}

json ToJson(const Backup& backup) {
  json databases = json::array();
  for (const BackedUpDatabase& each : backup.databases) {
    databases.push_back(
        {{"file", each.file}, {"version", each.version}, {"bytes", each.bytes}, {"xxh64", each.checksum}});
  }
  return {{"format", kFormat},
          {"made_at", backup.made_at},
          {"program_version", backup.program_version},
          {"databases", std::move(databases)}};
}

Backup ReadManifest(const fs::path& folder, Os& os) {
  const fs::path file = folder / kManifest;
  try {
    const json value = json::parse(os.ReadFile(file));
    if (value.at("format") != kFormat) {
      throw Error(ErrorKind::kBadInput, kStage, file.string(),
                  fmt::format("expected format {}, found {}", kFormat, value.at("format").dump()));
    }
    Backup backup;
    backup.folder = folder;
    backup.made_at = value.at("made_at");
    backup.program_version = value.at("program_version");
    for (const json& each : value.at("databases")) {
      backup.databases.push_back({each.at("file").get<std::string>(), each.at("version").get<int>(),
                                  each.at("bytes").get<std::uint64_t>(), each.at("xxh64").get<std::string>()});
    }
    return backup;
  } catch (const json::exception& error) {
    throw Error(ErrorKind::kBadInput, kStage, file.string(), fmt::format("is no list of a backup: {}", error.what()));
  }
}

bool IsBackupName(const std::string& name) {
  constexpr std::string_view kForm = "dddd-dd-ddTddddddZ";
  return name.size() == kForm.size() && std::equal(name.begin(), name.end(), kForm.begin(), [](char c, char form) {
           return form == 'd' ? c >= '0' && c <= '9' : c == form;
         });
}

}  // namespace

std::uint64_t Backup::bytes() const {
  std::uint64_t sum = 0;
  for (const BackedUpDatabase& each : databases) sum += each.bytes;
  return sum;
}

std::string BackupName(std::string_view timestamp) {
  std::string name(timestamp);
  name.erase(std::remove(name.begin(), name.end(), ':'), name.end());
  name += 'Z';
  if (!IsBackupName(name)) {
    throw Error(ErrorKind::kBadInput, kStage, std::string(timestamp), "expected a time as 2025-10-13T03:00:00");
  }
  return name;
}

fs::path BackupDirectory(const Settings& settings, const ProductPaths& paths) {
  return settings.backup.dir.empty() ? paths.StateBackups() : fs::path(settings.backup.dir);
}

std::vector<fs::path> DatabasesOf(const ProductPaths& paths) {
  std::vector<fs::path> files;
  for (const StateDatabase each :
       {StateDatabase::kMasterSources, StateDatabase::kCalRegistry, StateDatabase::kProducts, StateDatabase::kIngest}) {
    files.push_back(paths.Database(each));
  }
  return files;
}

Backup MakeBackup(const BackupRequest& request, const RunContext& context) {
  Os& os = OsOr(context.os);
  // Not made here: what is not there may be a disk that is not mounted, and a backup beside it would fill another one.
  if (!IsDirectory(request.directory, os)) {
    throw Error(ErrorKind::kIo, kStage, request.directory.string(),
                "expected the directory of the backups, found none: mount its disk or make it (backup.dir)");
  }
  SweepUnfinished(request.directory, os);
  const fs::path final_path = request.directory / request.name;
  if (Exists(final_path, os)) return VerifyBackup(final_path, os);  // by an attempt that could not report any more

  const Unfinished unfinished(final_path, os);
  os.CreateDirectories(unfinished.path());
  Backup backup;
  backup.folder = final_path;
  backup.made_at = UtcTime::Now().unix_s();
  backup.program_version = kVersion;
  double n_done = 0;
  for (const fs::path& file : request.databases) {
    context.CheckCancelled(kStage);
    if (Exists(file, os)) {
      const fs::path copy = unfinished.path() / file.filename();
      state::DatabaseOptions options;
      options.read_only = true;
      CheckRoom(os, request.directory, FileSize(file, os), kStage, file.string());
      state::Database(file, SchemaOf(file), options).BackUp(copy);
      BackedUpDatabase made;
      made.file = file.filename().string();
      made.version = CheckCopy(copy);
      made.bytes = FileSize(copy, os);
      made.checksum = ProductChecksum(copy, 1, os);
      backup.databases.push_back(std::move(made));
    }
    context.reporter->Progress(kStage, ++n_done / (static_cast<double>(request.databases.size()) + 1));
  }
  if (backup.databases.empty()) {
    throw Error(ErrorKind::kIo, kStage, request.directory.string(), "there is no database to back up yet");
  }
  WriteFileAtomically(os, unfinished.path() / kManifest, ToJson(backup).dump(2) + "\n");
  Publish(os, unfinished.path(), final_path);
  if (const int n = PruneBackups(request.directory, request.keep_days, backup.made_at, os); n > 0) {
    context.reporter->Info(kStage, fmt::format("{} older than {:g} days removed",
                                               n == 1 ? "1 backup" : fmt::format("{} backups", n), request.keep_days));
  }
  return backup;
}

std::vector<Backup> ListBackups(const fs::path& directory, Os& os) {
  std::vector<Backup> backups;
  if (!IsDirectory(directory, os)) return backups;
  for (const fs::path& folder : os.List(directory)) {
    if (!IsBackupName(folder.filename().string())) continue;
    try {
      backups.push_back(ReadManifest(folder, os));
    } catch (const Error&) {
      // Not made by this program, or spoiled since: nothing to count on.
    }
  }
  std::sort(backups.begin(), backups.end(), [](const Backup& a, const Backup& b) { return a.folder < b.folder; });
  return backups;
}

Backup VerifyBackup(const fs::path& folder, Os& os) {
  Backup backup = ReadManifest(folder, os);
  for (const BackedUpDatabase& each : backup.databases) {
    const fs::path copy = folder / fs::path(each.file).filename();
    if (!Exists(copy, os)) throw Error(ErrorKind::kBadInput, kStage, copy.string(), "is missing from its backup");
    const std::uint64_t bytes = FileSize(copy, os);
    const std::string checksum = ProductChecksum(copy, 1, os);
    if (bytes != each.bytes || checksum != each.checksum) {
      throw Error(ErrorKind::kBadInput, kStage, copy.string(),
                  fmt::format("was changed since it was made: expected {} bytes with checksum {}, found {} with {}",
                              each.bytes, each.checksum, bytes, checksum));
    }
    CheckCopy(copy);
  }
  return backup;
}

int PruneBackups(const fs::path& directory, double keep_days, double now, Os& os) {
  if (keep_days <= 0) return 0;
  const std::vector<Backup> backups = ListBackups(directory, os);
  int n_removed = 0;
  for (std::size_t i = 0; i + kAlwaysKept < backups.size(); ++i) {
    if (now - backups[i].made_at <= keep_days * kSecondsPerDay) continue;
    // Out of sight first: half of a backup never has a backup's name.
    const Unfinished going(backups[i].folder, os);
    os.Rename(backups[i].folder, going.path());
    os.SyncDirectory(directory);
    os.RemoveAll(going.path());
    ++n_removed;
  }
  return n_removed;
}

}  // namespace contimg::ops
