#include "ops/upkeep/restore_state.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "config/text.h"
#include "config/time.h"
#include "config/unfinished.h"
#include "ops/base/sha256.h"
#include "ops/job/tree_marker.h"
#include "state/database.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;

constexpr const char* kRestoreStage = "restore";
constexpr std::string_view kFolder = "restore-";
constexpr std::string_view kDatabase = ".sqlite3";

std::string Aside(const std::string& file, std::string_view stamp) { return fmt::format("{}.before-{}", file, stamp); }

bool IsOneOf(const std::string& file, const std::vector<std::string>& names) {
  return std::any_of(names.begin(), names.end(),
                     [&](const std::string& name) { return file == name || file == name + std::string(kDatabase); });
}

// Moves `from`, if it is there, out of the way. What has the name already went by an earlier run; `from` was made
// since.
void MoveAside(const fs::path& from, fs::path to, Os& os) {
  if (!Exists(from, os)) return;
  while (Exists(to, os)) to += ".again";
  os.RenameNew(from, to);
}

}  // namespace

RestorePlan PlanRestore(const RestoreStateRequest& request, Os& os) {
  RestorePlan plan;
  plan.backup = VerifyBackup(request.folder, os);
  for (const std::string& name : request.databases) {
    const auto& all = plan.backup.databases;
    if (std::any_of(all.begin(), all.end(), [&](const BackedUpFile& each) { return IsOneOf(each.file, {name}); })) {
      continue;
    }
    std::vector<std::string> names;
    for (const BackedUpFile& each : all) names.push_back(fs::path(each.file).stem().string());
    throw Error(ErrorKind::kUsage, kRestoreStage, request.folder.string(),
                fmt::format("has no database '{}': it has {}", name, fmt::join(names, ", ")));
  }
  std::uint64_t bytes = 0;
  for (const BackedUpFile& each : plan.backup.databases) {
    if (!request.databases.empty() && !IsOneOf(each.file, request.databases)) continue;
    RestoredFile file{each.file, each.bytes, each.version, Exists(request.state / each.file, os), ""};
    if (file.replaces) file.kept_as = Aside(each.file, request.stamp);
    bytes += each.bytes;
    plan.files.push_back(std::move(file));
  }
  if (IsDirectory(request.state, os)) {
    for (const fs::path& each : os.List(request.state)) {
      const std::string file = each.filename().string();
      const bool restored =
          std::any_of(plan.files.begin(), plan.files.end(), [&](const RestoredFile& one) { return one.file == file; });
      if (each.extension() == kDatabase && !restored) plan.left.push_back(file);
    }
    std::sort(plan.left.begin(), plan.left.end());
    CheckRoom(os, request.state, bytes, kRestoreStage, request.state.string());
  }
  return plan;
}

void RestoreState(const RestoreStateRequest& request, const RestorePlan& plan, const RunContext& context) {
  Os& os = OsOr(context.os);
  os.CreateDirectories(request.state);
  SweepUnfinished(request.state, os);
  const fs::path decided = request.state / (std::string(kFolder) + request.stamp);
  {
    const Unfinished unfinished(decided, os);
    os.CreateDirectories(unfinished.path());
    double n_done = 0;
    for (const BackedUpFile& each : plan.backup.databases) {
      const bool wanted = std::any_of(plan.files.begin(), plan.files.end(),
                                      [&](const RestoredFile& file) { return file.file == each.file; });
      if (!wanted) continue;
      context.CheckCancelled(kRestoreStage);
      const fs::path copy = unfinished.path() / each.file;
      os.CopyFile(request.folder / each.file, copy);
      // Read back: what takes the place of a database is what was checked.
      if (each.sha256.size() == 64 && FileSha256(copy) != each.sha256) {
        throw Error(ErrorKind::kIo, kRestoreStage, copy.string(), "was not read back as it was written");
      }
      context.reporter->Progress(kRestoreStage, 0.9 * ++n_done / static_cast<double>(plan.files.size()));
    }
    context.CheckCancelled(kRestoreStage);
    Publish(os, unfinished.path(), decided);
  }
  const std::vector<std::string> restored = FinishRestore(request.state, os);
  for (const std::string& file : restored) {
    state::Database database(request.state / file, SchemaOf(file));
    database.Check();
  }
  for (const BackedUpFile& each : plan.backup.files) {
    const fs::path identity = StateIdentityFile(request.state);
    if (each.file != identity.filename() || Exists(identity, os)) continue;
    WriteFileAtomically(os, identity, os.ReadFile(request.folder / each.file));
  }
  context.reporter->Progress(kRestoreStage, 1);
}

std::optional<fs::path> UnfinishedRestore(const fs::path& state, Os& os) {
  if (!IsDirectory(state, os)) return std::nullopt;
  std::optional<fs::path> found;
  for (const fs::path& each : os.List(state)) {
    const std::string name = each.filename().string();
    if (name.rfind(kFolder, 0) == 0 && IsDirectory(each, os) && (!found || each < *found)) found = each;
  }
  return found;
}

std::vector<std::string> FinishRestore(const fs::path& state, Os& os) {
  std::vector<std::string> restored;
  SweepUnfinished(state, os);  // the lock file of whoever was killed
  const std::optional<fs::path> folder = UnfinishedRestore(state, os);
  if (!folder) return restored;
  const std::string stamp = folder->filename().string().substr(kFolder.size());
  std::vector<fs::path> copies;
  for (const fs::path& each : os.List(*folder)) {
    if (each.extension() == kDatabase) copies.push_back(each);
  }
  std::sort(copies.begin(), copies.end());
  for (const fs::path& copy : copies) {
    const std::string file = copy.filename().string();
    const fs::path place = state / file;
    // The log never lies beside another database than its own: it goes first and comes to lie beside its own again.
    for (const char* part : {"-shm", "-wal", ""})
      MoveAside(place.string() + part, state / (Aside(file, stamp) + part), os);
    os.SyncDirectory(state);
    os.RenameNew(copy, place);
    os.SyncDirectory(state);
    restored.push_back(file);
  }
  os.RemoveAll(*folder);
  os.SyncDirectory(state);
  return restored;
}

void RequireNoUnfinishedRestore(const fs::path& state, Os& os) {
  const auto folder = UnfinishedRestore(state, os);
  if (!folder) return;
  throw Error(ErrorKind::kIo, kRestoreStage, folder->string(),
              "databases of a backup were about to take their places here when the restore was cut short; finish it: "
              "contimg restore-state --apply");
}

fs::path FindBackup(const fs::path& directory, const std::string& which, Os& os) {
  if (which.find('/') != std::string::npos || which == ".") return Absolute(fs::path(which));
  const std::vector<Backup> backups = ListBackups(directory, os);
  for (auto each = backups.rbegin(); each != backups.rend(); ++each) {
    const std::string name = each->folder.filename().string();
    if (which == "latest" && each->made_at > UtcTime::Now().unix_s() + kSecondsPerHour) {
      throw Error(ErrorKind::kUsage, kRestoreStage, each->folder.string(),
                  "is of a time to come, so which backup is the latest is not known: set the clock, or name one");
    }
    if (which == "latest" || name == which || (which.size() == 10 && name.compare(0, 10, which) == 0)) {
      return each->folder;
    }
  }
  // One that ListBackups does not take for whole is named so that its own fault is told.
  if (IsBackupName(which) && Exists(directory / which, os)) return directory / which;
  throw Error(
      ErrorKind::kUsage, kRestoreStage, which,
      fmt::format("expected the name or day of a backup in {} or a directory, found no such ({})", directory.string(),
                  backups.empty() ? "there is no backup"
                                  : fmt::format("the newest is {}", backups.back().folder.filename().string())));
}

}  // namespace contimg::ops
