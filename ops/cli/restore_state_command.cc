// `contimg restore-state`: the databases of a backup take the place of those in the state directory.
#include <fmt/format.h>

#include <exception>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "config/os.h"
#include "config/product_paths.h"
#include "config/text.h"
#include "config/time.h"
#include "ops/base/instance_lock.h"
#include "ops/base/stop_signals.h"
#include "ops/base/words.h"
#include "ops/cli/commands.h"
#include "ops/cli/program_options.h"
#include "ops/records/maintenance_run.h"
#include "ops/upkeep/restore_state.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

struct RestoreStateArgs {
  std::string backup;
  std::string from;
  std::vector<std::string> databases;
  bool apply = false, json = false;
};

ordered_json ToJson(const RestorePlan& plan, const fs::path& state, bool apply) {
  ordered_json files = ordered_json::array();
  for (const RestoredFile& each : plan.files) {
    files.push_back({{"file", each.file},
                     {"bytes", each.bytes},
                     {"version", each.version},
                     {"kept_as", each.replaces ? ordered_json(each.kept_as) : ordered_json()}});
  }
  return {{"dry_run", !apply},
          {"backup", plan.backup.folder.string()},
          {"made_at", UtcTime::FromUnix(plan.backup.made_at).Stamp()},
          {"state", state.string()},
          {"files", std::move(files)},
          {"left", plan.left}};
}

void Print(const RestorePlan& plan, const fs::path& state, bool apply) {
  fmt::print("{} of {}, made by contimg {}\n", Printable(plan.backup.folder.string()),
             UtcTime::FromUnix(plan.backup.made_at).Stamp(), plan.backup.program_version);
  for (const RestoredFile& each : plan.files) {
    fmt::print("{:<24}  {:>9}  {}\n", each.file, Bytes(static_cast<double>(each.bytes)),
               each.replaces ? "the present one is kept as " + each.kept_as : "there is none now");
  }
  for (const std::string& file : plan.left) fmt::print("{:<24}  {:>9}  stays as it is\n", file, "");
  if (apply) {
    fmt::print("put back into {}. Now start the service: it compares the records with the tree\n",
               Printable(state.string()));
  } else {
    fmt::print("Nothing was changed; --apply does it.\n");
  }
}

// One row, in the database that is there afterwards.
void Record(const ProductPaths& paths, const ordered_json& figures, const std::exception_ptr& failure) {
  const fs::path operations = paths.Database(StateDatabase::kOperations);
  RunMaintenance({operations, "restore_state", MaintenanceActor(), false}, RunContext{},
                 [&](const RunContext&, ordered_json& written) {
                   written = figures;
                   if (failure) std::rethrow_exception(failure);
                   return state::RunOutcome::kOk;
                 });
}

void Run(const RestoreStateArgs& args) {
  const Settings settings = CurrentSettings().values;
  const ProductPaths paths(Roots(settings));
  const fs::path& state = paths.roots().state;
  if (state.empty()) paths.Database(StateDatabase::kIngest);  // says which setting is missing
  Os& os = RealOs();
  const auto reporter = MakeConsoleReporter();
  RunContext context;
  context.reporter = reporter.get();
  context.cancelled = &StopOnSignals();

  std::optional<InstanceLock> lock;
  if (args.apply) {
    os.CreateDirectories(state);
    lock.emplace(state);
    if (const auto unfinished = UnfinishedRestore(state, os)) {
      const std::vector<std::string> finished = FinishRestore(state, os);
      reporter->Info("restore", fmt::format("{}: finished; {} took their places", unfinished->string(),
                                            Counted(static_cast<std::int64_t>(finished.size()), "database")));
      if (args.backup.empty()) return;
    }
  } else if (const InstanceInfo running = FindInstance(state); running.pid != 0) {
    reporter->Warn("restore",
                   fmt::format("contimg-stream (process {}) works on this state: stop it before --apply", running.pid));
  }
  if (args.backup.empty()) {
    throw Error(ErrorKind::kUsage, "restore", "", "expected the name or day of a backup, 'latest', or its directory");
  }
  RestoreStateRequest request;
  request.folder =
      FindBackup(args.from.empty() ? BackupDirectory(settings, paths) : Absolute(fs::path(args.from)), args.backup, os);
  request.state = state;
  request.databases = args.databases;
  request.stamp = BackupName(UtcTime::Now().Iso8601());
  const RestorePlan plan = PlanRestore(request, os);
  const ordered_json figures = ToJson(plan, state, args.apply);
  if (args.apply) {
    std::exception_ptr failure;
    try {
      RestoreState(request, plan, context);
    } catch (...) {
      failure = std::current_exception();
    }
    Record(paths, figures, failure);
  }
  if (args.json) {
    fmt::print("{}\n", figures.dump(2));
  } else {
    Print(plan, state, args.apply);
  }
}

}  // namespace

void AddRestoreStateCommand(CLI::App& app) {
  auto args = std::make_shared<RestoreStateArgs>();
  CLI::App* command =
      app.add_subcommand("restore-state", "Put the databases of a backup in the place of the present ones");
  command->add_option("backup", args->backup, "name or day of a backup, 'latest', or its directory (with a slash)");
  command->add_option("--from", args->from, "directory of the backups (default: backup.dir)")->type_name("DIR");
  command->add_option("--database", args->databases, "only this one (may be repeated): ingest, products…")
      ->type_name("NAME");
  command->add_flag("--apply", args->apply, "do it; otherwise it is only shown");
  command->add_flag("--json", args->json, "one JSON object");
  command->callback([args] { Run(*args); });
}

}  // namespace contimg::ops
