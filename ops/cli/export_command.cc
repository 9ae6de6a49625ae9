// `contimg export`: what is on record, for others.
#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "config/os.h"
#include "config/product_paths.h"
#include "config/text.h"
#include "config/time.h"
#include "ops/archive/table_export.h"
#include "ops/base/stop_signals.h"
#include "ops/base/words.h"
#include "ops/cli/archive_runs.h"
#include "ops/cli/commands.h"
#include "ops/cli/program_options.h"
#include "ops/cli/setting_options.h"
#include "ops/job/tree_marker.h"
#include "ops/records/maintenance_run.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

struct TablesArgs {
  std::string to;
  double keep_days = 14;
  bool json = false;
};

ordered_json ToJson(const TableExport& made) {
  ordered_json tables = ordered_json::array();
  for (const ExportedTable& each : made.tables) {
    tables.push_back({{"file", each.file}, {"rows", each.rows}, {"bytes", each.bytes}});
  }
  return {{"folder", made.folder.string()},
          {"was_there", made.was_there},
          {"tables", std::move(tables)},
          {"removed", made.removed}};
}

void RunTables(const TablesArgs& args) {
  const ProductPaths paths(Roots(CurrentSettings().values));
  const fs::path& state = paths.roots().state;
  paths.Database(StateDatabase::kIngest);  // says which setting is missing
  // Nothing is made where a disk is not mounted.
  if (const auto identity = ReadStateIdentity(state); identity && args.to.empty()) {
    RequireTrees({identity->identity, identity->roots});
  }
  const ExportRequest request{paths, args.to.empty() ? paths.Archive("catalogs") : Absolute(fs::path(args.to)),
                              UtcTime::Now().Date(), args.keep_days};
  const auto reporter = MakeConsoleReporter();
  RunContext context;
  context.reporter = reporter.get();
  context.cancelled = &StopOnSignals();
  TableExport made;
  RunMaintenance({paths.Database(StateDatabase::kOperations), "export", MaintenanceActor(), false}, context,
                 [&](const RunContext& inner, ordered_json& figures) {
                   made = ExportTables(request, inner);
                   figures = ToJson(made);
                   return state::RunOutcome::kOk;
                 });
  if (args.json) return PrintJsonObject(ToJson(made));
  for (const ExportedTable& each : made.tables) {
    fmt::print("{:<24}  {:>9}  {}\n", each.file, Bytes(static_cast<double>(each.bytes)), Counted(each.rows, "row"));
  }
  fmt::print("{}{}\n", Printable(made.folder.string()), made.was_there ? ": that day's was there already" : "");
  for (const std::string& day : made.removed) fmt::print("removed: {}\n", day);
}

}  // namespace

void AddExportCommand(CLI::App& app) {
  CLI::App* command = app.add_subcommand("export", "What is on record, for other programs");
  command->require_subcommand(1);
  auto args = std::make_shared<TablesArgs>();
  CLI::App* tables = command->add_subcommand(
      "tables", "groups, products, calibration tables, measurements… as compressed CSV, a folder a day");
  tables->add_option("--to", args->to, "where the folders are made (default: <scratch>/archive/catalogs)")
      ->type_name("DIR");
  tables->add_option("--keep-days", args->keep_days, "remove folders of days that lie further back; 0: none")
      ->type_name("N")
      ->capture_default_str()
      ->check(Between(0.0, 36500.0));
  tables->add_flag("--json", args->json, "one JSON object");
  tables->callback([args] { RunTables(*args); });
}

}  // namespace contimg::ops
