#include "ops/retention/plan.h"

#include <fmt/format.h>

#include <algorithm>

#include "config/text.h"
#include "config/time.h"
#include "ops/base/words.h"
#include "ops/job/tree_marker.h"
#include "ops/retention/holdings.h"

namespace contimg::ops {
namespace {

constexpr std::int64_t kFewItems = 20;  // of which a share says nothing

std::string Days(double seconds) { return fmt::format("{:.4g} d", seconds / kSecondsPerDay); }

class Planner {
 public:
  Planner(Holdings& holdings, const RetentionPolicy& policy, double now)
      : holdings_(holdings), in_(holdings.inventory()), policy_(policy), now_(now) {}

  // Why it may not leave now; empty: it may, and `rule` says by which requirement.
  std::string Hindrance(const Holding& item, std::string& rule) {
    if (!item.product) {
      rule = "no product";
      return Young(item) ? TooYoung() : "";
    }
    const std::size_t i = *item.product;
    if (holdings_.Row(i).pinned) return "pinned";
    if (const std::string busy = Busy(i, item.product_class); !busy.empty()) return busy;
    if (item.product_class == "caltables" && InUse(i)) return "something that is here was made with it";
    const Require require = policy_.of(item.product_class).require;
    const int n_copies = holdings_.Copies(i).n;
    const bool archived = n_copies >= policy_.copies;
    const bool regenerable = !archived && require == Require::kRegenerable && Regenerable(i);
    if (Young(item) && !FromVerified(i)) return TooYoung();
    if (archived) {
      rule = Counted(n_copies, "verified copy", "verified copies");
      return "";
    }
    if (require == Require::kArchived) {
      return n_copies == 0 ? "not archived" : fmt::format("{} of {} copies verified", n_copies, policy_.copies);
    }
    if (regenerable) {
      rule = FromVerified(i) ? "regenerable from archived input" : "regenerable from what is here";
      return "";
    }
    if (require == Require::kRegenerable) {
      return holdings_.Parents(i).empty() ? "not archived" : "its input is neither here nor archived";
    }
    if (StateOf(i).needed) return "something that went can be made again of it alone";
    rule = "no requirement";
    return "";
  }

  // From now on it counts as gone.
  void Take(const Holding& item) {
    if (!item.product) return;
    const std::size_t i = *item.product;
    Change(i).going = true;
    if (holdings_.Copies(i).n == 0 && policy_.of(item.product_class).require == Require::kRegenerable) Need(i);
  }

 private:
  struct State {
    bool going = false, needed = false;
  };

  State StateOf(std::size_t i) const { return i < state_.size() ? state_[i] : State(); }
  State& Change(std::size_t i) {
    if (i >= state_.size()) state_.resize(i + 1);
    return state_[i];
  }
  bool IsHere(std::size_t i) const { return holdings_.Row(i).present && !StateOf(i).going; }
  bool Has(std::size_t i) const { return IsHere(i) || holdings_.Copies(i).n > 0; }
  // Everything it was made of can be had.
  bool Regenerable(std::size_t i) const {
    const std::vector<std::size_t>& parents = holdings_.Parents(i);
    return !parents.empty() && std::all_of(parents.begin(), parents.end(),
                                           [&](std::size_t parent) { return Has(parent) || Regenerable(parent); });
  }
  // Down to the first things of which it is made, all have verified copies.
  bool FromVerified(std::size_t i) const {
    const std::vector<std::size_t>& parents = holdings_.Parents(i);
    if (parents.empty()) return holdings_.Copies(i).n > 0;
    return std::all_of(parents.begin(), parents.end(),
                       [&](std::size_t parent) { return holdings_.Copies(parent).n > 0 || FromVerified(parent); });
  }
  // What it is to be made of stays.
  void Need(std::size_t i) {
    for (const std::size_t parent : holdings_.Parents(i)) {
      if (holdings_.Copies(parent).n > 0) continue;
      Change(parent).needed = true;
      if (!IsHere(parent)) Need(parent);
    }
  }
  bool InUse(std::size_t i) const {
    const std::vector<std::size_t>& children = holdings_.Children(i);
    return std::any_of(children.begin(), children.end(),
                       [&](std::size_t child) { return IsHere(child) || InUse(child); });
  }
  bool AtRest(const std::string& group) const {
    const auto found = in_.groups.find(group);
    return found == in_.groups.end() || found->second.at_rest;
  }
  std::string Busy(std::size_t i, std::string_view product_class) const {
    const state::StoredProduct& row = holdings_.Row(i);
    if (!AtRest(row.group_id)) return "its group is not done";
    for (const std::size_t child : holdings_.Children(i)) {
      if (!AtRest(holdings_.Row(child).group_id)) return "a group that is at work uses it";
    }
    if (product_class != "failed") {
      const auto group = in_.groups.find(row.group_id);
      if (group != in_.groups.end() && !group->second.done) return "its group was given up";
    }
    return "";
  }
  bool Young(const Holding& item) const {
    const double made = item.product ? holdings_.Row(*item.product).created_at : item.age_from.value_or(now_);
    return now_ - made < policy_.min_age_s;
  }
  std::string TooYoung() const { return fmt::format("younger than {:g} s", policy_.min_age_s); }

  Holdings& holdings_;
  const Inventory& in_;
  const RetentionPolicy& policy_;
  double now_;
  std::vector<State> state_;  // by place; what is not there yet is neither going nor needed
};

std::string_view After(std::string_view product_class) {
  if (product_class == "incoming") return "after the group was done";
  if (product_class == "science_ms") return "after imaging";
  if (product_class == "calibrators") return "after a newer one";
  if (product_class == "failed") return "after the last event";
  if (product_class == "quarantine" || product_class == "jobs") return "after the last change";
  return "after it was made";
}

std::optional<state::StoredProduct> FindProduct(const Inventory& inventory, const std::string& id_or_path) {
  if (!inventory.records) return std::nullopt;
  const auto id = RecordNumber(id_or_path);
  return id ? inventory.records->Find(*id) : inventory.records->FindByPath(id_or_path);
}

bool Selected(const CleanupSelection& selection, const std::string& name) {
  return selection.classes.empty() ||
         std::find(selection.classes.begin(), selection.classes.end(), name) != selection.classes.end();
}

class Run {
 public:
  Run(Holdings& holdings, const RetentionPolicy& policy, const CleanupSelection& selection, double now)
      : holdings_(holdings),
        in_(holdings.inventory()),
        policy_(policy),
        selection_(selection),
        now_(now),
        planner_(holdings, policy, now),
        fate_(holdings.size()) {
    plan_.free_bytes = selection.free_bytes;
    plan_.target_bytes = policy.min_free_bytes;
    plan_.present = holdings.present();
    // What can be made again first: its input is needed for that.
    for (const char* name : {"failed", "qa", "mosaics", "images", "science_ms", "calibrators", "incoming", "caltables",
                             "quarantine", "jobs"}) {
      ByAge(name);
    }
    if (plan_.target_bytes > 0) {
      for (const std::string& name : policy_.pressure_order) UnderPressure(name);
    }
  }

  CleanupPlan& plan() { return plan_; }

  std::vector<std::string> Explain(const std::string& id_or_path) {
    if (const Holding* item = holdings_.Find(id_or_path)) return Sentences(*item);
    const auto row = FindProduct(in_, id_or_path);
    if (!row || row->present) return {};
    const state::VerifiedCopies copies = in_.records->CopiesOf(row->id);
    return {fmt::format("{} is not on disk{}", row->path,
                        copies.n == 0 ? std::string() : ", but archived as " + copies.one)};
  }

 private:
  std::vector<std::string> Sentences(const Holding& item) {
    std::vector<std::string> said;
    const ClassPolicy& policy = policy_.of(item.product_class);
    const std::string age = item.age_from ? fmt::format("{} {}", Days(now_ - *item.age_from), After(item.product_class))
                                          : "age not counted yet: " + item.no_age;
    said.push_back(fmt::format("{}: class {}, {} bytes, {}", item.path, item.product_class, item.bytes, age));
    if (item.product) {
      const state::VerifiedCopies& copies = holdings_.Copies(*item.product);
      said.push_back(fmt::format("{}, {} wanted{}{}", Counted(copies.n, "verified copy", "verified copies"),
                                 policy_.copies, copies.n == 0 ? "" : ": ", copies.one));
    }
    said.push_back(policy.days > 0 ? fmt::format("leaves {:g} d {}", policy.days, After(item.product_class))
                                   : "does not leave by age");
    const auto& order = policy_.pressure_order;
    const bool presses = policy_.min_free_bytes > 0 && OnScratch(item) &&
                         std::find(order.begin(), order.end(), item.product_class) != order.end();
    said.push_back(presses ? fmt::format("leaves, oldest first, until {} bytes are free ({} are)",
                                         policy_.min_free_bytes, plan_.free_bytes)
                           : "does not leave under pressure");
    const Fate& fate = fate_[item.number];
    if (fate.leaving) {
      said.push_back("would leave now: " + plan_.leaving[*fate.leaving].rule);
      return said;
    }
    std::string rule;
    const std::string hindrance = planner_.Hindrance(item, rule);
    said.push_back(hindrance.empty() ? "stays: neither age nor pressure asks for it" : "stays: " + hindrance);
    return said;
  }

  bool Full() const {
    return selection_.limit > 0 && static_cast<std::int64_t>(plan_.leaving.size()) >= selection_.limit;
  }
  bool OnScratch(const Holding& item) const {
    return std::any_of(in_.scratch_roots.begin(), in_.scratch_roots.end(),
                       [&](const std::filesystem::path& root) { return IsBelow(item.path, root); });
  }

  void ByAge(const std::string& name) {
    const double days = policy_.of(name).days;
    if (days <= 0 || !Selected(selection_, name)) return;
    for (const Holding& item : holdings_.Of(name)) {
      if (Full()) return;
      if (!item.age_from || now_ - *item.age_from < days * kSecondsPerDay) continue;
      Decide(item, fmt::format("{:g} d {}; ", days, After(name)), true);
    }
  }
  void UnderPressure(const std::string& name) {
    if (!Selected(selection_, name)) return;
    for (const Holding& item : holdings_.Of(name)) {
      if (Full() || plan_.free_bytes + bytes_on_scratch_ >= plan_.target_bytes) return;
      if (fate_[item.number].leaving || fate_[item.number].kept || !OnScratch(item)) continue;
      if (item.age_from) {
        Decide(item, fmt::format("{} old, room is needed; ", Days(now_ - *item.age_from)), false);
      } else {
        Keep(item, item.no_age);
      }
    }
  }

  void Keep(const Holding& item, const std::string& why) {
    AddTo(plan_.kept[{std::string(item.product_class), why}], item);
    fate_[item.number].kept = true;
  }
  void Decide(const Holding& item, const std::string& why, bool by_age) {
    std::string rule;
    if (const std::string hindrance = planner_.Hindrance(item, rule); !hindrance.empty()) {
      return Keep(item, hindrance);
    }
    planner_.Take(item);
    fate_[item.number].leaving = plan_.leaving.size();
    Leaving leaving;
    if (item.product) {
      leaving.product_id = holdings_.Row(*item.product).id;
      leaving.group_id = holdings_.Row(*item.product).group_id;
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

  struct Fate {
    std::optional<std::size_t> leaving;  // its place in plan_.leaving
    bool kept = false;
  };

  Holdings& holdings_;
  const Inventory& in_;
  const RetentionPolicy& policy_;
  const CleanupSelection& selection_;
  double now_;
  Planner planner_;
  std::vector<Fate> fate_;  // by number
  std::uint64_t bytes_on_scratch_ = 0;
  CleanupPlan plan_;
};

}  // namespace

std::vector<std::string> ClassesThatMayLeave(const RetentionPolicy& policy, const CleanupSelection& selection) {
  std::vector<std::string> classes;
  const auto add = [&](const std::string& name) {
    if (Selected(selection, name) && std::find(classes.begin(), classes.end(), name) == classes.end()) {
      classes.push_back(name);
    }
  };
  for (const auto& [name, of] : policy.classes) {
    if (of.days > 0) add(name);
  }
  if (policy.min_free_bytes > 0) {
    for (const std::string& name : policy.pressure_order) add(name);
  }
  return classes;
}

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
  Holdings holdings(inventory);
  Run run(holdings, policy, selection, now);
  return std::move(run.plan());
}

void PlanCleanups(const Inventory& inventory, const std::vector<RetentionPolicy>& policies, double now,
                  const std::function<void(std::size_t, const CleanupPlan&)>& take) {
  Holdings holdings(inventory);
  const CleanupSelection all;
  for (std::size_t i = 0; i < policies.size(); ++i) take(i, Run(holdings, policies[i], all, now).plan());
}

std::vector<std::string> Explain(const Inventory& inventory, const RetentionPolicy& policy,
                                 const CleanupSelection& selection, const std::string& id_or_path, double now) {
  Holdings holdings(inventory);
  return Run(holdings, policy, selection, now).Explain(id_or_path);
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
