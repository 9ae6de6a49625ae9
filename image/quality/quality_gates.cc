#include "image/quality/quality_gates.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "config/settings.h"
#include "image/quality/image_quality.h"

namespace contimg::image {
namespace {

// About a bright source errors of gains, not the thermal noise, set the rms; this dynamic range is a good one.
constexpr double kReachableRange = 2000;

// What a gate is about, apart from its numbers.
struct Words {
  const char* name;
  const char* title;
  const char* unit;
  const char* explanation;
};

class Judge {
 public:
  // Grades by the factor by which the limit is missed; a NaN is F. A limit of 0 switches the gate off.
  void Figure(const Words& words, double value, GateBound bound, double limit) {
    if (!(limit > 0)) return;
    const double miss = bound == GateBound::kAtMost ? value / limit : limit / value;
    QualityGate gate = Gate(words, value, bound, limit);
    if (!gate.passed) gate.grade = value >= 0 && miss <= 1.5 ? "B" : value >= 0 && miss <= 3 ? "C" : "F";
    gates_.push_back(std::move(gate));
  }
  // Something that is so or is not: 1 is wanted.
  void State(const Words& words, bool good, const char* grade_if_not) {
    QualityGate gate = Gate(words, good ? 1 : 0, GateBound::kAtLeast, 1);
    if (!good) gate.grade = grade_if_not;
    gates_.push_back(std::move(gate));
  }
  std::vector<QualityGate> Take() { return std::move(gates_); }

 private:
  static QualityGate Gate(const Words& words, double value, GateBound bound, double limit) {
    QualityGate gate;
    gate.name = words.name;
    gate.title = words.title;
    gate.unit = words.unit;
    gate.bound = bound;
    gate.value = value;
    gate.limit = limit;
    gate.passed = bound == GateBound::kAtMost ? value <= limit : value >= limit;
    gate.explanation = words.explanation;
    return gate;
  }

  std::vector<QualityGate> gates_;
};

// Noise and what stands out of it.
void JudgeNoise(const ImageQuality& q, const ImageSettings& s, Judge& judge) {
  judge.State({"signal", "image not empty", "", "every pixel is zero: nothing was imaged"},
              q.rms_jy > 0 && q.peak_jy > 0, "F");
  judge.State({"noise_known", "thermal noise known", "",
               "the thermal noise cannot be told from these data (it takes two channels, integrations or hands), so "
               "nothing says whether the rms is right"},
              q.thermal_jy > 0, "C");
  if (q.thermal_jy > 0) {
    judge.Figure({"rms_over_thermal", "rms / expected noise", "",
                  "more than noise is left in the residual: side lobes of wrong gains, interference, or sources that "
                  "were not cleaned"},
                 q.rms_jy / std::hypot(q.thermal_jy, q.peak_jy / kReachableRange), GateBound::kAtMost,
                 s.gate_rms_ratio);
  }
  if (q.sidelobes_left) {
    judge.Figure(
        {"sidelobes_left", "side lobes left / in the dirty image", "",
         "the model explains too little of what stands above the noise in the dirty image: phases are wrong, or "
         "the signal is not the sky in the field"},
        *q.sidelobes_left, GateBound::kAtMost, s.gate_sidelobes);
  }
  if (q.outlier_power) {
    judge.Figure({"outlier_power", "power of the visibilities / without outliers", "",
                  "a few visibilities are far above all others: unflagged interference or damaged rows"},
                 *q.outlier_power, GateBound::kAtMost, s.gate_outlier_power);
  } else if (s.gate_outlier_power > 0) {
    judge.State(
        {"outliers_known", "power of the visibilities known", "",
         "most of the visibilities are exactly 0, so nothing says whether a few of them are far above the others"},
        false, "C");
  }
  if (q.local_rms_min_jy > 0) {
    judge.Figure({"local_rms_ratio", "highest / lowest local rms", "",
                  "the noise is very uneven: errors about a bright source, or one beyond the edge"},
                 q.local_rms_max_jy / q.local_rms_min_jy, GateBound::kAtMost, s.gate_local_rms);
  }
  judge.Figure({"dynamic_range", "dynamic range (peak / rms)", "", "nothing stands out of the residual"},
               q.dynamic_range, GateBound::kAtLeast, s.gate_dynamic_range);
  judge.Figure({"peak_jy", "peak", "Jy/beam", "the image is fainter than it should be"}, q.peak_jy, GateBound::kAtLeast,
               s.gate_peak_jy);
}

// What the data give: coverage, beam, flags.
void JudgeData(const ImageQuality& q, const ImageSettings& s, Judge& judge) {
  judge.Figure({"flagged_fraction", "flagged", "", "little of the data is left"}, q.flagged_fraction,
               GateBound::kAtMost, s.gate_flagged);
  judge.Figure({"primary_beam", "highest primary beam in the image", "",
                "the field lies outside the primary beam: all fluxes are a small part of the true ones"},
               q.pb_max, GateBound::kAtLeast, s.gate_primary_beam);
  if (!(q.beam.minor_rad > 0)) return;
  judge.Figure({"beam_axes", "axes of the beam, long / short", "", "the beam is very elongated"},
               q.beam.major_rad / q.beam.minor_rad, GateBound::kAtMost, s.gate_beam_axes);
  if (q.beam_pixels > 0) {
    judge.Figure({"beam_pixels", "short axis of the beam", "pixels", "pixels are too large for the beam"},
                 q.beam_pixels, GateBound::kAtLeast, s.gate_beam_pixels);
  }
  if (q.psf) {
    judge.Figure({"beam_misfit", "largest PSF − beam above half power", "",
                  "the main lobe of the PSF is no Gaussian: peaks and integrated fluxes do not agree"},
                 q.psf->misfit, GateBound::kAtMost, s.gate_beam_misfit);
    judge.Figure({"psf_sidelobe", "highest side lobe of the PSF", "",
                  "the uv coverage is too thin: side lobes can be taken for sources"},
                 q.psf->sidelobe, GateBound::kAtMost, s.gate_psf_sidelobe);
  }
}

// What CLEAN left.
void JudgeClean(const ImageQuality& q, const ImageSettings& s, Judge& judge) {
  // Below eight times the rms an extreme is that of noise.
  const double noise = 8 * q.rms_jy;
  if (q.clean_stop) {
    const bool diverged = *q.clean_stop == CleanStop::kDiverged, late = *q.clean_stop == CleanStop::kMajorCycles;
    judge.State({"clean_end", "CLEAN reached its level", "",
                 diverged ? "CLEAN diverged: the residual grew instead of falling, and the best model it had is kept"
                 : late   ? "CLEAN used all its major cycles before it reached its level"
                          : "CLEAN ended as asked"},
                !diverged && !late, "C");
    if (q.residual_peak_jy > noise && q.peak_jy > 0) {
      judge.Figure({"residual_peak", "largest residual / peak", "", "CLEAN left a source, or errors about one"},
                   q.residual_peak_jy / q.peak_jy, GateBound::kAtMost, s.gate_residual_peak);
    }
    judge.Figure({"bowl", "depth of the bowl about the peak / rms", "",
                  "the brightest source stands in a negative bowl: short baselines are missing"},
                 q.bowl_ratio, GateBound::kAtMost, s.gate_bowl);
    judge.Figure({"skewness", "skewness of the residual, either sign", "", "the residual is not symmetric about zero"},
                 std::abs(q.residual.skewness), GateBound::kAtMost, s.gate_skewness);
    judge.Figure({"kurtosis", "excess kurtosis of the residual", "", "the residual has more extreme pixels than noise"},
                 std::max(0.0, q.residual.kurtosis), GateBound::kAtMost, s.gate_kurtosis);
  }
  if (q.negative_ratio * q.peak_jy > noise) {
    judge.Figure({"negative_ratio", "deepest negative / peak", "", "a hole as deep as sources are high: wrong gains"},
                 q.negative_ratio, GateBound::kAtMost, s.gate_negative);
  }
}

void JudgeAgainstCatalogue(const ImageQuality& q, const ImageSettings& s, Judge& judge) {
  const CatalogueComparison& c = *q.catalogue;
  const auto enough = static_cast<std::size_t>(s.gate_matches);
  if (c.expected >= enough || (c.expected >= 2 && c.matches.empty())) {
    judge.Figure(
        {"matched", "catalogue sources found / expected", "",
         "sources that the catalogue promises are not where they should be: wrong phases, coordinates or fluxes"},
        static_cast<double>(c.matches.size()) / static_cast<double>(c.expected), GateBound::kAtLeast, s.gate_matched);
  }
  if (c.matches.size() < enough) return;
  judge.Figure({"flux_ratio_error", "median flux / catalogue, distance from 1", "", "the flux scale is wrong"},
               std::abs(c.flux_ratio_median - 1), GateBound::kAtMost, s.gate_flux_ratio);
  judge.Figure({"flux_scatter", "scatter of flux / catalogue", "",
                "fluxes disagree with the catalogue one by one: wrong beam, or errors of the image"},
               c.flux_ratio_scatter, GateBound::kAtMost, s.gate_flux_scatter);
  if (q.beam.major_rad > 0) {
    judge.Figure({"offset_beams", "median offset from the catalogue", "beams", "the coordinates are wrong"},
                 c.offset_median_rad / q.beam.major_rad, GateBound::kAtMost, s.gate_offset_beams);
  }
}

}  // namespace

std::string_view Sign(GateBound bound) { return bound == GateBound::kAtMost ? "≤" : "≥"; }

std::string Describe(const QualityGate& gate) {
  return fmt::format("{} {:.3g}{}{} ({} {:.3g})", gate.title, gate.value, gate.unit.empty() ? "" : " ", gate.unit,
                     Sign(gate.bound), gate.limit);
}

std::vector<QualityGate> JudgeImage(const ImageQuality& quality, const ImageSettings& settings) {
  Judge judge;
  JudgeNoise(quality, settings, judge);
  JudgeClean(quality, settings, judge);
  if (quality.catalogue) JudgeAgainstCatalogue(quality, settings, judge);
  JudgeData(quality, settings, judge);
  return judge.Take();
}

std::string WorstGrade(const std::vector<QualityGate>& gates) {
  std::string worst = "A";
  for (const QualityGate& gate : gates) worst = std::max(worst, gate.grade);
  return worst;
}

std::vector<std::string> Reasons(const std::vector<QualityGate>& gates) {
  std::vector<std::string> reasons;
  for (const char* grade : {"F", "C", "B"}) {
    for (const QualityGate& gate : gates) {
      if (gate.grade == grade) reasons.push_back(fmt::format("{}: {}: {}", grade, Describe(gate), gate.explanation));
    }
  }
  return reasons;
}

nlohmann::json ToJson(const QualityGate& gate) {
  return {{"name", gate.name},
          {"title", gate.title},
          {"unit", gate.unit},
          {"bound", gate.bound == GateBound::kAtMost ? "at_most" : "at_least"},
          {"value", gate.value},
          {"limit", gate.limit},
          {"passed", gate.passed},
          {"grade", gate.grade},
          {"explanation", gate.explanation}};
}

}  // namespace contimg::image
