// `contimg restore`: products come back from their copies.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/os.h"
#include "config/product_class.h"
#include "config/text.h"
#include "ops/archive/fetched_objects.h"
#include "ops/archive/manifest.h"
#include "ops/archive/restore.h"
#include "ops/base/stop_signals.h"
#include "ops/base/words.h"
#include "ops/cli/archive_runs.h"
#include "ops/cli/commands.h"
#include "ops/cli/program_options.h"
#include "ops/records/maintenance_run.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

struct RestoreArgs {
  std::vector<std::string> what, groups;
  std::string to, remote, product_class;
  bool all = false, apply = false, json = false;
};

std::int64_t IdOf(state::ProductStore& products, const std::string& what) {
  if (const auto id = RecordNumber(what)) return *id;
  const auto row = products.FindByPath(Absolute(fs::path(what)).string());
  if (!row) throw Error(ErrorKind::kUsage, "restore", what, "is neither the id nor the path of a recorded product");
  return row->id;
}

// `lost`: paths of those that were let go for their copies, of which there is none any more.
std::vector<std::int64_t> Selected(const RestoreArgs& args, const DirectoryRoots& roots, state::ProductStore& products,
                                   std::vector<std::string>& lost) {
  std::vector<std::int64_t> ids;
  for (const std::string& each : args.what) ids.push_back(IdOf(products, each));
  state::ArchiveStore store(products.database());
  std::vector<std::string> groups = args.groups;
  if (args.all) groups.emplace_back();  // any
  for (const std::string& group : groups) {
    state::ProductQuery query;
    query.group_id = group;
    const auto rows = products.List(query);
    if (rows.empty() && !args.all) throw Error(ErrorKind::kUsage, "restore", group, "has no products on record");
    for (const state::ProductRow& row : rows) {  // what is not there and can be had
      const auto kind = FindProductKind(row.kind);
      if (!args.product_class.empty() && (!kind || ProductClass(*kind, row.path, roots) != args.product_class))
        continue;
      if (args.to.empty() && IsTaken(row.path)) continue;
      const std::vector<state::ArchiveRow> copies = store.CopiesOf(row.id);
      if (copies.empty()) {
        if (row.status == "archived") lost.push_back(row.path);
        continue;
      }
      // What came back of a lossy copy before is a product by itself.
      if (args.to.empty() && copies.front().lossy && products.FindByPath(LossyName(row.path).string())) continue;
      ids.push_back(row.id);
    }
  }
  return ids;
}

ordered_json ItemJson(const RestoreItem& item) {
  ordered_json copies = ordered_json::array();
  for (const state::ArchiveRow& copy : item.copies) copies.push_back(copy.remote + ":" + copy.object);
  return {{"product", item.product.id},
          {"path", item.to.string()},
          {"bytes", item.bytes},
          {"lossy", item.lossy()},
          {"copies", std::move(copies)}};
}

void Run(const RestoreArgs& args) {
  const Settings settings = CurrentSettings().values;
  const ProductPaths paths(Roots(settings));
  const auto reporter = MakeConsoleReporter();
  RunContext context;
  context.reporter = reporter.get();
  context.cancelled = &StopOnSignals();
  if (int{!args.what.empty()} + int{!args.groups.empty()} + int{args.all} != 1) {
    throw Error(ErrorKind::kUsage, "restore", "", "expected ids or paths of products, or --group, or --all");
  }
  const bool record = args.to.empty();
  std::optional<MaintenanceLock> lock;
  if (args.apply && record) lock.emplace(paths.roots().state, "restore");
  ArchiveDatabases databases(paths, args.apply);
  RestoreRequest request;
  std::vector<std::string> lost;
  request.products = Selected(args, paths.roots(), databases.products, lost);
  const auto tell_of_lost = [&] {
    if (lost.empty()) return;
    throw Error(ErrorKind::kBadInput, "restore", "",
                fmt::format("of {} that left the disk for the sake of copies there is no whole copy any more (contimg "
                            "archive list --state lost); the first: {}",
                            Counted(static_cast<std::int64_t>(lost.size()), "product"), lost.front()));
  };
  if (!args.to.empty()) request.to = Absolute(fs::path(args.to));
  request.remote = args.remote;
  const std::vector<RestoreItem> items = PlanRestore(request, paths.roots(), databases.products);
  ordered_json printed{{"dry_run", !args.apply}, {"products", ordered_json::array()}};
  std::uint64_t bytes = 0;
  for (const RestoreItem& item : items) bytes += item.bytes;
  if (!args.apply) {
    for (const RestoreItem& item : items) {
      printed["products"].push_back(ItemJson(item));
      if (args.json) continue;
      fmt::print("{:>9}  {}{}  from {}\n", Bytes(static_cast<double>(item.bytes)), Printable(item.to.string()),
                 item.lossy() ? "  (lossy)" : "",
                 item.is_there ? "itself: it is there already"
                               : item.copies.front().remote + ":" + item.copies.front().object);
    }
    if (args.json) {
      PrintJsonObject(printed);
      return tell_of_lost();
    }
    fmt::print("would restore {} of {}. Nothing was changed; --apply does it.\n",
               Counted(static_cast<std::int64_t>(items.size()), "product"), Bytes(static_cast<double>(bytes)));
    return tell_of_lost();
  }
  std::vector<RestoredProduct> restored;
  std::vector<Error> failures;
  RunMaintenance(
      {paths.Database(StateDatabase::kOperations), "restore", MaintenanceActor(), false}, context,
      [&](const RunContext& inner, ordered_json& figures) {
        const std::vector<Remote> remotes = OpenRemotes(settings, inner.cancelled);
        std::vector<FetchedObjects::Wanted> wanted;
        for (const RestoreItem& item : items) {
          wanted.push_back(
              {item.copies.empty() ? state::ArchiveRow{} : item.copies.front(), item.is_there ? 0 : item.bytes});
        }
        FetchedObjects fetched(std::move(wanted), remotes, record ? paths.roots().tmp : request.to, inner);
        std::uint64_t done = 0;
        for (std::size_t i = 0; i < items.size(); ++i) {
          const RestoreItem& item = items[i];
          inner.CheckCancelled("restore");
          try {
            const auto object = item.is_there ? std::nullopt : fetched.Bring(i);
            restored.push_back(Restore(item, record, remotes, databases.products, databases.groups_or_null(),
                                       DamageReporter(paths, *inner.reporter), inner, object));
          } catch (const Error& error) {
            if (error.kind() == ErrorKind::kCancelled || error.kind() == ErrorKind::kResource) throw;
            failures.push_back(error);
            inner.reporter->Warn("restore", error.what());
          }
          done += item.bytes;
          inner.reporter->Progress("restore", bytes > 0 ? static_cast<double>(done) / static_cast<double>(bytes) : 1);
          const auto n_lossy = std::count_if(restored.begin(), restored.end(),
                                             [](const RestoredProduct& each) { return !each.lossy.empty(); });
          figures = {{"products", restored.size()}, {"lossy", n_lossy}, {"bytes", done}, {"failures", failures.size()}};
        }
        return failures.empty() ? state::RunOutcome::kOk : state::RunOutcome::kFailed;
      });
  std::int64_t n_lossy = 0;
  for (const RestoredProduct& each : restored) {
    printed["products"].push_back({{"product", each.product},
                                   {"path", each.path.string()},
                                   {"bytes", each.bytes},
                                   {"from", each.from},
                                   {"lossy", !each.lossy.empty()}});
    n_lossy += each.lossy.empty() ? 0 : 1;
    if (args.json) continue;
    fmt::print("{}{}{}\n", Printable(each.path.string()), each.from.empty() ? "" : "  from " + each.from,
               each.lossy.empty() ? "" : "  " + each.lossy);
  }
  if (n_lossy > 0 && !args.json) {
    fmt::print(
        "{} lossy: what came back is not what was made, bit for bit, and has a name and a record of its own; "
        "contimg products reproduce makes that again\n",
        n_lossy == 1 ? "1 of them is" : fmt::format("{} of them are", n_lossy));
  }
  printed["failures"] = ordered_json::array();
  for (const Error& each : failures) printed["failures"].push_back(each.what());
  if (args.json) PrintJsonObject(printed);
  if (!failures.empty()) {
    throw Error(failures.front().kind(), "restore", "",
                fmt::format("{} could not be restored; the first: {}",
                            Counted(static_cast<std::int64_t>(failures.size()), "product"), failures.front().what()));
  }
  if (!args.json) fmt::print("restored {}\n", Counted(static_cast<std::int64_t>(restored.size()), "product"));
  tell_of_lost();
}

}  // namespace

void AddRestoreCommand(CLI::App& app) {
  auto args = std::make_shared<RestoreArgs>();
  std::vector<std::string> classes;
  for (const std::string_view each : AllProductClasses()) classes.emplace_back(each);
  CLI::App* restore = app.add_subcommand("restore", "products that were let go or lost come back from any copy");
  restore->add_option("product", args->what, "ids or paths")->type_name("ID|PATH");
  restore->add_option("--group", args->groups, "what is not on disk of these groups (may be repeated)")
      ->type_name("ID");
  restore->add_flag("--all", args->all, "everything that is not on disk and has a copy");
  restore->add_option("--class", args->product_class, "with --group or --all: of one class")
      ->check(CLI::IsMember(classes));
  restore->add_option("--remote", args->remote, "only from there")->type_name("NAME");
  restore->add_option("--to", args->to, "into this folder, and nothing is recorded")->type_name("DIR");
  restore->add_flag("--apply", args->apply, "do it; otherwise it is only shown");
  restore->add_flag("--json", args->json, "one JSON object");
  restore->callback([args] { Run(*args); });
}

}  // namespace contimg::ops
