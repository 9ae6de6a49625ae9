#include "image/response/varying_sources.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "config/units.h"
#include "image/plane/sky_coordinates.h"

namespace contimg::image {
namespace {

constexpr std::size_t kTerms = VaryingSources::kTerms;
constexpr double kCatalogueHz = 1.4e9;

// The cubic through four Chebyshev points, as coefficients of 1, x, x², x³.
std::array<double, kTerms> Cubic(const std::array<double, kTerms>& at, const std::array<double, kTerms>& value) {
  std::array<double, kTerms> c{};
  for (std::size_t i = 0; i < kTerms; ++i) {
    const double x = at[i];
    const std::array<double, kTerms> chebyshev{1, x, 2 * x * x - 1, (4 * x * x - 3) * x};
    for (std::size_t k = 0; k < kTerms; ++k) c[k] += value[i] * chebyshev[k] * (k == 0 ? 0.25 : 0.5);
  }
  return {c[0] - c[2], c[1] - 3 * c[3], 2 * c[2], 4 * c[3]};
}

std::array<double, kTerms> ChebyshevPoints() {
  std::array<double, kTerms> x{};
  for (std::size_t i = 0; i < kTerms; ++i) x[i] = std::cos((2.0 * static_cast<double>(i) + 1) * kPi / (2 * kTerms));
  return x;
}

}  // namespace

struct SourceVariation::Deviation {
  std::vector<double> terms;  // [time][kTerms] of P/P̄ − 1
  double mean = 0;            // P̄; 0: too far out
  double rms = 0;             // of P/P̄ − 1
};

SourceVariation::SourceVariation(const SourceVariationInput& input, const ImageGeometry& geometry)
    : model_(input.beam),
      has_beam_(input.average.mode != BeamMode::kNone),
      track_(input.average.track),
      smearing_(input.smearing),
      kept_(input.kept),
      geometry_(geometry) {
  const BeamAverage& average = input.average;
  smearing_.uvw_m = {};
  smearing_.weights = {};
  const auto [low, high] = std::minmax_element(average.frequency_hz.begin(), average.frequency_hz.end());
  mid_hz_ = (*low + *high) / 2;
  half_hz_ = *high > *low ? (*high - *low) / 2 : 1;
  moments_.assign(track_.size() * kTerms, 0.0);
  for (std::size_t t = 0; t < track_.size(); ++t) {
    for (std::size_t k = 0; k < average.frequency_hz.size(); ++k) {
      const double x = (average.frequency_hz[k] - mid_hz_) / half_hz_;
      double term = average.weights(t, k);
      for (std::size_t p = 0; p < kTerms; ++p, term *= x) moments_[t * kTerms + p] += term;
    }
    total_ += moments_[t * kTerms];
  }
}

// `whole`: P (ν/1.4 GHz)^alpha itself, and its mean as `rms`.
SourceVariation::Deviation SourceVariation::At(double l, double m, double n, double alpha, bool whole) const {
  static const std::array<double, kTerms> points = ChebyshevPoints();
  Deviation deviation;
  deviation.terms.resize(track_.size() * kTerms);
  double mean = 0;
  for (std::size_t t = 0; t < track_.size(); ++t) {
    const double sin_theta = SinSeparation(track_[t], l, m, n);
    std::array<double, kTerms> power{};
    for (std::size_t i = 0; i < kTerms; ++i) {
      const double hz = mid_hz_ + points[i] * half_hz_;
      power[i] = (has_beam_ ? model_.Power(sin_theta, hz) : 1) * std::pow(hz / kCatalogueHz, alpha);
    }
    const std::array<double, kTerms> cubic = Cubic(points, power);
    for (std::size_t p = 0; p < kTerms; ++p) {
      deviation.terms[t * kTerms + p] = cubic[p];
      mean += cubic[p] * moments_[t * kTerms + p] / total_;
    }
  }
  if (!(mean >= kLeastBeam)) {
    std::fill(deviation.terms.begin(), deviation.terms.end(), 0.0);
    return deviation;
  }
  deviation.mean = mean;
  if (whole) return deviation;
  double square = 0;
  for (std::size_t t = 0; t < track_.size(); ++t) {
    double* terms = &deviation.terms[t * kTerms];
    for (std::size_t p = 0; p < kTerms; ++p) terms[p] = terms[p] / mean - (p == 0 ? 1 : 0);
    for (const double x : points) {
      const double d = terms[0] + x * (terms[1] + x * (terms[2] + x * terms[3]));
      square += d * d * moments_[t * kTerms] / total_ / kTerms;
    }
  }
  deviation.rms = std::sqrt(square);
  return deviation;
}

struct SourceVariation::Candidate {
  PixelPosition at;
  double l, m, n_minus_1;
  double mean_jy;         // S, of which only the deviation is wanted; zero: the deviation is all of it
  double scale_jy, kept;  // deviation_jy is scale_jy × deviation
  double effect_jy;
  Deviation deviation;
};

VaryingSources SourceVariation::Of(const std::vector<CleanComponent>& components, const IndexAt& index_at,
                                   double least_jy) const {
  std::vector<Candidate> chosen;
  for (const CleanComponent& c : components) {
    const double flux = c.flux_jy;
    if (!(total_ > 0) || c.scale != 0 || std::abs(flux) < least_jy) continue;  // only a tiny P̄ deviates by more than 1
    const double x = c.x + static_cast<double>(c.dx), y = c.y + static_cast<double>(c.dy);
    const DirectionCosines at = PixelToDirection(geometry_, x, y);
    if (!std::isfinite(at.n_minus_1)) continue;
    Deviation deviation = At(at.l, at.m, 1 + at.n_minus_1, index_at(x, y), false);
    const double kept = std::clamp(kept_(at.l, at.m), 0.1, 1.0);
    const double effect = std::abs(flux) * (deviation.rms + 1 - kept);
    if (effect > 0 && effect >= least_jy) {
      chosen.push_back({{x, y}, at.l, at.m, at.n_minus_1, flux, flux, kept, effect, std::move(deviation)});
    }
  }
  return Strongest(std::move(chosen), kMaxSources);
}

VaryingSources SourceVariation::Outside(const std::vector<CatalogueSource>& catalogue, const PhaseCentre& centre,
                                        double scale, double least_jy, double& total_jy) const {
  std::vector<Candidate> chosen;
  total_jy = 0;
  for (const CatalogueSource& source : catalogue) {
    const auto icrs = CosinesOfDirection(centre, source.direction);
    if (!has_beam_ || !icrs || !(total_ > 0)) continue;
    const double l = icrs->l * scale, m = icrs->m * scale;
    const double n_minus_1 = std::sqrt(1 - l * l - m * m) - 1;
    const PixelPosition at = DirectionToPixel(geometry_, l, m);
    if (at.x > 0 && at.x < static_cast<double>(geometry_.nx) - 1 && at.y > 0 &&
        at.y < static_cast<double>(geometry_.ny) - 1) {
      continue;
    }
    Deviation deviation = At(l, m, 1 + n_minus_1, source.alpha, true);
    const double effect = source.flux_jy * deviation.mean;
    if (effect > 0 && effect >= least_jy) {
      chosen.push_back({at, l, m, n_minus_1, 0, source.flux_jy, 1, effect, std::move(deviation)});
    }
  }
  VaryingSources sources = Strongest(std::move(chosen), kMaxOutside);
  for (std::size_t s = 0; s < sources.size; ++s) total_jy += sources.effect_jy[s];
  return sources;
}

VaryingSources SourceVariation::Places(const std::vector<PixelPosition>& places) const {
  std::vector<Candidate> all;
  for (const PixelPosition& place : places) {
    const DirectionCosines at = PixelToDirection(geometry_, place.x, place.y);
    all.push_back({place, at.l, at.m, at.n_minus_1, 0, 0, 1, 0, {}});
  }
  return Strongest(std::move(all), places.size());
}

SourceVariation::Band SourceVariation::band() const {
  if (!(total_ > 0)) return {};
  std::array<double, 3> sum{};
  for (std::size_t t = 0; t < track_.size(); ++t) {
    for (std::size_t p = 0; p < sum.size(); ++p) sum[p] += moments_[t * kTerms + p] / total_;
  }
  return {sum[1], sum[2] - sum[1] * sum[1], half_hz_ / mid_hz_};
}

bool SourceVariation::KnowsBeamAt(const PixelPosition& place) const {
  const DirectionCosines at = PixelToDirection(geometry_, place.x, place.y);
  return total_ > 0 && std::isfinite(at.n_minus_1) && At(at.l, at.m, 1 + at.n_minus_1, 0, false).mean > 0;
}

double SourceVariation::Slope(const PixelPosition& place, double index) const {
  const DirectionCosines at = PixelToDirection(geometry_, place.x, place.y);
  const Deviation deviation = At(at.l, at.m, 1 + at.n_minus_1, index, false);
  const Band b = band();
  double covariance = 0;
  for (std::size_t t = 0; t < track_.size(); ++t) {
    for (std::size_t p = 0; p + 1 < kTerms; ++p) {  // the cubic term is small
      const double* moments = &moments_[t * kTerms];
      covariance += deviation.terms[t * kTerms + p] * (moments[p + 1] - b.mean * moments[p]) / total_;
    }
  }
  return b.variance > 0 ? covariance / b.variance : 0;
}

VaryingSources SourceVariation::Strongest(std::vector<Candidate> chosen, std::size_t limit) const {
  VaryingSources sources;
  sources.mid_hz = mid_hz_;
  sources.half_hz = half_hz_;
  std::stable_sort(chosen.begin(), chosen.end(),
                   [](const Candidate& a, const Candidate& b) { return a.effect_jy > b.effect_jy; });
  if (chosen.size() > limit) chosen.resize(limit);

  sources.size = chosen.size();
  sources.padded = (sources.size + VaryingSources::kGroup - 1) / VaryingSources::kGroup * VaryingSources::kGroup;
  for (std::vector<double>* v : {&sources.l, &sources.m, &sources.n_minus_1}) v->assign(sources.padded, 0.0);
  sources.kept.assign(sources.padded, 1.0);
  sources.mean_jy = Buffer<float>(sources.padded);
  sources.deviation_jy = Buffer<float>(track_.size() * kTerms * sources.padded);
  std::fill(sources.mean_jy.begin(), sources.mean_jy.end(), 0.0F);
  std::fill(sources.deviation_jy.begin(), sources.deviation_jy.end(), 0.0F);
  for (std::size_t s = 0; s < sources.size; ++s) {
    const Candidate& c = chosen[s];
    sources.l[s] = c.l;
    sources.m[s] = c.m;
    sources.n_minus_1[s] = c.n_minus_1;
    sources.kept[s] = c.kept;
    sources.mean_jy[s] = static_cast<float>(c.mean_jy);
    sources.effect_jy.push_back(c.effect_jy);
    sources.at.push_back(c.at);
    for (std::size_t i = 0; i < c.deviation.terms.size(); ++i) {
      sources.deviation_jy[i * sources.padded + s] = static_cast<float>(c.scale_jy * c.deviation.terms[i]);
    }
  }
  sources.slant_a = geometry_.slant_a;
  sources.slant_b = geometry_.slant_b;
  sources.sin_dec = std::sin(smearing_.phase_centre_dec_rad);
  sources.cos_dec = std::cos(smearing_.phase_centre_dec_rad);
  sources.in_band = kPi * smearing_.channel_width_hz;
  for (const double seconds : smearing_.integration_s) {
    sources.in_time.push_back(kPi * seconds * kEarthRotation * mid_hz_);
  }
  sources.stopped = smearing_.centre;
  return sources;
}

}  // namespace contimg::image
