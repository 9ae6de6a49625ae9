// What a person does about a group that needs a hand: the same words on the pages, in `contimg queue show` and in the
// API.
//
// The cure follows from the state and from what went wrong: trying again helps against what passes (a full disk), not
// against what stays (a damaged file).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "config/error.h"
#include "state/group_store.h"
#include "state/task_store.h"

namespace contimg::ops {

struct Cure {
  std::string sentence;               // what is to be done, and when; empty: nothing needs doing
  std::vector<std::string> commands;  // that work when pasted, in this order; may be empty
};

// For one group, for one task.
Cure CureOf(const state::GroupRow& row);
Cure CureOf(const state::TaskRow& row);
// For all groups of a state that share a kind of error (nothing: none is recorded). `example`: the newest of them.
Cure CureOfMany(const state::GroupRow& example);

}  // namespace contimg::ops
