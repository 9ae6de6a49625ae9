// `contimg storage`: what lies on the disks, how fast it grows, and what each window of retention would free.
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "config/os.h"
#include "config/product_class.h"
#include "config/time.h"
#include "ops/base/words.h"
#include "ops/cli/archive_runs.h"
#include "ops/cli/commands.h"
#include "ops/cli/program_options.h"
#include "ops/records/disk_forecast.h"
#include "ops/records/watermarks.h"
#include "ops/retention/cleanup.h"

namespace contimg::ops {
namespace {

using nlohmann::ordered_json;

constexpr double kWindows[] = {1, 7, 30, 90};  // days
constexpr double kGrowthDays = 7;              // over which growth is measured

struct ClassReport {
  std::string name;
  ClassSums sums;
  double bytes_a_day = 0;           // of what was recorded within kGrowthDays, whether it is here or not
  std::vector<std::int64_t> freed;  // for each of kWindows
};

std::vector<ClassReport> Report(const Inventory& inventory, const RetentionPolicy& policy,
                                const std::vector<state::StoredProduct>& latest, double now) {
  std::vector<std::string> classes = AllHeldClasses();
  std::sort(classes.begin(), classes.end());
  std::vector<RetentionPolicy> windows;
  for (const std::string& name : classes) {
    for (const double days : kWindows) {
      RetentionPolicy& window = windows.emplace_back(policy);
      window.min_free_bytes = 0;
      for (auto& [each, of] : window.classes) of.days = each == name ? days : 0;
    }
  }
  std::vector<ClassReport> report;
  PlanCleanups(inventory, windows, now, [&](std::size_t i, const CleanupPlan& plan) {
    const std::string& name = classes[i / std::size(kWindows)];
    const auto sums = plan.present.find(name);
    if (sums == plan.present.end()) return;
    if (i % std::size(kWindows) == 0) report.push_back({name, sums->second, 0, {}});
    report.back().freed.push_back(plan.bytes());
  });
  double first = now;
  std::map<std::string, std::int64_t> recent;
  for (const state::StoredProduct& row : latest) {
    const auto kind = FindProductKind(row.kind);
    if (!kind) continue;
    first = std::min(first, row.created_at);
    recent[std::string(ProductClass(*kind, row.path, inventory.roots))] += row.bytes;
  }
  const double days = std::max((now - first) / kSecondsPerDay, 1.0 / 24);
  for (ClassReport& each : report) each.bytes_a_day = static_cast<double>(recent[each.name]) / days;
  return report;
}

void RunStorage(bool as_json) {
  const Settings settings = CurrentSettings().values;
  const ProductPaths paths(Roots(settings));
  ArchiveDatabases databases(paths, false);
  const double now = UtcTime::Now().unix_s();
  std::vector<ClassReport> report;
  databases.products.database().Read([&] {
    const Inventory inventory =
        TakeInventory(paths, databases.products, databases.groups_or_null(), AllHeldClasses(), RealOs());
    state::RetentionStore store(databases.products.database());
    report = Report(inventory, PolicyOf(settings), store.RecordedSince(now - kGrowthDays * kSecondsPerDay), now);
  });
  const DiskSpace space = RealOs().Space(paths.roots().scratch);
  double growth = 0;
  for (const ClassReport& each : report) growth += each.bytes_a_day;
  const double days_left = growth > 0 ? static_cast<double>(space.free_bytes) / growth : -1;
  // What the service saw of it, with all that comes and leaves.
  const DiskSpace scratch = RealOs().Space(paths.roots().output);
  const auto full_in_s = SecondsToCritical(
      DiskHistory(paths.roots().state), static_cast<double>(scratch.free_bytes),
      static_cast<double>(ScratchLimits(scratch.total_bytes, settings.disk).critical.free_bytes), now);
  if (as_json) {
    ordered_json classes = ordered_json::array();
    for (const ClassReport& each : report) {
      ordered_json freed = ordered_json::object();
      for (std::size_t i = 0; i < each.freed.size(); ++i) freed[fmt::format("{:g}", kWindows[i])] = each.freed[i];
      classes.push_back({{"class", each.name},
                         {"items", each.sums.items},
                         {"bytes", each.sums.bytes},
                         {"oldest", each.sums.oldest > 0 ? UtcTime::FromUnix(each.sums.oldest).Date() : ""},
                         {"bytes_a_day", each.bytes_a_day},
                         {"freed_bytes_by_window_days", std::move(freed)}});
    }
    ordered_json all = {{"free_bytes", space.free_bytes}, {"size_bytes", space.total_bytes}, {"bytes_a_day", growth}};
    all["days_until_full"] = days_left >= 0 ? ordered_json(days_left) : ordered_json();
    all["full_in_s"] = full_in_s ? ordered_json(*full_in_s) : ordered_json();
    all["classes"] = std::move(classes);
    return PrintJsonObject(all);
  }
  const auto size = [](double bytes) { return Bytes(bytes); };
  fmt::print("{:<11} {:>8} {:>10}  {:<10} {:>10}   would free, kept for\n{:>58}{:>10}{:>10}{:>10}\n", "class", "items",
             "bytes", "oldest", "a day", "1 d", "7 d", "30 d", "90 d");
  for (const ClassReport& each : report) {
    fmt::print("{:<11} {:>8} {:>10}  {:<10} {:>10} ", each.name, each.sums.items,
               size(static_cast<double>(each.sums.bytes)),
               each.sums.oldest > 0 ? UtcTime::FromUnix(each.sums.oldest).Date() : "-", size(each.bytes_a_day));
    for (const std::int64_t freed : each.freed) fmt::print("{:>10}", size(static_cast<double>(freed)));
    fmt::print("\n");
  }
  fmt::print("scratch disk: {} free of {}{}\n", size(static_cast<double>(space.free_bytes)),
             size(static_cast<double>(space.total_bytes)),
             days_left >= 0 ? fmt::format("; at {} a day it is full in {} if nothing leaves", size(growth),
                                          Duration(days_left * kSecondsPerDay))
                            : "");
  if (full_in_s) {
    fmt::print("by what it did in the last days, it will have no room for new work in {}\n", Duration(*full_in_s));
  }
}

}  // namespace

void AddStorageCommand(CLI::App& app) {
  auto as_json = std::make_shared<bool>(false);
  CLI::App* storage = app.add_subcommand(
      "storage", "what lies on the disks, how fast it grows, what each window of retention would free");
  storage->add_flag("--json", *as_json, "one JSON object");
  CLI::App* report = storage->add_subcommand("report", "the same");
  report->add_flag("--json", *as_json, "one JSON object");
  storage->require_subcommand(0, 1);
  storage->callback([as_json] { RunStorage(*as_json); });
}

}  // namespace contimg::ops
