#include "calibrate/quality_gate.h"

#include "config/robust_statistics.h"
#include "config/units.h"

#include <algorithm>
#include <cmath>
#include <complex>

#include <fmt/format.h>

namespace contimg::calibrate {

namespace {

// Mean amplitude per [antenna][receptor] over usable values; 0 without any.
std::vector<double> MeanAmplitudes(const SolutionSet& s) {
  std::vector<double> mean(s.antennas.size() * s.n_receptors, 0);
  std::vector<double> n(mean.size(), 0);
  for (std::size_t t = 0; t < s.intervals.size(); ++t) {
    for (std::size_t a = 0; a < s.antennas.size(); ++a) {
      for (std::size_t c = 0; c < s.n_cells(); ++c) {
        for (std::size_t r = 0; r < s.n_receptors; ++r) {
          const std::size_t i = s.Index(t, a, c, r);
          if (!s.usable(i)) continue;
          mean[a * s.n_receptors + r] += std::abs(s.value[i]);
          n[a * s.n_receptors + r] += 1;
        }
      }
    }
  }
  for (std::size_t i = 0; i < mean.size(); ++i) mean[i] = n[i] > 0 ? mean[i] / n[i] : 0;
  return mean;
}

// This set's over the other's mean amplitude for every antenna-receptor (matched by name) that both have.
std::vector<double> AmplitudeRatios(const SolutionSet& s, const SolutionSet& other) {
  std::vector<double> ratios;
  const auto mine = MeanAmplitudes(s), theirs = MeanAmplitudes(other);
  for (std::size_t a = 0; a < s.antennas.size(); ++a) {
    for (std::size_t b = 0; b < other.antennas.size(); ++b) {
      if (s.antennas[a].name != other.antennas[b].name) continue;
      for (std::size_t r = 0; r < std::min(s.n_receptors, other.n_receptors); ++r) {
        const double x = mine[a * s.n_receptors + r], y = theirs[b * other.n_receptors + r];
        if (x > 0 && y > 0) ratios.push_back(x / y);
      }
    }
  }
  return ratios;
}

double PhaseScatterDeg(const SolutionSet& s) {
  // Cells [from, to) that share a mean.
  std::vector<std::pair<std::size_t, std::size_t>> groups{{0, s.n_cells()}};
  if (s.kind == SolutionKind::kBandpass) {
    groups.clear();
    std::size_t first = 0;
    for (const SolutionWindow& window : s.windows) {
      groups.emplace_back(first, first + window.frequency_hz.size());
      first += window.frequency_hz.size();
    }
  }
  std::vector<double> deviations;
  for (std::size_t a = 0; a < s.antennas.size(); ++a) {
    for (std::size_t r = 0; r < s.n_receptors; ++r) {
      for (const auto& [from, to] : groups) {
        std::complex<double> mean = 0;
        for (int pass = 0; pass < 2; ++pass) {
          for (std::size_t t = 0; t < s.intervals.size(); ++t) {
            for (std::size_t c = from; c < to; ++c) {
              const std::size_t i = s.Index(t, a, c, r);
              if (!s.usable(i) || !(std::abs(s.value[i]) > 0)) continue;
              if (pass == 0) {
                mean += s.value[i] / std::abs(s.value[i]);
              } else {
                deviations.push_back(std::abs(std::arg(s.value[i] * std::conj(mean))));
              }
            }
          }
        }
      }
    }
  }
  return Angle::Radians(kSigmaPerMad * TakeMedian(deviations)).deg();
}

}  // namespace

SolutionQuality MeasureQuality(const SolutionSet& s, const SolutionSet* previous, double reduced_chi_square,
                               double residual_fraction) {
  SolutionQuality quality;
  quality.flags = SummariseFlags(s);
  quality.reduced_chi_square = reduced_chi_square;
  quality.residual_fraction = residual_fraction;
  std::vector<double> snrs, amplitudes;
  for (std::size_t i = 0; i < s.size(); ++i) {
    if (s.flag[i] != kSolved) continue;
    snrs.push_back(s.snr[i]);
    amplitudes.push_back(std::abs(s.value[i]));
  }
  quality.median_snr = Median(std::move(snrs));
  if (s.kind == SolutionKind::kDelay) return quality;
  quality.median_amplitude = Median(std::move(amplitudes));
  quality.phase_scatter_deg = PhaseScatterDeg(s);
  for (double mean : MeanAmplitudes(s)) {
    if (mean > 0 && (mean > 5 * quality.median_amplitude || mean < 0.2 * quality.median_amplitude)) {
      ++quality.outlier_antennas;
    }
  }
  if (previous != nullptr) quality.amplitude_ratio = Median(AmplitudeRatios(s, *previous));
  return quality;
}

QualityVerdict JudgeQuality(SolutionKind kind, const SolutionQuality& q, std::size_t antennas_with_data,
                            const QualityLimits& limits) {
  QualityVerdict verdict;
  auto& failures = verdict.failures;
  const std::size_t receptors_per_antenna = q.flags.receptors_per_antenna;
  const double with_data = static_cast<double>(antennas_with_data * receptors_per_antenna);
  const double living = static_cast<double>(q.flags.receptors - q.flags.dead_receptors);
  if (living < static_cast<double>(limits.min_antennas) * static_cast<double>(receptors_per_antenna)) {
    failures.push_back(fmt::format("only {} receptors were solved", living));
  }
  if (with_data > 0 && 1 - living / with_data > limits.max_dead_fraction) {
    failures.push_back(
        fmt::format("{:.0f} % of the receptors with data have no solution", 100 * (1 - living / with_data)));
  }
  if (!(q.flags.effective_fraction <= limits.max_effective_flags)) {
    failures.push_back(fmt::format("{:.1f} % of the living receptors' solutions are flagged, the limit is {:.1f} %",
                                   100 * q.flags.effective_fraction, 100 * limits.max_effective_flags));
  }
  if (!(q.median_snr >= limits.min_median_snr)) {
    failures.push_back(fmt::format("median SNR is {:.1f}, the limit is {:.1f}", q.median_snr, limits.min_median_snr));
  }
  if (kind != SolutionKind::kDelay) {
    if (!(q.phase_scatter_deg <= limits.max_phase_scatter_deg)) {
      failures.push_back(fmt::format("phase scatter is {:.1f} deg, the limit is {:.1f} deg", q.phase_scatter_deg,
                                     limits.max_phase_scatter_deg));
    }
    if (q.amplitude_ratio > 0 && std::abs(q.amplitude_ratio - 1) > limits.max_amplitude_change) {
      failures.push_back(
          fmt::format("amplitudes are {:.3f} times those of the last accepted table", q.amplitude_ratio));
    }
  }
  if (q.reduced_chi_square > limits.max_reduced_chi_square && q.residual_fraction > limits.max_residual_fraction) {
    failures.push_back(fmt::format("residuals are {:.0f} % of the signal, chi-square {:.2f} per degree of freedom",
                                   100 * q.residual_fraction, q.reduced_chi_square));
  }
  verdict.accepted = failures.empty();
  return verdict;
}

double AnchorAmplitude(SolutionSet& gain, const SolutionSet& anchor, double max_change) {
  const std::vector<double> ratios = AmplitudeRatios(gain, anchor);
  if (ratios.empty()) return 0;
  double log_sum = 0;
  for (double ratio : ratios) log_sum += std::log(ratio);
  const double change = std::exp(log_sum / static_cast<double>(ratios.size()));
  const double allowed = std::clamp(change, 1 - max_change, 1 + max_change);
  if (allowed == change) return change;
  const double scale = allowed / change;
  for (std::size_t i = 0; i < gain.size(); ++i) {
    gain.value[i] *= scale;
    gain.error[i] = static_cast<float>(gain.error[i] * scale);
  }
  return change;
}

}  // namespace contimg::calibrate
