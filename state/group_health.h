// What is wrong with the queue as a whole: how many groups fail, are given up or are held, and the newest of each.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "state/group_store.h"

namespace contimg::state {

struct GroupTrouble {
  std::int64_t n = 0;
  int most_attempts = 0;      // that failed, of one group
  std::string newest, cause;  // its id; sentence
  std::optional<ErrorKind> kind;
  double since = 0;            // unix_s: of the oldest; 0: not known
  double next_attempt_at = 0;  // unix_s: the next of them that is due; 0: none waits
};

// Groups that are to be tried again after a failure, also while that attempt waits for its turn or runs.
GroupTrouble FailingGroups(GroupStore& store);
GroupTrouble DeadGroups(GroupStore& store);
// How many groups have been given up after `unix_s`.
std::int64_t CountDeadSince(GroupStore& store, double unix_s);
GroupTrouble HeldGroups(GroupStore& store);  // cause: why it was held

// Attempts of groups that end in a death of their worker (crash, timeout) and are not overcome, later than `unix_s`,
// oldest first.
struct LostWorker {
  double at = 0;
  std::string id, cause;
};
std::vector<LostWorker> LostWorkers(GroupStore& store, double unix_s);

// Groups that may be taken now, and for how long the first of them has waited (0: none).
struct WaitingGroups {
  std::int64_t n = 0;
  double longest_s = 0;
};
WaitingGroups GroupsThatWait(GroupStore& store, double now);

}  // namespace contimg::state
