#include "ops/daemon/decision_records.h"

#include <fmt/format.h>

#include <cmath>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "config/time.h"
#include "ops/base/log.h"
#include "ops/daemon/actors.h"
#include "ops/daemon/failed_log.h"

namespace contimg::ops {
namespace {

using ingest::Decision;
using ingest::DecisionKind;
using state::GroupState;
using state::GroupStore;

// The operator may have decided about the group a moment ago, which is not known here yet: that goes first.
bool OperatorKeeps(const std::optional<state::GroupRow>& row) {
  return row && (row->state == GroupState::kHeld || row->state == GroupState::kCancelled);
}

// No worker has begun with it.
bool MayStillBeHeld(const std::optional<state::GroupRow>& row) {
  return row && (row->state == GroupState::kCollecting || row->state == GroupState::kReady ||
                 row->state == GroupState::kFailed);
}

// One decision on its way into the records.
class DecisionRecord {
 public:
  DecisionRecord(const IngestContext& context, const IngestSettings& settings, GroupIds& ids,
                 const ingest::AssembledGroup& group, const Decision& decision)
      : context_(context),
        settings_(settings),
        ids_(ids),
        group_(group),
        decision_(decision),
        id_(ids.Of(decision.group)),
        why_(decision.explanation),
        now_(context.clock.Unix()) {}

  void Founded();
  void Joined();
  void Complete();
  void Partial();
  void Incomplete();
  void Duplicate();
  void Replaced();
  void Conflict();
  void Late();

 private:
  void CompareStamp();
  void TakeEarliestName();

  void AddFile(const char* status);
  void Note(const char* kind, const std::string& detail);
  void Become(GroupState to, std::optional<ErrorKind> kind = {}, std::function<void()> after = {});

  const IngestContext& context_;
  const IngestSettings& settings_;
  GroupIds& ids_;
  const ingest::AssembledGroup& group_;
  const Decision& decision_;
  const std::string id_, why_;
  const double now_;
};

void DecisionRecord::Founded() {
  AddFile("present");
  context_.metrics.FileAccepted(decision_.file->size);
  Log(LogLevel::kDebug, id_, why_);
  CompareStamp();
  TakeEarliestName();
}

void DecisionRecord::Joined() {
  AddFile("present");
  context_.metrics.FileAccepted(decision_.file->size);
  Log(LogLevel::kDebug, id_, why_);
  TakeEarliestName();
}

// The data decide, and the group keeps the name that its files have: whoever looks for it by time must know.
void DecisionRecord::CompareStamp() {
  const double off_s = group_.axis.first_mjd_s - decision_.file->stamp.mjd_s();
  if (std::abs(off_s) <= settings_.stamp_tolerance_s) return;
  const std::string sentence =
      fmt::format("{} is named {:.0f} s {} its data, which begin at {}: check the clock of the writer",
                  decision_.file->path.filename().string(), std::abs(off_s), off_s > 0 ? "before" : "after",
                  UtcTime::FromMjdSeconds(group_.axis.first_mjd_s).Stamp());
  Note("stamp", sentence);
  Log(LogLevel::kWarning, id_, sentence);
}

void DecisionRecord::TakeEarliestName() {
  const std::string earliest = ids_.FreeFor(group_.Stamp(), decision_.group);
  if (group_.phase == ingest::GroupPhase::kHeld || earliest == id_) return;
  context_.writes.Add(id_ + ": renamed", [id = id_, earliest, now = now_](GroupStore& store) {
    store.Rename(id, earliest, kWatcher, now);
  });
  ids_.Set(decision_.group, earliest);
}

void DecisionRecord::Complete() {
  Become(GroupState::kReady);
  context_.writes.Hurry();
  context_.metrics.GroupClosed("complete");
  Log(LogLevel::kInfo, id_, "ready: " + why_);
}

void DecisionRecord::Partial() {
  Become(GroupState::kReady);
  context_.metrics.GroupClosed("partial");
  Log(LogLevel::kWarning, id_, "ready as partial: " + why_);
}

void DecisionRecord::Incomplete() {
  FailedRecord record;
  record.group = id_;
  record.kind = ErrorKind::kIncomplete;
  record.message = why_;
  Become(GroupState::kDead, ErrorKind::kIncomplete, [&os = context_.os, &paths = context_.paths, record] {
    WriteFailedLog(os, paths.FailedLog(record.group), record);
  });
  context_.metrics.GroupClosed("incomplete");
  Log(LogLevel::kError, id_, "given up: " + why_);
}

void DecisionRecord::Duplicate() {
  const auto known = group_.subbands.find(decision_.file->subband);
  if (known != group_.subbands.end() && known->second.path == decision_.file->path) return;  // seen twice
  AddFile("duplicate");
  Note("duplicate", why_);
  context_.metrics.FileRejected("duplicate");
  Log(LogLevel::kInfo, id_, "ignored: " + why_);
}

void DecisionRecord::Replaced() {
  AddFile(group_.subbands.count(decision_.file->subband) != 0 ? "present" : "late");
  Note("replaced", why_);
  context_.writes.Add(id_ + ": marked", [id = id_, why = why_, now = now_](GroupStore& store) {
    if (store.Find(id)) store.Mark(id, why + " after the products were made", kWatcher, now);
  });
  context_.metrics.FileAccepted(decision_.file->size);
  Log(LogLevel::kWarning, id_, why_);
}

// Held unless a worker has begun: then the group goes on with what it has, and the conflict is on record.
void DecisionRecord::Conflict() {
  AddFile("conflict");
  Note("conflict", why_);
  context_.writes.Add(id_ + ": held", [id = id_, why = why_, now = now_](GroupStore& store) {
    if (!MayStillBeHeld(store.Find(id))) return;
    state::TransitionDetails details;
    details.actor = kWatcher;
    details.detail = why;
    store.Transition(id, GroupState::kHeld, details, now);
  });
  context_.metrics.FileRejected("conflict");
  Log(LogLevel::kError, id_, "a person must choose: " + why_);
}

void DecisionRecord::Late() {
  const bool unused =
      group_.phase == ingest::GroupPhase::kIncomplete || group_.subbands.count(decision_.file->subband) != 0;
  AddFile(unused ? "present" : "late");
  Note("late", why_);
  context_.metrics.FileAccepted(decision_.file->size);
  Log(LogLevel::kWarning, id_, why_);
}

void DecisionRecord::AddFile(const char* status) {
  state::GroupRow row;
  row.id = id_;
  row.subbands_expected = static_cast<int>(settings_.expected_subbands);
  row.data_start_mjd = UtcTime::FromMjdSeconds(group_.axis.first_mjd_s).mjd();
  row.data_end_mjd = UtcTime::FromMjdSeconds(group_.axis.last_mjd_s).mjd();
  row.first_file_at = now_;
  state::SubbandFileRow file;
  file.group_id = id_;
  file.subband = decision_.file->subband;
  file.path = decision_.file->path.string();
  file.size_bytes = static_cast<std::int64_t>(decision_.file->size);
  file.mtime = 1e-9 * static_cast<double>(decision_.file->mtime_ns);
  file.checksum = decision_.file->fingerprint;
  file.status = status;
  file.seen_at = now_;
  context_.writes.Add(id_ + ": file",
                      [row, file, now = now_](GroupStore& store) { store.AddFiles(row, {file}, kWatcher, now); });
}

void DecisionRecord::Note(const char* kind, const std::string& detail) {
  state::EventRow event;
  event.at = now_;
  event.group_id = id_;
  event.kind = kind;
  event.actor = kWatcher;
  event.detail = detail;
  context_.writes.Add(id_ + ": " + kind, [event](GroupStore& store) { store.AddEvent(event); });
}

void DecisionRecord::Become(GroupState to, std::optional<ErrorKind> kind, std::function<void()> after) {
  state::TransitionDetails details;
  details.actor = kWatcher;
  details.detail = why_;
  details.error_kind = kind;
  if (kind) details.error = why_;
  if (to == GroupState::kReady) details.next_attempt_at = now_;
  context_.writes.Add(
      fmt::format("{}: {}", id_, ToString(to)),
      [id = id_, to, details, now = now_](GroupStore& store) {
        if (!OperatorKeeps(store.Find(id))) store.Transition(id, to, details, now);
      },
      std::move(after));
}

}  // namespace

void RecordDecision(const IngestContext& context, const IngestSettings& settings, GroupIds& ids,
                    const ingest::AssembledGroup& group, const Decision& decision) {
  if (decision.kind == DecisionKind::kFounded) {
    ids.Set(decision.group, ids.FreeFor(group.Stamp(), decision.group));
  }
  DecisionRecord record(context, settings, ids, group, decision);
  switch (decision.kind) {
    case DecisionKind::kFounded:
      return record.Founded();
    case DecisionKind::kJoined:
      return record.Joined();
    case DecisionKind::kComplete:
      return record.Complete();
    case DecisionKind::kPartial:
      return record.Partial();
    case DecisionKind::kIncomplete:
      return record.Incomplete();
    case DecisionKind::kDuplicate:
      return record.Duplicate();
    case DecisionKind::kReplaced:
      return record.Replaced();
    case DecisionKind::kConflict:
      return record.Conflict();
    case DecisionKind::kLate:
      return record.Late();
  }
}

}  // namespace contimg::ops
