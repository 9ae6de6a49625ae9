#include "image/clean/spectral_model.h"

#include <Eigen/Cholesky>
#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "config/parallel.h"
#include "image/plane/image_statistics.h"
#include "image/response/source_spectra.h"

namespace contimg::image {
namespace {

constexpr double kPriorSlope = 3;
constexpr double kLeastSnr = 5;  // fainter sources stay flat
constexpr float kStrong = 0.1F;  // of the strongest pixel within a beam

// Weighted linear least squares of a few terms.
class NormalEquations {
 public:
  explicit NormalEquations(Eigen::Index n) : matrix_(Eigen::MatrixXd::Zero(n, n)), right_(Eigen::VectorXd::Zero(n)) {}
  void Add(const Eigen::VectorXd& row, double value, double weight) {
    matrix_ += weight * row * row.transpose();
    right_ += weight * value * row;
  }
  void AddDiagonal(Eigen::Index i, double weight) { matrix_(i, i) += weight; }

  Eigen::VectorXd Solve() const { return matrix_.llt().solve(right_); }
  // Element (i, i) of the inverse.
  double Variance(Eigen::Index i) const { return matrix_.llt().solve(Eigen::VectorXd::Unit(matrix_.rows(), i))[i]; }

 private:
  Eigen::MatrixXd matrix_;
  Eigen::VectorXd right_;
};

Eigen::VectorXd Powers(double x, Eigen::Index n) {
  Eigen::VectorXd row = Eigen::VectorXd::Ones(n);
  for (Eigen::Index k = 1; k < n; ++k) row[k] = row[k - 1] * x;
  return row;
}

// Sets of pixels that belong together.
class Groups {
 public:
  explicit Groups(std::size_t n) : parent_(n) { std::iota(parent_.begin(), parent_.end(), std::uint32_t{0}); }
  std::uint32_t Root(std::uint32_t i) {
    while (parent_[i] != i) i = parent_[i] = parent_[parent_[i]];
    return i;
  }
  void Join(std::uint32_t a, std::uint32_t b) {
    a = Root(a), b = Root(b);
    parent_[std::max(a, b)] = std::min(a, b);  // the first pixel names the group
  }

 private:
  std::vector<std::uint32_t> parent_;
};

struct ModelPixel {
  std::uint32_t x, y;
};

std::vector<ModelPixel> PixelsOf(ArrayView<const float, 2> model, int threads) {
  std::vector<std::vector<ModelPixel>> rows(model.shape(0));
  ParallelFor(threads, model.shape(0), [&](std::size_t y) {
    for (std::size_t x = 0; x < model.shape(1); ++x) {
      if (model(y, x) != 0) rows[y].push_back({static_cast<std::uint32_t>(x), static_cast<std::uint32_t>(y)});
    }
  });
  std::vector<ModelPixel> pixels;
  for (const auto& row : rows) pixels.insert(pixels.end(), row.begin(), row.end());
  return pixels;
}

}  // namespace

SpectrumFit FitSpectrum(const std::vector<double>& x, const std::vector<double>& weight,
                        const std::vector<double>& factor, const std::vector<double>& error, std::size_t n_terms,
                        double prior) {
  const std::size_t n = x.size();
  const auto terms_wanted = static_cast<Eigen::Index>(std::clamp<std::size_t>(n_terms, 1, n));
  NormalEquations free(terms_wanted), constrained(terms_wanted);
  for (std::size_t c = 0; c < n; ++c) {
    const Eigen::VectorXd row = Powers(x[c], terms_wanted);
    free.Add(row, factor[c], 1 / (error[c] * error[c]));
    constrained.Add(row, factor[c], 1 / (error[c] * error[c]));
  }
  if (prior > 0) {
    for (Eigen::Index k = 1; k < terms_wanted; ++k) constrained.AddDiagonal(k, 1 / (prior * prior));
  }
  const Eigen::VectorXd terms = constrained.Solve();
  SpectrumFit fit;
  double mean = 0;
  for (std::size_t c = 0; c < n; ++c) {
    const Eigen::VectorXd row = Powers(x[c], terms_wanted);
    fit.factor.push_back(row.dot(terms));
    mean += weight[c] * fit.factor.back();
  }
  if (!(mean > 0)) return {0, 0, std::vector<double>(n, 1.0)};
  for (double& f : fit.factor) f /= mean;
  if (terms_wanted > 1) {
    fit.slope = terms[1] / terms[0];
    fit.slope_error = std::sqrt(free.Variance(1)) / std::abs(terms[0]);
  }
  return fit;
}

SpectralMajorCycle::SpectralMajorCycle(const BandOperators& bands, const GaussianBeam& beam, std::size_t n_terms,
                                       std::vector<SourceVariation> variations, int threads)
    : bands_(bands),
      n_terms_(std::min(n_terms, bands.n_bands())),
      variations_(std::move(variations)),
      threads_(threads) {
  const ImageGeometry& geometry = bands.op(0).geometry();
  nx_ = geometry.nx;
  ny_ = geometry.ny;
  reach_ = static_cast<std::size_t>(std::ceil(beam.major_rad / geometry.cell_rad));
  const auto reach = static_cast<long>(reach_);
  for (long dy = -reach; dy <= reach; ++dy) {
    for (long dx = -reach; dx <= reach; ++dx) {
      beam_.push_back(static_cast<float>(
          beam.Value(-static_cast<double>(dx) * geometry.cell_rad, static_cast<double>(dy) * geometry.cell_rad)));
    }
  }
  label_ = Buffer<std::uint32_t>(nx_ * ny_);
  for (std::size_t i = 0; i < bands.n_bands(); ++i) residuals_.emplace_back(ny_, nx_);
}

std::vector<double> SpectralMajorCycle::x_of_bands() const {
  std::vector<double> x;
  const double reference = bands_.frequency_hz();
  for (std::size_t i = 0; i < bands_.n_bands(); ++i) x.push_back(bands_.band(i).frequency_hz / reference - 1);
  return x;
}

const SourceSpectrum* SpectralMajorCycle::SourceAt(std::size_t x, std::size_t y) const {
  const std::uint32_t label = label_[y * nx_ + x];
  return label == 0 ? nullptr : &sources_[label - 1];
}

void SpectralMajorCycle::SetComponents(const std::vector<CleanComponent>& components, double rms_jy) {
  components_ = components;
  least_varying_jy_ = 3 * rms_jy;  // as with one band
}

VaryingSources SpectralMajorCycle::BandVarying(std::size_t i) const {
  if (variations_.empty()) return {};
  std::vector<CleanComponent> components = components_;
  for (CleanComponent& c : components) c.flux_jy *= static_cast<decltype(c.flux_jy)>(FactorAt(c, i));
  return variations_[i].Of(
      components,
      [&](double x, double y) {
        return IndexIn(i, {x, y});
      },
      least_varying_jy_);
}

// The factors have the beam's run with frequency in them, which VaryingSources adds.
double SpectralMajorCycle::IndexIn(std::size_t i, const PixelPosition& place) const {
  const SourceSpectrum* source =
      SourceAt(static_cast<std::size_t>(std::lround(std::clamp(place.x, 0.0, static_cast<double>(nx_ - 1)))),
               static_cast<std::size_t>(std::lround(std::clamp(place.y, 0.0, static_cast<double>(ny_ - 1)))));
  if (source == nullptr || n_terms_ < 2 || source->snr < SourceSpectra::kLeastSnr) return SourceSpectra::kUsualIndex;
  const std::size_t before = i == 0 ? 0 : i - 1, after = std::min(i + 1, bands_.n_bands() - 1);
  const double ratio = source->factor[after] / source->factor[before];
  if (!(ratio > 0)) return SourceSpectra::kUsualIndex;
  const double apparent =
      std::log(ratio) / std::log(bands_.band(after).frequency_hz / bands_.band(before).frequency_hz);
  return apparent - variations_[i].Slope(place, 0) / variations_[i].band().half_width;
}

double SpectralMajorCycle::FactorAt(const CleanComponent& component, std::size_t i) const {
  const SourceSpectrum* source = SourceAt(static_cast<std::size_t>(component.x), static_cast<std::size_t>(component.y));
  return source == nullptr ? 1 : source->factor[i];
}

// Labels the islands of a model. A component between pixels is a pattern with tails that reach beyond a beam, so the
// islands are those of the pixels that are strong among their neighbours; weak ones belong to the nearest island. A new
// island takes over the spectra of those that were there, by flux.
void SpectralMajorCycle::FindSources(ArrayView<const float, 2> model) {
  const std::vector<ModelPixel> pixels = PixelsOf(model, threads_);
  const std::size_t n_bands = bands_.n_bands();
  Buffer<std::uint32_t> index(nx_ * ny_);  // 1 + position in `pixels` of the strong ones
  std::vector<std::uint8_t> strong(pixels.size());
  ParallelFor(threads_, pixels.size(), [&](std::size_t i) {
    float highest = 0;
    ForWindow(pixels[i].x, pixels[i].y, reach_,
              [&](std::size_t u, std::size_t v) { highest = std::max(highest, std::abs(model(v, u))); });
    strong[i] = std::abs(model(pixels[i].y, pixels[i].x)) >= kStrong * highest ? 1 : 0;
  });
  for (std::size_t i = 0; i < pixels.size(); ++i) {
    if (strong[i] != 0) index[pixels[i].y * nx_ + pixels[i].x] = static_cast<std::uint32_t>(i + 1);
  }
  Groups groups(pixels.size());
  for (std::size_t i = 0; i < pixels.size(); ++i) {
    if (strong[i] == 0) continue;
    ForWindow(pixels[i].x, pixels[i].y, reach_, [&](std::size_t u, std::size_t v) {
      const std::uint32_t other = index[v * nx_ + u];
      if (other != 0) groups.Join(static_cast<std::uint32_t>(i), other - 1);
    });
  }
  std::vector<SourceSpectrum> sources;
  std::vector<double> size, strength;                // Σ |m| of the pixels that had a spectrum; of all
  std::vector<std::uint32_t> number(pixels.size());  // 1 + source, 0: none
  for (std::size_t i = 0; i < pixels.size(); ++i) {
    if (strong[i] == 0) continue;
    const std::uint32_t root = groups.Root(static_cast<std::uint32_t>(i));
    if (root == i) {
      sources.emplace_back();
      sources.back().factor.assign(n_bands, 0.0);
      size.push_back(0);
      strength.push_back(0);
    }
    number[i] = root == i ? static_cast<std::uint32_t>(sources.size()) : number[root];
    SourceSpectrum& source = sources[number[i] - 1];
    const auto [x, y] = pixels[i];
    const double m = std::abs(model(y, x));
    source.x += m * x;
    source.y += m * y;
    strength[number[i] - 1] += m;
    if (const SourceSpectrum* before = SourceAt(x, y)) {
      for (std::size_t c = 0; c < n_bands; ++c) source.factor[c] += m * before->factor[c];
      size[number[i] - 1] += m;
    }
  }
  for (std::size_t s = 0; s < sources.size(); ++s) {
    sources[s].x /= strength[s];
    sources[s].y /= strength[s];
    for (double& factor : sources[s].factor) factor = size[s] > 0 ? factor / size[s] : 1;
  }
  ParallelFor(threads_, pixels.size(), [&](std::size_t i) {
    if (strong[i] != 0) return;
    double nearest = HUGE_VAL;
    ForWindow(pixels[i].x, pixels[i].y, 2 * reach_, [&](std::size_t u, std::size_t v) {
      const std::uint32_t other = index[v * nx_ + u];
      const double distance = std::hypot(static_cast<double>(u) - pixels[i].x, static_cast<double>(v) - pixels[i].y);
      if (other == 0 || distance >= nearest) return;
      nearest = distance;
      number[i] = number[other - 1];
    });
  });
  std::fill(label_.begin(), label_.end(), 0U);
  for (std::size_t i = 0; i < pixels.size(); ++i) {
    label_[pixels[i].y * nx_ + pixels[i].x] = number[i];
    if (number[i] != 0) sources[number[i] - 1].flux_jy += model(pixels[i].y, pixels[i].x);
  }
  sources_ = std::move(sources);
}

void SpectralMajorCycle::BandModel(ArrayView<const float, 2> model, std::size_t i,
                                   ArrayView<float, 2> band_model) const {
  ParallelFor(threads_, ny_, [&](std::size_t y) {
    for (std::size_t x = 0; x < nx_; ++x) {
      const SourceSpectrum* source = SourceAt(x, y);
      band_model(y, x) = source == nullptr ? model(y, x) : static_cast<float>(model(y, x) * source->factor[i]);
    }
  });
}

// What the bands' residuals say about the factors of all sources.
void SpectralMajorCycle::Measure(ArrayView<const float, 2> model) {
  const std::size_t n_bands = bands_.n_bands(), side = 2 * reach_ + 1;
  std::vector<double> autocorrelation(sources_.size());        // Σ m P m
  std::vector<double> correlation(sources_.size() * n_bands);  // Σ m R_c
  for (const ModelPixel& pixel : PixelsOf(model, threads_)) {
    const std::size_t x = pixel.x, y = pixel.y;
    if (label_[y * nx_ + x] == 0) continue;
    const std::size_t s = label_[y * nx_ + x] - 1;
    const std::size_t top = reach_ - y, left = reach_ - x;  // of the window in beam_; may wrap, the sums below do not
    double sum = 0;
    ForWindow(x, y, reach_, [&](std::size_t u, std::size_t v) {
      if (label_[v * nx_ + u] == s + 1) sum += model(v, u) * beam_[(v + top) * side + u + left];
    });
    autocorrelation[s] += model(y, x) * sum;
    for (std::size_t c = 0; c < n_bands; ++c) {
      correlation[s * n_bands + c] += model(y, x) * residuals_[c].view()(y, x);
    }
  }
  std::vector<double> rms;
  double mean_variance = 0;
  for (std::size_t c = 0; c < n_bands; ++c) {
    rms.push_back(std::max(ComputeRobustStatistics(residuals_[c].view()).rms, 1e-12));
    mean_variance += std::pow(bands_.band(c).weight * rms[c], 2);
  }
  for (std::size_t s = 0; s < sources_.size(); ++s) {
    SourceSpectrum& source = sources_[s];
    source.measured = source.factor;
    source.factor_error.assign(n_bands, 0.0);
    if (!(source.flux_jy > 0) || !(autocorrelation[s] > 0)) continue;
    source.snr = std::sqrt(autocorrelation[s] / mean_variance);
    for (std::size_t c = 0; c < n_bands; ++c) {
      source.measured[c] += correlation[s * n_bands + c] / autocorrelation[s];
      source.factor_error[c] = rms[c] / std::sqrt(autocorrelation[s]);
    }
  }
}

void SpectralMajorCycle::Refine() {
  const std::vector<double> x = x_of_bands();
  std::vector<double> weight;
  for (std::size_t c = 0; c < bands_.n_bands(); ++c) weight.push_back(bands_.band(c).weight);
  for (SourceSpectrum& source : sources_) {
    if (source.snr < kLeastSnr) continue;
    source.factor = FitSpectrum(x, weight, source.measured, source.factor_error, n_terms_, kPriorSlope).factor;
  }
}

void SpectralMajorCycle::Finish(ArrayView<const float, 2> model, ArrayView<float, 2> residual) {
  FindSources(model);
  Plane band_model(ny_, nx_);
  std::fill(residual.begin(), residual.end(), 0.0F);
  for (std::size_t c = 0; c < bands_.n_bands(); ++c) {
    BandModel(model, c, band_model.view());
    bands_.op(c).Residual(band_model.view(), BandVarying(c), residuals_[c].view());
    AddScaled(residuals_[c].view(), static_cast<float>(bands_.band(c).weight), residual, threads_);
  }
  Measure(model);
}

void SpectralMajorCycle::Residual(ArrayView<const float, 2> model, ArrayView<float, 2> residual) {
  Finish(model, residual);
  Refine();
}

}  // namespace contimg::image
