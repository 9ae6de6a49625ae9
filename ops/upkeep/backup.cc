#include "ops/upkeep/backup.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "config/os.h"
#include "config/time.h"
#include "config/unfinished.h"
#include "ops/base/checksum.h"
#include "ops/base/json_fields.h"
#include "ops/base/sha256.h"
#include "ops/base/version.h"
#include "ops/job/tree_marker.h"
#include "ops/records/maintenance_run.h"
#include "state/schema/schemas.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kStage = "backup";
constexpr const char* kManifest = "backup.json";
constexpr const char* kSums = "SHA256SUMS";
constexpr const char* kEnvironment = "contimg.env";
constexpr int kFormat = 2;  // 1 had XXH64 of the databases, no other files and no SHA256SUMS
constexpr std::size_t kAlwaysKept = 3;

// Opens a copy that nobody writes to and reads all of it. Returns its version.
int CheckCopy(const fs::path& copy) {
  state::DatabaseOptions options = state::DatabaseOptions::ForOneLook();
  options.any_version = true;
  state::Database database(copy, SchemaOf(copy), options);
  database.CheckThoroughly();
  return database.version();
}

json ToJson(const std::vector<BackedUpFile>& files, bool databases) {
  json list = json::array();
  for (const BackedUpFile& each : files) {
    list.push_back({{"file", each.file}, {"bytes", each.bytes}, {"sha256", each.sha256}});
    if (databases) list.back()["version"] = each.version;
  }
  return list;
}

json ToJson(const Backup& backup) {
  return {{"format", kFormat},
          {"made_at", backup.made_at},
          {"program_version", backup.program_version},
          {"databases", ToJson(backup.databases, true)},
          {"files", ToJson(backup.files, false)}};
}

// A file of a backup is a name in its folder and nothing else.
std::string NameIn(const json& each, const std::string& manifest) {
  const std::string name = each.at("file").get<std::string>();
  if (name.empty() || name[0] == '.' || name.find('/') != std::string::npos) {
    throw Error(ErrorKind::kBadInput, kStage, manifest,
                fmt::format("expected the names of files in this folder, found '{}'", name));
  }
  return name;
}

// What backup.json says, and the format.
std::pair<Backup, int> ParseManifest(const std::string& text, const std::string& subject) {
  try {
    const json value = json::parse(text);
    int format = 0;
    ValueFromJson(value.at("format"), format);
    if (format > kFormat || format < 1) {
      throw Error(
          format > kFormat ? ErrorKind::kUsage : ErrorKind::kBadInput, kStage, subject,
          fmt::format("has format {}, and this program knows formats up to {}: use a newer contimg", format, kFormat));
    }
    Backup backup;
    backup.made_at = value.at("made_at");
    backup.program_version = value.at("program_version");
    for (const json& each : value.at("databases")) {
      BackedUpFile& file = backup.databases.emplace_back();
      file.file = NameIn(each, subject);
      ValueFromJson(each.at("version"), file.version);
      ValueFromJson(each.at("bytes"), file.bytes);
      file.sha256 = each.at(format == 1 ? "xxh64" : "sha256").get<std::string>();
    }
    if (backup.databases.empty()) throw Error(ErrorKind::kBadInput, kStage, subject, "is damaged: names no database");
    if (format > 1) {
      for (const json& each : value.at("files")) {
        BackedUpFile& file = backup.files.emplace_back();
        file.file = NameIn(each, subject);
        ValueFromJson(each.at("bytes"), file.bytes);
        file.sha256 = each.at("sha256").get<std::string>();
      }
    }
    return {std::move(backup), format};
  } catch (const json::exception&) {
    throw Error(ErrorKind::kBadInput, kStage, subject, "is damaged: expected the list of a backup");
  }
}

std::pair<Backup, int> ReadManifest(const fs::path& folder, Os& os) {
  const fs::path file = folder / kManifest;
  if (!Exists(file, os)) {
    throw Error(ErrorKind::kBadInput, kStage, folder.string(), "expected a backup with backup.json, found none");
  }
  std::pair<Backup, int> manifest_read = ParseManifest(os.ReadFile(file), file.string());
  manifest_read.first.folder = folder;
  return manifest_read;
}

std::map<std::string, std::string> ReadSums(const fs::path& folder, Os& os) {
  const fs::path file = folder / kSums;
  if (!Exists(file, os)) throw Error(ErrorKind::kBadInput, kStage, file.string(), "is missing from its backup");
  return ParseBackupSums(os.ReadFile(file), file.string());
}

void RequireSame(const fs::path& path, const BackedUpFile& expected, const std::string& found, Os& os) {
  const std::uint64_t bytes = FileSize(path, os);
  if (bytes == expected.bytes && found == expected.sha256) return;
  throw Error(ErrorKind::kBadInput, kStage, path.string(),
              fmt::format("was changed since it was made: expected {} bytes with checksum {}, found {} with {}",
                          expected.bytes, expected.sha256, bytes, found));
}

BackedUpFile Describe(const fs::path& copy, int version, Os& os) {
  return {copy.filename().string(), version, FileSize(copy, os), FileSha256(copy)};
}

// Systemd and the shell read it alike.
std::string Quoted(const std::string& value) {
  constexpr const char* kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:,+-";
  if (value.find_first_not_of(kPlain) == std::string::npos) return value;
  std::string quoted = "\"";
  for (const char c : value) {
    if (c == '"' || c == '\\' || c == '$' || c == '`') quoted += '\\';
    quoted += c;
  }
  return quoted + '"';
}

}  // namespace

const state::Schema& SchemaOf(const fs::path& file) {
  const std::string name = file.filename().string();
  for (const state::Schema* schema : {&state::IngestSchema(), &state::CalRegistrySchema(), &state::ProductsSchema(),
                                      &state::MasterSourcesSchema(), &state::OperationsSchema()}) {
    if (std::string(schema->name) + ".sqlite3" == name) return *schema;
  }
  throw Error(ErrorKind::kBadInput, kStage, file.string(), "is none of contimg's databases");
}

std::uint64_t Backup::bytes() const {
  std::uint64_t sum = 0;
  for (const BackedUpFile& each : databases) sum += each.bytes;
  return sum;
}

bool IsBackupName(std::string_view name) {
  constexpr std::string_view kForm = "dddd-dd-ddTddddddZ";
  return name.size() == kForm.size() && std::equal(name.begin(), name.end(), kForm.begin(), [](char c, char form) {
           return form == 'd' ? c >= '0' && c <= '9' : c == form;
         });
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

BackupRequest BackupOf(const Settings& settings, const ProductPaths& paths) {
  BackupRequest request;
  request.directory = BackupDirectory(settings, paths);
  for (const StateDatabase each : {StateDatabase::kMasterSources, StateDatabase::kCalRegistry, StateDatabase::kProducts,
                                   StateDatabase::kOperations, StateDatabase::kIngest}) {
    request.databases.push_back(paths.Database(each));
  }
  request.files.push_back(StateIdentityFile(paths.roots().state));
  request.texts.emplace_back(kEnvironment, EnvironmentFileOf(settings));
  request.keep_days = settings.backup.keep_days;
  return request;
}

std::string EnvironmentFileOf(const Settings& settings) {
  const Settings defaults;
  std::string text = "# The settings in force when this backup was made, without defaults.\n";
  for (const SettingInfo& info : AllSettings()) {
    const std::string value = ToText(settings, info);
    if (value != ToText(defaults, info)) text += fmt::format("{}={}\n", info.environment(), Quoted(value));
  }
  return text;
}

Backup ParseBackup(const std::string& text, const std::string& subject) { return ParseManifest(text, subject).first; }

std::map<std::string, std::string> ParseBackupSums(const std::string& text, const std::string& subject) {
  std::map<std::string, std::string> sums;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::string line = text.substr(at, end - at);
    at = end + 1;
    if (line.size() < 67 || line.compare(64, 2, "  ") != 0) {
      throw Error(ErrorKind::kBadInput, kStage, subject, "is damaged: expected lines of 64 digits and a name");
    }
    sums[line.substr(66)] = line.substr(0, 64);
  }
  return sums;
}

bool MayBackupGo(std::size_t n_newer, double made_at, double keep_days, double now) {
  return keep_days > 0 && n_newer >= kAlwaysKept && now - made_at > keep_days * kSecondsPerDay;
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
      options.any_version = true;
      CheckRoom(os, request.directory, FileSize(file, os), kStage, file.string());
      state::Database(file, SchemaOf(file), options).BackUp(copy);
      backup.databases.push_back(Describe(copy, CheckCopy(copy), os));
    }
    context.reporter->Progress(kStage, ++n_done / (static_cast<double>(request.databases.size()) + 1));
  }
  if (backup.databases.empty()) {
    throw Error(ErrorKind::kIo, kStage, request.directory.string(), "there is no database to back up yet");
  }
  std::string sums;
  const auto add = [&](const std::string& name, std::string_view content) {
    WriteFileAtomically(os, unfinished.path() / name, content);
  };
  for (const fs::path& file : request.files) {
    if (!Exists(file, os)) continue;
    add(file.filename().string(), os.ReadFile(file));
    backup.files.push_back(Describe(unfinished.path() / file.filename(), 0, os));
  }
  for (const auto& [name, content] : request.texts) {
    add(name, content);
    backup.files.push_back(Describe(unfinished.path() / name, 0, os));
  }
  add(kManifest, ToJson(backup).dump(2) + "\n");
  for (const auto* files : {&backup.databases, &backup.files}) {
    for (const BackedUpFile& each : *files) sums += fmt::format("{}  {}\n", each.sha256, each.file);
  }
  sums += fmt::format("{}  {}\n", FileSha256(unfinished.path() / kManifest), kManifest);
  add(kSums, sums);
  Publish(os, unfinished.path(), final_path);
  backup.removed = PruneBackups(request.directory, request.keep_days, backup.made_at, os);
  if (!backup.removed.empty()) {
    context.reporter->Info(
        kStage, fmt::format("older than {:g} days, removed: {}", request.keep_days, fmt::join(backup.removed, ", ")));
  }
  return backup;
}

Backup MakeRecordedBackup(const BackupRequest& request, const fs::path& operations, const std::string& actor,
                          const RunContext& context) {
  // Of a state that is not there yet the record would be all there is.
  const bool any = std::any_of(request.databases.begin(), request.databases.end(),
                               [&](const fs::path& file) { return Exists(file, OsOr(context.os)); });
  if (!any) return MakeBackup(request, context);
  Backup made;
  RunMaintenance({operations, kStage, actor, false}, context,
                 [&](const RunContext& inner, nlohmann::ordered_json& figures) {
                   made = MakeBackup(request, inner);
                   figures["folder"] = made.folder.string();
                   figures["bytes"] = made.bytes();
                   if (!made.removed.empty()) figures["removed"] = made.removed;
                   for (const BackedUpFile& each : made.databases) figures["databases"][each.file] = each.bytes;
                   return state::RunOutcome::kOk;
                 });
  return made;
}

std::vector<Backup> ListBackups(const fs::path& directory, Os& os) {
  std::vector<Backup> backups;
  if (!IsDirectory(directory, os)) return backups;
  for (const fs::path& folder : os.List(directory)) {
    if (!IsBackupName(folder.filename().string())) continue;
    try {
      backups.push_back(ReadManifest(folder, os).first);
    } catch (const Error&) {
      // Not made by this program, or spoiled since: nothing to count on.
    }
  }
  std::sort(backups.begin(), backups.end(), [](const Backup& a, const Backup& b) { return a.folder < b.folder; });
  return backups;
}

Backup VerifyBackup(const fs::path& folder, Os& os) {
  const std::pair<Backup, int> manifest_read = ReadManifest(folder, os);
  const Backup& backup = manifest_read.first;
  const int format = manifest_read.second;
  std::map<std::string, std::string> sums;
  if (format > 1) {
    sums = ReadSums(folder, os);
    const fs::path manifest = folder / kManifest;
    RequireSame(manifest, {kManifest, 0, FileSize(manifest, os), sums[kManifest]}, FileSha256(manifest), os);
  }
  const auto check = [&](const BackedUpFile& each) {
    const fs::path copy = folder / each.file;
    if (!Exists(copy, os)) throw Error(ErrorKind::kBadInput, kStage, copy.string(), "is missing from its backup");
    RequireSame(copy, each, format > 1 ? FileSha256(copy) : ProductChecksum(copy, 1, os), os);
    if (format > 1 && sums[each.file] != each.sha256) {
      throw Error(ErrorKind::kBadInput, kStage, (folder / kSums).string(),
                  fmt::format("expected the checksum {} of {}, found '{}'", each.sha256, each.file, sums[each.file]));
    }
    return copy;
  };
  for (const BackedUpFile& each : backup.files) check(each);
  for (const BackedUpFile& each : backup.databases) {
    const fs::path copy = check(each);
    if (const int version = CheckCopy(copy); version != each.version) {
      throw Error(ErrorKind::kBadInput, kStage, copy.string(),
                  fmt::format("expected schema version {}, found {}", each.version, version));
    }
  }
  return backup;
}

std::vector<std::string> PruneBackups(const fs::path& directory, double keep_days, double now, Os& os) {
  std::vector<std::string> removed;
  const std::vector<Backup> backups = ListBackups(directory, os);
  for (std::size_t i = 0; i < backups.size(); ++i) {
    if (!MayBackupGo(backups.size() - 1 - i, backups[i].made_at, keep_days, now)) continue;
    // Out of sight first: half of a backup never has a backup's name.
    const Unfinished going(backups[i].folder, os);
    os.Rename(backups[i].folder, going.path());
    os.SyncDirectory(directory);
    os.RemoveAll(going.path());
    removed.push_back(backups[i].folder.filename().string());
  }
  return removed;
}

}  // namespace contimg::ops
