// The one machine of states that everything in the queue goes through: groups of subband files and tasks.
//
//   collecting ──► ready ──► running ──► done
//        │           ▲          ├──► awaiting_calibration ──► ready
//        ▼           │          └──► failed ──► ready (retry) | dead
//      failed        └── held ◄── (operator) ; cancelled ◄── (operator)
//
// Tasks begin at ready and never collect or wait for calibration.
#pragma once

#include <string_view>
#include <vector>

namespace contimg::state {

enum class WorkState {
  kCollecting,           // files are arriving
  kReady,                // may be taken by a runner (from next_attempt_at on)
  kRunning,              // a runner holds its lease
  kAwaitingCalibration,  // converted and flagged; no valid table yet
  kDone,
  kFailed,     // this attempt failed; a retry is due at next_attempt_at
  kDead,       // given up
  kHeld,       // kept back by the operator or by a conflict
  kCancelled,  // by the operator
};
constexpr int kWorkStateCount = 9;
using GroupState = WorkState;

std::string_view ToString(WorkState state);        // "collecting", "awaiting_calibration", …
WorkState ParseGroupState(std::string_view word);  // throws Error{kUsage} naming the words
// The nine states in declaration order.
const std::vector<WorkState>& AllGroupStates();

// What may follow what. Pure; any transition that is not listed is refused by the store with Error{kUsage}.
//   collecting            → ready failed dead held cancelled
//   ready                 → running held cancelled collecting dead
//   running               → done awaiting_calibration failed dead ready held cancelled
//   awaiting_calibration  → ready running failed dead held cancelled
//   done                  → ready                         (reprocess)
//   failed                → ready dead held cancelled
//   dead                  → ready held cancelled          (requeue)
//   held                  → collecting ready awaiting_calibration cancelled
//   cancelled             → ready collecting              (requeue)
bool IsLegalTransition(WorkState from, WorkState to);

}  // namespace contimg::state
