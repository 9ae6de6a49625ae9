// `contimg cleanup`: what may leave the disk by policy; with --apply it leaves.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/os.h"
#include "config/text.h"
#include "config/time.h"
#include "ops/base/stop_signals.h"
#include "ops/cli/archive_runs.h"
#include "ops/cli/commands.h"
#include "ops/cli/program_options.h"
#include "ops/cli/setting_options.h"
#include "ops/records/maintenance_run.h"
#include "ops/retention/cleanup.h"

namespace contimg::ops {
namespace {

using nlohmann::ordered_json;

struct CleanupArgs {
  std::vector<std::string> classes;
  double incoming_days = -1, science_ms_days = -1, image_days = -1, min_free_gb = -1, max_age_days = -1;
  std::int64_t limit = 0;
  bool apply = false, force = false, json = false;
  std::string explain;
};

CleanupRequest RequestOf(const CleanupArgs& args) {
  const Settings settings = CurrentSettings().values;
  CleanupRequest request{
      ProductPaths(Roots(settings)), PolicyOf(settings), {}, args.apply, args.force, MaintenanceActor()};
  RetentionPolicy& policy = request.policy;
  if (args.incoming_days >= 0) policy.classes["incoming"].days = args.incoming_days;
  if (args.science_ms_days >= 0) policy.classes["science_ms"].days = args.science_ms_days;
  if (args.image_days >= 0) policy.classes["images"].days = args.image_days;
  if (args.max_age_days >= 0) {
    for (const std::string& name : args.classes) policy.classes[name].days = args.max_age_days;
  }
  if (args.min_free_gb >= 0) policy.min_free_bytes = static_cast<std::uint64_t>(args.min_free_gb * 1e9);
  request.selection.classes = args.classes;
  request.selection.limit = args.limit;
  return request;
}

void ExplainOne(const CleanupArgs& args, const CleanupRequest& request) {
  ArchiveDatabases databases(request.paths, false);
  const Inventory inventory =
      TakeInventory(request.paths, databases.products, databases.groups_or_null(), AllHeldClasses(), RealOs());
  CleanupSelection selection = request.selection;
  selection.free_bytes = RealOs().Space(request.paths.roots().scratch).free_bytes;
  const std::string subject =
      args.explain.find('/') == std::string::npos ? args.explain : Absolute(args.explain).string();
  const std::vector<std::string> said = Explain(inventory, request.policy, selection, subject, UtcTime::Now().unix_s());
  if (said.empty()) {
    throw Error(ErrorKind::kUsage, "cleanup", args.explain, "is no product, and nothing that a cleanup looks at");
  }
  if (args.json) return PrintJsonObject(ordered_json{{"subject", args.explain}, {"sentences", said}});
  for (const std::string& sentence : said) fmt::print("{}\n", Printable(sentence));
}

void RunCleanupCommand(const CleanupArgs& args) {
  const CleanupRequest request = RequestOf(args);
  if (!args.explain.empty()) return ExplainOne(args, request);
  const auto reporter = MakeConsoleReporter();
  RunContext context;
  context.reporter = reporter.get();
  context.cancelled = &StopOnSignals();
  CleanupOutcome outcome;
  std::optional<MaintenanceLock> lock;
  if (args.apply) lock.emplace(request.paths.roots().state, "cleanup");
  ArchiveDatabases databases(request.paths, args.apply);
  const auto work = [&](const RunContext& inner) {
    outcome = RunCleanup(request, databases.products, databases.groups_or_null(), inner);
  };
  if (args.apply) {
    RunMaintenance({request.paths.Database(StateDatabase::kOperations), "cleanup", request.actor, false}, context,
                   [&](const RunContext& inner, ordered_json& figures) {
                     work(inner);
                     figures = CleanupFigures(outcome);
                     return OutcomeOf(outcome);
                   });
  } else {
    work(context);
  }
  if (args.json) {
    PrintJsonObject(CleanupJson(outcome, request, UtcTime::Now().unix_s()));
  } else {
    fmt::print("{}", CleanupTable(outcome, args.apply && outcome.refused.empty()));
  }
  if (const std::string trouble = TroubleOf(outcome); !trouble.empty()) {
    throw Error(ErrorKind::kResource, "cleanup", "", trouble);
  }
}

}  // namespace

void AddCleanupCommand(CLI::App& app) {
  auto args = std::make_shared<CleanupArgs>();
  CLI::App* cleanup =
      app.add_subcommand("cleanup", "what may leave the disk by policy (retention.*); with --apply it leaves");
  const auto days = [&](const char* name, double& value, const char* help) {
    cleanup->add_option(name, value, help)->type_name("N")->check(Between(0.0, 36500.0));
  };
  cleanup->add_option("--class", args->classes, "only these classes (may be repeated)")
      ->check(CLI::IsMember(AllHeldClasses()));
  days("--incoming-retention-days", args->incoming_days, "instead of retention.incoming_days");
  days("--science-ms-retention-days", args->science_ms_days, "instead of retention.science_ms_days");
  days("--image-retention-days", args->image_days, "instead of retention.images_days");
  cleanup
      ->add_option("--min-free-gb", args->min_free_gb,
                   "instead of retention.min_free_bytes: so much is to be free, 1e9 bytes")
      ->type_name("N")
      ->check(Between(0.0, 1e6));
  days("--max-age-days", args->max_age_days, "of the classes that --class names, instead of their settings");
  cleanup->add_option("--limit", args->limit, "at most so many items")->check(CLI::PositiveNumber);
  cleanup->add_flag("--apply", args->apply, "do it; otherwise it is only shown");
  cleanup->add_flag("--force", args->force, "past the guards of the clock and of retention.max_share");
  cleanup->add_option("--explain", args->explain, "why this product (its number or path) stays or leaves")
      ->type_name("ID|PATH")
      ->excludes("--apply");
  cleanup->add_flag("--json", args->json, "one JSON object");
  cleanup->callback([args] {
    if (args->max_age_days >= 0 && args->classes.empty()) {
      throw Error(ErrorKind::kUsage, "cleanup", "--max-age-days", "expected --class with it: the age of what?");
    }
    RunCleanupCommand(*args);
  });
}

}  // namespace contimg::ops
