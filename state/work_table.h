// A table of work in ingest.sqlite3: rows that go through the machine of states (state/work_states.h), are leased to
// runners one attempt at a time, and leave an append-only trail. Groups (state/group_store.h) and tasks
// (state/task_store.h) are such tables.
//
// Every change of state is one transaction together with its event. Times are UTC seconds since 1970 as doubles
// ("unix_s"); the caller passes `now` so that the store has no clock. Any number of processes may use one database;
// each object belongs to one thread at a time.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "config/error.h"
#include "state/database.h"
#include "state/work_states.h"

namespace contimg::state {

// What every piece of work has.
struct WorkRow {
  std::string id;  // "2025-10-13T13:28:03", "backup/2025-10-13T03:00:00"
  WorkState state = WorkState::kCollecting;
  int priority = 0;                     // larger goes first
  int attempts = 0;                     // how often a runner has taken it
  double next_attempt_at = 0;           // unix_s; ready or failed work is not taken before it
  std::optional<ErrorKind> error_kind;  // of the last failure; cleared on done
  std::string error;
  double created_at = 0;
  double updated_at = 0;
  double started_at = 0;    // of the last attempt; 0 never
  double finished_at = 0;   // of the last attempt; 0 never
  std::string executor;     // "local", "slurm"
  std::string executor_id;  // name of the attempt's job, known before it starts (ops/job/executor.h)
  std::string lease_owner;  // empty unless running
  double lease_expires_at = 0;
  std::string stage;                // last progress report
  double progress = 0;              // 0…1
  std::string timings_json = "{}";  // per stage, as the report gave it
};

struct EventRow {
  std::int64_t id = 0;   // rises with time
  double at = 0;         // unix_s
  std::string group_id;  // of a group or a task; may be empty: an event of the service itself
  std::string kind;      // "state", "file", "note", "move"…
  std::string from_state;
  std::string to_state;
  std::string actor;  // "watcher", "runner", "operator"…
  std::string detail;
};

enum class QueueOrder { kNewest, kOldest };

// What a transition may change besides the state. Unset members stay as they are.
struct TransitionDetails {
  std::string actor;   // who: required, "watcher", "runner", "operator"…
  std::string detail;  // why, for the event
  std::optional<ErrorKind> error_kind;
  std::string error;  // with error_kind; work that becomes held has `detail` as its error, without a kind
  std::optional<double> next_attempt_at;
  std::optional<std::string> timings_json;
  bool reset_attempts = false;  // requeue by the operator starts counting afresh
  // When set, the transition is refused with Error{kBusy} unless this owner holds its lease.
  std::string lease_owner;
};

class WorkTable {
 public:
  WorkTable(WorkTable&&) noexcept = default;
  WorkTable& operator=(WorkTable&&) noexcept = default;
  virtual ~WorkTable();

  Database& database() { return *database_; }
  // "group", "task": for sentences.
  const std::string& noun() const { return noun_; }

  std::optional<WorkRow> FindWork(std::string_view id);
  void SetPriority(std::string_view id, int priority, std::string_view actor, double now);

  // --- transitions
  // Moves the row to `to` and records the event, in one transaction. Error{kUsage} when it does not exist or the
  // transition is not legal from its present state. `running` is entered by being taken only. Leaving it clears the
  // lease and sets finished_at; done also clears the error. What becomes ready is due at once unless next_attempt_at is
  // given.
  void Transition(std::string_view id, WorkState to, const TransitionDetails& details, double now);

  // --- leases
  // Takes the next ready row (or failed one whose retry is due): highest priority first, then by `order` of id. It
  // becomes running (a failed one by way of ready), attempts rises, the lease is `owner`'s until now + lease_s. Nothing
  // when none is due. Two processes never get the same one.
  std::optional<WorkRow> TakeNext(std::string_view owner, QueueOrder order, double lease_s, double now);
  // The same for one by id (state ready, failed or awaiting_calibration). Nothing when it is not to be had.
  std::optional<WorkRow> Take(std::string_view id, std::string_view owner, double lease_s, double now);
  // Renews the lease; false when the row is no longer running under this owner (it was cancelled or taken back).
  bool Heartbeat(std::string_view id, std::string_view owner, double lease_s, double now);
  // Progress of running work; no event. False as for Heartbeat.
  bool SetProgress(std::string_view id, std::string_view owner, std::string_view stage, double progress, double now);
  void SetExecutor(std::string_view id, std::string_view executor, std::string_view executor_id, double now);
  // Running rows whose lease has run out become ready again, with events; returns their ids. `kept`: those of which the
  // caller knows better than their lease.
  std::vector<std::string> ReclaimExpired(std::string_view actor, double now, const std::set<std::string>& kept = {});
  // The same for every lease whose owner begins with `owner_prefix`, expired or not: what a daemon that starts takes
  // back from its dead predecessor.
  std::vector<std::string> ReclaimOwned(std::string_view owner_prefix, std::string_view actor, double now,
                                        const std::set<std::string>& kept = {});
  // Rows that are not due before `latest` become due now, with a note in the trail; returns their ids. `latest` is
  // later than any retry can be: only a clock that has been set back since can have put them there.
  std::vector<std::string> PullIn(double latest, std::string_view actor, double now);
  // Running rows of owners whose name begins with `owner_prefix`, by id.
  std::vector<WorkRow> Running(std::string_view owner_prefix);

  // --- audit trail
  std::int64_t AddEvent(const EventRow& event);  // event.id is ignored
  // Events of one group or task (or all there are when `id` is empty), oldest first; at most `limit` of the newest when
  // limit > 0.
  std::vector<EventRow> Events(std::string_view id, int limit = 0);
  std::optional<double> FirstEventAt();  // of all there are

 protected:
  // `table`: "groups"; `noun`: "group". The first opens (creating and migrating as needed) the database at `path`, the
  // second shares the connection of another table.
  WorkTable(const std::filesystem::path& path, const DatabaseOptions& options, std::string table, std::string noun);
  WorkTable(Database& database, std::string table, std::string noun);

  WorkRow FindOrRefuse(std::string_view id);
  void AddStateEvent(const WorkRow& row, std::string_view from, std::string_view actor, std::string_view detail,
                     double now);

 private:
  void Save(const WorkRow& row);
  void Move(WorkRow& row, WorkState to, const TransitionDetails& details, double now);
  void Lend(WorkRow& row, std::string_view owner, double lease_s, double now);
  std::vector<std::string> Reclaim(const std::string& which, std::string_view key, double due, std::string_view actor,
                                   std::string_view why, double now, const std::set<std::string>& kept);

  std::unique_ptr<Database> own_;
  Database* database_ = nullptr;
  std::string table_, noun_;
};

}  // namespace contimg::state
