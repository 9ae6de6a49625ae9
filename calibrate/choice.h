// Which calibration tables an observation gets: a pure function of the registry's rows and the observation's time.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "calibrate/solutions.h"
#include "config/time.h"

namespace contimg::calibrate {

// kMissing, kChanged: active, but its files are gone, or are not those that were registered.
enum class TableStatus { kActive, kRetired, kFailed, kMissing, kChanged };

// What the choice looks at, one per registered table. Times are MJD days (UTC).
struct TableRecord {
  std::int64_t id = 0;
  SolutionKind kind = SolutionKind::kGain;
  double valid_from_mjd = 0;  // middle of the solved tile; the window is half-open: from <= t < to
  double valid_to_mjd = 0;
  TableStatus status = TableStatus::kActive;
  double declination_deg = 0;  // of the solved field
  std::string refant;          // reference antenna; empty: not known
  // The tables whose gains were taken out before this one was solved: a bandpass rests on its delays, a gain on its
  // delays and bandpass. Phases move freely between such tables, so none of them serves beside a stranger. Empty: not
  // known, taken on trust (tables registered by hand).
  std::vector<std::int64_t> rests_on;
};

// What to do for an observation that no window covers.
enum class MissingPolicy {
  kWait,          // hold the observation until a table arrives
  kNearest,       // borrow the table whose window is nearest in time, within a limit
  kUncalibrated,  // go on without
};

struct ChoiceRule {
  double backward_s = 1800;  // a table also serves observations up to this long before it (0 = off)
  MissingPolicy policy = MissingPolicy::kWait;
  double nearest_limit_s = 6 * kSecondsPerHour;  // kNearest: largest distance of the observation from the window
  double max_declination_offset_deg = 2.5;       // tables of another declination strip do not count; 0 = no check
  bool need_delay = false;                       // K is wanted but not required unless set
};

enum class ChoiceOutcome { kComplete, kWait, kUncalibrated };

// Why a table was or was not taken.
struct TableVerdict {
  std::int64_t id = 0;
  bool chosen = false;
  std::string reason;  // "covers the observation", "retired", "window ended 12 s before"…
};

struct Choice {
  ChoiceOutcome outcome = ChoiceOutcome::kWait;
  std::optional<std::int64_t> delay, bandpass, gain;  // ids
  bool borrowed = false;                              // kNearest filled a gap
  std::vector<TableVerdict> verdicts;                 // one per record, in the given order
};

// For an observation whose middle is `time_mjd` at `declination_deg`: of each kind the active table whose window
// [from, to) covers the time; among several the largest valid_from, ties by the larger id. When none does, the active
// table with from − backward <= t < from and the smallest valid_from serves (ties: larger id). BP and G are required; K
// is taken when there is one. Comparisons are made in whole microseconds so that windows joined end to start leave
// neither gap nor overlap whatever the rounding of a double.
//
// Tables serve together or not at all: a gain goes with the bandpass (and both with the delays) that it rests on, and
// refers to the same antenna. The best bandpass that has its companions is taken; a newer one whose gain failed does
// not displace an older complete set.
Choice ChooseTables(double time_mjd, double declination_deg, const std::vector<TableRecord>& records,
                    const ChoiceRule& rule);

// Seconds until no active table of the kind covers time t any more (0: none covers it now).
double CoveredForSeconds(double time_mjd, SolutionKind kind, const std::vector<TableRecord>& records);

}  // namespace contimg::calibrate
