#include "state/work_states.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>

#include "config/error.h"

namespace contimg::state {
namespace {

constexpr std::array<std::string_view, kWorkStateCount> kStateWords{
    "collecting", "ready", "running", "awaiting_calibration", "done", "failed", "dead", "held", "cancelled"};

// Row: from; column: to; both in the order of GroupState.
constexpr bool kLegal[kWorkStateCount][kWorkStateCount] = {
    // collecting ready running awaiting done failed dead held cancelled
    {false, true, false, false, false, true, true, true, true},      // collecting
    {true, false, true, false, false, false, true, true, true},      // ready
    {false, true, false, true, true, true, true, true, true},        // running
    {false, true, true, false, false, true, true, true, true},       // awaiting_calibration
    {false, true, false, false, false, false, false, false, false},  // done
    {false, true, false, false, false, false, true, true, true},     // failed
    {false, true, false, false, false, false, false, true, true},    // dead
    {true, true, false, true, false, false, false, false, true},     // held
    {true, true, false, false, false, false, false, false, false},   // cancelled
};

}  // namespace

std::string_view ToString(WorkState state) { return kStateWords.at(static_cast<std::size_t>(state)); }

WorkState ParseGroupState(std::string_view word) {
  const auto found = std::find(kStateWords.begin(), kStateWords.end(), word);
  if (found == kStateWords.end()) {
    throw Error(ErrorKind::kUsage, "state", std::string(word),
                fmt::format("is no state of a group: expected one of {}", fmt::join(kStateWords, ", ")));
  }
  return static_cast<WorkState>(found - kStateWords.begin());
}

const std::vector<WorkState>& AllGroupStates() {
  static const std::vector<WorkState> all = [] {
    std::vector<WorkState> states;
    states.reserve(kWorkStateCount);
    for (int i = 0; i < kWorkStateCount; ++i) states.push_back(static_cast<WorkState>(i));
    return states;
  }();
  return all;
}

bool IsLegalTransition(WorkState from, WorkState to) {
  return kLegal[static_cast<std::size_t>(from)][static_cast<std::size_t>(to)];
}

}  // namespace contimg::state
