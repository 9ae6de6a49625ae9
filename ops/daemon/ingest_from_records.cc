// What the intake takes from the records: groups of before its start, groups around a file that seems new, and what an
// operator has decided about those that are open.
#include <algorithm>
#include <cmath>
#include <utility>

#include "config/time.h"
#include "ops/daemon/ingest_service.h"

namespace contimg::ops {
namespace {

using ingest::Decision;
using ingest::GroupKey;
using ingest::SubbandFile;
using state::GroupState;

}  // namespace

void IngestService::Restore(const state::GroupRow& row) {
  if (ids_.Find(row.id)) return;
  ingest::AssembledGroup group;
  switch (row.state) {
    case GroupState::kCollecting:
      group.phase = ingest::GroupPhase::kCollecting;
      break;
    case GroupState::kHeld:
      group.phase = ingest::GroupPhase::kHeld;
      break;
    case GroupState::kDead:
      group.phase =
          row.error_kind == ErrorKind::kIncomplete ? ingest::GroupPhase::kIncomplete : ingest::GroupPhase::kReady;
      break;
    default:
      group.phase = ingest::GroupPhase::kReady;
  }
  group.axis = {UtcTime::FromMjd(row.data_start_mjd).mjd_s(), UtcTime::FromMjd(row.data_end_mjd).mjd_s(), 0};
  for (const state::SubbandFileRow& file_row : context_.store.Files(row.id)) {
    const auto name = ParseIncomingName(file_row.path);
    if (!name) continue;
    SubbandFile file;
    file.path = file_row.path;
    file.subband = file_row.subband;
    file.stamp = UtcTime::FromIso8601(name->timestamp);
    file.axis = group.axis;
    file.size = static_cast<std::uint64_t>(file_row.size_bytes);
    file.mtime_ns = static_cast<std::int64_t>(std::llround(file_row.mtime * 1e9));
    file.fingerprint = file_row.checksum;
    if (file_row.status == "present") group.subbands.emplace(file.subband, file);
    if (file_row.status == "late") group.late.push_back(file);
    // Should it come back, it is news.
    if (file_row.status == "removed") intake_.Gone(file.path.filename().string());
  }
  // The deadline runs from the first file, or from when an operator let the group go on.
  double since = row.first_file_at;
  if (row.state == GroupState::kCollecting) {
    for (const state::EventRow& event : context_.store.Events(row.id)) {
      if (event.to_state == ToString(GroupState::kCollecting)) since = std::max(since, event.at);
    }
  }
  const double age = std::clamp(context_.clock.Unix() - since, 0.0, settings_.ingest.deadline_s);
  group.deadline = context_.clock.Steady() + settings_.ingest.deadline_s - age;
  const GroupKey key = assembler_.Restore(std::move(group));
  ids_.Set(key, row.id);
}

void IngestService::Forget(GroupKey key) {
  assembler_.Forget(key);
  ids_.Forget(key);
}

void IngestService::RestoreAnew(const state::GroupRow& row) {
  if (const auto known = ids_.Find(row.id)) Forget(*known);
  Restore(row);
}

void IngestService::RestoreNeighbours(const SubbandFile& file) {
  constexpr double kReachS = kSecondsPerHour;  // clocks of writers are never that far apart from the data
  for (const UtcTime centre : {file.stamp, UtcTime::FromMjdSeconds(file.axis.first_mjd_s)}) {
    state::GroupQuery query;
    query.id_from = (centre - kReachS).Iso8601();
    query.id_before = (centre + kReachS).Iso8601();
    for (const state::GroupRow& row : context_.store.List(query)) Restore(row);
  }
}

// Compares the groups that are open here with those that are open in the database.
void IngestService::FollowOperator() {
  for (const GroupKey key : assembler_.Open()) {
    const auto row = context_.store.Find(ids_.Of(key));
    if (!row) {
      Forget(key);
    } else if (row->state != GroupState::kHeld && row->state != GroupState::kCollecting) {
      RestoreAnew(*row);  // as closed; its files may have been looked at again
    }
  }
  state::GroupQuery open;
  open.states = {GroupState::kCollecting, GroupState::kHeld};
  for (state::GroupRow& row : context_.store.List(open)) {
    const auto known = ids_.Find(row.id);
    const ingest::AssembledGroup* group = known ? assembler_.Find(*known) : nullptr;
    if (row.state == GroupState::kHeld) {
      if (group == nullptr) {
        Restore(row);
      } else if (group->phase == ingest::GroupPhase::kCollecting) {
        assembler_.Hold(*known);
      } else if (group->phase != ingest::GroupPhase::kHeld) {
        RestoreAnew(row);
      }
      continue;
    }
    if (group != nullptr && group->phase == ingest::GroupPhase::kCollecting) continue;
    // Released: its files as the record has them now, and a new deadline.
    row.state = GroupState::kHeld;
    RestoreAnew(row);
    const double deadline = context_.clock.Steady() + settings_.ingest.deadline_s;
    for (const Decision& decision : assembler_.Release(ids_.Find(row.id).value(), deadline)) CarryOut(decision);
  }
  ids_.ForgetAllBut(assembler_);
}

}  // namespace contimg::ops
