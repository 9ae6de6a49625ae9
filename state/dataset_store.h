// Data sets: the light curves of others that were imported, and what processing made of ours and of theirs. Each knows
// what it was made of. One without points is a view: its points are rows of state/light_curve_store.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/quality_flags.h"
#include "state/database.h"

namespace contimg::state {

// A telescope or survey, and what a number for a time means in its files: time_epoch (a date of the format, on the
// scale) + number × unit.
struct MissionRow {
  std::string uuid;  // given by the store
  std::string name;
  std::string description;
  std::string time_unit = "day";  // day | second
  double time_epoch = 0;
  std::string time_epoch_scale = "utc";   // utc | tdb (barycentric) | tai
  std::string time_epoch_format = "mjd";  // mjd | jd
  std::string time_format_name;           // "BTJD"; unique; empty: none
};

// How one series is made of another.
struct ProcessingMethodRow {
  std::string name;  // unique: "normalised", "preprocess 5f0c…"
  std::string description;
  std::string parameters_json = "{}";
  std::string parameters_hash;  // unique: of what the parameters say
};

struct DatasetRow {
  std::int64_t id = 0;  // given by the store
  std::int64_t source_id = 0;
  std::string name;  // unique for the source
  std::string mission = "DSA-110";
  std::string photometry = "forced";
  std::optional<ProcessingMethodRow> method;  // none: raw. With a hash that is known, the known one.
  std::string unit = "Jy";                    // "" for a ratio
  std::string time_frame = "utc";             // of `times`: utc (MJD UTC) | bmjd_tdb
  std::vector<double> times;                  // MJD days, rising
  std::vector<double> fluxes, errors;         // as many; error 0: not known
  std::vector<QualityFlags> flags;
  std::string input_hash;              // of what it was made of: another one, and it is out of date
  std::string provenance_json = "{}";  // file, SHA-256, program…
  double made_at = 0;                  // unix_s
};

class DatasetStore {
 public:
  // Shares the connection of another store, and its transactions.
  explicit DatasetStore(Database& database) : db_(database) {}

  void SaveMission(const MissionRow& row);  // new, or anew
  std::optional<MissionRow> Mission(std::string_view name);
  std::vector<std::string> Missions();         // names, in the order they were made
  std::vector<ProcessingMethodRow> Methods();  // likewise
  // Names of photometry with what they mean.
  std::vector<std::pair<std::string, std::string>> Photometry();
  // A kind of photometry, made where there is none of that name.
  void SavePhotometry(std::string_view name, std::string_view description);

  // Adds it, or puts it in the place of the source's data set of that name, which keeps its id; missions and methods
  // that are not there are made. `parents`: what it was made of. Error{kBadInput} for arrays of different lengths or
  // times that do not rise, Error{kUsage} for what would be made of itself.
  DatasetRow Save(const DatasetRow& row, const std::vector<std::int64_t>& parents, double now);
  std::optional<DatasetRow> Find(std::int64_t id);
  std::optional<DatasetRow> FindByName(std::int64_t source_id, std::string_view name);
  std::vector<DatasetRow> Of(std::int64_t source_id);  // in the order they were made, without their points
  std::vector<std::int64_t> SourcesWithPoints();       // that have one which is no view, by id
  std::vector<std::int64_t> Parents(std::int64_t id);
  std::vector<std::int64_t> Children(std::int64_t id);
  std::vector<std::int64_t> Ancestors(std::int64_t id);  // parents, their parents and so on

 private:
  Database& db_;
};

}  // namespace contimg::state
