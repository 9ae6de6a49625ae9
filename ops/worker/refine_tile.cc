#include "ops/worker/refine_tile.h"

#include <algorithm>
#include <cmath>
#include <string>

namespace contimg::ops {
namespace {

using nlohmann::json;

bool SolvedItsGains(const JobState& state) {
  const auto& solves = state.report.calibration;
  return std::any_of(solves.begin(), solves.end(), [](const JobCalibration& each) {
    return each.kind == "G" && each.accepted && each.model == calibrate::kFieldModel;
  });
}

// Degrees to a hundredth by antenna, of each receptor.
json PhasesOf(const calibrate::Refinement& refinement, const VisibilityBlock& block) {
  json phases = json::object();
  for (std::size_t a = 0; a < refinement.phase_deg.size(); ++a) {
    for (const double phase : refinement.phase_deg[a]) {
      phases[block.antennas.names[a]].push_back(std::round(100 * phase) / 100);
    }
  }
  return phases;
}

}  // namespace

json RefinementFigures(const calibrate::Refinement& refinement, const VisibilityBlock& block) {
  json figures{{"applied", refinement.applied},     {"model_sources", refinement.model_sources},
               {"model_jy", refinement.model_jy},   {"predicted_snr", refinement.predicted_snr},
               {"antennas", refinement.antennas},   {"phase_rms_deg", refinement.phase_rms_deg},
               {"gain", refinement.gain},           {"gain_expected", refinement.gain_expected},
               {"predict_s", refinement.predict_s}, {"solve_s", refinement.solve_s}};
  if (refinement.applied) {
    figures["phases_deg"] = PhasesOf(refinement, block);
  } else {
    figures["why_not"] = refinement.why_not;
  }
  return figures;
}

void RunRefine(const Job& job, const RunContext& context, JobState& state, json& figures) {
  const auto leave = [&](const std::string& why) { figures = {{"applied", false}, {"why_not", why}}; };
  if (state.same_calibration) {
    figures["taken"] = true;
    return;
  }
  if (SolvedItsGains(state)) return leave("its own gains were solved");
  if (job.sky_model.empty()) return leave("no catalogue knows its sky");
  NeedTile(job, context, state);
  calibrate::ModelSources sources;
  try {
    sources = calibrate::FindModelSources(std::string(calibrate::kFieldModel), job.sky_model,
                                          calibrate::ViewOf(*state.block), job.settings.calibrate);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kBadInput) throw;
    return leave(error.message());  // no source of the catalogue here
  }
  const calibrate::Refinement done = calibrate::RefineTile(*state.block, sources, job.settings, context);
  figures = RefinementFigures(done, *state.block);
  if (!done.applied) return;
  state.history.push_back(calibrate::RefinementHistory(done));
  state.changed = true;
}

}  // namespace contimg::ops
