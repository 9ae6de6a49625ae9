#include "ops/migration/own_state.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <optional>

#include "config/error.h"
#include "config/os.h"
#include "config/unfinished.h"
#include "ops/base/link_target.h"
#include "ops/job/tree_marker.h"
#include "ops/migration/stage_name.h"
#include "ops/migration/tree_stamp.h"
#include "ops/upkeep/backup.h"
#include "ops/upkeep/restore_state.h"
#include "state/database.h"
#include "state/raw_database.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::array<const char*, 5> kFiles{"ingest.sqlite3", "cal_registry.sqlite3", "products.sqlite3",
                                            "master_sources.sqlite3", "operations.sqlite3"};

// What is being done, and how far it is.
struct Intention {
  fs::path file, from;
  std::string stamp;
  std::vector<std::string> files;
  bool restored = false;  // the databases are in their places; links are still to be made
  bool ended = false;
};

fs::path Folder(const fs::path& state) { return state / "migrations"; }

void Write(const Intention& intention, Os& os) {
  const json object{{"format", 1},
                    {"from", intention.from.string()},
                    {"stamp", intention.stamp},
                    {"files", intention.files},
                    {"restored", intention.restored},
                    {"ended", intention.ended}};
  WriteFileAtomically(os, intention.file, object.dump(2) + "\n");
}

// The one about `from` that was cut short.
std::optional<Intention> FindIntention(const fs::path& from, const fs::path& state, Os& os) {
  if (!IsDirectory(Folder(state), os)) return std::nullopt;
  for (const fs::path& file : os.List(Folder(state))) {
    if (file.extension() != ".json" || file.filename().string().rfind("state-", 0) != 0) continue;
    const json object = json::parse(os.ReadFile(file), nullptr, false);
    if (!object.is_object() || object.value("format", 0) != 1) {
      throw Error(ErrorKind::kBadInput, kMigrateStage, file.string(), "is no record of a migration of a state");
    }
    Intention found{file,
                    fs::path(object.value("from", "")),
                    object.value("stamp", ""),
                    object.value("files", std::vector<std::string>{}),
                    object.value("restored", false),
                    object.value("ended", true)};
    if (found.from == from && !found.ended) return found;
  }
  return std::nullopt;
}

bool IsOwn(const fs::path& file, Os& os) { return IsFile(file, os) && !LinkTarget(file); }

void Link(const Intention& intention, const fs::path& state, Os& os) {
  for (const std::string& file : intention.files) {
    const fs::path old = intention.from / file, here = state / file;
    const fs::path aside = intention.from / fmt::format("{}.moved-{}", file, intention.stamp);
    if (IsOwn(old, os)) {
      struct stat status {};
      if (::stat(old.c_str(), &status) == 0) (void)!::chmod(here.c_str(), status.st_mode & 07777);
      // The log goes first: it never lies beside another database than its own.
      for (const char* part : {"-shm", "-wal", ""}) {
        if (IsTaken(old.string() + part)) os.RenameNew(old.string() + part, aside.string() + part);
      }
    }
    if (IsTaken(old) || !IsTaken(aside)) continue;
    if (::symlink(here.c_str(), old.c_str()) != 0) {
      throw SystemError(kMigrateStage, old.string(), "cannot make the link", errno);
    }
  }
  os.SyncDirectory(intention.from);
}

}  // namespace

std::vector<OwnDatabase> FindOwnState(const fs::path& from, const fs::path& state, Os& os) {
  const bool begun = FindIntention(from, state, os).has_value();
  std::vector<OwnDatabase> found;
  for (const char* file : kFiles) {
    if (!IsOwn(from / file, os)) continue;
    // That of a program that marks none is for foreign_state.h. Damaged ones, those of a newer version, and those that
    // another program has marked as its own are errors.
    if (state::RawDatabase(from / file).application_id() == 0) continue;
    const state::Database opened(from / file, SchemaOf(file), {.read_only = true, .any_version = true, .brief = true});
    if (!begun && IsTaken(state / file)) {
      throw Error(ErrorKind::kUsage, kMigrateStage, (state / file).string(),
                  fmt::format("is there already, and {} is not put in its place", (from / file).string()));
    }
    found.push_back({file, FileSize(from / file, os)});
  }
  return found;
}

bool OwnStateWaits(const fs::path& from, const fs::path& state, Os& os) {
  SweepUnfinished(Folder(state), os);
  return FindIntention(from, state, os) || !FindOwnState(from, state, os).empty();
}

void TakeOwnState(const fs::path& from, const fs::path& state, const std::string& stamp, const RunContext& context) {
  Os& os = OsOr(context.os);
  std::optional<Intention> intention = FindIntention(from, state, os);
  if (!intention) {
    os.CreateDirectories(Folder(state));
    intention = Intention{Folder(state) / fmt::format("state-{}.json", stamp), from, stamp, {}, false, false};
    for (const OwnDatabase& each : FindOwnState(from, state, os)) intention->files.push_back(each.file);
    Write(*intention, os);
  }
  const fs::path copies = Folder(state) / intention->stamp;
  if (!intention->restored) {
    BackupRequest backup;
    backup.directory = Folder(state);
    backup.name = intention->stamp;
    for (const std::string& file : intention->files) backup.databases.push_back(from / file);
    backup.files.push_back(StateIdentityFile(from));
    MakeBackup(backup, context);
    FinishRestore(state, os);  // of a run that was cut short
    const RestoreStateRequest restore{copies, state, {}, intention->stamp};
    const RestorePlan plan = PlanRestore(restore, os);
    // All take their places in one decision: one that is there came with the others.
    if (std::none_of(plan.files.begin(), plan.files.end(), [](const auto& each) { return each.replaces; })) {
      RestoreState(restore, plan, context);
    }
    const fs::path identity = StateIdentityFile(state), theirs = copies / identity.filename();
    if (!Exists(identity, os) && Exists(theirs, os)) WriteFileAtomically(os, identity, os.ReadFile(theirs));
    intention->restored = true;
    Write(*intention, os);
  }
  os.RemoveAll(copies);
  Link(*intention, state, os);
  intention->ended = true;
  Write(*intention, os);
}

}  // namespace contimg::ops
