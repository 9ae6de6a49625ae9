// The queue of groups: subband files that belong together, their states, and the append-only trail of everything that
// happened to them (ingest.sqlite3). What they share with other work, transitions and leases above all, is in
// state/work_table.h.
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
#include "state/work_table.h"

namespace contimg::state {

struct GroupRow : WorkRow {  // id: "2025-10-13T13:28:03"
  int subbands_present = 0;  // counted from the files
  int subbands_expected = 0;
  double data_start_mjd = 0;  // first and last integration (middle), MJD days UTC; 0 until known
  double data_end_mjd = 0;
  double first_file_at = 0;  // unix_s
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

struct GroupSummary {
  std::vector<std::pair<GroupState, std::int64_t>> counts;  // every state, also those with 0
  std::string oldest_unprocessed;       // id of the oldest group in collecting, ready, running, failed; empty: none
  double oldest_unprocessed_since = 0;  // its first_file_at
  double last_file_at = 0;              // newest seen_at of all files; 0: none
};

class GroupStore : public WorkTable {
 public:
  // Opens (creating and migrating as needed) the database at `path`: see state/database.h for its errors.
  explicit GroupStore(const std::filesystem::path& path, const DatabaseOptions& options = {});

  // --- groups and files
  // A new group in state collecting (or `row.state`), with its event. Error{kUsage} when the id exists.
  void Create(const GroupRow& row, std::string_view actor, double now);
  // Creates the group when it is new and adds or updates its files (key: group, subband, path), all in one transaction:
  // what the watcher calls when files arrive. subbands_present is recounted. Returns true when the group was new.
  bool AddFiles(const GroupRow& group, const std::vector<SubbandFileRow>& files, std::string_view actor, double now);
  // A group's id is frozen when it becomes ready; until then it follows its earliest stamp. Files and events follow.
  void Rename(std::string_view id, std::string_view new_id, std::string_view actor, double now);
  // A sentence on a done group about why its products no longer say what its input does: `error` without a kind, until
  // it is done again. Other states stay as they are (a job that begins now sees the new input). With a note "marked".
  void Mark(std::string_view id, std::string_view sentence, std::string_view actor, double now);
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

  // --- leases: as TakeNext and Take, with the whole row
  std::optional<GroupRow> AcquireNext(std::string_view owner, QueueOrder order, double lease_s, double now);
  std::optional<GroupRow> Acquire(std::string_view id, std::string_view owner, double lease_s, double now);

 private:
  void Insert(const GroupRow& row);
};

}  // namespace contimg::state
