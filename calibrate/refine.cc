#include "calibrate/refine.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <complex>
#include <utility>

#include "calibrate/apply.h"
#include "calibrate/gain_solver.h"
#include "calibrate/solve.h"
#include "calibrate/statistics.h"
#include "config/robust_statistics.h"
#include "config/stopwatch.h"
#include "config/units.h"
#include "ingest/uv_limit.h"

namespace contimg::calibrate {
namespace {

using Complex = std::complex<double>;

constexpr const char* kStage = "refine";
constexpr std::size_t kHalves = 2, kAll = 2;  // cells: windows 0, 2, 4 …, windows 1, 3, 5 …, all

// Statistics of the two halves of the windows and of all; of the two halves of the channels where there is one window.
Statistics Halves(const Statistics& parts) {
  Statistics halves;
  halves.n_intervals = parts.n_intervals;
  halves.n_baselines = parts.n_baselines;
  halves.n_receptors = parts.n_receptors;
  halves.n_cells = kHalves + 1;
  const std::size_t rows = parts.n_intervals * parts.n_baselines * parts.n_receptors;
  const auto fold = [&](const Buffer<float>& from, Buffer<float>& to) {
    to = Buffer<float>(rows * halves.n_cells);
    for (std::size_t row = 0; row < rows; ++row) {
      for (std::size_t c = 0; c < parts.n_cells; ++c) {
        const float value = from[row * parts.n_cells + c];
        to[row * halves.n_cells + c % kHalves] += value;
        to[row * halves.n_cells + kAll] += value;
      }
    }
  };
  fold(parts.a_re, halves.a_re);
  fold(parts.a_im, halves.a_im);
  fold(parts.n, halves.n);
  fold(parts.p, halves.p);
  fold(parts.count, halves.count);
  return halves;
}

// Edges of the spectral windows, or of two halves of a single one.
std::vector<std::size_t> Parts(const VisibilityBlock& block) {
  std::vector<std::size_t> edges{0};
  for (const SpectralWindow& window : block.windows) edges.push_back(window.first_channel + window.n_channels);
  if (edges.size() == 2 && edges[1] > 1) edges.insert(edges.begin() + 1, edges[1] / 2);
  return edges;
}

class Refiner {
 public:
  Refiner(VisibilityBlock& block, const Settings& settings, const RunContext& context)
      : block_(block), settings_(settings), context_(context) {}

  Refinement Run(const ModelSources& sources) {
    Stopwatch watch;
    const auto orientation = convert::EarthOrientationTable::LoadIfSet(settings_.telescope.earth_orientation_file);
    const PredictOptions options = PredictOptionsOf(settings_, block_, orientation);
    const CalibrationModel model = MakeModel(sources, block_, options, settings_.calibrate);
    Prediction prediction = Predict(block_, model.sources, options, context_.threads);
    out_.model_sources = model.sources.size();
    out_.model_jy = prediction.ApparentJy();
    out_.predict_s = watch.Lap();
    context_.CheckCancelled(kStage);
    context_.reporter->Progress(kStage, 0.5);
    Accumulate(prediction);
    prediction = {};
    out_.predicted_snr = PredictedSnr();
    if (!(out_.predicted_snr >= settings_.calibrate.refine_min_snr)) {
      out_.why_not = fmt::format(
          "the sky known here promises a signal-to-noise ratio of {:.3g} an antenna, {:g} are "
          "needed (calibrate.refine_min_snr)",
          out_.predicted_snr, settings_.calibrate.refine_min_snr);
    } else {
      Solve();
      Judge();
    }
    context_.CheckCancelled(kStage);
    if (out_.why_not.empty()) Apply();
    out_.solve_s = watch.Lap();
    return std::move(out_);
  }

 private:
  void Accumulate(const Prediction& prediction) {
    StatisticsParams params;
    params.intervals = {{0, block_.n_times()}};
    params.cells = Parts(block_);
    const UvLimit uv =
        ChooseUvLimit(block_, settings_.calibrate.field_min_uv_lambda, settings_.calibrate.max_uv_lambda);
    params.min_uv_lambda = uv.min_lambda;
    params.max_uv_lambda = uv.max_lambda;
    const std::vector<double> noise = EstimateNoise(block_, context_.threads);
    statistics_ = Halves(AccumulateStatistics({&block_, prediction.view(), nullptr}, noise, params, context_.threads));
  }

  // The error of a phase is 1/√(2 Σ N) over the antenna's baselines, where the others' phases are known.
  double PredictedSnr() const {
    std::vector<double> power(block_.antennas.size() * statistics_.n_receptors);
    for (std::size_t b = 0; b < block_.n_baselines(); ++b) {
      for (std::size_t r = 0; r < statistics_.n_receptors; ++r) {
        const double n = statistics_.n[statistics_.Index(0, b, r) + kAll];
        for (const int antenna : {block_.baselines[b].antenna1, block_.baselines[b].antenna2}) {
          power[static_cast<std::size_t>(antenna) * statistics_.n_receptors + r] += n;
        }
      }
    }
    std::vector<float> snr;
    for (const double each : power) {
      if (each > 0) snr.push_back(static_cast<float>(std::sqrt(2 * each)));
    }
    return snr.empty() ? 0 : TakeMedian(snr);
  }

  void Solve() {
    GainSolveParams params;
    params.phase_only = true;
    params.min_snr = settings_.calibrate.min_snr;
    params.min_baselines_per_antenna = static_cast<int>(settings_.calibrate.min_baselines);
    gains_ = SolveGains(statistics_, block_.baselines, block_.antennas.size(), params, context_.threads);
    for (std::size_t cell = 0; cell < gains_.n_cells; ++cell) {
      for (std::size_t r = 0; r < gains_.n_receptors; ++r) TakeCommonPhase(cell, r);
    }
  }

  bool IsSolved(std::size_t antenna, std::size_t cell, std::size_t receptor) const {
    return gains_.flag[gains_.Index(0, antenna, cell, receptor)] == 0;
  }
  // Unit; 1 where nothing is solved.
  Complex PhasorOf(std::size_t antenna, std::size_t cell, std::size_t receptor) const {
    if (!IsSolved(antenna, cell, receptor)) return 1;
    const Complex g = gains_.gain[gains_.Index(0, antenna, cell, receptor)];
    return g / std::abs(g);
  }

  // Phases are free by one number in each cell and receptor: without it their mean is 0, so that what is common to the
  // array, and between the receptors, stays as the tables had it.
  void TakeCommonPhase(std::size_t cell, std::size_t receptor) {
    for (int pass = 0; pass < 2; ++pass) {  // once more about the first mean, without those far off it
      Complex sum;
      for (std::size_t a = 0; a < gains_.n_antennas; ++a) {
        if (!IsSolved(a, cell, receptor)) continue;
        const Complex phasor = PhasorOf(a, cell, receptor);
        if (pass == 0 || phasor.real() > 0.5) sum += phasor;
      }
      if (std::abs(sum) == 0) return;
      const Complex back = std::conj(sum) / std::abs(sum);
      for (std::size_t a = 0; a < gains_.n_antennas; ++a) gains_.gain[gains_.Index(0, a, cell, receptor)] *= back;
    }
  }

  void Judge() {
    double square = 0, noise = 0;
    std::size_t n = 0;
    out_.phase_deg.assign(gains_.n_antennas, std::vector<double>(gains_.n_receptors));
    for (std::size_t a = 0; a < gains_.n_antennas; ++a) {
      bool any = false;
      for (std::size_t r = 0; r < gains_.n_receptors; ++r) {
        if (!IsSolved(a, kAll, r)) continue;
        const double phase = std::arg(PhasorOf(a, kAll, r)), error = gains_.error[gains_.Index(0, a, kAll, r)];
        out_.phase_deg[a][r] = Angle::Radians(phase).deg();
        square += phase * phase;
        noise += error * error;
        ++n;
        any = true;
      }
      out_.antennas += any ? 1 : 0;
    }
    if (n == 0) {
      out_.why_not = "no antenna has a solution";
      return;
    }
    out_.phase_rms_deg = Angle::Radians(std::sqrt(std::max(0.0, square - noise) / static_cast<double>(n))).deg();
    for (std::size_t half = 0; half < kHalves; ++half) AddGain(1 - half, half);
    if (!(out_.gain > 0)) {
      out_.why_not = "phases of one half of the band do not bring the other half nearer to the model";
    }
  }

  // What phases of cell `from` take from χ² = Σ w |V − g M|² of cell `of`: with A = Σ w V conj(M) and |g| = 1 it is
  // 2 Re(conj(g) A − A).
  void AddGain(std::size_t from, std::size_t of) {
    for (std::size_t b = 0; b < block_.n_baselines(); ++b) {
      const auto p = static_cast<std::size_t>(block_.baselines[b].antenna1);
      const auto q = static_cast<std::size_t>(block_.baselines[b].antenna2);
      if (p == q) continue;
      for (std::size_t r = 0; r < statistics_.n_receptors; ++r) {
        const std::size_t at = statistics_.Index(0, b, r) + of;
        const Complex a(statistics_.a_re[at], statistics_.a_im[at]);
        const Complex g = PhasorOf(p, from, r) * std::conj(PhasorOf(q, from, r));
        out_.gain += 2 * ((std::conj(g) - 1.0) * a).real();
        out_.gain_expected += 2 * (1 - g.real()) * statistics_.n[at];
      }
    }
  }

  void Apply() {
    GainCube cube;
    cube.class_of_time.assign(block_.n_times(), 0);
    cube.n_classes = 1;
    cube.n_antennas = gains_.n_antennas;
    cube.n_receptors = gains_.n_receptors;
    cube.n_channels = block_.n_channels();
    cube.value = Buffer<std::complex<float>>(cube.n_antennas * cube.n_receptors * cube.n_channels);
    for (std::size_t a = 0; a < gains_.n_antennas; ++a) {
      for (std::size_t r = 0; r < gains_.n_receptors; ++r) {
        std::fill_n(cube.At(0, a, r), cube.n_channels, std::complex<float>(PhasorOf(a, kAll, r)));
      }
    }
    ApplyGains(block_, cube, {.scale_weights = false}, context_.threads);
    out_.applied = true;
  }

  VisibilityBlock& block_;
  const Settings& settings_;
  const RunContext& context_;
  Refinement out_;
  Statistics statistics_;
  GainSolution gains_;
};

}  // namespace

Refinement RefineTile(VisibilityBlock& block, const ModelSources& sources, const Settings& settings,
                      const RunContext& context) {
  return Refiner(block, settings, context).Run(sources);
}

std::string RefinementHistory(const Refinement& refinement) {
  if (!refinement.applied) return "";
  return fmt::format("refined: phases of {} antennas on {} sources of the field, {:.2f} deg rms, predicted SNR {:.3g}",
                     refinement.antennas, refinement.model_sources, refinement.phase_rms_deg, refinement.predicted_snr);
}

}  // namespace contimg::calibrate
