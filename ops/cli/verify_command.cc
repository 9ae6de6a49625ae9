// `contimg verify`: products and archived objects are read again and compared with the record.
#include <fmt/format.h>

#include <memory>
#include <string>
#include <vector>

#include "config/os.h"
#include "config/text.h"
#include "config/time.h"
#include "ops/archive/verify.h"
#include "ops/base/stop_signals.h"
#include "ops/base/words.h"
#include "ops/cli/archive_runs.h"
#include "ops/cli/commands.h"
#include "ops/cli/program_options.h"
#include "ops/cli/setting_options.h"
#include "ops/records/maintenance_run.h"

namespace contimg::ops {
namespace {

using nlohmann::ordered_json;

void ShowFailed(const ProductPaths& paths, bool as_json) {
  const std::filesystem::path file = paths.Database(StateDatabase::kOperations);
  std::vector<state::IntegrityFinding> open;
  if (Exists(file)) open = state::MaintenanceStore(file, state::DatabaseOptions::ForOneLook()).OpenFindings();
  if (as_json) {
    ordered_json all = ordered_json::array();
    for (const state::IntegrityFinding& each : open) {
      all.push_back({{"id", each.id},
                     {"at", UtcTime::FromUnix(each.at).Stamp()},
                     {"place", each.place},
                     {"subject", each.subject},
                     {"detail", each.detail}});
    }
    return PrintJsonObject({{"findings", std::move(all)}});
  }
  for (const state::IntegrityFinding& each : open) {
    fmt::print("{}  {:<8} {}: {}\n", UtcTime::FromUnix(each.at).Stamp(), each.place, Printable(each.subject),
               Printable(each.detail));
  }
  if (open.empty()) fmt::print("no damage is known\n");
}

ordered_json ResultJson(const VerifyResult& result) {
  return {{"checked", result.n_checked},
          {"bytes", result.bytes_checked},
          {"damaged", result.n_damaged},
          {"unreachable", result.n_unreachable},
          {"findings", result.damaged}};
}

void PrintResult(const char* what, const VerifyResult& result) {
  fmt::print("{} read again: {}, {} damaged{}\n", Counted(result.n_checked, what),
             Bytes(static_cast<double>(result.bytes_checked)), result.n_damaged,
             result.n_unreachable > 0 ? fmt::format(", {} could not be reached", result.n_unreachable) : "");
}

}  // namespace

void RunVerify(const VerifyArgs& args) {
  const Settings settings = CurrentSettings().values;
  const ProductPaths paths(Roots(settings));
  if (args.failed) return ShowFailed(paths, args.json);
  const bool both = !args.local && !args.archive;
  const bool archive = args.archive || (both && !RemotesOf(settings.archive).empty());
  const double share = args.share > 0 ? args.share : settings.integrity.share;
  const auto reporter = MakeConsoleReporter();
  RunContext context;
  context.reporter = reporter.get();
  context.cancelled = &StopOnSignals();
  VerifyResult local, remote;
  ordered_json figures = ordered_json::object();
  RunMaintenance({paths.Database(StateDatabase::kOperations), "verify", MaintenanceActor(), false}, context,
                 [&](const RunContext& inner, ordered_json& written) {
                   ArchiveDatabases databases(paths, true);
                   state::MaintenanceStore findings(paths.Database(StateDatabase::kOperations));
                   if (args.local || both) {
                     local = VerifyProducts(databases.products, findings, share, inner);
                     figures["local"] = written["local"] = ResultJson(local);
                   }
                   if (archive) {
                     remote = VerifyArchives(databases.products, findings, OpenRemotes(settings, inner.cancelled),
                                             share, inner);
                     figures["archive"] = written["archive"] = ResultJson(remote);
                   }
                   const bool good = local.n_damaged + remote.n_damaged + remote.n_unreachable == 0;
                   return good ? state::RunOutcome::kOk : state::RunOutcome::kFailed;
                 });
  if (args.json) {
    PrintJsonObject(figures);
  } else {
    if (args.local || both) PrintResult("product", local);
    if (archive) PrintResult("archived object", remote);
  }
  std::vector<std::string> damaged = local.damaged;
  damaged.insert(damaged.end(), remote.damaged.begin(), remote.damaged.end());
  if (!damaged.empty()) {
    throw Error(ErrorKind::kBadInput, "verify", "",
                fmt::format("{} no longer what was recorded (contimg verify --failed lists them); the first: {}",
                            damaged.size() == 1 ? "1 is" : fmt::format("{} are", damaged.size()), damaged.front()));
  }
  if (remote.n_unreachable > 0) {
    throw Error(ErrorKind::kIo, "verify", "",
                fmt::format("{} could not be read again", Counted(remote.n_unreachable, "archived object")));
  }
}

void AddVerifyCommand(CLI::App& app) {
  auto args = std::make_shared<VerifyArgs>();
  CLI::App* verify =
      app.add_subcommand("verify", "read a share of products and archives again and compare with the record");
  verify->add_flag("--local", args->local, "products on disk");
  verify->add_flag("--archive", args->archive, "archived objects (both, unless one is named)");
  verify->add_option("--share", args->share, "the share, 1 for all (default: integrity.share)")
      ->check(Between(0.0001, 1.0));
  verify->add_flag("--failed", args->failed, "only list the damage that is known");
  verify->add_flag("--json", args->json, "one JSON object");
  verify->callback([args] { RunVerify(*args); });
}

}  // namespace contimg::ops
