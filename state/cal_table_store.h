// The registry of calibration tables and of which group was given which (cal_registry.sqlite3).
//
// Validity windows are half-open, [valid_from, valid_to), in MJD days UTC. The rule that chooses among tables is not
// here: it is a pure function over the rows that Near() returns. One store belongs to one thread at a time.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/group_observation.h"
#include "state/database.h"

namespace contimg::state {

struct CalTableRow {
  std::int64_t id = 0;  // given by the store
  std::string path;
  std::string kind;      // "K", "BP", "G"
  std::string interval;  // "24h", "1h"
  double valid_from_mjd = 0;
  double valid_to_mjd = 0;
  std::string source_group;  // the group that was solved
  std::string model;         // calibrator or catalogue
  std::string refant;
  std::string status = "active";  // active | retired | failed
  std::string reason;             // why it is not active
  std::string quality_json = "{}";
  std::string flag_fractions_json = "{}";  // per antenna and spectral window
  std::string checksum;
  std::vector<std::int64_t> rests_on;  // tables taken out before this one was solved; empty: not known
  double registered_at = 0;            // unix_s
  double updated_at = 0;
};

struct CalTableQuery {
  std::string kind;    // empty: any
  std::string status;  // empty: any
  std::optional<double> covering_mjd;
  std::optional<double> from_mjd;    // windows that end after it
  std::optional<double> before_mjd;  // windows that begin before it
  int limit = 0;
};

struct CalChoiceRow {
  std::string group_id;
  std::string kind;
  std::optional<std::int64_t> table_id;  // none was found
  std::string reason;
  double chosen_at = 0;
};

// One solve, from the decision on.
struct SolveRow {
  std::int64_t id = 0;  // given by the store
  std::string group_id;
  double mid_mjd = 0;
  double dec_deg = 0;
  std::string interval;  // "24h": delays, bandpass and gains; "1h": gains
  std::string model;     // "calibrator:3C286", "field"
  double predicted_snr = 0;
  std::string reason;
  std::string outcome = "running";  // running | passed | failed | abandoned
  std::string detail;
  double started_at = 0;  // unix_s
  double finished_at = 0;
};

struct DecisionRow {
  std::string group_id;
  std::string action;  // "apply", "solve", "wait", "uncalibrated", "give up"
  std::string reason;
  double decided_at = 0;  // unix_s
};

class CalTableStore {
 public:
  explicit CalTableStore(const std::filesystem::path& path, const DatabaseOptions& options = {});

  // Adds a table and returns its id. Error{kUsage} when the path is registered already or the window is empty.
  std::int64_t Register(const CalTableRow& row, double now);
  // active → retired | failed and back. Error{kUsage} for an unknown id or status.
  void SetStatus(std::int64_t id, std::string_view status, std::string_view reason, double now);
  std::optional<CalTableRow> Find(std::int64_t id);
  std::optional<CalTableRow> FindByPath(std::string_view path);
  // By kind, then valid_from rising, then id.
  std::vector<CalTableRow> List(const CalTableQuery& query);
  // Tables of any status whose window, widened by `margin_days` on both sides, covers the time: everything that a
  // choice for that time, or an explanation of it, may need. Same order.
  std::vector<CalTableRow> Near(std::string_view kind, double mjd, double margin_days);

  // Takes a row out of the way of a new table of the same path: it is retired and its path marked as replaced.
  void Supersede(std::int64_t id, double now);

  void RecordChoice(const CalChoiceRow& row);  // replaces an earlier one for the group and kind
  std::vector<CalChoiceRow> Choices(std::string_view group_id);
  std::vector<std::string> GroupsUsing(std::int64_t table_id);

  void SaveObservation(const GroupObservation& row);  // replaces an earlier one
  std::optional<GroupObservation> Observation(std::string_view group_id);
  std::optional<GroupObservation> LatestObservation();

  // Returns the id.
  std::int64_t AddSolve(const SolveRow& row);
  // running → passed, failed or abandoned; nothing happens when the solve is over already.
  void EndSolve(std::int64_t id, std::string_view outcome, std::string_view detail, double now);
  std::vector<SolveRow> SolvesOf(std::string_view group_id);  // by id
  // Those of groups whose middle lies in [from, to), by time; with `running_only` those without an outcome.
  std::vector<SolveRow> Solves(double from_mjd, double to_mjd, bool running_only = false);

  void RecordDecision(const DecisionRow& row);  // replaces an earlier one
  std::optional<DecisionRow> Decision(std::string_view group_id);

  // Rises whenever this or another connection changed the database (it may also rise without).
  std::int64_t Revision();

  Database& database() { return db_; }

 private:
  Database db_;
};

}  // namespace contimg::state
