#include "ops/daemon/sky_watch.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "calibrate/lost_sky.h"

namespace contimg::ops {
namespace {

constexpr std::size_t kTilesKept = 600;  // more than two days
constexpr const char* kEvent = "sky";
constexpr const char* kAllSee = "all antennas see the sky";
constexpr const char* kNoTelling = "no telling which antennas see the sky";

const StageReport* FlagStage(const JobReport& report) {
  const auto at =
      std::find_if(report.stages.begin(), report.stages.end(), [](const StageReport& s) { return s.name == "flag"; });
  return at == report.stages.end() || !at->figures.contains("sky") ? nullptr : &*at;
}

}  // namespace

std::optional<std::vector<std::string>> SkyWatch::FoundBy(const JobReport& report) {
  const StageReport* flag = FlagStage(report);
  if (flag == nullptr) return std::nullopt;
  const nlohmann::json& sky = flag->figures["sky"];
  if (sky.value("seen", 0) == 0) return std::nullopt;
  std::vector<std::string> names;
  for (const auto& antenna : sky.value("antennas", nlohmann::json::array())) {
    names.push_back(antenna.value("name", std::string()));
  }
  return names;
}

std::optional<state::EventRow> SkyWatch::EventOf(const std::string& group, const JobReport& report, double now) const {
  const StageReport* flag = FlagStage(report);
  if (flag == nullptr || !flag->figures["sky"].value("searched", false)) return std::nullopt;
  const auto found = FoundBy(report);
  const auto before = tiles_.find(group);
  if (found && found->empty() && (before == tiles_.end() || before->second.empty())) return std::nullopt;
  state::EventRow event;
  event.at = now;
  event.group_id = group;
  event.kind = kEvent;
  event.actor = "runner";
  event.detail = !found ? kNoTelling : found->empty() ? kAllSee : calibrate::LostSkyHistory(*found);
  return event;
}

void SkyWatch::Put(const std::string& group, std::vector<std::string> names) {
  tiles_[group] = std::move(names);
  while (tiles_.size() > kTilesKept) tiles_.erase(tiles_.begin());
  metrics_.SetAntennasWithoutSky(static_cast<std::int64_t>(tiles_.rbegin()->second.size()));
}

void SkyWatch::Saw(const std::string& group, const JobReport& report) {
  if (FlagStage(report) == nullptr) return;  // an earlier job of the group has flagged it
  if (auto names = FoundBy(report)) {
    Put(group, std::move(*names));
  } else {
    tiles_.erase(group);
  }
}

void SkyWatch::Restore(state::GroupStore& store) {
  state::GroupQuery query;
  query.states = {state::GroupState::kDone, state::GroupState::kAwaitingCalibration};
  query.limit = kTilesKept;
  for (const state::GroupRow& row : store.List(query)) {
    std::optional<std::vector<std::string>> names(std::in_place);
    for (const state::EventRow& event : store.Events(row.id)) {
      if (event.kind != kEvent) continue;
      names.reset();
      if (event.detail != kNoTelling) names = calibrate::NamesWithoutSky({event.detail});
    }
    if (names) Put(row.id, std::move(*names));
  }
}

std::vector<SkyWatch::Missing> SkyWatch::Now() const {
  std::vector<Missing> missing;
  if (tiles_.empty()) return missing;
  for (const std::string& name : tiles_.rbegin()->second) {
    auto since = tiles_.rbegin();
    while (std::next(since) != tiles_.rend()) {
      const auto& before = std::next(since)->second;
      if (std::find(before.begin(), before.end(), name) == before.end()) break;
      ++since;
    }
    missing.push_back({name, since->first});
  }
  return missing;
}

std::vector<std::string> SkyWatch::Troubles() const {
  std::map<std::string, std::vector<std::string>> by_tile;
  for (const Missing& each : Now()) by_tile[each.since].push_back(each.name);
  std::vector<std::string> parts;
  for (const auto& [since, names] : by_tile) {
    parts.push_back(fmt::format("antenna{} {} show{} no sky since {}", names.size() == 1 ? "" : "s",
                                fmt::join(names, ", "), names.size() == 1 ? "s" : "", since));
  }
  if (parts.empty()) return {};
  return {fmt::format("{}: flagged, look at the receivers", fmt::join(parts, "; "))};
}

nlohmann::ordered_json SkyWatch::Status() const {
  nlohmann::ordered_json antennas = nlohmann::ordered_json::array();
  for (const Missing& each : Now()) antennas.push_back({{"name", each.name}, {"since", each.since}});
  return {{"tile", tiles_.empty() ? nlohmann::ordered_json() : nlohmann::ordered_json(tiles_.rbegin()->first)},
          {"antennas", antennas}};
}

}  // namespace contimg::ops
