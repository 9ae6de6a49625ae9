// What belongs to an observation besides its measurements: the headers of its images, the flags of its integrations.
// The observations themselves are rows of state/light_curve_store.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/quality_flags.h"
#include "state/database.h"
#include "state/light_curve_store.h"

namespace contimg::state {

// What the header of one image says of its structure.
struct FrameRow {
  std::int64_t id = 0;            // given by the store
  std::string type = "basefits";  // the kind of the product: image.pbcor, psf…
  std::string role;               // science | calibration (psf, pb, smear); read, not written
  std::int64_t cadence = 0;       // which of its type in the observation, from 0: bands of image.spectral_channels
  std::string path;               // of the product
  bool simple = true;
  int bitpix = -32;
  std::vector<std::int64_t> axes;  // lengths, NAXIS1 first
  bool extended = false;           // extensions may follow
  double bscale = 1, bzero = 0;
  std::string group_id;  // of the observation; read, not written
};

struct FrameQuery {
  std::string group_id, type, role;  // empty: any
  std::int64_t after = 0;            // by id
  int limit = 100;
};

struct ObservationQuery {
  std::string type, instrument, target;  // empty: any
  double from_mjd = 0, to_mjd = 1e9;     // of the middle
  std::string after;                     // the group behind whose observation the list goes on; empty: its beginning
  int limit = 100;
};

// One word for each integration, with those of the observation.
struct FlagArrayRow {
  std::string type = "base_quality_flag";
  std::string group_id;
  std::optional<std::int64_t> source_id;  // none: of all sources in it
  std::vector<QualityFlags> flags;
  double created_on = 0;  // unix_s
};

class ObservationStore {
 public:
  // Shares the connection of another store, and its transactions.
  explicit ObservationStore(Database& database) : db_(database) {}

  // By time, then id. Error{kUsage} for a group to go on behind that is not there.
  std::vector<ObservationRow> List(const ObservationQuery& query);

  // In the place of all frames of the group's observation; one of the same type and cadence keeps its id. Error{kUsage}
  // when there is none, Error{kBadInput} for two frames of one type and cadence.
  void ReplaceFrames(std::string_view group_id, const std::vector<FrameRow>& rows);
  std::vector<FrameRow> Frames(const FrameQuery& query);  // by id
  // Observations without any, by id, behind this one: (id, group).
  std::vector<std::pair<std::int64_t, std::string>> WithoutFrames(std::int64_t after, int limit);

  // In the place of that of its type, observation and source, whose id it keeps. Error{kUsage} for an observation that
  // does not exist, Error{kBadInput} for no words and another number of them than the observation has integrations.
  void SaveFlags(const FlagArrayRow& row);
  std::vector<FlagArrayRow> Flags(std::string_view group_id);  // that of the observation first, then by source

 private:
  Database& db_;
};

}  // namespace contimg::state
