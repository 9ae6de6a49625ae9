#include "ops/migration/tree_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <utility>

#include "config/error.h"
#include "config/os.h"
#include "config/unfinished.h"
#include "config/units.h"
#include "ops/base/checksum.h"
#include "ops/base/link_target.h"
#include "ops/base/words.h"
#include "ops/job/tree_marker.h"
#include "ops/migration/apart.h"
#include "ops/migration/stage_name.h"
#include "ops/migration/thing.h"
#include "ops/migration/tree_stamp.h"
#include "state/cal_table_store.h"
#include "state/source_store.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;

constexpr double kDishM = 4.65;
constexpr double kBandHz = 1.405e9;
constexpr double kBeamFactor = 1.02;  // full width at half power of an evenly lit dish, in wavelengths per diameter
constexpr const char* kCalibrators = "vla-calibrators";

struct Found {
  Thing thing;
  TreeStamp stamp;
  PlannedItem item;
};

bool IsUtf8(const fs::path& path) {
  try {
    (void)nlohmann::json(path.string()).dump();
    return true;
  } catch (const nlohmann::json::exception&) {
    return false;
  }
}

bool IsCalledATable(const fs::path& path) {
  const auto name = ParseProductName(path);
  return path.extension() == ".ms" || (name && name->kind == ProductKind::kCalTable);
}

class Planner {
 public:
  Planner(const TreePlanRequest& request, const ProductPaths& paths, const RunContext& context)
      : request_(request), paths_(paths), context_(context), os_(OsOr(context.os)) {
    const fs::path catalogue = paths.Database(StateDatabase::kMasterSources);
    if (Exists(catalogue, os_)) sources_.emplace(catalogue, state::DatabaseOptions::ForOneLook());
    const fs::path registry = paths.Database(StateDatabase::kCalRegistry);
    if (Exists(registry, os_)) {
      state::CalTableStore tables(registry, state::DatabaseOptions::ForOneLook());
      for (const state::CalTableRow& row : tables.List({})) {
        Solved& solved = solved_[row.source_group];
        if (solved.by.empty()) solved.by = row.path;
        solved.daily = solved.daily || (row.interval == ToString(CalInterval::k24Hours) && row.kind != "G");
      }
    }
    for (const fs::path& directory : paths.StandingDirectories()) standing_.insert(Absolute(directory));
    standing_.insert(Absolute(paths.roots().state));
  }

  TreePlan Run() {
    Walk(Absolute(request_.from));
    // Apart: what crashes a library is a line of the plan, not its end.
    EachApart(
        candidates_.size(), [&](std::size_t i) { return Looked(candidates_[i]); },
        [&](std::size_t i, const std::string& text, const std::string& death) {
          Take(candidates_[i], text, death);
          context_.reporter->Progress(kMigrateStage,
                                      static_cast<double>(i + 1) / static_cast<double>(candidates_.size()));
        },
        context_);
    Classes();
    Places();
    std::stable_sort(plan_.left.begin(), plan_.left.end(),
                     [](const auto& a, const auto& b) { return a.from < b.from; });
    return std::move(plan_);
  }

 private:
  void Leave(const fs::path& path, std::string reason) { plan_.left.push_back({path, std::move(reason), false}); }
  void Trouble(const fs::path& path, std::string reason) { plan_.left.push_back({path, std::move(reason), true}); }

  void Walk(const fs::path& directory) {
    std::vector<fs::path> entries;
    try {
      entries = os_.List(directory);
    } catch (const Error& error) {
      return Trouble(directory, error.message());
    }
    std::sort(entries.begin(), entries.end());
    for (const fs::path& path : entries) {
      context_.CheckCancelled(kMigrateStage);
      if (!IsUtf8(path)) {
        Trouble(path, "has a name that is no UTF-8: rename it");
      } else if (LinkTarget(path)) {
        Leave(path, "is a link: what it leads to is looked at where it lies");
      } else if (IsUnfinishedName(path) || path.filename().string().rfind('.', 0) == 0) {
        Leave(path, "is hidden: unfinished, or somebody's own");
      } else if (const FileStatus::Type type = os_.Status(path).type;
                 type != FileStatus::Type::kFile && type != FileStatus::Type::kDirectory) {
        Trouble(path, "is neither file nor folder");
      } else if (type == FileStatus::Type::kFile || !CasacoreTableType(path, os_).empty() || IsCalledATable(path)) {
        candidates_.push_back(path);
      } else if (standing_.count(path) == 0) {
        Walk(path);
      }
    }
  }

  // What looking gives, as text: {"thing": …}, {}, or {"error": …}.
  std::string Looked(const fs::path& path) {
    nlohmann::json said = nlohmann::json::object();
    try {
      if (const auto thing = LookAtThing(path, paths_, os_)) said["thing"] = ToJson(*thing);
    } catch (const Error& error) {
      // What the readers below say of another file than this one is named.
      said["error"] = error.subject().empty() || error.subject() == path.string()
                          ? error.message()
                          : fmt::format("{}: {}", error.subject(), error.message());
    } catch (const std::exception& error) {
      said["error"] = error.what();
    }
    return said.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  }
  void Take(const fs::path& path, const std::string& text, const std::string& death) {
    if (!death.empty()) return Trouble(path, "is damaged: the process that read it " + death);
    const auto said = nlohmann::json::parse(text);
    if (said.contains("error")) return Trouble(path, said["error"]);
    if (!said.contains("thing")) return Leave(path, "is no product");
    try {
      Found found;
      found.thing = ThingOf(said["thing"]);
      found.stamp = StampOf(path, os_);
      if (!found.stamp.link.empty()) {
        return Trouble(path, fmt::format("holds a link, {}, which would lead elsewhere",
                                         found.stamp.link.lexically_relative(path).string()));
      }
      if (const double age_s = request_.now_unix_s - found.stamp.newest_unix_s; age_s < request_.min_age_s) {
        return Trouble(path, age_s < 0 ? "was changed in the future: its time or this clock is wrong"
                                       : fmt::format("was changed {}: it may still be written", Ago(age_s)));
      }
      found.item.from = path;
      found.item.reason = found.thing.reason;
      found.item.bytes = found.stamp.bytes;
      found.item.inode = found.stamp.inode;
      found.item.fingerprint = found.stamp.fingerprint;
      found_.push_back(std::move(found));
    } catch (const Error& error) {
      Trouble(path, error.message());
    }
  }

  struct Solved {
    std::string by;      // a table that was solved from the set of this time
    bool daily = false;  // delays or bandpass among them
  };

  // What of the tables decides about the Measurement Sets, and the other way round.
  void Classes() {
    std::set<std::string> named;  // times of which a set is called a calibrator's
    for (const Found& each : found_) {
      if (each.thing.kind == Thing::Kind::kMeasurementSet && each.thing.named_interval)
        named.insert(each.thing.timestamp);
      if (each.thing.kind != Thing::Kind::kCalTable) continue;
      Solved& solved = solved_[each.thing.timestamp];
      if (solved.by.empty()) solved.by = each.item.from.filename().string();
      solved.daily =
          solved.daily || each.thing.cal_kind != CalKind::kGain || each.thing.named_interval == CalInterval::k24Hours;
    }
    for (Found& each : found_) {
      const Thing& thing = each.thing;
      if (thing.kind == Thing::Kind::kCalTable) {
        each.item.item_class = "caltable";
        each.item.to =
            paths_.CalTable(thing.timestamp, thing.named_interval.value_or(IntervalOf(thing)), thing.cal_kind);
      } else if (thing.kind == Thing::Kind::kFile) {
        each.item.item_class = thing.file_class;
        each.item.to = thing.place;
      } else {
        ClassOfSet(each, named.count(thing.timestamp) != 0);
      }
    }
  }
  CalInterval IntervalOf(const Thing& thing) const {
    const auto solved = solved_.find(thing.timestamp);
    const bool hourly = solved != solved_.end() && !solved->second.by.empty() && !solved->second.daily;
    return hourly ? CalInterval::k1Hour : CalInterval::k24Hours;
  }
  void ClassOfSet(Found& each, bool another_is_called_so) {
    const Thing& thing = each.thing;
    const auto solved = solved_.find(thing.timestamp);
    bool calibrator = true;
    if (request_.classify != Classify::kAuto) {
      calibrator = request_.classify == Classify::kCalibrator;
      each.item.reason = calibrator ? "--classify calibrator" : "--classify science";
    } else if (thing.named_interval) {
      each.item.reason = "is called so";
    } else if (!thing.alias.empty()) {
      each.item.reason = "its name is no time";
    } else if (another_is_called_so) {
      calibrator = false;
      each.item.reason = "the calibrator's set of this time is another";
    } else if (solved != solved_.end()) {
      each.item.reason = fmt::format("{} was solved from it", solved->second.by);
    } else if (const auto source = NearCalibrator(thing)) {
      each.item.reason = fmt::format("{} stands within half a beam of its centre", *source);
    } else {
      calibrator = false;
      each.item.reason = sources_ ? "no table of its time, no calibrator in its beam" : "no table of its time";
    }
    each.item.item_class = calibrator ? "calibrator" : "science";
    each.item.to = calibrator ? paths_.CalibratorMs(thing.timestamp, thing.named_interval.value_or(IntervalOf(thing)))
                              : paths_.ScienceMs(thing.timestamp);
    if (calibrator && !thing.alias.empty()) {
      each.item.alias = paths_.roots().output / "calibrators" / "by-name" / thing.alias;
    }
  }
  std::optional<std::string> NearCalibrator(const Thing& thing) {
    if (!sources_) return std::nullopt;
    const double dish_m = request_.dish_m > 0 ? request_.dish_m : kDishM;
    const double half_beam_deg = Angle::Radians(0.5 * kBeamFactor * kSpeedOfLight / kBandHz / dish_m).deg();
    const auto near = sources_->Cone(thing.ra_deg, thing.dec_deg, half_beam_deg, kCalibrators);
    if (near.empty()) return std::nullopt;
    return near.front().source.name;
  }

  // What would lie in one place; what lies there already.
  void Places() {
    std::map<fs::path, std::vector<Found*>> by_place;
    for (Found& each : found_) by_place[each.item.to].push_back(&each);
    for (auto& [place, claimants] : by_place) {
      context_.CheckCancelled(kMigrateStage);
      try {
        Place(place, claimants);
      } catch (const Error& error) {
        if (error.kind() == ErrorKind::kCancelled) throw;
        Trouble(claimants.front()->item.from, error.what());
      }
    }
    std::sort(plan_.items.begin(), plan_.items.end(), [](const auto& a, const auto& b) { return a.from < b.from; });
  }
  void Place(const fs::path& place, std::vector<Found*>& claimants) {
    const fs::path& first = claimants.front()->item.from;
    if (first == place && claimants.size() == 1) return Leave(first, "is in its place");
    // Of several that are the same, any will do.
    std::string checksum;
    if (claimants.size() > 1 || IsTaken(place)) {
      checksum = ProductChecksum(first, context_.threads, os_);
      for (Found* each : claimants) {
        if (each == claimants.front() || ProductChecksum(each->item.from, context_.threads, os_) == checksum) continue;
        for (const Found* one : claimants) {
          const fs::path& other = one == claimants.front() ? each->item.from : first;
          Trouble(one->item.from,
                  fmt::format("and {} are not the same and belong in one place, {}", other.string(), place.string()));
        }
        return;
      }
    }
    for (auto each = claimants.begin() + 1; each != claimants.end(); ++each) {
      Leave((*each)->item.from, fmt::format("is the same as {}", first.string()));
    }
    if (IsTaken(place)) {
      if (ProductChecksum(place, context_.threads, os_) == checksum) {
        return Leave(first, fmt::format("is the same as {}, which is there already", place.string()));
      }
      return Trouble(first, fmt::format("is not the same as {}, which is in its place", place.string()));
    }
    if (request_.mode != TreeMode::kCopy && claimants.front()->stamp.device != DeviceOfPlace(place)) {
      return Trouble(first, fmt::format("lies on another disk than its place, {}: --copy", place.string()));
    }
    PlannedItem& item = claimants.front()->item;
    if (!item.alias.empty() && (IsTaken(item.alias) || !aliases_.insert(item.alias).second)) {
      item.reason += fmt::format("; the name {} is given already", item.alias.filename().string());
      item.alias.clear();
    }
    plan_.items.push_back(std::move(item));
  }
  std::uint64_t DeviceOfPlace(fs::path place) {
    for (place = place.parent_path(); place.has_relative_path(); place = place.parent_path()) {
      if (const FileStatus status = os_.Status(place); status.type != FileStatus::Type::kNone) return status.device;
    }
    return os_.Status("/").device;
  }

  const TreePlanRequest& request_;
  const ProductPaths& paths_;
  const RunContext& context_;
  Os& os_;
  std::optional<state::SourceStore> sources_;
  std::map<std::string, Solved> solved_;  // by the time of the set
  std::set<fs::path> standing_, aliases_;
  std::vector<fs::path> candidates_;
  std::vector<Found> found_;
  TreePlan plan_;
};

}  // namespace

std::string_view ToString(TreeMode mode) {
  return mode == TreeMode::kMove ? "move" : mode == TreeMode::kLink ? "link" : "copy";
}

TreePlan PlanTree(const TreePlanRequest& request, const ProductPaths& paths, const RunContext& context) {
  Os& os = OsOr(context.os);
  if (!IsDirectory(request.from, os)) {
    throw Error(ErrorKind::kUsage, kMigrateStage, request.from.string(), "expected a directory, found none");
  }
  const fs::path from = Absolute(request.from / "").parent_path();
  const DirectoryRoots& roots = paths.roots();
  for (const fs::path& ours :
       {roots.output / "science", roots.output / "calibrators", roots.output / "failed", roots.images / "single",
        roots.images / "mosaics", roots.images / "qa", roots.state, roots.tmp, roots.staging}) {
    if (!IsBelow(from, Absolute(ours))) continue;
    throw Error(ErrorKind::kUsage, kMigrateStage, from.string(),
                fmt::format("is this installation's own {}", ours.string()));
  }
  TreePlanRequest absolute = request;
  absolute.from = from;
  return Planner(absolute, paths, context).Run();
}

}  // namespace contimg::ops
