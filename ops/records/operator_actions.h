// What a person may do about a group or a task and what else each action changes: the rules behind `contimg queue`, and
// behind whatever else acts on a person's word.
//
// Each action is one transaction with its events. Error{kUsage}, one sentence, when it cannot be acted upon so;
// Error{kIo} when its input directory cannot be looked into.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "config/settings.h"
#include "state/group_store.h"
#include "state/task_store.h"

namespace contimg::ops {

struct OperatorRequest {
  std::string actor = "operator";
  std::string reason;  // a sentence for the audit trail; may be empty
  double now = 0;      // unix_s
  // How files are looked for; FileIsThere (ops/records/input_review.h).
  std::function<bool(const std::filesystem::path&)> exists;
};

// Try again: the group becomes ready with a fresh count of attempts. Subbands that came late take part from now on, and
// files are looked at again. Refused while it runs, and below ingest.min_subbands.
void RequeueGroup(state::GroupStore& store, const state::GroupRow& row, const OperatorRequest& request,
                  const IngestSettings& settings);
// A held group goes on: ready with enough subbands, else collecting with its deadline armed anew. The files are looked
// at again; refused while two files of one subband claim its place.
void ReleaseGroup(state::GroupStore& store, const state::GroupRow& row, const OperatorRequest& request,
                  const IngestSettings& settings);
// The same for a task, which has no files to look at.
void RequeueTask(state::TaskStore& store, const state::TaskRow& row, const OperatorRequest& request);
void ReleaseTask(state::TaskStore& store, const state::TaskRow& row, const OperatorRequest& request);
// Of either kind.
void Hold(state::WorkTable& table, const state::WorkRow& row, const OperatorRequest& request);
void Cancel(state::WorkTable& table, const state::WorkRow& row, const OperatorRequest& request);

// The fewest subbands that a job of this group may run with.
int FewestSubbands(const state::GroupRow& row, const IngestSettings& settings);

}  // namespace contimg::ops
