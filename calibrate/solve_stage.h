// The solve stage: calibration tables of a tile against a model of its sky, each judged before it may serve.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "calibrate/apply_stage.h"
#include "calibrate/field_model.h"
#include "calibrate/quality_gate.h"
#include "calibrate/solve.h"
#include "config/run_context.h"
#include "config/settings.h"
#include "ingest/visibility_block.h"

namespace contimg::calibrate {

// How long a G holds.
struct GainInterval {
  double seconds = -1;   // < 0: the whole tile; 0: each integration; else about this long
  int integrations = 0;  // > 0: so many integrations instead
};

struct SolveRequest {
  std::vector<SolutionKind> kinds;
  ModelSources model;
  // Held fixed: delays and bandpass of the day for an hourly G.
  std::vector<LoadedTable> fixed;
  // The G whose mean amplitude a solved G keeps (AnchorAmplitude, calibrate.gain_scale_limit).
  std::optional<LoadedTable> anchor;
  // Last accepted tables, at most one of a kind; the gate compares with them.
  std::vector<LoadedTable> previous;
  std::vector<std::string> reference_antennas;  // in order of preference; empty: the best one

  // What is not said follows from the model. A calibrator, also with what stands around it, dominates on every baseline
  // and has signal to spare: no uv limit, each window by the minute. A field needs all of its signal at once, and its
  // short baselines see emission that no catalogue holds: calibrate.field_min_uv_lambda, one G over all windows and the
  // whole tile.
  std::optional<double> min_uv_lambda;
  std::optional<bool> combine_windows;
  std::optional<GainInterval> interval;

  std::filesystem::path prefix;  // makes PREFIX.kcal, PREFIX.bpcal, PREFIX.gpcal
  bool replace = false;          // older tables of these names; else they are an error (kUsage)
  std::string source_ms;         // for histories: the Measurement Set's name
  std::string made_by;           // and the command, with its version
};

// One table that was made, passed by the gate or not.
struct SolvedTable {
  SolutionKind kind = SolutionKind::kGain;
  std::filesystem::path path;
  KindReport solve;
  SolutionQuality quality;
  QualityVerdict verdict;
  std::string reference_antenna;
  std::size_t intervals = 0;
  double mid_mjd_s = 0;             // middle of the solved stretch, UTC
  double declination_rad = 0;       // of the field
  double scale_change = 0;          // array-mean amplitude of a G against the anchor, as found; 0: no anchor
  std::vector<AntennaFlags> flags;  // of every antenna of the table
};

struct SolveStageReport {
  std::string model;  // its name
  std::size_t model_sources = 0;
  double model_jy = 0;  // apparent flux density of them all
  UvLimit uv;           // as it was applied
  std::size_t antennas_with_data = 0;
  std::vector<SolvedTable> tables;  // K, BP, G as asked for
  bool accepted = false;            // all of them
  double predict_s = 0, solve_s = 0, write_s = 0;
};

// Throws Error{kUsage} when tables stand where the request may not replace them; SolveTile asks too.
void CheckNoTables(const SolveRequest& request);

// Solves on the raw data of a phased block. Throws Error: kBadInput for a model that does not fit the data or a table
// that cannot be used, kNumeric when the data hold nothing to solve, kUsage for tables in the way and for
// limits that leave no baseline; then no table is left.
SolveStageReport SolveTile(const VisibilityBlock& block, const SolveRequest& request, const Settings& settings,
                           const RunContext& context);

}  // namespace contimg::calibrate
