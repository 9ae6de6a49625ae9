#include "calibrate/solve.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "calibrate/band_edges.h"
#include "calibrate/delay_solver.h"
#include "calibrate/gain_solver.h"
#include "config/error.h"
#include "config/robust_statistics.h"
#include "config/stopwatch.h"

namespace contimg::calibrate {

namespace {

using Complex = std::complex<double>;

// Times [first, last) of intervals about `length_s` long (< 0: one; 0: each integration).
std::vector<std::pair<std::size_t, std::size_t>> Intervals(const VisibilityBlock& block, double length_s) {
  std::vector<std::pair<std::size_t, std::size_t>> out;
  const std::size_t n = block.n_times();
  if (length_s < 0) return {{0, n}};
  for (std::size_t first = 0; first < n;) {
    std::size_t last = first + 1;
    double held = block.integration_s[first];
    // Half an integration of tolerance: 60 s takes five of 12.885 s.
    while (last < n && held + 0.5 * block.integration_s[last] <= length_s) held += block.integration_s[last++];
    out.emplace_back(first, last);
    first = last;
  }
  // A short rest joins its neighbour.
  if (out.size() > 1 && 2 * (out.back().second - out.back().first) < out[0].second - out[0].first) {
    out[out.size() - 2].second = out.back().second;
    out.pop_back();
  }
  return out;
}

// The same by a number of integrations.
std::vector<std::pair<std::size_t, std::size_t>> IntervalsOf(std::size_t n_times, std::size_t integrations) {
  std::vector<std::pair<std::size_t, std::size_t>> out;
  for (std::size_t first = 0; first < n_times; first += integrations) {
    out.emplace_back(first, std::min(n_times, first + integrations));
  }
  return out;
}

class TileSolver {
 public:
  TileSolver(const VisibilityBlock& block, ArrayView<const Visibility, 3> model, const SolveParams& params,
             const RunContext& context)
      : block_(block), model_(model), params_(params), context_(context) {
    noise_ = EstimateNoise(block, context.threads);
    for (const SolutionSet* fixed : params.fixed) tables_.push_back({fixed, Interpolation::kNearest, "fixed table"});
  }

  SolveResult Run() {
    result_.solutions.reserve(3);  // tables_ points into it
    result_.antennas_with_data = AntennasWithData();
    if (result_.antennas_with_data == 0) {
      throw Error(ErrorKind::kNumeric, "solve", Subject(), "all data are flagged or empty: nothing to solve");
    }
    result_.uv = ChooseUvLimit(block_, params_.min_uv_lambda, params_.max_uv_lambda);
    if (result_.uv.usual_left_out) {
      context_.reporter->Info("solve", fmt::format("all baselines are used: too few are longer than the usual limit of "
                                                   "{:g} wavelengths",
                                                   kUsualMinUvLambda));
    }
    if (result_.uv.limits()) context_.reporter->Info("solve", Describe(result_.uv));
    if (result_.uv.kept == 0) {
      throw Error(ErrorKind::kUsage, "solve", Subject(),
                  Describe(result_.uv) + ": lower --minuv or calibrate.field_min_uv_lambda (0: no limit)");
    }
    if (params_.delay) SolveDelay();
    context_.CheckCancelled("solve");
    if (params_.bandpass) SolveBandpass();
    context_.CheckCancelled("solve");
    if (params_.gain) SolveGain();
    return std::move(result_);
  }

 private:
  // What else may be the reason, for the end of a sentence.
  std::string AlsoUvLimit() const { return result_.uv.limits() ? "; " + Describe(result_.uv) : ""; }

  std::string Subject() const { return !params_.source_ms.empty() ? params_.source_ms : block_.group_id; }

  std::size_t AntennasWithData() const {
    std::vector<std::uint8_t> has(block_.antennas.size(), 0);
    const std::size_t n_receptors = noise_.size() / std::max<std::size_t>(1, block_.n_baselines());
    for (std::size_t b = 0; b < block_.n_baselines(); ++b) {
      for (std::size_t r = 0; r < n_receptors; ++r) {
        if (!(noise_[b * n_receptors + r] > 0)) continue;
        has[static_cast<std::size_t>(block_.baselines[b].antenna1)] = 1;
        has[static_cast<std::size_t>(block_.baselines[b].antenna2)] = 1;
      }
    }
    return static_cast<std::size_t>(std::count(has.begin(), has.end(), 1));
  }

  // An empty set with the block's axes.
  SolutionSet NewSet(SolutionKind kind, const std::vector<std::pair<std::size_t, std::size_t>>& intervals) const {
    SolutionSet s;
    s.kind = kind;
    for (std::size_t a = 0; a < block_.antennas.size(); ++a) {
      SolutionAntenna antenna;
      antenna.name = block_.antennas.names[a];
      antenna.position_itrf_m = block_.antennas.positions_itrf_m[a];
      if (a < block_.antennas.diameters_m.size()) antenna.diameter_m = block_.antennas.diameters_m[a];
      s.antennas.push_back(antenna);
    }
    for (const SpectralWindow& window : block_.windows) {
      SolutionWindow w;
      const auto first = block_.frequency_hz.begin() + static_cast<std::ptrdiff_t>(window.first_channel);
      w.frequency_hz.assign(first, first + static_cast<std::ptrdiff_t>(window.n_channels));
      w.channel_width_hz = block_.channel_width_hz;
      w.reference_hz = w.frequency_hz.front();
      s.windows.push_back(std::move(w));
    }
    for (const auto& [begin, end] : intervals) {
      const double start = block_.time_mjd_s[begin] - 0.5 * block_.integration_s[begin];
      const double stop = block_.time_mjd_s[end - 1] + 0.5 * block_.integration_s[end - 1];
      s.intervals.push_back({0.5 * (start + stop), stop - start});
    }
    s.n_receptors = ParallelHands(block_).size();
    s.field_ra_rad = block_.phase_centre.ra_rad;
    s.field_dec_rad = block_.phase_centre.dec_rad;
    s.field_name = params_.field_name;
    s.source_ms = params_.source_ms;
    s.telescope_name = block_.telescope_name;
    s.Allocate();
    return s;
  }

  StatisticsParams NewStatistics(std::vector<std::pair<std::size_t, std::size_t>> intervals) const {
    StatisticsParams p;
    p.intervals = std::move(intervals);
    p.min_uv_lambda = result_.uv.min_lambda;
    p.max_uv_lambda = result_.uv.max_lambda;
    return p;
  }
  std::vector<std::size_t> ChannelCells() const {
    std::vector<std::size_t> cells(block_.n_channels() + 1);
    for (std::size_t c = 0; c < cells.size(); ++c) cells[c] = c;
    return cells;
  }
  std::vector<std::size_t> WindowCells() const {
    std::vector<std::size_t> cells{0};
    for (const SpectralWindow& window : block_.windows) cells.push_back(window.first_channel + window.n_channels);
    return cells;
  }

  Statistics Accumulate(const std::vector<ApplyTable>& prior, const StatisticsParams& p) const {
    if (prior.empty()) return AccumulateStatistics({&block_, model_, nullptr}, noise_, p, context_.threads);
    const GainCube cube = EvaluateGains(block_, prior);
    return AccumulateStatistics({&block_, model_, &cube}, noise_, p, context_.threads);
  }

  GainSolveParams NewGainParams(bool phase_only) const {
    GainSolveParams p;
    p.phase_only = phase_only;
    p.min_snr = params_.min_snr;
    p.min_baselines_per_antenna = params_.min_baselines_per_antenna;
    return p;
  }

  // Copies a gain solution into a set; `cell_of` gives the solver's cell for each of the set's.
  static void Fill(const GainSolution& from, const std::vector<std::size_t>& cell_of, SolutionSet& to) {
    for (std::size_t t = 0; t < to.intervals.size(); ++t) {
      for (std::size_t a = 0; a < to.antennas.size(); ++a) {
        for (std::size_t c = 0; c < cell_of.size(); ++c) {
          for (std::size_t r = 0; r < to.n_receptors; ++r) {
            const std::size_t i = from.Index(t, a, cell_of[c], r), o = to.Index(t, a, c, r);
            if (from.flag[i]) continue;
            to.value[o] = from.gain[i];
            to.error[o] = from.error[i];
            to.snr[o] = from.snr[i];
            to.flag[o] = kSolved;
          }
        }
      }
    }
  }

  // Solves for gains on top of `prior` into `set`, with a second, robust pass when asked for.
  KindReport SolveInto(SolutionSet& set, const std::vector<ApplyTable>& prior, StatisticsParams statistics,
                       const std::vector<std::size_t>& cell_of, bool phase_only) const {
    const GainSolveParams solve = NewGainParams(phase_only);
    GainSolution gains =
        SolveGains(Accumulate(prior, statistics), block_.baselines, set.antennas.size(), solve, context_.threads);
    Fill(gains, cell_of, set);
    if (params_.robust_k > 0) {
      std::vector<ApplyTable> all = prior;
      all.push_back({&set, Interpolation::kNearest, ""});
      statistics.robust_k = params_.robust_k;
      gains = SolveGains(Accumulate(all, statistics), block_.baselines, set.antennas.size(), solve, context_.threads);
      SolutionSet correction = set;
      correction.Allocate();
      Fill(gains, cell_of, correction);
      for (std::size_t i = 0; i < set.size(); ++i) {
        const double before = std::abs(set.value[i]);
        set.value[i] *= correction.value[i];
        set.error[i] = static_cast<float>(correction.error[i] * before);
        set.snr[i] = correction.snr[i];
        set.flag[i] = set.flag[i] == kSolved ? correction.flag[i] : set.flag[i];
      }
    }
    KindReport report;
    report.kind = set.kind;
    report.reduced_chi_square = gains.degrees_of_freedom > 0 ? gains.chi_square / gains.degrees_of_freedom : 0;
    if (gains.signal_square > 0) {
      report.residual_fraction =
          std::sqrt(std::max(0.0, gains.chi_square - gains.degrees_of_freedom) / gains.signal_square);
    }
    const double excess = gains.mean_chi_square - gains.mean_degrees_of_freedom;
    if (gains.signal_square > 0 && excess > 5 * std::sqrt(std::max(0.0, gains.mean_degrees_of_freedom))) {
      report.model_error = std::sqrt(excess / gains.signal_square);
    }
    if (report.reduced_chi_square > 1.5) report.model_error = std::max(report.model_error, report.residual_fraction);
    std::vector<int> iterations;
    for (std::int16_t n : gains.iterations) {
      if (n < 0) ++report.unconverged_cells;
      if (n != 0) iterations.push_back(std::abs(n));
    }
    report.cells = gains.iterations.size();
    report.cell_error = std::move(gains.cell_error);
    report.cell_chance = std::move(gains.cell_chance);
    report.median_iterations = TakeMedian(iterations);
    return report;
  }

  void CheckModelFits(const KindReport& report) const {
    if (!(params_.max_model_error > 0) || !(report.model_error > params_.max_model_error)) return;
    throw Error(
        ErrorKind::kNumeric, "solve", Subject(),
        fmt::format("the model does not describe the data: {} leaves residuals of {:.0f} % of the signal, the "
                    "limit is {:.0f} %{}",
                    ToString(report.kind), 100 * report.model_error, 100 * params_.max_model_error, AlsoUvLimit()));
  }

  // Refers `set` to its antenna, checks that it holds anything and keeps it.
  void Keep(SolutionSet set, KindReport report, const Stopwatch& watch) {
    CheckModelFits(report);
    const int reference = ChooseReference(set, Preferred());
    if (reference < 0) {
      throw Error(
          ErrorKind::kNumeric, "solve", Subject(),
          fmt::format("no antenna has a usable {} solution: on {} antennas nothing fits the model at {:.1f} sigma{}",
                      ToString(set.kind), result_.antennas_with_data, params_.min_snr, AlsoUvLimit()));
    }
    Rereference(set, reference);
    reference_ = set.antennas[static_cast<std::size_t>(reference)].name;
    report.seconds = watch.Seconds();
    result_.solutions.push_back(std::move(set));
    result_.reports.push_back(report);
    tables_.push_back({&result_.solutions.back(), Interpolation::kNearest, ""});
  }

  // The antenna that the earlier kinds were referred to goes first, so that all tables of a solve agree.
  std::vector<std::string> Preferred() const {
    std::vector<std::string> names;
    if (!reference_.empty()) names.push_back(reference_);
    for (const SolutionSet* fixed : params_.fixed) {
      if (reference_.empty() && fixed->kind != SolutionKind::kDelay && fixed->reference_antenna >= 0) {
        names.push_back(fixed->antennas[static_cast<std::size_t>(fixed->reference_antenna)].name);
      }
    }
    names.insert(names.end(), params_.reference_antennas.begin(), params_.reference_antennas.end());
    return names;
  }

  void SolveDelay() {
    const Stopwatch watch;
    context_.reporter->Info("solve", "K: delays over the whole band");
    StatisticsParams p = NewStatistics(Intervals(block_, -1));
    p.cells = ChannelCells();
    DelaySolveParams solve;
    solve.min_snr = std::max(solve.min_snr, params_.min_snr);
    solve.min_baselines_per_antenna = params_.min_baselines_per_antenna;
    const Statistics statistics = Accumulate(tables_, p);
    const DelaySolution delays =
        SolveDelays(statistics, block_.baselines, block_.antennas.size(), block_.frequency_hz, solve, context_.threads);
    SolutionSet set = NewSet(SolutionKind::kDelay, p.intervals);
    for (std::size_t a = 0; a < set.antennas.size(); ++a) {
      for (std::size_t r = 0; r < set.n_receptors; ++r) {
        const std::size_t i = a * set.n_receptors + r;
        if (delays.flag[i]) continue;
        for (std::size_t c = 0; c < set.n_cells(); ++c) {
          const std::size_t o = set.Index(0, a, c, r);
          set.value[o] = delays.delay_ns[i];
          set.error[o] = delays.error_ns[i];
          set.snr[o] = delays.snr[i];
          set.flag[o] = kSolved;
        }
      }
    }
    KindReport report;
    report.kind = SolutionKind::kDelay;
    Keep(std::move(set), report, watch);
  }

  // Phases of short intervals per window, with their mean over the tile taken out; where there is no solution, none is
  // applied. Lives only while B is solved.
  SolutionSet ShortPhases() const {
    StatisticsParams p = NewStatistics(Intervals(block_, params_.pre_phase_s));
    p.cells = WindowCells();
    SolutionSet set = NewSet(SolutionKind::kGain, p.intervals);
    std::vector<std::size_t> cell_of(set.n_cells());
    for (std::size_t c = 0; c < cell_of.size(); ++c) cell_of[c] = c;
    SolveInto(set, tables_, p, cell_of, true);
    const int reference = ChooseReference(set, Preferred());
    if (reference >= 0) Rereference(set, reference);
    for (std::size_t a = 0; a < set.antennas.size(); ++a) {
      for (std::size_t c = 0; c < set.n_cells(); ++c) {
        for (std::size_t r = 0; r < set.n_receptors; ++r) {
          Complex mean = 0;
          for (std::size_t t = 0; t < set.intervals.size(); ++t) {
            const std::size_t i = set.Index(t, a, c, r);
            if (set.usable(i)) mean += set.value[i];
          }
          const Complex turn = std::abs(mean) > 0 ? std::conj(mean) / std::abs(mean) : Complex(1);
          for (std::size_t t = 0; t < set.intervals.size(); ++t) {
            const std::size_t i = set.Index(t, a, c, r);
            set.value[i] = set.usable(i) ? set.value[i] * turn / std::abs(set.value[i]) : Complex(1);
            set.flag[i] = kSolved;
          }
        }
      }
    }
    return set;
  }

  void SolveBandpass() {
    const Stopwatch watch;
    context_.reporter->Info("solve", "BP: bandpass per channel");
    std::vector<ApplyTable> prior = tables_;
    SolutionSet phases;
    if (params_.pre_phase_s > 0 && Intervals(block_, params_.pre_phase_s).size() > 1) {
      phases = ShortPhases();
      prior.push_back({&phases, Interpolation::kNearest, ""});
    }
    StatisticsParams p = NewStatistics(Intervals(block_, -1));
    p.cells = ChannelCells();
    SolutionSet set = NewSet(SolutionKind::kBandpass, p.intervals);
    std::vector<std::size_t> cell_of(set.n_cells());
    for (std::size_t c = 0; c < cell_of.size(); ++c) cell_of[c] = c;
    KindReport report = SolveInto(set, prior, p, cell_of, false);
    const std::vector<std::size_t> edges =
        UnclosedBandEdges(set.windows, report.cell_error, report.cell_chance, set.n_receptors);
    FlagChannels(set, edges);
    report.unclosed_channels = edges.size();
    if (!edges.empty()) {
      context_.reporter->Info("solve",
                              fmt::format("BP: {} of {} channels left out, at ends of spectral windows: no gains "
                                          "of antennas describe them",
                                          edges.size(), set.n_cells()));
    }
    // Gaps are filled between values of one phase reference.
    const int reference = ChooseReference(set, Preferred());
    if (reference >= 0) Rereference(set, reference);
    if (params_.normalise_bandpass) NormaliseBandpass(set);
    FillBandpassGaps(set, params_.fill_gap_channels);
    FlagChannels(set, edges);  // also where two windows meet
    Keep(std::move(set), report, watch);
  }

  void SolveGain() {
    const Stopwatch watch;
    context_.reporter->Info("solve", params_.gain_phase_only ? "G: phases" : "G: amplitudes and phases");
    StatisticsParams p =
        NewStatistics(params_.gain_integrations > 0
                          ? IntervalsOf(block_.n_times(), static_cast<std::size_t>(params_.gain_integrations))
                          : Intervals(block_, params_.gain_interval_s));
    SolutionSet set = NewSet(SolutionKind::kGain, p.intervals);
    std::vector<std::size_t> cell_of(set.n_cells(), 0);
    if (params_.combine_windows) {
      p.cells = {0, block_.n_channels()};
    } else {
      p.cells = WindowCells();
      for (std::size_t c = 0; c < cell_of.size(); ++c) cell_of[c] = c;
    }
    const KindReport report = SolveInto(set, tables_, p, cell_of, params_.gain_phase_only);
    Keep(std::move(set), report, watch);
  }

  const VisibilityBlock& block_;
  ArrayView<const Visibility, 3> model_;
  const SolveParams& params_;
  const RunContext& context_;
  std::vector<double> noise_;
  std::vector<ApplyTable> tables_;
  std::string reference_;
  SolveResult result_;
};

}  // namespace

void FillBandpassGaps(SolutionSet& s, int max_channels) {
  const std::size_t n = s.n_cells();
  for (std::size_t t = 0; t < s.intervals.size(); ++t) {
    for (std::size_t a = 0; a < s.antennas.size(); ++a) {
      for (std::size_t r = 0; r < s.n_receptors; ++r) {
        for (std::size_t c = 1; c < n;) {
          if (s.usable(s.Index(t, a, c, r)) || !s.usable(s.Index(t, a, c - 1, r))) {
            ++c;
            continue;
          }
          std::size_t end = c;
          while (end < n && !s.usable(s.Index(t, a, end, r))) ++end;
          if (end < n && end - c <= static_cast<std::size_t>(std::max(0, max_channels))) {
            const std::size_t left = s.Index(t, a, c - 1, r), right = s.Index(t, a, end, r);
            const double turn = std::arg(s.value[right] * std::conj(s.value[left]));
            for (std::size_t k = c; k < end; ++k) {
              const double share = static_cast<double>(k - c + 1) / static_cast<double>(end - c + 1);
              const std::size_t i = s.Index(t, a, k, r);
              s.value[i] = std::polar((1 - share) * std::abs(s.value[left]) + share * std::abs(s.value[right]),
                                      std::arg(s.value[left]) + share * turn);
              s.error[i] = std::max(s.error[left], s.error[right]);
              s.snr[i] = std::min(s.snr[left], s.snr[right]);
              s.flag[i] = kInterpolated;
            }
          }
          c = end;
        }
      }
    }
  }
}

void NormaliseBandpass(SolutionSet& s) {
  s.normalisation.assign(s.antennas.size() * s.n_receptors, 0);
  for (std::size_t a = 0; a < s.antennas.size(); ++a) {
    for (std::size_t r = 0; r < s.n_receptors; ++r) {
      double square = 0;
      std::size_t n = 0;
      for (std::size_t t = 0; t < s.intervals.size(); ++t) {
        for (std::size_t c = 0; c < s.n_cells(); ++c) {
          const std::size_t i = s.Index(t, a, c, r);
          if (s.flag[i] != kSolved) continue;
          square += std::norm(s.value[i]);
          ++n;
        }
      }
      if (n == 0 || !(square > 0)) continue;
      const double amplitude = std::sqrt(square / static_cast<double>(n));
      s.normalisation[a * s.n_receptors + r] = amplitude;
      for (std::size_t t = 0; t < s.intervals.size(); ++t) {
        for (std::size_t c = 0; c < s.n_cells(); ++c) {
          const std::size_t i = s.Index(t, a, c, r);
          s.value[i] /= amplitude;
          s.error[i] = static_cast<float>(s.error[i] / amplitude);
        }
      }
    }
  }
}

SolveResult SolveCalibration(const VisibilityBlock& block, ArrayView<const Visibility, 3> model,
                             const SolveParams& params, const RunContext& context) {
  const std::string subject = !params.source_ms.empty() ? params.source_ms : block.group_id;
  const auto bad = [&](const std::string& message) { return Error(ErrorKind::kBadInput, "solve", subject, message); };
  if (block.phase_state != PhaseState::kPhased) throw bad("the data are not phased to one centre");
  if (block.data_state != DataState::kRaw) throw bad("solutions are made from DATA, these are other data");
  if (model.shape() != std::array<std::size_t, 3>{block.n_times(), block.n_baselines(), block.n_channels()}) {
    throw bad("the model has other axes than the data");
  }
  if (!(params.delay || params.bandpass || params.gain)) throw bad("no kind of solution was asked for");
  if (std::all_of(model.begin(), model.end(), [](const Visibility& v) { return v == Visibility(0); })) {
    throw bad("the model is zero everywhere");
  }
  for (const SolutionSet* fixed : params.fixed) {
    const bool solved_here = (fixed->kind == SolutionKind::kDelay && params.delay) ||
                             (fixed->kind == SolutionKind::kBandpass && params.bandpass) ||
                             (fixed->kind == SolutionKind::kGain && params.gain);
    if (solved_here) throw bad(fmt::format("a {} table is held fixed and solved at once", ToString(fixed->kind)));
  }
  std::vector<ApplyTable> fixed;
  for (const SolutionSet* set : params.fixed) fixed.push_back({set, Interpolation::kNearest, set->source_ms});
  CheckTables(block, fixed, {});
  return TileSolver(block, model, params, context).Run();
}

}  // namespace contimg::calibrate
