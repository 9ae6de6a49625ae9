#include "ops/records/operator_actions.h"

#include <fmt/format.h>

#include <algorithm>

#include "ops/records/input_review.h"

namespace contimg::ops {
namespace {

using state::GroupRow;
using state::GroupState;
using state::GroupStore;

void Move(state::WorkTable& store, const state::WorkRow& row, GroupState to, const char* verb,
          const OperatorRequest& request, bool reset_attempts = false) {
  if (row.state == to) return;  // asked for twice
  state::TransitionDetails details;
  details.actor = request.actor;
  details.detail = request.reason.empty() ? verb : fmt::format("{}: {}", verb, request.reason);
  details.reset_attempts = reset_attempts;
  if (to == GroupState::kReady) details.next_attempt_at = request.now;
  store.Transition(row.id, to, details, request.now);
}

Error Refusal(const state::WorkRow& row, const std::string& message) {
  return Error(ErrorKind::kUsage, "queue", row.id, message);
}

}  // namespace

int FewestSubbands(const GroupRow& row, const IngestSettings& settings) {
  return std::min<int>(row.subbands_expected, static_cast<int>(settings.min_subbands));
}

void RequeueGroup(GroupStore& store, const GroupRow& row, const OperatorRequest& request,
                  const IngestSettings& settings) {
  if (row.state == GroupState::kReady) return;
  if (row.state == GroupState::kRunning) throw Refusal(row, "is running; cancel it first");
  store.database().Write([&] {
    // Subbands that came after the group had been closed take part from now on.
    std::vector<state::SubbandFileRow> files = store.Files(row.id), late;
    for (state::SubbandFileRow& file : files) {
      if (file.status != "late") continue;
      file.status = "present";
      late.push_back(file);
    }
    if (!late.empty()) store.AddFiles(row, late, request.actor, request.now);
    const InputReview review = ReviewInputs(files, request.exists);
    if (const int fewest = FewestSubbands(row, settings); review.n_present < fewest) {
      throw Refusal(row, fmt::format("has {} of {} subbands and at least {} are needed (ingest.min_subbands); it goes "
                                     "on by itself when the others arrive{}",
                                     review.n_present, row.subbands_expected, fewest,
                                     review.notes.empty() ? "" : "; " + review.notes.front()));
    }
    RecordReview(store, row, review, request.actor, request.now);
    Move(store, row, GroupState::kReady, "requeue", request, true);
  });
}

void ReleaseGroup(GroupStore& store, const GroupRow& row, const OperatorRequest& request,
                  const IngestSettings& settings) {
  if (row.state != GroupState::kHeld) throw Refusal(row, "is not held");
  store.database().Write([&] {
    const InputReview review = ReviewInputs(store.Files(row.id), request.exists);
    if (!review.unresolved.empty()) {
      throw Refusal(row, fmt::format("two files of one subband differ and both are there; remove the one that is not "
                                     "to be used, then release ({})",
                                     fmt::join(review.unresolved, "; ")));
    }
    RecordReview(store, row, review, request.actor, request.now);
    const bool enough = review.n_present >= FewestSubbands(row, settings);
    Move(store, row, enough ? GroupState::kReady : GroupState::kCollecting, "release", request);
  });
}

void RequeueTask(state::TaskStore& store, const state::TaskRow& row, const OperatorRequest& request) {
  if (row.state == GroupState::kRunning) throw Refusal(row, "is running; cancel it first");
  Move(store, row, GroupState::kReady, "requeue", request, true);
}

void ReleaseTask(state::TaskStore& store, const state::TaskRow& row, const OperatorRequest& request) {
  if (row.state != GroupState::kHeld) throw Refusal(row, "is not held");
  Move(store, row, GroupState::kReady, "release", request);
}

void Hold(state::WorkTable& table, const state::WorkRow& row, const OperatorRequest& request) {
  Move(table, row, GroupState::kHeld, "hold", request);
}

void Cancel(state::WorkTable& table, const state::WorkRow& row, const OperatorRequest& request) {
  Move(table, row, GroupState::kCancelled, "cancel", request);
}

}  // namespace contimg::ops
