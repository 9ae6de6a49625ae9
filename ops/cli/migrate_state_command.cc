// `contimg migrate state`: our databases from another directory, and what those of another installation know.
#include <fmt/format.h>

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
#include "ops/cli/migrate_command.h"
#include "ops/cli/program_options.h"
#include "ops/migration/foreign_state.h"
#include "ops/migration/own_state.h"
#include "ops/migration/stage_name.h"
#include "ops/records/maintenance_run.h"
#include "ops/upkeep/backup.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

struct StateArgs {
  std::string from;
  bool apply = false, json = false;
};

struct StateReport {
  fs::path from, state;
  std::vector<OwnDatabase> own;
  std::vector<ForeignTable> foreign;
};

std::int64_t Troubles(const StateReport& report) {
  std::int64_t n = 0;
  for (const ForeignTable& each : report.foreign) n += static_cast<std::int64_t>(each.troubles.size());
  return n;
}

ordered_json ToJson(const StateReport& report, bool apply) {
  ordered_json own = ordered_json::array(), foreign = ordered_json::array();
  for (const OwnDatabase& each : report.own) own.push_back({{"file", each.file}, {"bytes", each.bytes}});
  for (const ForeignTable& each : report.foreign) {
    foreign.push_back({{"database", each.database.string()},
                       {"table", each.table},
                       {"rows", each.rows},
                       {"taken", each.taken},
                       {"known", each.known},
                       {"troubles", each.troubles}});
  }
  return {{"dry_run", !apply},
          {"from", report.from.string()},
          {"state", report.state.string()},
          {"own", std::move(own)},
          {"foreign", std::move(foreign)}};
}

void Print(const StateReport& report, bool apply) {
  for (const OwnDatabase& each : report.own) {
    fmt::print("{:<24}  {:>9}  {} to {}; a link stays in its place\n", each.file,
               Bytes(static_cast<double>(each.bytes)), apply ? "went" : "would go", Printable(report.state.string()));
  }
  for (const ForeignTable& each : report.foreign) {
    fmt::print("{}, {}: {}, of {} {} records, {} nothing to do\n", Printable(each.database.filename().string()),
               each.table, Counted(each.rows, "row"), each.taken, apply ? "became" : "would become", each.known);
    for (const std::string& trouble : each.troubles) fmt::print("trouble  {}\n", Printable(trouble));
  }
  if (report.own.empty() && report.foreign.empty()) fmt::print("nothing to do\n");
  if (!apply) fmt::print("Nothing was changed; --apply does it.\n");
}

// The databases are not there before ours have come; then the run goes on record in them.
void TakeOwn(StateReport& report, const RunContext& context) {
  const InstanceLock there(report.from);
  TakeOwnState(report.from, report.state, BackupName(UtcTime::Now().Iso8601()), context);
}

void Run(const StateArgs& args) {
  const Settings settings = CurrentSettings().values;
  const ProductPaths paths(Roots(settings));
  paths.Database(StateDatabase::kIngest);  // says which setting is missing
  Os& os = RealOs();
  StateReport report;
  report.from = Absolute(fs::path(args.from) / "").parent_path();
  report.state = Absolute(paths.roots().state);
  if (!IsDirectory(report.from, os)) {
    throw Error(ErrorKind::kUsage, kMigrateStage, report.from.string(), "expected a directory, found none");
  }
  if (const FileStatus one = os.Status(report.from), other = os.Status(report.state);
      one.device == other.device && one.inode == other.inode) {
    throw Error(ErrorKind::kUsage, kMigrateStage, report.from.string(),
                "is the state directory itself (CONTIMG_STATE_DIR)");
  }
  const auto reporter = MakeConsoleReporter();
  RunContext context;
  context.reporter = reporter.get();
  context.cancelled = &StopOnSignals();
  const std::vector<fs::path> databases = FindForeignDatabases(report.from, os);
  if (args.apply) {
    os.CreateDirectories(report.state);
    const InstanceLock here(report.state);
    const MaintenanceLock lock(report.state, kMigrateStage);
    report.own = FindOwnState(report.from, report.state, os);
    if (OwnStateWaits(report.from, report.state, os)) TakeOwn(report, context);
    RunMaintenance({paths.Database(StateDatabase::kOperations), kMigrateStage, MaintenanceActor(), false}, context,
                   [&](const RunContext& inner, ordered_json& figures) {
                     report.foreign = TakeForeignState(databases, paths, true, inner, UtcTime::Now().unix_s());
                     figures = ToJson(report, true);
                     return Troubles(report) == 0 ? state::RunOutcome::kOk : state::RunOutcome::kFailed;
                   });
  } else {
    report.own = FindOwnState(report.from, report.state, os);
    report.foreign = TakeForeignState(databases, paths, false, context, UtcTime::Now().unix_s());
    for (const fs::path& state : {report.from, report.state}) {
      if (const InstanceInfo running = FindInstance(state); running.pid != 0) {
        reporter->Warn(kMigrateStage, fmt::format("contimg-stream (process {}) works on {}: stop it before --apply",
                                                  running.pid, state.string()));
      }
    }
  }
  if (args.json) {
    fmt::print("{}\n", ToJson(report, args.apply).dump(2, ' ', false, ordered_json::error_handler_t::replace));
  } else {
    Print(report, args.apply);
  }
  if (const std::int64_t n = Troubles(report); n > 0) {
    throw Error(ErrorKind::kIo, kMigrateStage, report.from.string(),
                fmt::format("{} named above", Counted(n, "trouble")));
  }
}

}  // namespace

void AddMigrateState(CLI::App& migrate) {
  auto args = std::make_shared<StateArgs>();
  CLI::App* state = migrate.add_subcommand(
      "state",
      "Our databases from another directory, and what those of dsa110-contimg know; with --apply they are taken");
  state->add_option("--from", args->from, "the directory with the databases")->type_name("DIR")->required();
  state->add_flag("--apply", args->apply, "do it; otherwise it is only shown");
  state->add_flag("--json", args->json, "one JSON object");
  state->callback([args] { Run(*args); });
}

}  // namespace contimg::ops
