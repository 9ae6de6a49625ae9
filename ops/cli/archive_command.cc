// `contimg archive`: verified copies of products at other places, and what is known of them.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "config/os.h"
#include "config/product_class.h"
#include "config/text.h"
#include "config/time.h"
#include "ops/archive/manifest.h"
#include "ops/archive/rebuild.h"
#include "ops/archive/verify.h"
#include "ops/base/host_name.h"
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
using state::ArchiveRow;
using state::RunOutcome;

struct ArchiveArgs {
  std::vector<std::string> classes, groups, remotes;
  double older_than_days = -1;
  int limit = 0;
  bool apply = false, json = false;
  // list, show
  std::string object, remote, product_class, group, state;
  int list_limit = 100;
  bool all = false, rebuild = false;
};

std::string Size(double bytes) { return Bytes(bytes); }
std::string StampOrNone(const std::optional<double>& at) { return at ? UtcTime::FromUnix(*at).Stamp() : "–"; }
ordered_json StampJson(const std::optional<double>& at) {
  return at ? ordered_json(UtcTime::FromUnix(*at).Stamp()) : ordered_json();
}

// ---- archive

struct ClassSum {
  std::int64_t objects = 0, products = 0, bytes = 0;
};

std::map<std::string, ClassSum> Sums(const ArchivePlan& plan) {
  std::map<std::string, ClassSum> sums;
  for (const PlannedObject& object : plan.objects) {
    ClassSum& sum = sums[object.product_class];
    ++sum.objects;
    sum.products += static_cast<std::int64_t>(object.products.size());
    sum.bytes += static_cast<std::int64_t>(object.bytes());
  }
  return sums;
}

ordered_json PlanJson(const ArchivePlan& plan, bool apply) {
  ordered_json classes = ordered_json::array(), kept = ordered_json::array(), objects = ordered_json::array();
  for (const auto& [name, sum] : Sums(plan)) {
    classes.push_back({{"class", name}, {"objects", sum.objects}, {"products", sum.products}, {"bytes", sum.bytes}});
  }
  ordered_json replicas = ordered_json::array();
  for (const PlannedReplica& each : plan.replicas) {
    replicas.push_back(
        {{"object", each.source.object}, {"from", each.source.remote}, {"to", each.to}, {"bytes", each.source.bytes}});
  }
  for (const auto& [reason, sum] : plan.kept) {
    kept.push_back({{"reason", reason}, {"products", sum.n}, {"bytes", sum.bytes}});
  }
  for (const PlannedObject& object : plan.objects) {
    objects.push_back({{"class", object.product_class},
                       {"group", object.group},
                       {"products", object.products.size()},
                       {"bytes", object.bytes()},
                       {"remotes", object.remotes}});
  }
  return {{"dry_run", !apply},       {"at", UtcTime::Now().Stamp()},  {"classes", std::move(classes)},
          {"kept", std::move(kept)}, {"objects", std::move(objects)}, {"replicas", std::move(replicas)}};
}

void PrintPlan(const ArchivePlan& plan) {
  if (!plan.objects.empty()) fmt::print("{:<12} {:>8} {:>9} {:>10}\n", "class", "objects", "products", "bytes");
  ClassSum all;
  for (const auto& [name, sum] : Sums(plan)) {
    fmt::print("{:<12} {:>8} {:>9} {:>10}\n", name, sum.objects, sum.products, Size(static_cast<double>(sum.bytes)));
    all.objects += sum.objects;
    all.products += sum.products;
    all.bytes += sum.bytes;
  }
  std::vector<std::string> kept;
  for (const auto& [reason, sum] : plan.kept) {
    kept.push_back(
        fmt::format("{} of {} ({})", Counted(sum.n, "product"), Size(static_cast<double>(sum.bytes)), reason));
  }
  if (!plan.replicas.empty()) {
    fmt::print("further copies of what is not on disk any more, from another remote: {}\n",
               Counted(static_cast<std::int64_t>(plan.replicas.size()), "object"));
  }
  if (!kept.empty()) fmt::print("not now: {}\n", fmt::join(kept, ", "));
  fmt::print("would copy {} of {} in {}. Nothing was changed; --apply does it.\n", Counted(all.products, "product"),
             Size(static_cast<double>(all.bytes)), Counted(all.objects, "object"));
}

// What has other copies now is no open finding any more.
void Settle(const ProductPaths& paths, state::ProductStore& products, Reporter& reporter) {
  try {
    state::MaintenanceStore findings(paths.Database(StateDatabase::kOperations));
    SettleFindings(products, findings, UtcTime::Now().unix_s());
  } catch (const Error& error) {
    reporter.Warn("archive", fmt::format("damage that was made good stays on record: {}", error.what()));
  }
}

void RunArchive(const ArchiveArgs& args) {
  const Settings settings = CurrentSettings().values;
  const ProductPaths paths(Roots(settings));
  ArchiveSelection selection;
  selection.classes = args.classes;
  selection.groups = args.groups;
  selection.remotes = args.remotes;
  selection.after_days = args.older_than_days >= 0 ? args.older_than_days : settings.archive.after_days;
  selection.lossy_counts = settings.archive.images == "rice";
  selection.limit = args.limit;
  const std::vector<ArchiveRemote> remotes = RemotesOf(settings.archive);
  if (remotes.empty()) {
    throw Error(ErrorKind::kUsage, "archive", "archive.remotes", "is not set: there is no place for copies");
  }
  const auto reporter = MakeConsoleReporter();
  RunContext context;
  context.reporter = reporter.get();
  context.cancelled = &StopOnSignals();
  const auto plan_with = [&](ArchiveDatabases& databases) {
    return PlanArchive(selection, remotes, paths.roots(), databases.products, databases.groups_or_null(),
                       UtcTime::Now().unix_s());
  };
  if (!args.apply) {
    ArchiveDatabases databases(paths, false);
    const ArchivePlan plan = plan_with(databases);
    if (args.json) return PrintJsonObject(PlanJson(plan, false));
    return PrintPlan(plan);
  }
  const MaintenanceLock lock(paths.roots().state, "archive");
  ArchiveDatabases databases(paths, true);
  ordered_json printed;
  ArchiveResult result;
  RunMaintenance({paths.Database(StateDatabase::kOperations), "archive", MaintenanceActor(), false}, context,
                 [&](const RunContext& inner, ordered_json& figures) {
                   SweepOutbox(paths, RealOs());
                   const ArchivePlan plan = plan_with(databases);
                   ArchiveWork work{paths,
                                    {},
                                    static_cast<int>(settings.archive.transfers),
                                    PartOwner(paths),
                                    settings.archive.images == "rice"};
                   work.remotes = OpenRemotes(settings, inner.cancelled);
                   result = CarryOut(plan, work, databases.products, databases.groups_or_null(),
                                     DamageReporter(paths, *inner.reporter), inner);
                   figures = {{"objects", result.n_copied},        {"bytes", result.bytes_copied},
                              {"products", result.n_products},     {"verified", result.n_verified},
                              {"changed", result.n_changed},       {"retired", result.n_retired},
                              {"failures", result.failures.size()}};
                   if (!result.failures.empty()) figures["failure"] = result.failures.front().sentence;
                   std::map<std::string, std::int64_t> kinds;
                   for (const ArchiveFailure& each : result.failures) ++kinds[std::string(ToString(each.kind))];
                   if (!kinds.empty()) figures["failed_for"] = kinds;
                   Settle(paths, databases.products, *inner.reporter);
                   printed = PlanJson(plan, true);
                   return result.failures.empty() ? RunOutcome::kOk : RunOutcome::kFailed;
                 });
  if (args.json) {
    printed["result"] = {{"objects", result.n_copied},    {"replicas", result.n_replicas},
                         {"bytes", result.bytes_copied},  {"products", result.n_products},
                         {"verified", result.n_verified}, {"changed", result.n_changed},
                         {"retired", result.n_retired},   {"failures", FailuresJson(result.failures)}};
    PrintJsonObject(printed);
  } else {
    fmt::print("{} copied and verified: {}, {} of {}\n", Counted(result.n_copied, "object"),
               Size(static_cast<double>(result.bytes_copied)), Counted(result.n_products, "product"),
               fmt::join(
                   [&] {
                     std::vector<std::string> names;
                     for (const ArchiveRemote& each : remotes) names.push_back(each.name);
                     return names;
                   }(),
                   ", "));
    if (result.n_verified > 0) fmt::print("{} of earlier runs verified\n", Counted(result.n_verified, "object"));
    if (result.n_changed > 0) fmt::print("{} changed meanwhile: another time\n", Counted(result.n_changed, "product"));
    if (result.n_retired > 0)
      fmt::print("{} retired: all in them was made anew\n", Counted(result.n_retired, "object"));
  }
  if (!result.failures.empty()) {
    throw Error(ErrorKind::kIo, "archive", "",
                fmt::format("{} could not be archived; the first: {}",
                            Counted(static_cast<std::int64_t>(result.failures.size()), "object"),
                            result.failures.front().sentence));
  }
}

// ---- list, show

ordered_json RowToJson(const ArchiveRow& row) {
  return {{"id", row.id},
          {"remote", row.remote},
          {"object", row.object},
          {"class", row.product_class},
          {"group", row.group_id},
          {"bytes", row.bytes},
          {"sha256", row.sha256},
          {"lossy", row.lossy},
          {"state", ToString(row.state)},
          {"attempts", row.attempts},
          {"error", row.error},
          {"made_at", UtcTime::FromUnix(row.made_at).Stamp()},
          {"copied_at", StampJson(row.copied_at)},
          {"verified_at", StampJson(row.verified_at)},
          {"checked_at", StampJson(row.checked_at)}};
}

void Rebuild(const ArchiveArgs& args) {
  const Settings settings = CurrentSettings().values;
  const ProductPaths paths(Roots(settings));
  const auto reporter = MakeConsoleReporter();
  RunContext context;
  context.reporter = reporter.get();
  context.cancelled = &StopOnSignals();
  std::optional<MaintenanceLock> lock;
  if (args.apply) lock.emplace(paths.roots().state, "archive");
  const std::vector<Remote> remotes = OpenRemotes(settings, context.cancelled);
  RebuildResult result;
  const auto work = [&](const RunContext& inner, ordered_json& figures) {
    // Made when there is none: after the loss of the state.
    if (args.apply) RealOs().CreateDirectories(paths.roots().state);
    ArchiveDatabases databases(paths, args.apply);
    result = RebuildArchives(remotes, paths.roots(), databases.products, !args.apply, inner);
    figures = {{"dry_run", !args.apply},
               {"objects", result.n_objects},
               {"products", result.n_products},
               {"failures", FailuresJson(result.failures)}};
    return result.failures.empty() ? RunOutcome::kOk : RunOutcome::kFailed;
  };
  ordered_json figures;
  if (args.apply) {
    RunMaintenance({paths.Database(StateDatabase::kOperations), "archive_rebuild", MaintenanceActor(), false}, context,
                   [&](const RunContext& inner, ordered_json& written) {
                     const RunOutcome outcome = work(inner, figures);
                     written = figures;
                     return outcome;
                   });
  } else {
    work(context, figures);
  }
  if (args.json) {
    PrintJsonObject(figures);
  } else {
    fmt::print("{} {} with {} that {} not on record{}\n", args.apply ? "recorded" : "found",
               Counted(result.n_objects, "object"), Counted(result.n_products, "product"), args.apply ? "were" : "are",
               args.apply ? "" : ". Nothing was changed; --apply does it.");
  }
  if (!result.failures.empty()) {
    throw Error(ErrorKind::kBadInput, "archive", "",
                fmt::format("{} could not be taken; the first: {}",
                            Counted(static_cast<std::int64_t>(result.failures.size()), "manifest"),
                            result.failures.front().sentence));
  }
}

void List(const ArchiveArgs& args) {
  if (args.rebuild) return Rebuild(args);
  if (args.apply) throw Error(ErrorKind::kUsage, "archive", "--apply", "belongs to archive list --rebuild");
  const Settings settings = CurrentSettings().values;
  ArchiveDatabases databases(ProductPaths(Roots(settings)), false);
  state::ArchiveStore store(databases.products.database());
  state::ArchiveQuery query{args.remote, args.product_class, args.group, {}, args.all ? 0 : args.list_limit};
  if (!args.state.empty()) query.state = state::ParseArchiveState(args.state);
  const std::vector<ArchiveRow> rows = store.List(query);
  const auto backlog = ArchiveBacklog(settings, databases.products);
  if (args.json) {
    ordered_json all = ordered_json::array(), waiting = ordered_json::array();
    for (const ArchiveRow& row : rows) all.push_back(RowToJson(row));
    for (const auto& [name, sum] : backlog) {
      waiting.push_back({{"class", name}, {"products", sum.n}, {"bytes", sum.bytes}});
    }
    return PrintJsonObject({{"objects", std::move(all)}, {"waiting", std::move(waiting)}});
  }
  for (const ArchiveRow& row : rows) {
    fmt::print("{:>6} {:<8} {:<10} {:>9}  {}{}{}\n", row.id, ToString(row.state), row.remote,
               Size(static_cast<double>(row.bytes)), row.object, row.lossy ? "  (lossy)" : "",
               row.error.empty() ? "" : "  " + Printable(row.error));
  }
  for (const auto& [key, sum] : store.Totals()) {
    fmt::print("{}: {} {}, {}\n", key.first, Counted(sum.n, "object"), ToString(key.second),
               Size(static_cast<double>(sum.bytes)));
  }
  state::ArchiveSum waiting;
  for (const auto& [name, sum] : backlog) {
    waiting.n += sum.n;
    waiting.bytes += sum.bytes;
  }
  fmt::print("{} on disk with fewer than {}: {}\n", Counted(waiting.n, "product"),
             Counted(settings.archive.copies, "verified copy", "verified copies"),
             Size(static_cast<double>(waiting.bytes)));
}

// "(lossy: …)"
std::string LossyWords(const ArchiveRow& row, const state::ArchiveMember& member) {
  for (const ManifestMember& each : ParseManifest(row.manifest_json, row.object).members) {
    if (each.lossy && each.place.root + "/" + each.place.path == member.member) return LossyWords(*each.lossy);
  }
  return "(lossy)";
}

void Show(const ArchiveArgs& args) {
  ArchiveDatabases databases(ProductPaths(Roots(CurrentSettings().values)), false);
  state::ArchiveStore store(databases.products.database());
  std::vector<ArchiveRow> rows;
  if (const auto number = RecordNumber(args.object)) {
    if (const auto row = store.Find(*number)) rows.push_back(*row);
  } else {
    for (const ArchiveRow& each : store.List({"", "", "", {}, 0, args.object})) rows.push_back(*store.Find(each.id));
  }
  if (rows.empty()) {
    throw Error(ErrorKind::kUsage, "archive", args.object, "is neither the name nor the id of an archived object");
  }
  ordered_json all = ordered_json::array();
  for (const ArchiveRow& row : rows) {
    const ordered_json manifest = ordered_json::parse(row.manifest_json, nullptr, false);
    if (args.json) {
      ordered_json each = RowToJson(row);
      each["manifest"] = manifest;
      all.push_back(std::move(each));
      continue;
    }
    fmt::print("{}  {} at {}\n", row.object, ToString(row.state), row.remote);
    fmt::print("  {}, SHA-256 {}\n", Size(static_cast<double>(row.bytes)), row.sha256);
    if (row.lossy)
      fmt::print("  lossy: images in it are not what was made, bit for bit, and do not come back as such\n");
    fmt::print("  made {}, copied {}, verified {}, last read {}\n", UtcTime::FromUnix(row.made_at).Stamp(),
               StampOrNone(row.copied_at), StampOrNone(row.verified_at), StampOrNone(row.checked_at));
    if (!row.error.empty()) fmt::print("  {}\n", Printable(row.error));
    for (const state::ArchiveMember& member : store.Members(row.id)) {
      const auto product = databases.products.Find(member.product_id);
      fmt::print("  {:>7} {:>9}  {}{}{}\n", member.product_id, Size(static_cast<double>(member.bytes)),
                 Printable(member.member), member.lossy ? "  " + LossyWords(row, member) : "",
                 product && product->checksum == member.checksum ? "" : "  (made anew since)");
    }
  }
  if (args.json) PrintJsonObject({{"objects", std::move(all)}});
}

}  // namespace

ArchiveDatabases::ArchiveDatabases(const ProductPaths& paths, bool for_changes)
    : products(paths.Database(StateDatabase::kProducts),
               for_changes ? state::DatabaseOptions{} : state::DatabaseOptions::ForOneLook()) {
  const fs::path queue = paths.Database(StateDatabase::kIngest);
  if (Exists(queue))
    groups.emplace(queue, for_changes ? state::DatabaseOptions{} : state::DatabaseOptions::ForOneLook());
}

ReportDamage DamageReporter(const ProductPaths& paths, Reporter& reporter) {
  return [file = paths.Database(StateDatabase::kOperations), &reporter](
             const std::string& place, const std::string& subject, const std::string& detail) {
    try {
      state::MaintenanceStore(file).Report({0, UtcTime::Now().unix_s(), place, subject, detail, {}});
    } catch (const Error& error) {
      reporter.Warn("archive", fmt::format("damage of {} is not on record: {}", subject, error.what()));
    }
  };
}

std::string PartOwner(const ProductPaths& paths) {
  std::string owner;
  if (const auto identity = ReadStateIdentity(paths.roots().state)) owner = identity->identity.substr(0, 8);
  if (owner.empty()) owner = HostName();
  std::string plain;
  for (const char c : owner) plain += std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
  return plain;
}

ordered_json FailuresJson(const std::vector<ArchiveFailure>& failures) {
  ordered_json all = ordered_json::array();
  for (const ArchiveFailure& each : failures) all.push_back({{"subject", each.subject}, {"error", each.sentence}});
  return all;
}

void PrintJsonObject(const ordered_json& value) {
  fmt::print("{}\n", value.dump(2, ' ', false, ordered_json::error_handler_t::replace));
}

void AddArchiveCommand(CLI::App& app) {
  auto args = std::make_shared<ArchiveArgs>();
  std::vector<std::string> classes;
  for (const std::string_view each : AllProductClasses()) classes.emplace_back(each);
  CLI::App* archive = app.add_subcommand("archive", "verified copies of products at other places (archive.remotes)");
  archive->require_subcommand(0, 1);
  archive->add_option("--class", args->classes, "only these classes (may be repeated)")->check(CLI::IsMember(classes));
  archive->add_option("--group", args->groups, "only these groups (may be repeated)")->type_name("ID");
  archive->add_option("--remote", args->remotes, "only to these remotes (may be repeated)")->type_name("NAME");
  archive
      ->add_option("--older-than", args->older_than_days,
                   "days since a product was recorded (default: archive.after_days)")
      ->check(Between(0.0, 36500.0));
  archive->add_option("--limit", args->limit, "at most so many objects, those of the oldest data first")
      ->check(CLI::PositiveNumber);
  archive->add_flag("--apply", args->apply, "do it; otherwise it is only shown");
  archive->add_flag("--json", args->json, "one JSON object");

  CLI::App* list = archive->add_subcommand("list", "archived objects, newest first, and what waits for a copy");
  list->add_option("--remote", args->remote, "of one remote")->type_name("NAME");
  list->add_option("--class", args->product_class, "of one class")->check(CLI::IsMember(classes));
  list->add_option("--group", args->group, "of one group")->type_name("ID");
  list->add_option("--state", args->state, "staged, copied, verified, lost or retired");
  list->add_option("--limit", args->list_limit, "at most so many")->check(CLI::PositiveNumber)->capture_default_str();
  list->add_flag("--all", args->all, "no limit");
  list->add_flag("--rebuild", args->rebuild, "read the manifests at the remotes: what is not on record?");
  list->add_flag("--apply", args->apply, "with --rebuild: put it on record; otherwise it is only shown");
  list->add_flag("--json", args->json, "one JSON object");
  list->callback([args] { List(*args); });

  CLI::App* show = archive->add_subcommand("show", "one object: its copies and members");
  show->add_option("object", args->object, "its name or the id of one copy")->type_name("OBJECT")->required();
  show->add_flag("--json", args->json, "one JSON object");
  show->callback([args] { Show(*args); });

  auto verify_args = std::make_shared<VerifyArgs>();
  CLI::App* verify =
      archive->add_subcommand("verify", "read a share of the objects again, as contimg verify --archive does");
  verify->add_option("--share", verify_args->share, "the share, 1 for all (default: integrity.share)")
      ->check(Between(0.0001, 1.0));
  verify->add_flag("--json", verify_args->json, "one JSON object");
  verify->callback([verify_args] {
    verify_args->archive = true;
    RunVerify(*verify_args);
  });
  archive->callback([args, archive] {
    if (archive->get_subcommands().empty()) RunArchive(*args);
  });
}

}  // namespace contimg::ops
