// Registering calibration tables and choosing among them: the calibrate module's rules over the registry's rows.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "calibrate/choice.h"
#include "calibrate/quality_gate.h"
#include "config/os.h"
#include "config/settings.h"
#include "ops/job/table_facts.h"
#include "ops/records/table_condition.h"
#include "state/cal_table_store.h"

namespace contimg::ops {

struct RegisterRequest {
  std::filesystem::path path;
  TableFacts facts;                    // as measured on it
  calibrate::QualityVerdict verdict;   // of the quality gate
  std::string interval;                // "24h" or "1h"; empty: 24h for K and BP, 1h for G
  std::string source_group;            // the group that was solved
  std::string model;                   // empty: the table's field
  double scale_change = 0;             // of an hourly G against its anchor, as found; 0: no anchor
  std::vector<std::int64_t> rests_on;  // ids of the tables that were taken out before it was solved
  bool supersede = false;              // other files under the path of a registered table take its place
};

struct Registration {
  std::int64_t id = 0;
  std::string status;                 // "active", or "failed" when the quality gate refused it
  std::vector<std::string> failures;  // why
};

// Adds a table to the registry, then reads the row back and compares; on any error nothing is registered. The window
// runs from the middle of the solved tile for calibrate.bandpass_validity_h (K, BP) or gain_validity_h (G). No file is
// looked at: that they are those that were measured is for the caller to see (FindChange).
//
// Registering the same files again returns the row there is. Other files under the path of a registered table are
// refused unless they supersede it.
Registration RegisterTable(state::CalTableStore& store, const RegisterRequest& request,
                           const CalibrateSettings& settings, double now_unix_s);

// What has become of the files at `path` since they were measured, as the error that refuses them (kIo: no fault of the
// group's data); nothing when they are the same. Throws Error{kIo} when they cannot be read now: that may pass.
std::optional<Error> FindChange(const std::filesystem::path& path, const TableFacts& facts, Os& os = RealOs());

// "K", "BP", "G"; throws Error{kBadInput} for another word.
calibrate::SolutionKind KindOf(const std::string& word);
// A registry row as the choice rule sees it; an active table whose files are gone or changed does not serve. Rows of
// unknown kind or status throw Error{kBadInput}.
calibrate::TableRecord RecordOf(const state::CalTableRow& row, TableConditions& conditions);
calibrate::ChoiceRule RuleOf(const CalibrateSettings& settings);

// The rule of design over everything the registry holds near that time. `declination_deg`: of the observation's centre.
struct ChosenTables {
  calibrate::Choice choice;
  std::vector<state::CalTableRow> considered;  // in the order of the choice's verdicts
};
ChosenTables ChooseFromRegistry(state::CalTableStore& store, double time_mjd, double declination_deg,
                                const CalibrateSettings& settings);

// A stretch of time whose groups would find no table of a kind.
struct CalibrationGap {
  std::string kind;  // "BP", "G"
  double from_mjd = 0, to_mjd = 0;
};
// Between two times, ordered by kind and time: where the rule above (nothing borrowed) leaves a group without a
// bandpass, or without a gain that goes with it. Without a declination all strips count as one.
std::vector<CalibrationGap> FindGaps(state::CalTableStore& store, double from_mjd, double to_mjd,
                                     std::optional<double> declination_deg, const CalibrateSettings& settings);

}  // namespace contimg::ops
