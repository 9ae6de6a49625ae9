#include "ops/retention/cleanup.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <memory>
#include <system_error>
#include <utility>

#include "config/os.h"
#include "config/product_class.h"
#include "config/product_kind.h"
#include "config/text.h"
#include "config/time.h"
#include "ops/base/checksum.h"
#include "ops/base/words.h"
#include "ops/job/tree_marker.h"
#include "state/task_store.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

constexpr double kClockToleranceS = 120;
// A telescope that stood still for longer needs a person anyway.
constexpr double kClockAheadS = 60 * kSecondsPerDay;

double NewestMtime(const fs::path& path, Os& os) {
  double newest = static_cast<double>(os.Status(path).mtime_ns) * 1e-9;
  if (!IsDirectory(path, os)) return newest;
  for (const fs::path& file : FilesBelow(path, os)) {
    newest = std::max(newest, static_cast<double>(os.Status(file).mtime_ns) * 1e-9);
  }
  return newest;
}

bool Contains(const std::vector<std::string>& list, std::string_view word) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

// The kinds of products of these classes, and perhaps others.
std::vector<std::string_view> KindsOf(const std::vector<std::string>& classes) {
  std::vector<std::string_view> kinds;
  for (const ProductKind kind : AllProductKinds()) {
    const bool may_have_failed = kind == ProductKind::kScienceMs && Contains(classes, "failed");
    if (may_have_failed || Contains(classes, ProductClass(kind, {}, {}))) kinds.push_back(ToString(kind));
  }
  return kinds;
}

class RecordsOfStore : public ProductRecords {
 public:
  explicit RecordsOfStore(state::Database& products) : store_(products) {}
  state::RetentionStore& store() { return store_; }
  std::optional<state::StoredProduct> Find(std::int64_t id) override { return store_.Find(id); }
  std::optional<state::StoredProduct> FindByPath(const std::string& path) override { return store_.FindByPath(path); }
  state::VerifiedCopies CopiesOf(std::int64_t id) override { return store_.CopiesOf(id); }
  std::vector<std::int64_t> Parents(std::int64_t id) override { return store_.Parents(id); }
  std::vector<std::int64_t> Children(std::int64_t id) override { return store_.Children(id); }

 private:
  state::RetentionStore store_;
};

// The things two levels down: <root>/<day>/<name>.
void AddFolders(const char* product_class, const fs::path& root, Os& os, std::vector<FolderItem>& items) {
  if (!IsDirectory(root, os)) return;
  for (const fs::path& day : os.List(root)) {
    if (!IsDirectory(day, os)) continue;
    for (const fs::path& path : os.List(day)) {
      std::error_code unknown;
      const bool is_link = fs::symlink_status(path, unknown).type() == fs::file_type::symlink;
      if (is_link || path.filename().string().front() == '.') continue;
      items.push_back(
          {product_class, path.string(), static_cast<std::int64_t>(ProductBytes(path)), NewestMtime(path, os)});
    }
  }
}

// A root whose marker should be there and is not.
std::string Unmounted(const ProductPaths& paths) {
  const fs::path& state = paths.roots().state;
  const auto identity = ReadStateIdentity(state);
  if (!identity) return "";
  try {
    RequireTrees({identity->identity, identity->roots});
  } catch (const Error& error) {
    return fmt::format("{} (contimg scratch show)", error.what());
  }
  return "";
}

// A product of a later time than all on record: the databases are older than the tree.
std::string NewerThanRecords(const Inventory& inventory, const std::string& newest, const ProductPaths& paths, Os& os) {
  for (const fs::path& root : {paths.roots().output / "science", paths.roots().images / "single"}) {
    if (!IsDirectory(root, os)) continue;
    std::vector<fs::path> days = os.List(root);
    const auto last = std::max_element(days.begin(), days.end());
    if (last == days.end() || !IsDirectory(*last, os)) continue;
    for (const fs::path& path : os.List(*last)) {
      const auto name = ParseProductName(path);
      if (!name || name->timestamp <= newest) continue;
      const auto group = inventory.groups.find(name->timestamp);
      if (group != inventory.groups.end() && !group->second.done) continue;  // being made, or left by an attempt
      return fmt::format(
          "{} is newer than all that is on record ({}): was an older state put back? contimg doctor --rebuild --apply",
          path.string(), newest.empty() ? "nothing" : newest);
    }
  }
  return "";
}

std::string Guard(const CleanupRequest& request, const Inventory& inventory, state::RetentionStore& store, double now,
                  Os& os) {
  if (std::string unmounted = Unmounted(request.paths); !unmounted.empty()) return unmounted;
  if (std::string newer = NewerThanRecords(inventory, store.NewestGroup(), request.paths, os); !newer.empty()) {
    return newer;
  }
  const double newest_change = store.NewestChange();
  if (request.force || newest_change == 0) return "";
  if (now < newest_change - kClockToleranceS) {
    return fmt::format("the clock ({}) is before the newest record ({}): set it, or --force",
                       UtcTime::FromUnix(now).Stamp(), UtcTime::FromUnix(newest_change).Stamp());
  }
  if (now > newest_change + kClockAheadS) {
    return fmt::format("the clock ({}) is {:.0f} days after the newest record ({}): set it, or --force",
                       UtcTime::FromUnix(now).Stamp(), (now - newest_change) / kSecondsPerDay,
                       UtcTime::FromUnix(newest_change).Stamp());
  }
  return "";
}

struct Row {
  std::string product_class, rule;
  ClassSums sums;
};
// One row for each class and rule, of which the age under pressure is no part.
std::vector<Row> Rows(const CleanupPlan& plan) {
  std::vector<Row> rows;
  for (const Leaving& each : plan.leaving) {
    const std::string rule =
        each.by_age ? each.rule
                    : "room is needed; " + each.rule.substr(std::min(each.rule.find("; ") + 2, each.rule.size()));
    auto row = std::find_if(rows.begin(), rows.end(), [&](const Row& known) {
      return known.product_class == each.product_class && known.rule == rule;
    });
    if (row == rows.end()) row = rows.insert(rows.end(), {each.product_class, rule, {}});
    ++row->sums.items;
    row->sums.bytes += each.bytes;
    if (row->sums.oldest == 0 || each.age_from < row->sums.oldest) row->sums.oldest = each.age_from;
  }
  return rows;
}

std::string Date(double unix_s) { return unix_s > 0 ? UtcTime::FromUnix(unix_s).Date() : "-"; }
std::string Size(std::int64_t bytes) { return Bytes(static_cast<double>(bytes)); }

std::string MissedTarget(const CleanupPlan& plan) {
  if (plan.reached()) return "";
  std::vector<std::string> why;
  for (const auto& [of, sums] : plan.kept) {
    why.push_back(fmt::format("{} of {} ({})", Size(sums.bytes), of.first, of.second));
  }
  return fmt::format("{} of free space are wanted and {} can be reached: {}",
                     Bytes(static_cast<double>(plan.target_bytes)), Bytes(static_cast<double>(plan.free_after())),
                     why.empty() ? "nothing else may leave (retention.pressure_order, retention.require)"
                                 : fmt::format("kept are {}", fmt::join(why, ", ")));
}

}  // namespace

std::vector<std::string> AllHeldClasses() {
  std::vector<std::string> classes{"quarantine", "jobs"};
  for (const std::string_view name : AllProductClasses()) classes.emplace_back(name);
  return classes;
}

Inventory TakeInventory(const ProductPaths& paths, state::ProductStore& products, state::GroupStore* groups,
                        const std::vector<std::string>& classes, Os& os) {
  Inventory inventory;
  inventory.roots = paths.roots();
  const auto records = std::make_shared<RecordsOfStore>(products.database());
  inventory.products = records->store().Present(KindsOf(classes));
  inventory.records = records;
  if (groups != nullptr) {
    groups->ForEach({}, [&](const state::GroupLine& line) {
      const bool done = line.state == "done";
      inventory.groups[std::string(line.id)] = {done || line.state == "dead" || line.state == "cancelled", done,
                                                line.updated_at};
    });
    state::TaskQuery at_work;
    at_work.kind = "mosaic";
    at_work.states = {state::WorkState::kRunning};
    for (const state::TaskRow& task : state::TaskStore(groups->database()).List(at_work)) {
      inventory.groups[task.subject.substr(0, task.subject.find("_v"))] = {};  // behind it which version
    }
  }
  if (Contains(classes, "quarantine")) AddFolders("quarantine", paths.Quarantine(), os, inventory.folders);
  if (Contains(classes, "jobs")) AddFolders("jobs", paths.roots().state / "jobs", os, inventory.folders);
  const fs::path& scratch = inventory.roots.scratch;
  for (const fs::path& root : {scratch, inventory.roots.input, inventory.roots.output, inventory.roots.images}) {
    if (!root.empty() && IsDirectory(root, os) && SameFileSystem(root, scratch, os)) {
      inventory.scratch_roots.push_back(root);
    }
  }
  return inventory;
}

CleanupOutcome RunCleanup(const CleanupRequest& request, state::ProductStore& products, state::GroupStore* groups,
                          const RunContext& context) {
  Os& os = OsOr(context.os);
  state::RetentionStore store(products.database());
  CleanupOutcome outcome;
  if (request.apply && (outcome.refused = Unmounted(request.paths)).empty()) {
    outcome.n_recovered = RecoverPurges(store, os);
  }
  const double now = UtcTime::Now().unix_s();
  CleanupSelection selection = request.selection;
  selection.free_bytes = os.Space(request.paths.roots().scratch).free_bytes;
  products.database().Read([&] {
    const Inventory inventory =
        TakeInventory(request.paths, products, groups, ClassesThatMayLeave(request.policy, selection), os);
    outcome.plan = PlanCleanup(inventory, request.policy, selection, now);
    outcome.refused = Guard(request, inventory, store, now, os);
  });
  if (const std::string beyond = BeyondShare(outcome.plan, request.policy.max_share);
      outcome.refused.empty() && !request.force && !beyond.empty()) {
    outcome.refused = fmt::format(
        "more than {:g} % of the bytes of {} would leave (retention.max_share): look at the table, then --force",
        100 * request.policy.max_share, beyond);
  }
  if (!request.apply || !outcome.refused.empty()) return outcome;
  outcome.purged = Purge(outcome.plan.leaving, store, groups, request.paths.roots(), request.actor, context);
  return outcome;
}

std::string CleanupTable(const CleanupOutcome& outcome, bool applied) {
  const CleanupPlan& plan = outcome.plan;
  std::string text;
  if (!plan.leaving.empty()) {
    text += fmt::format("{:<11} {:>6} {:>9}  {:<10}  {}\n", "class", "items", "bytes", "oldest", "rule");
    for (const Row& row : Rows(plan)) {
      text += fmt::format("{:<11} {:>6} {:>9}  {:<10}  {}\n", row.product_class, row.sums.items, Size(row.sums.bytes),
                          Date(row.sums.oldest), row.rule);
    }
  }
  std::vector<std::string> kept;
  for (const auto& [of, sums] : plan.kept) {
    kept.push_back(fmt::format("{} {} {} ({})", sums.items, of.first, Size(sums.bytes), of.second));
  }
  if (!kept.empty()) text += fmt::format("kept: {}\n", fmt::join(kept, ", "));
  if (outcome.n_recovered > 0) {
    text += fmt::format("{} of a run that was killed put right\n", Counted(outcome.n_recovered, "purge"));
  }
  if (applied) {
    text += fmt::format("freed {}: {} free before, {} left the disk.\n", Size(outcome.purged.bytes),
                        Bytes(static_cast<double>(plan.free_bytes)), Counted(outcome.purged.n_removed, "item"));
    if (outcome.purged.n_gone > 0) {
      text += fmt::format("{} of what was to leave was gone already\n", Counted(outcome.purged.n_gone, "item"));
    }
  } else {
    text +=
        fmt::format("would free {}: {} free now, {} then. Nothing was changed; --apply does it.\n", Size(plan.bytes()),
                    Bytes(static_cast<double>(plan.free_bytes)), Bytes(static_cast<double>(plan.free_after())));
  }
  return text;
}

ordered_json CleanupJson(const CleanupOutcome& outcome, const CleanupRequest& request, double now) {
  const CleanupPlan& plan = outcome.plan;
  ordered_json classes = ordered_json::array(), kept = ordered_json::array(), actions = ordered_json::array();
  for (const Row& row : Rows(plan)) {
    classes.push_back({{"class", row.product_class},
                       {"items", row.sums.items},
                       {"bytes", row.sums.bytes},
                       {"oldest", Date(row.sums.oldest)},
                       {"rule", row.rule}});
  }
  for (const auto& [of, sums] : plan.kept) {
    kept.push_back({{"class", of.first}, {"reason", of.second}, {"items", sums.items}, {"bytes", sums.bytes}});
  }
  for (const Leaving& each : plan.leaving) {
    ordered_json action = {{"product", nullptr}, {"path", each.path}, {"bytes", each.bytes}, {"rule", each.rule}};
    if (each.product_id) action["product"] = *each.product_id;
    actions.push_back(std::move(action));
  }
  ordered_json json = {{"dry_run", !request.apply},         {"at", UtcTime::FromUnix(now).Stamp()},
                       {"free_bytes", plan.free_bytes},     {"free_bytes_after", plan.free_after()},
                       {"target_bytes", plan.target_bytes}, {"reached", plan.reached()},
                       {"refused", outcome.refused},        {"classes", std::move(classes)},
                       {"kept", std::move(kept)},           {"actions", std::move(actions)}};
  if (request.apply) {
    json["removed"] = {{"items", outcome.purged.n_removed},
                       {"bytes", outcome.purged.bytes},
                       {"gone", outcome.purged.n_gone},
                       {"recovered", outcome.n_recovered},
                       {"failures", outcome.purged.failures}};
  }
  return json;
}

ordered_json CleanupFigures(const CleanupOutcome& outcome) {
  ordered_json blocked = ordered_json::array();
  for (const auto& [of, sums] : outcome.plan.kept) {
    blocked.push_back({{"class", of.first}, {"reason", of.second}, {"bytes", sums.bytes}});
  }
  return {{"items", outcome.purged.n_removed},         {"bytes", outcome.purged.bytes},
          {"removed", outcome.purged.bytes_of_class},  {"blocked", std::move(blocked)},
          {"free_bytes", outcome.plan.free_bytes},     {"target_bytes", outcome.plan.target_bytes},
          {"failures", outcome.purged.failures.size()}};
}

std::string TroubleOf(const CleanupOutcome& outcome) {
  if (!outcome.refused.empty()) return outcome.refused;
  if (!outcome.purged.failures.empty()) {
    const std::size_t n = outcome.purged.failures.size();
    return outcome.purged.failures.front() + (n > 1 ? fmt::format(", and {} more", n - 1) : "");
  }
  return MissedTarget(outcome.plan);
}

state::RunOutcome OutcomeOf(const CleanupOutcome& outcome) {
  if (!outcome.refused.empty()) return state::RunOutcome::kRefused;
  return TroubleOf(outcome).empty() ? state::RunOutcome::kOk : state::RunOutcome::kFailed;
}

}  // namespace contimg::ops
