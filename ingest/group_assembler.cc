#include "ingest/group_assembler.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace contimg::ingest {

bool TimeAxis::Agrees(const TimeAxis& other, double tolerance_s) const {
  return (count == other.count || count == 0 || other.count == 0) &&
         std::abs(first_mjd_s - other.first_mjd_s) <= tolerance_s &&
         std::abs(last_mjd_s - other.last_mjd_s) <= tolerance_s;
}

UtcTime AssembledGroup::Stamp() const {
  UtcTime earliest = UtcTime::FromMjdSeconds(axis.first_mjd_s);
  bool first = true;
  for (const auto& [number, file] : subbands) {
    if (first || file.stamp < earliest) earliest = file.stamp;
    first = false;
  }
  return earliest;
}

std::string_view ToString(DecisionKind kind) {
  switch (kind) {
    case DecisionKind::kFounded:
      return "founded";
    case DecisionKind::kJoined:
      return "joined";
    case DecisionKind::kComplete:
      return "complete";
    case DecisionKind::kPartial:
      return "partial";
    case DecisionKind::kIncomplete:
      return "incomplete";
    case DecisionKind::kDuplicate:
      return "duplicate";
    case DecisionKind::kReplaced:
      return "replaced";
    case DecisionKind::kConflict:
      return "conflict";
    case DecisionKind::kLate:
      return "late";
  }
  return "unknown";
}

std::string GroupAssembler::Census(const AssembledGroup& group) const {
  std::string missing;
  for (int number = 0; number < rules_.expected_subbands; ++number) {
    if (group.subbands.count(number) == 0) missing += fmt::format("{}sb{:02d}", missing.empty() ? "" : " ", number);
  }
  return fmt::format("{} of {} subbands{}{}", group.subbands.size(), rules_.expected_subbands,
                     missing.empty() ? "" : ", missing ", missing);
}

AssembledGroup* GroupAssembler::FindMutable(const TimeAxis& axis) {
  auto at = by_start_.lower_bound(axis.first_mjd_s - rules_.tolerance_s);
  AssembledGroup* nearest = nullptr;
  for (; at != by_start_.end() && at->first <= axis.first_mjd_s + rules_.tolerance_s; ++at) {
    AssembledGroup& group = groups_.at(at->second);
    if (!group.axis.Agrees(axis, rules_.tolerance_s)) continue;
    if (nearest == nullptr ||
        std::abs(group.axis.first_mjd_s - axis.first_mjd_s) < std::abs(nearest->axis.first_mjd_s - axis.first_mjd_s)) {
      nearest = &group;
    }
  }
  return nearest;
}

SubbandFile* GroupAssembler::TwinIn(AssembledGroup& group, int subband) {
  if (const auto known = group.subbands.find(subband); known != group.subbands.end()) return &known->second;
  const auto late =
      std::find_if(group.late.begin(), group.late.end(), [&](const SubbandFile& f) { return f.subband == subband; });
  return late != group.late.end() ? &*late : nullptr;
}

const SubbandFile* GroupAssembler::Twin(const SubbandFile& file) const {
  AssembledGroup* group = const_cast<GroupAssembler*>(this)->FindMutable(file.axis);
  return group != nullptr ? TwinIn(*group, file.subband) : nullptr;
}

const AssembledGroup* GroupAssembler::Find(const TimeAxis& axis) const {
  return const_cast<GroupAssembler*>(this)->FindMutable(axis);
}

const AssembledGroup* GroupAssembler::Find(GroupKey key) const {
  const auto at = groups_.find(key);
  return at == groups_.end() ? nullptr : &at->second;
}

void GroupAssembler::SetPhase(AssembledGroup& group, GroupPhase phase) {
  group.phase = phase;
  collecting_.erase(group.key);
  closed_.erase(group.key);
  if (phase == GroupPhase::kCollecting) collecting_.insert(group.key);
  if (phase == GroupPhase::kReady || phase == GroupPhase::kIncomplete) closed_.insert(group.key);
}

std::optional<Decision> GroupAssembler::CloseIfComplete(AssembledGroup& group) {
  if (static_cast<int>(group.subbands.size()) < rules_.expected_subbands) return std::nullopt;
  SetPhase(group, GroupPhase::kReady);
  return Decision{DecisionKind::kComplete, group.key, std::nullopt, Census(group)};
}

std::vector<Decision> GroupAssembler::Add(const SubbandFile& file, double now, const SameContent& same) {
  const std::string name = file.path.filename().string();
  AssembledGroup* group = FindMutable(file.axis);
  if (group == nullptr) {
    AssembledGroup founded;
    founded.axis = file.axis;
    founded.deadline = now + rules_.deadline_s;
    founded.subbands.emplace(file.subband, file);
    const GroupKey key = Restore(std::move(founded));
    std::vector<Decision> decisions{{DecisionKind::kFounded, key, file, name + " begins a group"}};
    if (auto complete = CloseIfComplete(groups_.at(key))) decisions.push_back(*complete);
    return decisions;
  }

  if (SubbandFile* twin = TwinIn(*group, file.subband)) {
    const std::string twin_name = twin->path.filename().string();
    if (same(*twin, file)) {
      return {{DecisionKind::kDuplicate, group->key, file, fmt::format("{} repeats {}", name, twin_name)}};
    }
    if (twin->path == file.path) {
      *twin = file;
      return {{DecisionKind::kReplaced, group->key, file, name + " was sent again with other content"}};
    }
    if (group->phase == GroupPhase::kCollecting) SetPhase(*group, GroupPhase::kHeld);
    return {{DecisionKind::kConflict, group->key, file,
             fmt::format("{} has the subband and times of {} but other content", name, twin_name)}};
  }

  switch (group->phase) {
    case GroupPhase::kCollecting: {
      group->subbands.emplace(file.subband, file);
      std::vector<Decision> decisions{{DecisionKind::kJoined, group->key, file, name + " joined"}};
      if (auto complete = CloseIfComplete(*group)) decisions.push_back(*complete);
      return decisions;
    }
    case GroupPhase::kHeld:
      group->subbands.emplace(file.subband, file);
      return {{DecisionKind::kJoined, group->key, file, name + " joined the held group"}};
    case GroupPhase::kIncomplete: {
      // Nothing has been made from the group yet, so the missing file may still complete it.
      group->subbands.emplace(file.subband, file);
      std::vector<Decision> decisions{
          {DecisionKind::kLate, group->key, file, name + " arrived after the group's deadline"}};
      if (auto complete = CloseIfComplete(*group)) decisions.push_back(*complete);
      return decisions;
    }
    case GroupPhase::kReady:
      group->late.push_back(file);
      return {{DecisionKind::kLate, group->key, file, name + " arrived after the group had been closed"}};
  }
  return {};
}

std::vector<Decision> GroupAssembler::Advance(double now) {
  std::vector<AssembledGroup*> due;
  for (const GroupKey key : collecting_) {
    AssembledGroup& group = groups_.at(key);
    if (group.deadline <= now) due.push_back(&group);
  }
  std::stable_sort(due.begin(), due.end(), [](const AssembledGroup* a, const AssembledGroup* b) {
    return a->axis.first_mjd_s < b->axis.first_mjd_s;
  });
  std::vector<Decision> decisions;
  for (AssembledGroup* group : due) {
    const bool enough = static_cast<int>(group->subbands.size()) >= rules_.min_subbands;
    SetPhase(*group, enough ? GroupPhase::kReady : GroupPhase::kIncomplete);
    decisions.push_back({enough ? DecisionKind::kPartial : DecisionKind::kIncomplete, group->key, std::nullopt,
                         fmt::format("deadline passed with {} ({} needed)", Census(*group), rules_.min_subbands)});
  }
  ForgetOldest();
  return decisions;
}

GroupKey GroupAssembler::Restore(AssembledGroup group) {
  const GroupKey key = next_key_++;
  group.key = key;
  by_start_.emplace(group.axis.first_mjd_s, key);
  AssembledGroup& kept = groups_.emplace(key, std::move(group)).first->second;
  SetPhase(kept, kept.phase);
  return key;
}

std::vector<Decision> GroupAssembler::Release(GroupKey key, double deadline) {
  const auto at = groups_.find(key);
  if (at == groups_.end() || at->second.phase != GroupPhase::kHeld) return {};
  AssembledGroup& group = at->second;
  SetPhase(group, GroupPhase::kCollecting);
  group.deadline = deadline;
  if (auto complete = CloseIfComplete(group)) return {*complete};
  return {};
}

void GroupAssembler::Withdraw(GroupKey key, const std::filesystem::path& path) {
  const auto at = groups_.find(key);
  if (at == groups_.end()) return;
  AssembledGroup& group = at->second;
  for (auto file = group.subbands.begin(); file != group.subbands.end();) {
    file = file->second.path == path ? group.subbands.erase(file) : std::next(file);
  }
  group.late.erase(std::remove_if(group.late.begin(), group.late.end(), [&](const auto& f) { return f.path == path; }),
                   group.late.end());
}

void GroupAssembler::Hold(GroupKey key) {
  const auto at = groups_.find(key);
  if (at != groups_.end() && at->second.phase == GroupPhase::kCollecting) SetPhase(at->second, GroupPhase::kHeld);
}

std::vector<GroupKey> GroupAssembler::Open() const {
  std::vector<GroupKey> keys;
  for (const auto& [key, group] : groups_) {
    if (group.phase == GroupPhase::kCollecting || group.phase == GroupPhase::kHeld) keys.push_back(key);
  }
  return keys;
}

void GroupAssembler::Close(GroupKey key) {
  const auto at = groups_.find(key);
  if (at != groups_.end()) SetPhase(at->second, GroupPhase::kReady);
}

void GroupAssembler::Forget(GroupKey key) {
  const auto at = groups_.find(key);
  if (at == groups_.end()) return;
  const auto range = by_start_.equal_range(at->second.axis.first_mjd_s);
  for (auto entry = range.first; entry != range.second; ++entry) {
    if (entry->second == key) {
      by_start_.erase(entry);
      break;
    }
  }
  collecting_.erase(key);
  closed_.erase(key);
  groups_.erase(at);
}

void GroupAssembler::ForgetOldest() {
  while (closed_.size() > rules_.remembered_groups) Forget(*closed_.begin());
}

}  // namespace contimg::ingest
