// Is the service well? One pure function from facts to findings. The page, `contimg status`, /readyz, /healthz, the
// metrics and the log all say what it says and add nothing.
//
// Amber needs a look, red means that work or data are being lost or stand still: what cannot be right is red at once
// (a disk that is not there), what may be an accident is amber at once and red when it repeats (a failing group).
// /readyz is 503 and `contimg status` ends with 1 exactly while something is red or the service is not ready yet.
// What an operator does about each code: docs/operations/health.md, which a test compares with AllHealthCodes.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "config/error.h"
#include "ops/records/health_findings.h"

namespace contimg::ops {

// What the judgement rests on. What is not known stays at its default, which is well. Times: unix_s.
struct HealthFacts {
  double now = 0;
  bool stopping = false;
  bool caught_up = true;  // every file that was there at the start has been looked into
  std::size_t n_pending_files = 0;

  // The directory trees and their disks.
  struct Tree {
    enum class State { kWell, kMissing, kForeign, kReadOnly };
    std::string name;  // "scratch", "incoming", "images"…
    std::string path;
    State state = State::kWell;
    std::string finding;  // one sentence behind the path when not well
    std::string cure;
  };
  std::vector<Tree> trees;
  struct Disk {
    enum class Level { kGood, kWarning, kCritical };
    std::string name;  // "scratch", "images", "staging", "state"
    Level level = Level::kGood;
    std::string sentence;   // when not good
    std::string path = {};  // a directory on it
  };
  std::vector<Disk> disks;

  // What comes in.
  std::string incoming;          // the directory
  std::string incoming_trouble;  // why it cannot be listed; empty: it can
  double incoming_lost_at = 0;   // since when
  double last_file_at = 0;       // 0: never
  double no_data_after_s = 0;    // 0: silence is never a finding
  std::size_t n_unreadable = 0;  // files that are tried again
  std::string unreadable_example;
  std::size_t n_unknown_names = 0;
  std::string unknown_name_example;
  int subbands_per_group = 16;
  struct Quarantine {
    std::string directory;
    std::size_t n_files = 0, n_last_hour = 0;
    double oldest_at = 0;
    std::string newest, newest_reason;     // its path; why
    std::optional<ErrorKind> newest_kind;  // of the reason; nothing where none says
    std::string newest_from;               // where it came from, by its reason
    // A file that makes it superfluous, should one have come meanwhile: of its name, or the same subband of its group.
    // Recorded: looked into and taken into the group.
    std::string other;
    bool other_recorded = false;
    std::map<std::string, std::size_t> n_of_group;  // by the stamp in their names
  } quarantine;

  // The queue. Groups "fail" while they are to be tried again after a failure, also while that attempt waits or runs.
  struct Groups {
    std::int64_t n = 0;
    std::int64_t n_in_a_row = 0;  // the last ones to end, none of which was done in between
    int most_attempts = 0;
    std::string newest, newest_cause;  // its id; kind and sentence
    std::optional<ErrorKind> newest_kind;
    double since = 0;
    double next_attempt_at = 0;
  };
  Groups failing, dead, held;
  struct Task {
    std::string id, state;  // "failed", "dead", "held"
    std::string cause, cure;
    double since = 0;
    int attempts = 0;
  };
  std::vector<Task> tasks;       // that need a look, newest first
  std::string database_trouble;  // why the queue cannot be read or written now; empty: it can
  std::optional<ErrorKind> database_trouble_kind;
  double database_trouble_since = 0;
  std::size_t n_writes_waiting = 0;
  std::int64_t n_waiting = 0;  // groups that are due and wait for a worker
  double longest_wait_s = 0;
  double behind_after_s = 0;  // half of it is a long wait; 0: none is

  // Copies, and what reading again found.
  struct Waiting {               // for the next success of a kind of maintenance
    double since = 0;            // the last one, or the first start where there never was one
    double overdue_after_s = 0;  // 0: it never is
    bool ever = false;
  };
  Waiting backup;
  struct Shipping {      // of backups to a remote
    std::string remote;  // empty: they go to none
    Waiting run;
    std::string failure;  // as that of the archive
    double failed_at = 0;
  } shipping;
  struct Archive {
    Waiting run;
    std::int64_t backlog_bytes = 0;  // of products that have too few verified copies
    std::int64_t blocked_bytes = 0;  // that the last cleanup was to let go and kept
    std::string failure;             // of the last run; empty: it ended well
    double failed_at = 0;
    std::int64_t n_lost = 0;  // objects whose products have no other copy at their remote
    std::int64_t n_gone = 0;  // products of them that are not on disk and have no copy anywhere
    std::string lost;         // the newest, REMOTE:OBJECT
    double lost_since = 0;
  } archive;
  struct Integrity {
    std::int64_t n = 0;              // products on disk that are not what was recorded
    std::int64_t n_only = 0;         // of them without a copy
    std::string newest, difference;  // its path; expected and found
    double since = 0;                // of the oldest
  } integrity;
  struct Forecast {
    std::optional<double> full_in_s;  // of the scratch disk; nothing: not known, or never
    double limit_s = 0;               // 0: it is never a finding
  } forecast;

  // Calibration.
  struct Calibration {
    std::string missing;  // "no BP and no G table serves groups at …"; empty: none is missing
    std::int64_t n_waiting_groups = 0;
    std::string waiting_reason;
    double expires_in_s = -1;  // of the table that runs out first; negative: not known
    std::string expiring;      // its kind
    std::int64_t n_damaged = 0;
    std::string damaged, damaged_cure;  // sentence about the newest one
    int n_failed_solves = 0;            // since the last that passed
    std::string failed_solve;           // group and reason of the newest
    double failed_solve_at = 0;
  } calibration;

  // The work and the machine.
  struct Killed {
    std::int64_t n_last_hour = 0;
    std::string newest;  // group and what ended its worker
    double newest_at = 0;
    std::set<std::string> of;  // the groups and tasks at work
  } killed;
  int n_antennas_without_sky = 0;
  std::string antennas_without_sky;  // their names and the group
  double clock_step_s = 0;           // negative: back; 0: none in the last hour
  double clock_stepped_at = 0;
  bool clock_still_behind = false;
  std::int64_t n_products_missing = 0, n_products_unknown = 0;
  std::string listens_openly;  // the address; empty: it does not
  std::string loop_error;      // newest unexpected error of the last hour
  std::int64_t n_loop_errors = 0;
  double loop_error_at = 0;
};

// Red ones first, then in the order of AllHealthCodes. Empty: all is well.
std::vector<HealthFinding> JudgeHealth(const HealthFacts& facts);

// What the findings amount to.
struct HealthVerdict {
  bool ready = true;                       // nothing red, not stopping, caught up
  std::string why_not;                     // when not ready: one sentence
  std::string words = "All is well";       // "All is well", "Needs a look", "Not working", "Catching up", "Stopping"
  std::optional<HealthSeverity> severity;  // of the worst finding
};
HealthVerdict Summarise(const HealthFacts& facts, const std::vector<HealthFinding>& findings);

}  // namespace contimg::ops
