// `contimg backup`: copies of the databases, now and by hand; what the service does by itself every backup.every_h.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "config/os.h"
#include "config/product_paths.h"
#include "config/text.h"
#include "config/time.h"
#include "ops/archive/archiver.h"
#include "ops/base/stop_signals.h"
#include "ops/cli/archive_runs.h"
#include "ops/cli/commands.h"
#include "ops/cli/program_options.h"
#include "ops/cli/setting_options.h"
#include "ops/records/maintenance_run.h"
#include "ops/upkeep/backup.h"
#include "ops/upkeep/backup_shipping.h"
#include "state/archive_store.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

struct BackupArgs {
  std::string to;
  double keep_days = -1;
  double unless_newer_h = 0;
  std::vector<std::string> names;
  std::string remote;  // empty: backup.remote, or none
  bool json = false;
};

ordered_json ToJson(const Backup& backup) {
  ordered_json databases = ordered_json::array(), files = ordered_json::array();
  for (const BackedUpFile& each : backup.databases) {
    databases.push_back(
        {{"file", each.file}, {"version", each.version}, {"bytes", each.bytes}, {"sha256", each.sha256}});
  }
  for (const BackedUpFile& each : backup.files) {
    files.push_back({{"file", each.file}, {"bytes", each.bytes}, {"sha256", each.sha256}});
  }
  return {{"folder", backup.folder.string()},          {"made_at", UtcTime::FromUnix(backup.made_at).Stamp()},
          {"program_version", backup.program_version}, {"bytes", backup.bytes()},
          {"databases", std::move(databases)},         {"files", std::move(files)}};
}

void Print(const std::vector<Backup>& backups, bool json, const char* what) {
  if (json) {
    ordered_json all = ordered_json::array();
    for (const Backup& backup : backups) all.push_back(ToJson(backup));
    fmt::print("{}\n", all.dump(2));
    return;
  }
  for (const Backup& backup : backups) {
    fmt::print("{}{}  {}, {:.1f} MB\n", what, Printable(backup.folder.string()),
               Counted(static_cast<std::int64_t>(backup.databases.size()), "database"),
               static_cast<double>(backup.bytes()) * 1e-6);
  }
}

fs::path DirectoryOf(const BackupArgs& args, const LoadedSettings& settings) {
  return args.to.empty() ? BackupDirectory(settings.values, ProductPaths(Roots(settings.values)))
                         : Absolute(fs::path(args.to));
}

// A name that no backup has: names tell seconds, and what is made now is never one that was there already.
std::string NewName(const fs::path& directory, const RunContext& context) {
  for (;;) {
    const double now = UtcTime::Now().unix_s();
    const std::string name = BackupName(UtcTime::FromUnix(now).Iso8601());
    if (!Exists(directory / name, RealOs())) return name;
    context.CheckCancelled("backup");
    std::this_thread::sleep_for(std::chrono::duration<double>(std::floor(now) + 1 - now));
  }
}

// The same, made when it is the one within the state, which is nobody's disk.
fs::path DirectoryToWrite(const BackupArgs& args, const LoadedSettings& settings) {
  fs::path directory = DirectoryOf(args, settings);
  if (args.to.empty() && settings.values.backup.dir.empty() && IsDirectory(directory.parent_path(), RealOs())) {
    RealOs().CreateDirectories(directory);
  }
  return directory;
}

std::string RemoteName(const BackupArgs& args, const LoadedSettings& settings) {
  return args.remote.empty() ? settings.values.backup.remote : args.remote;
}

Remote RemoteOf(const std::string& name, const Settings& settings, const RunContext& context) {
  return FindRemote(OpenRemotes(settings, context.cancelled), name);
}

// On record as a run of its own: a backup that is made and not shipped is a backup.
void Ship(const BackupArgs& args, const LoadedSettings& settings, const ProductPaths& paths, const std::string& made,
          const RunContext& context) {
  const std::string name = RemoteName(args, settings);
  if (name.empty()) return;
  const Remote remote = RemoteOf(name, settings.values, context);
  ShippingOptions shipping;
  shipping.owner = PartOwner(paths);
  shipping.verified = made;
  shipping.keep_days = settings.values.backup.remote_keep_days;
  shipping.now = UtcTime::Now().unix_s();
  std::vector<std::string> shipped, removed;
  RunMaintenance({paths.Database(StateDatabase::kOperations), "backup_shipping", MaintenanceActor(), false}, context,
                 [&](const RunContext& inner, ordered_json& figures) {
                   figures["remote"] = name;
                   ArchiveDatabases databases(paths, false);
                   state::ArchiveStore archives(databases.products.database());
                   shipping.in_use = HoldsCopies(archives, remote);
                   shipped = ShipBackups(remote, DirectoryOf(args, settings), shipping, inner);
                   figures["backups"] = shipped;
                   removed = PruneBackupsAt(remote, shipping, shipped, inner);
                   if (!removed.empty()) figures["removed"] = removed;
                   return state::RunOutcome::kOk;
                 });
  if (args.json) return;
  for (const std::string& each : shipped) fmt::print("shipped  {}  to {}\n", each, Printable(name));
  for (const std::string& each : removed) fmt::print("removed  {}  at {}\n", each, Printable(name));
}

void Make(const BackupArgs& args) {
  const LoadedSettings settings = CurrentSettings();
  const ProductPaths paths(Roots(settings.values));
  const auto reporter = MakeConsoleReporter();
  RunContext context;
  context.reporter = reporter.get();
  context.cancelled = &StopOnSignals();
  BackupRequest request = BackupOf(settings.values, paths);
  request.directory = DirectoryToWrite(args, settings);
  if (args.keep_days >= 0) request.keep_days = args.keep_days;
  // A configuration file goes along as it is: comments and all.
  if (settings.file) request.texts.emplace_back("contimg.toml", RealOs().ReadFile(*settings.file));
  if (args.unless_newer_h > 0) {
    const std::vector<Backup> there = ListBackups(request.directory, RealOs());
    // One of a time to come was made while the clock was ahead.
    const double now = UtcTime::Now().unix_s();
    const auto newer = std::find_if(there.rbegin(), there.rend(), [&](const Backup& each) {
      return std::abs(now - each.made_at) < args.unless_newer_h * kSecondsPerHour;
    });
    if (newer != there.rend()) {
      Print({*newer}, args.json, "there is one  ");
      return Ship(args, settings, paths, "", context);
    }
  }
  if (const std::string name = RemoteName(args, settings); !name.empty())
    (void)RemoteOf(name, settings.values, context);
  request.name = NewName(request.directory, context);
  Print({MakeRecordedBackup(request, paths.Database(StateDatabase::kOperations), MaintenanceActor(), context)},
        args.json, "");
  Ship(args, settings, paths, request.name, context);
}

// From a remote into backup.dir, where restore-state finds it.
void Fetch(const BackupArgs& args) {
  const LoadedSettings settings = CurrentSettings();
  const auto reporter = MakeConsoleReporter();
  RunContext context;
  context.reporter = reporter.get();
  context.cancelled = &StopOnSignals();
  const std::string name = RemoteName(args, settings);
  if (name.empty()) throw Error(ErrorKind::kUsage, "backup", "backup.remote", "is not set: say --remote NAME");
  const Remote remote = RemoteOf(name, settings.values, context);
  Print({FetchBackup(remote, args.names.empty() ? "latest" : args.names.front(), DirectoryToWrite(args, settings),
                     context)},
        args.json, "fetched  ");
}

void List(const BackupArgs& args) {
  if (!args.remote.empty()) {
    const LoadedSettings settings = CurrentSettings();
    RunContext context;
    context.cancelled = &StopOnSignals();
    const std::vector<std::string> names = BackupsAt(RemoteOf(args.remote, settings.values, context));
    if (args.json) return PrintJsonObject(names);
    for (const std::string& name : names) fmt::print("{}\n", name);
    if (names.empty()) fmt::print("no backups at {} yet\n", Printable(args.remote));
    return;
  }
  const std::vector<Backup> backups = ListBackups(DirectoryOf(args, CurrentSettings()), RealOs());
  Print(backups, args.json, "");
  if (backups.empty() && !args.json) fmt::print("no backups yet (contimg backup makes one)\n");
}

void Verify(const BackupArgs& args) {
  const fs::path directory = DirectoryOf(args, CurrentSettings());
  std::vector<fs::path> folders;
  for (const std::string& name : args.names) {
    folders.push_back(name.find('/') == std::string::npos ? directory / name : Absolute(fs::path(name)));
  }
  if (folders.empty()) {
    const std::vector<Backup> backups = ListBackups(directory, RealOs());
    if (backups.empty())
      throw Error(ErrorKind::kBadInput, "backup", directory.string(), "expected a backup, found none");
    folders.push_back(backups.back().folder);
  }
  std::vector<Backup> good;
  for (const fs::path& folder : folders) good.push_back(VerifyBackup(folder, RealOs()));
  Print(good, args.json, "good  ");
}

void Prune(const BackupArgs& args) {
  const LoadedSettings settings = CurrentSettings();
  const double keep_days = args.keep_days >= 0 ? args.keep_days : settings.values.backup.keep_days;
  const auto removed = PruneBackups(DirectoryOf(args, settings), keep_days, UtcTime::Now().unix_s(), RealOs());
  fmt::print("{} older than {:g} days removed\n", Counted(static_cast<std::int64_t>(removed.size()), "backup"),
             keep_days);
}

}  // namespace

void AddBackupCommand(CLI::App& app) {
  auto args = std::make_shared<BackupArgs>();
  CLI::App* backup = app.add_subcommand("backup", "Copy the databases, while they are in use, and check the copies");
  const auto common = [args](CLI::App* command, bool json) {
    command->add_option("--to", args->to, "directory of the backups (default: backup.dir)")->type_name("DIR");
    if (json) command->add_flag("--json", args->json, "one JSON array");
  };
  const auto keep = [args](CLI::App* command) {
    command->add_option("--keep-days", args->keep_days, "remove older ones, but for the newest three (0: none)")
        ->check(Between(0.0, 36500.0));
  };
  common(backup, true);
  keep(backup);
  backup->add_option("--unless-newer", args->unless_newer_h, "make none while the newest is younger (h)")
      ->check(Between(0.0, 8760.0))
      ->type_name("HOURS");
  const auto remote = [args](CLI::App* command, const char* help) {
    command->add_option("--remote", args->remote, help)->type_name("NAME");
  };
  remote(backup, "take it there besides, a name in archive.remotes (default: backup.remote)");
  CLI::App* list = backup->add_subcommand("list", "Whole backups, oldest first");
  common(list, true);
  remote(list, "those there, a name in archive.remotes");
  CLI::App* fetch = backup->add_subcommand("fetch", "Bring a backup back from a remote and check it");
  fetch->add_option("backup", args->names, "its name (default: the newest)")->expected(0, 1);
  common(fetch, true);
  remote(fetch, "from there, a name in archive.remotes (default: backup.remote)");
  CLI::App* verify = backup->add_subcommand("verify", "Read backups again: checksums, pages, references");
  verify->add_option("backup", args->names, "names or folders (default: the newest)");
  common(verify, true);
  CLI::App* prune = backup->add_subcommand("prune", "Remove old backups");
  common(prune, false);
  keep(prune);
  backup->require_subcommand(0, 1);
  list->callback([args] { List(*args); });
  fetch->callback([args] { Fetch(*args); });
  verify->callback([args] { Verify(*args); });
  prune->callback([args] { Prune(*args); });
  backup->callback([args, backup] {
    if (backup->get_subcommands().empty()) Make(*args);
  });
}

}  // namespace contimg::ops
