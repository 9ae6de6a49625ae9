#include "ops/worker/measure_table.h"

#include <fmt/format.h>

#include <algorithm>

#include "calibrate/apply.h"
#include "config/error.h"
#include "config/time.h"
#include "config/units.h"
#include "ops/base/table_checksum.h"

namespace contimg::ops {
namespace {

using calibrate::SolutionSet;

// Flagged share of each antenna's solutions per spectral window; antennas without any solution are left out.
nlohmann::json FlagFractions(const SolutionSet& s) {
  nlohmann::json out = nlohmann::json::object();
  for (const calibrate::AntennaFlags& flags : calibrate::FlagsByAntenna(s)) {
    const auto& shares = flags.by_window;
    if (std::any_of(shares.begin(), shares.end(), [](double share) { return share < 1; })) out[flags.antenna] = shares;
  }
  return out;
}

nlohmann::json QualityJson(const calibrate::SolutionQuality& q, const SolutionSet& s) {
  return {{"median_snr", q.median_snr},
          {"phase_scatter_deg", q.phase_scatter_deg},
          {"median_amplitude", q.median_amplitude},
          {"amplitude_ratio", q.amplitude_ratio},
          {"reduced_chi_square", q.reduced_chi_square},
          {"residual_fraction", q.residual_fraction},
          {"effective_flags", q.flags.effective_fraction},
          {"raw_flags", q.flags.raw_fraction},
          {"dead_receptors", q.flags.dead_receptors},
          {"dead_antennas", q.flags.dead_antennas},
          {"outlier_antennas", q.outlier_antennas},
          {"declination_deg", Angle::Radians(s.field_dec_rad).deg()}};
}

}  // namespace

TableFacts FactsOf(const std::filesystem::path& path, const SolutionSet& solutions,
                   const calibrate::SolutionQuality& quality) {
  if (solutions.polarisation_independent) {
    throw Error(ErrorKind::kBadInput, "calibrate", path.string(),
                "is a T Jones table: the pipeline takes K, B and G alone; apply it by hand with contimg apply");
  }
  if (calibrate::MeansAllWindows(solutions, solutions.windows_described)) {
    throw Error(ErrorKind::kBadInput, "calibrate", path.string(),
                fmt::format("has solutions in 1 of {} spectral windows: solve each window, or apply it by hand with "
                            "contimg apply --combined-spw",
                            solutions.windows_described));
  }
  TableFacts facts;
  facts.kind = ToString(solutions.kind);
  facts.mid_mjd = calibrate::MiddleOf(solutions) / kSecondsPerDay;
  facts.field = solutions.field_name;
  if (solutions.reference_antenna >= 0) {
    facts.reference_antenna = solutions.antennas[static_cast<std::size_t>(solutions.reference_antenna)].name;
  }
  facts.quality = QualityJson(quality, solutions);
  facts.flag_fractions = FlagFractions(solutions);
  facts.checksum = TableChecksum(path);
  return facts;
}

}  // namespace contimg::ops
