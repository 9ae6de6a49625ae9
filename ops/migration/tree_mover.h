// Carries out a journal (ops/migration/tree_journal.h), forwards and back, so that it can be killed at any point and
// gone on with: what stands under a name is known by its inode, and a name is given in one step, never in place of
// anything. Nothing of the old tree is ever removed: what is moved is renamed, what is copied or linked stays.
#pragma once

#include <filesystem>
#include <functional>

#include "config/run_context.h"
#include "ops/migration/tree_journal.h"

namespace contimg::ops {

// Gives planned items their places (all, or those that `wanted` says). One that fails gets its reason and stays where
// it is; what may pass (a full disk) and Error{kCancelled} end the run, and the next goes on. Reports progress as
// "migrate".
void MoveItems(Journal& journal, const RunContext& context, const std::function<bool(const JournalItem&)>& wanted);

// Gives everything back as it was: names, times of folders, names by which calibrators are called. What is no longer
// what was put there stays, with its reason.
void UndoItems(Journal& journal, const RunContext& context);

}  // namespace contimg::ops
