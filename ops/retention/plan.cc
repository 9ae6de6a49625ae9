#include "ops/retention/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "config/product_class.h"
#include "config/product_kind.h"
#include "config/text.h"
#include "config/time.h"
#include "ops/job/tree_marker.h"

namespace contimg::ops {
namespace {

constexpr std::int64_t kFewItems = 20;  // of which a share says nothing

std::string Days(double seconds) { return fmt::format("{:.4g} d", seconds / kSecondsPerDay); }

// One thing that could leave.
struct Item {
  std::optional<std::size_t> product;  // place in the inventory
  std::string product_class, path;
  std::int64_t bytes = 0;
  std::optional<double> age_from;  // nothing: its age has not begun
  std::string no_age;              // why
};

class Planner {
 public:
  Planner(const Inventory& inventory, const RetentionPolicy& policy, double now)
      : in_(inventory), policy_(policy), now_(now), state_(inventory.products.size()) {
    const std::size_t n = in_.products.size();
    parents_.resize(n);
    children_.resize(n);
    for (std::size_t i = 0; i < n; ++i) place_[in_.products[i].id] = i;
    for (const auto& [child, parent] : in_.lineage) {
      const auto c = place_.find(child), p = place_.find(parent);
      if (c == place_.end() || p == place_.end()) continue;
      parents_[c->second].push_back(p->second);
      children_[p->second].push_back(c->second);
    }
    for (std::size_t i = 0; i < n; ++i) {
      const auto kind = FindProductKind(in_.products[i].kind);
      classes_.push_back(kind ? std::string(ProductClass(*kind, in_.products[i].path, in_.roots)) : std::string());
      if (classes_.back() == "calibrators" && in_.products[i].present) {
        calibrators_.emplace_back(in_.products[i].start_mjd, in_.products[i].created_at);
      }
    }
    std::sort(calibrators_.begin(), calibrators_.end());
  }

  std::vector<Item> Items() const {
    std::vector<Item> items;
    for (std::size_t i = 0; i < in_.products.size(); ++i) {
      const state::StoredProduct& row = in_.products[i];
      if (!row.present || classes_[i].empty()) continue;
      Item item{i, classes_[i], row.path, row.bytes, {}, ""};
      SetAge(i, item);
      items.push_back(std::move(item));
    }
    for (const FolderItem& folder : in_.folders) {
      items.push_back({{}, folder.product_class, folder.path, folder.bytes, folder.since, ""});
    }
    return items;
  }

  // Why it may not leave now; empty: it may, and `rule` says by which requirement.
  std::string Hindrance(const Item& item, std::string& rule) {
    if (!item.product) {
      rule = "no product";
      return Young(item, false) ? TooYoung() : "";
    }
    const std::size_t i = *item.product;
    const state::StoredProduct& row = in_.products[i];
    if (row.pinned) return "pinned";
    if (const std::string busy = Busy(i, item.product_class); !busy.empty()) return busy;
    if (item.product_class == "caltables" && InUse(i)) return "something that is here was made with it";
    const Require require = policy_.of(item.product_class).require;
    const bool archived = row.verified_copies >= policy_.copies;
    const bool regenerable = !archived && require == Require::kRegenerable && Regenerable(i);
    if (Young(item, FromVerified(i))) return TooYoung();
    if (archived) {
      rule = row.verified_copies == 1 ? "1 verified copy" : fmt::format("{} verified copies", row.verified_copies);
      return "";
    }
    if (require == Require::kArchived) {
      return row.verified_copies == 0 ? "not archived"
                                      : fmt::format("{} of {} copies verified", row.verified_copies, policy_.copies);
    }
    if (regenerable) {
      rule = FromVerified(i) ? "regenerable from archived input" : "regenerable from what is here";
      return "";
    }
    if (require == Require::kRegenerable) {
      return parents_[i].empty() ? "not archived" : "its input is neither here nor archived";
    }
    if (state_[i].needed) return "something that went can be made again of it alone";
    rule = "no requirement";
    return "";
  }

  // From now on it counts as gone.
  void Take(const Item& item) {
    if (!item.product) return;
    const std::size_t i = *item.product;
    state_[i].going = true;
    if (in_.products[i].verified_copies == 0 && policy_.of(item.product_class).require == Require::kRegenerable)
      Need(i);
  }

 private:
  struct State {
    bool going = false, needed = false;
  };

  bool Has(std::size_t i) const {
    return in_.products[i].verified_copies > 0 || (in_.products[i].present && !state_[i].going);
  }
  // Everything it was made of can be had.
  bool Regenerable(std::size_t i) const {
    return !parents_[i].empty() && std::all_of(parents_[i].begin(), parents_[i].end(),
                                               [&](std::size_t parent) { return Has(parent) || Regenerable(parent); });
  }
  // Down to the first things of which it is made, all have verified copies.
  bool FromVerified(std::size_t i) const {
    return std::all_of(parents_[i].begin(), parents_[i].end(),
                       [&](std::size_t parent) {
                         return in_.products[parent].verified_copies > 0 ||
                                (!parents_[parent].empty() && FromVerified(parent));
                       }) &&
           (!parents_[i].empty() || in_.products[i].verified_copies > 0);
  }
  // What it is to be made of stays.
  void Need(std::size_t i) {
    for (const std::size_t parent : parents_[i]) {
      if (in_.products[parent].verified_copies > 0) continue;
      state_[parent].needed = true;
      if (!in_.products[parent].present || state_[parent].going) Need(parent);
    }
  }
  bool InUse(std::size_t i) const {
    return std::any_of(children_[i].begin(), children_[i].end(), [&](std::size_t child) {
      return (in_.products[child].present && !state_[child].going) || InUse(child);
    });
  }
  bool AtRest(const std::string& group) const {
    const auto found = in_.groups.find(group);
    return found == in_.groups.end() || found->second.at_rest;
  }
  std::string Busy(std::size_t i, const std::string& product_class) const {
    const state::StoredProduct& row = in_.products[i];
    if (!AtRest(row.group_id)) return "its group is not done";
    for (const std::size_t child : children_[i]) {
      if (!AtRest(in_.products[child].group_id)) return "a group that is at work uses it";
    }
    if (product_class != "failed") {
      const auto group = in_.groups.find(row.group_id);
      if (group != in_.groups.end() && !group->second.done) return "its group was given up";
    }
    return "";
  }
  bool Young(const Item& item, bool from_verified) const {
    const double made = item.product ? in_.products[*item.product].created_at : item.age_from.value_or(now_);
    return !from_verified && now_ - made < policy_.min_age_s;
  }
  std::string TooYoung() const { return fmt::format("younger than {:g} s", policy_.min_age_s); }

  void SetAge(std::size_t i, Item& item) const {
    const state::StoredProduct& row = in_.products[i];
    if (item.product_class == "incoming") {
      const auto group = in_.groups.find(row.group_id);
      if (group != in_.groups.end() && group->second.done) {
        item.age_from = group->second.since;
      } else {
        item.no_age = "its group is not done";
      }
    } else if (item.product_class == "science_ms") {
      for (const std::size_t child : children_[i]) {
        if (classes_[child] == "images") {
          item.age_from = std::max(item.age_from.value_or(0), in_.products[child].created_at);
        }
      }
      item.no_age = "not imaged";
    } else if (item.product_class == "calibrators") {
      const auto next = std::upper_bound(calibrators_.begin(), calibrators_.end(), row.start_mjd,
                                         [](double start, const auto& other) { return start < other.first; });
      if (next != calibrators_.end()) item.age_from = next->second;
      item.no_age = "the newest of its kind";
    } else {
      item.age_from = item.product_class == "failed" ? row.updated_at : row.created_at;
    }
  }

  const Inventory& in_;
  const RetentionPolicy& policy_;
  double now_;
  std::vector<State> state_;
  std::unordered_map<std::int64_t, std::size_t> place_;
  std::vector<std::vector<std::size_t>> parents_, children_;
  std::vector<std::string> classes_;
  std::vector<std::pair<double, double>> calibrators_;  // start of the data, when recorded
};

std::string_view After(std::string_view product_class) {
  if (product_class == "incoming") return "after the group was done";
  if (product_class == "science_ms") return "after imaging";
  if (product_class == "calibrators") return "after a newer one";
  if (product_class == "failed") return "after the last event";
  if (product_class == "quarantine" || product_class == "jobs") return "after the last change";
  return "after it was made";
}

void Add(ClassSums& sums, const Item& item) {
  ++sums.items;
  sums.bytes += item.bytes;
  const double from = item.age_from.value_or(0);
  if (from > 0 && (sums.oldest == 0 || from < sums.oldest)) sums.oldest = from;
}

bool Selected(const CleanupSelection& selection, const std::string& name) {
  return selection.classes.empty() ||
         std::find(selection.classes.begin(), selection.classes.end(), name) != selection.classes.end();
}

// Oldest first.
void SortByAge(std::vector<const Item*>& items) {
  std::stable_sort(items.begin(), items.end(),
                   [](const Item* a, const Item* b) { return a->age_from.value_or(0) < b->age_from.value_or(0); });
}

class Run {
 public:
  Run(const Inventory& inventory, const RetentionPolicy& policy, const CleanupSelection& selection, double now)
      : in_(inventory),
        policy_(policy),
        selection_(selection),
        now_(now),
        planner_(inventory, policy, now),
        items_(planner_.Items()) {
    plan_.free_bytes = selection.free_bytes;
    plan_.target_bytes = policy.min_free_bytes;
    for (const Item& item : items_) Add(plan_.present[item.product_class], item);
    // What can be made again first: its input is needed for that.
    for (const char* name :
         {"failed", "qa", "images", "science_ms", "calibrators", "incoming", "caltables", "quarantine", "jobs"}) {
      ByAge(name);
    }
    if (plan_.target_bytes > 0) {
      for (const std::string& name : policy_.pressure_order) UnderPressure(name);
    }
  }

  CleanupPlan& plan() { return plan_; }

  std::vector<std::string> Explain(const std::string& id_or_path) {
    for (const Item& item : items_) {
      if (item.path != id_or_path && !(item.product && std::to_string(in_.products[*item.product].id) == id_or_path)) {
        continue;
      }
      return Sentences(item);
    }
    for (const state::StoredProduct& row : in_.products) {
      if (row.path != id_or_path && std::to_string(row.id) != id_or_path) continue;
      return {fmt::format("{} is not on disk{}", row.path,
                          row.copy.empty() ? std::string() : ", but archived as " + row.copy)};
    }
    return {};
  }

 private:
  std::vector<std::string> Sentences(const Item& item) {
    std::vector<std::string> said;
    const ClassPolicy& policy = policy_.of(item.product_class);
    const std::string age = item.age_from ? fmt::format("{} {}", Days(now_ - *item.age_from), After(item.product_class))
                                          : "age not counted yet: " + item.no_age;
    said.push_back(fmt::format("{}: class {}, {} bytes, {}", item.path, item.product_class, item.bytes, age));
    if (item.product) {
      const state::StoredProduct& row = in_.products[*item.product];
      said.push_back(fmt::format("{}, {} wanted{}{}", Counted(row.verified_copies, "verified copy", "verified copies"),
                                 policy_.copies, row.copy.empty() ? "" : ": ", row.copy));
    }
    said.push_back(policy.days > 0 ? fmt::format("leaves {:g} d {}", policy.days, After(item.product_class))
                                   : "does not leave by age");
    const auto& order = policy_.pressure_order;
    const bool presses = policy_.min_free_bytes > 0 && OnScratch(item) &&
                         std::find(order.begin(), order.end(), item.product_class) != order.end();
    said.push_back(presses ? fmt::format("leaves, oldest first, until {} bytes are free ({} are)",
                                         policy_.min_free_bytes, plan_.free_bytes)
                           : "does not leave under pressure");
    const auto gone = gone_.find(item.path);
    if (gone != gone_.end()) {
      said.push_back("would leave now: " + plan_.leaving[gone->second].rule);
      return said;
    }
    std::string rule;
    const std::string hindrance = planner_.Hindrance(item, rule);
    said.push_back(hindrance.empty() ? "stays: neither age nor pressure asks for it" : "stays: " + hindrance);
    return said;
  }

  std::vector<const Item*> Of(const std::string& name) const {
    std::vector<const Item*> items;
    for (const Item& item : items_) {
      if (item.product_class == name) items.push_back(&item);
    }
    SortByAge(items);
    return items;
  }
  bool Full() const {
    return selection_.limit > 0 && static_cast<std::int64_t>(plan_.leaving.size()) >= selection_.limit;
  }
  bool OnScratch(const Item& item) const {
    return std::any_of(in_.scratch_roots.begin(), in_.scratch_roots.end(),
                       [&](const std::filesystem::path& root) { return IsBelow(item.path, root); });
  }

  void ByAge(const std::string& name) {
    const double days = policy_.of(name).days;
    if (days <= 0 || !Selected(selection_, name)) return;
    for (const Item* item : Of(name)) {
      if (Full()) return;
      if (!item->age_from || now_ - *item->age_from < days * kSecondsPerDay) continue;
      Decide(*item, fmt::format("{:g} d {}; ", days, After(name)), true);
    }
  }
  void UnderPressure(const std::string& name) {
    if (!Selected(selection_, name)) return;
    for (const Item* item : Of(name)) {
      if (Full() || plan_.free_bytes + bytes_on_scratch_ >= plan_.target_bytes) return;
      if (gone_.count(item->path) > 0 || kept_.count(item->path) > 0 || !OnScratch(*item)) continue;
      if (item->age_from) {
        Decide(*item, fmt::format("{} old, room is needed; ", Days(now_ - *item->age_from)), false);
      } else {
        Keep(*item, item->no_age);
      }
    }
  }

  void Keep(const Item& item, const std::string& why) {
    Add(plan_.kept[{item.product_class, why}], item);
    kept_.insert(item.path);
  }
  void Decide(const Item& item, const std::string& why, bool by_age) {
    std::string rule;
    if (const std::string hindrance = planner_.Hindrance(item, rule); !hindrance.empty()) {
      return Keep(item, hindrance);
    }
    planner_.Take(item);
    gone_[item.path] = plan_.leaving.size();
    Leaving leaving;
    if (item.product) {
      leaving.product_id = in_.products[*item.product].id;
      leaving.group_id = in_.products[*item.product].group_id;
    }
    leaving.product_class = item.product_class;
    leaving.path = item.path;
    leaving.bytes = item.bytes;
    leaving.age_from = *item.age_from;
    leaving.rule = why + rule;
    leaving.by_age = by_age;
    leaving.on_scratch = OnScratch(item);
    if (leaving.on_scratch) bytes_on_scratch_ += static_cast<std::uint64_t>(item.bytes);
    plan_.leaving.push_back(std::move(leaving));
  }

  const Inventory& in_;
  const RetentionPolicy& policy_;
  const CleanupSelection& selection_;
  double now_;
  Planner planner_;
  std::vector<Item> items_;
  std::unordered_map<std::string, std::size_t> gone_;  // path → place in plan_.leaving
  std::unordered_set<std::string> kept_;
  std::uint64_t bytes_on_scratch_ = 0;
  CleanupPlan plan_;
};

}  // namespace

std::int64_t CleanupPlan::bytes() const {
  std::int64_t sum = 0;
  for (const Leaving& each : leaving) sum += each.bytes;
  return sum;
}

std::uint64_t CleanupPlan::free_after() const {
  std::uint64_t sum = free_bytes;
  for (const Leaving& each : leaving) sum += each.on_scratch ? static_cast<std::uint64_t>(each.bytes) : 0;
  return sum;
}

CleanupPlan PlanCleanup(const Inventory& inventory, const RetentionPolicy& policy, const CleanupSelection& selection,
                        double now) {
  Run run(inventory, policy, selection, now);
  return std::move(run.plan());
}

std::vector<std::string> Explain(const Inventory& inventory, const RetentionPolicy& policy,
                                 const CleanupSelection& selection, const std::string& id_or_path, double now) {
  return Run(inventory, policy, selection, now).Explain(id_or_path);
}

std::string BeyondShare(const CleanupPlan& plan, double share) {
  std::map<std::string, ClassSums> going;
  for (const Leaving& each : plan.leaving) {
    if (!each.by_age || IsFolderClass(each.product_class)) continue;
    ++going[each.product_class].items;
    going[each.product_class].bytes += each.bytes;
  }
  for (const auto& [name, sums] : going) {
    const ClassSums& all = plan.present.at(name);
    if (all.items >= kFewItems && static_cast<double>(sums.bytes) > share * static_cast<double>(all.bytes)) return name;
  }
  return "";
}

}  // namespace contimg::ops
