// The queue along the time axis, for whoever draws it: many groups, few columns, read from an index.
#pragma once

#include <string>
#include <vector>

#include "state/group_store.h"

namespace contimg::state {

// A group as a mark on the time axis.
struct GroupMark {
  std::string id;
  GroupState state = GroupState::kCollecting;
  int subbands_present = 0;
  int subbands_expected = 0;
  double started_at = 0;   // of the last attempt, unix_s; 0 never
  double finished_at = 0;  // of the last attempt, unix_s; 0 never
};

// Groups with id_from ≤ id < id_before, oldest first; at most `limit` of the newest (0: all).
std::vector<GroupMark> GroupMarks(GroupStore& store, const std::string& id_from, const std::string& id_before,
                                  int limit = 0);

// Groups per state and time bin: `bin` is the first `id_characters` characters of the ids ("2025-10-13T13": an hour,
// "2025-10-13": a day). Ascending bins.
struct GroupBin {
  std::string bin;
  GroupState state = GroupState::kCollecting;
  std::int64_t count = 0;
};
std::vector<GroupBin> GroupBins(GroupStore& store, const std::string& id_from, const std::string& id_before,
                                int id_characters);

}  // namespace contimg::state
