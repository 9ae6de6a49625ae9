// The queue: groups of subband files, their states, and the append-only trail of everything that happened to them
// (ingest.sqlite3).
//
//   collecting ──► ready ──► running ──► done
//        │           ▲          ├──► awaiting_calibration ──► ready
//        ▼           │          └──► failed ──► ready (retry) | dead
//      failed        └── held ◄── (operator) ; cancelled ◄── (operator)
//
// Every change of state is one transaction together with its event. A group's times are UTC seconds since 1970 as
// doubles ("unix_s"); the caller passes `now` so that the store has no clock. Any number of processes may use one
// database; each GroupStore belongs to one thread at a time.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/error.h"
#include "state/database.h"

namespace contimg::state {

enum class GroupState {
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
constexpr int kGroupStateCount = 9;
std::string_view ToString(GroupState state);        // "collecting", "awaiting_calibration", …
GroupState ParseGroupState(std::string_view word);  // throws Error{kUsage} naming the words
// The nine states in declaration order.
const std::vector<GroupState>& AllGroupStates();

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
bool IsLegalTransition(GroupState from, GroupState to);

struct GroupRow {
  std::string id;  // "2025-10-13T13:28:03"
  GroupState state = GroupState::kCollecting;
  int priority = 0;                     // larger goes first
  int attempts = 0;                     // how often a runner has taken it
  double next_attempt_at = 0;           // unix_s; ready or failed groups are not taken before it
  std::optional<ErrorKind> error_kind;  // of the last failure; cleared on done
  std::string error;
  int subbands_present = 0;  // counted from the files
  int subbands_expected = 0;
  double data_start_mjd = 0;  // first and last integration (middle), MJD days UTC; 0 until known
  double data_end_mjd = 0;
  double first_file_at = 0;  // unix_s
  double created_at = 0;
  double updated_at = 0;
  double started_at = 0;    // of the last attempt; 0 never
  double finished_at = 0;   // of the last attempt; 0 never
  std::string executor;     // "local", "slurm"
  std::string executor_id;  // process or batch-job id
  std::string lease_owner;  // empty unless running
  double lease_expires_at = 0;
  std::string stage;                // last progress report
  double progress = 0;              // 0…1
  std::string timings_json = "{}";  // per stage, as the report gave it
};

struct SubbandFileRow {
  std::string group_id;
  int subband = 0;
  std::string path;
  std::int64_t size_bytes = 0;
  double mtime = 0;  // unix_s
  std::string checksum;
  std::string status = "present";  // present | late | duplicate | conflict | quarantined | removed
  double seen_at = 0;
};

struct EventRow {
  std::int64_t id = 0;   // rises with time
  double at = 0;         // unix_s
  std::string group_id;  // may be empty: an event of the service itself
  std::string kind;      // "state", "file", "note", "move"…
  std::string from_state;
  std::string to_state;
  std::string actor;  // "watcher", "runner", "operator"…
  std::string detail;
};

// Selection for List and Count; unset members do not restrict.
struct GroupQuery {
  std::vector<GroupState> states;
  std::string id_from;    // inclusive; ids sort as time
  std::string id_before;  // exclusive
  std::optional<ErrorKind> error_kind;
  bool late_files = false;  // only groups with subbands that came too late, or done ones that are marked (Mark)
  int limit = 0;            // 0: all
  int offset = 0;
  bool newest_first = true;  // by id
};

// What a long listing shows of a group. The texts are valid during the call that hands them over.
struct GroupLine {
  std::string_view id;
  std::string_view state;       // as ToString(GroupState)
  std::string_view error_kind;  // empty: none
  std::string_view error;
  int attempts = 0;
  int subbands_present = 0;
  int subbands_expected = 0;
  double updated_at = 0;
};

enum class QueueOrder { kNewest, kOldest };

struct GroupSummary {
  std::vector<std::pair<GroupState, std::int64_t>> counts;  // every state, also those with 0
  std::string oldest_unprocessed;       // id of the oldest group in collecting, ready, running, failed; empty: none
  double oldest_unprocessed_since = 0;  // its first_file_at
  double last_file_at = 0;              // newest seen_at of all files; 0: none
};

// What a transition may change besides the state. Unset members stay as they are.
struct TransitionDetails {
  std::string actor;   // who: required, "watcher", "runner", "operator"…
  std::string detail;  // why, for the event
  std::optional<ErrorKind> error_kind;
  std::string error;  // with error_kind; a group that becomes held has `detail` as its error, without a kind
  std::optional<double> next_attempt_at;
  std::optional<std::string> timings_json;
  bool reset_attempts = false;  // requeue by the operator starts counting afresh
  // When set, the transition is refused with Error{kBusy} unless this owner holds the group's lease.
  std::string lease_owner;
};

class GroupStore {
 public:
  // Opens (creating and migrating as needed) the database at `path`: see state/database.h for its errors.
  explicit GroupStore(const std::filesystem::path& path, const DatabaseOptions& options = {});
  ~GroupStore();
  GroupStore(GroupStore&&) noexcept;
  GroupStore& operator=(GroupStore&&) noexcept;

  // --- groups and files
  // A new group in state collecting (or `row.state`), with its event. Error{kUsage} when the id exists.
  void Create(const GroupRow& row, std::string_view actor, double now);
  // Creates the group when it is new and adds or updates its files (key: group, subband, path), all in one transaction:
  // what the watcher calls when files arrive. subbands_present is recounted. Returns true when the group was new.
  bool AddFiles(const GroupRow& group, const std::vector<SubbandFileRow>& files, std::string_view actor, double now);
  // A group's id is frozen when it becomes ready; until then it follows its earliest stamp. Files and events follow.
  void Rename(std::string_view id, std::string_view new_id, std::string_view actor, double now);
  void SetDataTimes(std::string_view id, double start_mjd, double end_mjd, double now);
  // A sentence on a done group about why its products no longer say what its input does: `error` without a kind, until
  // it is done again. Other states stay as they are (a job that begins now sees the new input). With a note "marked".
  void Mark(std::string_view id, std::string_view sentence, std::string_view actor, double now);
  void SetPriority(std::string_view id, int priority, std::string_view actor, double now);
  std::optional<GroupRow> Find(std::string_view id);
  std::vector<GroupRow> List(const GroupQuery& query);
  // The same groups in the same order, handed over one by one without being kept: for listings of a year of groups.
  void ForEach(const GroupQuery& query, const std::function<void(const GroupLine&)>& take);
  std::int64_t Count(const GroupQuery& query);
  std::vector<SubbandFileRow> Files(std::string_view id);
  std::optional<SubbandFileRow> FindFile(std::string_view path);
  GroupSummary Summary();
  // Number of files with this status (for metrics).
  std::int64_t CountFiles(std::string_view status);

  // --- transitions
  // Moves the group to `to` and records the event, in one transaction. Error{kUsage} when the group does not exist or
  // the transition is not legal from its present state. `running` is entered through Acquire and AcquireNext only.
  // Leaving it clears the lease and sets finished_at; done also clears the error. A group that becomes ready is due at
  // once unless next_attempt_at is given.
  void Transition(std::string_view id, GroupState to, const TransitionDetails& details, double now);

  // --- leases
  // Takes the next ready group (or failed one whose retry is due): highest priority first, then by `order` of id. It
  // becomes running (a failed one by way of ready), attempts rises, the lease is `owner`'s until now + lease_s. Nothing
  // when none is due. Two processes never get the same group.
  std::optional<GroupRow> AcquireNext(std::string_view owner, QueueOrder order, double lease_s, double now);
  // The same for one group by id (state ready, failed or awaiting_calibration). Nothing when it is not to be had.
  std::optional<GroupRow> Acquire(std::string_view id, std::string_view owner, double lease_s, double now);
  // Renews the lease; false when the group is no longer running under this owner (it was cancelled or taken back).
  bool Heartbeat(std::string_view id, std::string_view owner, double lease_s, double now);
  // Progress of a running group; no event. False as for Heartbeat.
  bool SetProgress(std::string_view id, std::string_view owner, std::string_view stage, double progress, double now);
  void SetExecutor(std::string_view id, std::string_view executor, std::string_view executor_id, double now);
  // Running groups whose lease has run out become ready again, with events; returns their ids. `kept`: those of which
  // the caller knows better than their lease.
  std::vector<std::string> ReclaimExpired(std::string_view actor, double now, const std::set<std::string>& kept = {});
  // The same for every lease whose owner begins with `owner_prefix`, expired or not: what a daemon that starts takes
  // back from its dead predecessor.
  std::vector<std::string> ReclaimOwned(std::string_view owner_prefix, std::string_view actor, double now,
                                        const std::set<std::string>& kept = {});
  // Groups that are not due before `latest` become due now, with a note in the trail; returns their ids. `latest` is
  // later than any retry can be: only a clock that has been set back since can have put them there.
  std::vector<std::string> PullIn(double latest, std::string_view actor, double now);
  // Earliest next_attempt_at of ready and failed groups, to sleep until; nothing when none waits.
  std::optional<double> NextDue();

  // --- audit trail
  std::int64_t AddEvent(const EventRow& event);  // event.id is ignored
  // Events of one group (or of all when `id` is empty), oldest first; at most `limit` of the newest when limit > 0.
  std::vector<EventRow> Events(std::string_view id, int limit = 0);

  Database& database();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace contimg::state
