#include "image/operator/imaging_weights.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "config/error.h"
#include "config/parallel.h"
#include "config/units.h"

namespace contimg::image {
namespace {

// The part of the density grid that a leaf touches.
struct DensityBox {
  long u0 = 0, u1 = -1;  // inclusive
  long v0 = 0, v1 = -1;
  std::vector<double> sum;
  std::size_t nv() const { return static_cast<std::size_t>(v1 - v0 + 1); }
  std::size_t size() const { return static_cast<std::size_t>(u1 - u0 + 1) * nv(); }
};

}  // namespace

HandSelection SelectHands(const VisibilityBlock& block, bool accept_single) {
  HandSelection hands;
  hands.n_pols = block.n_pols();
  hands.accept_single = accept_single;
  const auto find = [&](Polarisation wanted) {
    const auto it = std::find(block.polarisations.begin(), block.polarisations.end(), wanted);
    return static_cast<std::size_t>(it - block.polarisations.begin());
  };
  const std::pair<Polarisation, Polarisation> pairs[] = {{Polarisation::kXX, Polarisation::kYY},
                                                         {Polarisation::kRR, Polarisation::kLL},
                                                         {Polarisation::kI, Polarisation::kI}};
  for (const auto& [first, second] : pairs) {
    hands.first = find(first);
    hands.second = find(second);
    if (hands.first < hands.n_pols && hands.second < hands.n_pols) return hands;
    // One hand in the whole block: as good as Stokes I for an unpolarised source, when that is accepted.
    if (accept_single && std::min(hands.first, hands.second) < hands.n_pols) {
      hands.first = hands.second = std::min(hands.first, hands.second);
      return hands;
    }
  }
  throw Error(ErrorKind::kBadInput, "image", block.group_id,
              "Stokes I needs the polarisations XX and YY, RR and LL, or I; the data hold none of these pairs");
}

RowSamples BlockRow(const VisibilityBlock& block, const VisibilityPart& part, std::size_t time, std::size_t baseline) {
  const std::size_t n = block.n_channels(), row = n * block.n_pols();
  const std::size_t at = (time * block.n_baselines() + baseline) * row;
  const Visibility* vis = part.vis == nullptr ? nullptr : part.vis + (at - part.first_time * block.n_baselines() * row);
  return {vis, block.flag.data() + at, block.weight.data() + at, n};
}

ImagingWeights::ImagingWeights(const Input& input, const ImageGeometry& geometry, const WeightSettings& settings,
                               int threads)
    : settings_(settings),
      hands_(SelectHands(*input.block, settings.accept_single_hand)),
      frequency_hz_(&input.plan->frequency_hz),
      cells_per_wavelength_u_(std::round(settings.density_padding * static_cast<double>(geometry.nx)) *
                              geometry.cell_rad),
      cells_per_wavelength_v_(std::round(settings.density_padding * static_cast<double>(geometry.ny)) *
                              geometry.cell_rad) {
  if (settings.mode == WeightMode::kBriggs && !(std::fabs(settings.robust) <= 10)) {
    throw Error(ErrorKind::kUsage, "image", "",
                fmt::format("the robustness must be a number near −2 … 2, not {}", settings.robust));
  }
  if (!(settings.density_padding > 0) || !(settings.taper_fwhm_rad >= 0)) {
    throw Error(ErrorKind::kUsage, "image", "", "the density padding must be positive and the taper not negative");
  }
  // A Gaussian of FWHM θ in the image is exp(−π² θ² (u² + v²)/(4 ln 2)) in the uv plane.
  taper_ = kPi * kPi * settings.taper_fwhm_rad * settings.taper_fwhm_rad / (4 * std::log(2.0));
  if (settings.mode != WeightMode::kNatural) MakeDensity(input, threads);
}

ImagingWeights::ChannelRange ImagingWeights::InRange(const UvRow& row) const {
  const double length = std::hypot(row.u_s, row.v_s);
  const std::vector<double>& nu = *frequency_hz_;
  if (length == 0) return {0, settings_.min_uv_lambda > 0 ? 0 : nu.size()};
  const auto begin = std::lower_bound(nu.begin(), nu.end(), settings_.min_uv_lambda / length);
  const auto end = std::upper_bound(begin, nu.end(), settings_.max_uv_lambda / length);
  return {static_cast<std::size_t>(begin - nu.begin()), static_cast<std::size_t>(end - nu.begin())};
}

// In the half plane u ≥ 0, that is at −(u, v) of the row.
DensityRow ImagingWeights::Coordinates(const UvRow& row) const {
  DensityRow at;
  at.u_per_hz = -row.u_s * cells_per_wavelength_u_;
  at.v_per_hz = -row.v_s * cells_per_wavelength_v_;
  at.v0 = v0_;
  at.nv = nv_;
  return at;
}

void ImagingWeights::MakeDensity(const Input& input, int threads) {
  const UvPlan& plan = *input.plan;
  const std::vector<double>& nu = *frequency_hz_;
  const std::size_t n = nu.size();
  std::vector<DensityBox> boxes(plan.leaves.size());
  ParallelFor(threads, boxes.size(), [&](std::size_t leaf) {
    DensityBox& box = boxes[leaf];
    box = {1L << 60, -(1L << 60), 1L << 60, -(1L << 60), {}};
    for (std::size_t i = plan.leaves[leaf].begin; i < plan.leaves[leaf].end; ++i) {
      const DensityRow at = Coordinates(plan.rows[i]);
      for (const double hz : {nu.front(), nu.back()}) {
        const long u = static_cast<long>(std::floor(hz * at.u_per_hz));
        const long v = static_cast<long>(std::floor(hz * at.v_per_hz));
        box.u0 = std::min(box.u0, u);
        box.u1 = std::max(box.u1, u);
        box.v0 = std::min(box.v0, v);
        box.v1 = std::max(box.v1, v);
      }
    }
    box.sum.assign(box.size(), 0.0);
  });
  const auto add = [&](const VisibilityPart& part) {
    ParallelFor(threads, boxes.size(), [&](std::size_t leaf) {
      DensityBox& box = boxes[leaf];
      std::vector<float> natural(n), re(input.finite ? 0 : n), im(input.finite ? 0 : n);
      std::vector<std::int32_t> cell(n);
      for (std::size_t i = plan.leaves[leaf].begin; i < plan.leaves[leaf].end; ++i) {
        const UvRow& row = plan.rows[i];
        if (!part.Has(row.time)) continue;
        FormStokesI(BlockRow(*input.block, part, row.time, row.baseline), hands_, input.finite ? nullptr : re.data(),
                    input.finite ? nullptr : im.data(), natural.data());
        DensityRow at = Coordinates(row);
        at.u0 = box.u0;
        at.v0 = box.v0;
        at.nv = box.nv();
        DensityCells(at, nu.data(), n, cell.data());
        const ChannelRange range = InRange(row);
        for (std::size_t k = range.begin; k < range.end;) {  // neighbouring channels often share a cell
          const std::int32_t here = cell[k];
          double sum = 0;
          for (; k < range.end && cell[k] == here; ++k) sum += natural[k];
          box.sum[static_cast<std::size_t>(here)] += sum;
        }
      }
    });
  };
  // Weights are at hand, whatever part visibilities are in.
  if (input.finite) {
    add({0, input.block->n_times(), nullptr});
  } else {
    input.vis->ForEach(add);
  }
  long u1 = 0;
  long v1 = boxes.front().v1;
  v0_ = boxes.front().v0;
  for (const DensityBox& box : boxes) {
    u1 = std::max(u1, box.u1);
    v0_ = std::min(v0_, box.v0);
    v1 = std::max(v1, box.v1);
  }
  nv_ = static_cast<std::size_t>(v1 - v0_ + 1);
  const std::size_t nu_cells = static_cast<std::size_t>(u1 + 1);
  std::vector<double> density(nu_cells * nv_);
  for (const DensityBox& box : boxes) {
    for (long u = box.u0; u <= box.u1; ++u) {
      const double* from = box.sum.data() + static_cast<std::size_t>(u - box.u0) * box.nv();
      double* to = density.data() + static_cast<std::size_t>(u) * nv_ + static_cast<std::size_t>(box.v0 - v0_);
      for (std::size_t v = 0; v < box.nv(); ++v) to[v] += from[v];
    }
  }
  double sum = 0;
  double sum_squares = 0;
  for (const double w : density) {
    sum += w;
    sum_squares += w * w;
  }
  factor_.resize(density.size());
  if (settings_.mode == WeightMode::kUniform) {
    for (std::size_t i = 0; i < density.size(); ++i) {
      factor_[i] = density[i] > 0 ? static_cast<float>(1 / density[i]) : 0.0f;
    }
    return;
  }
  const double f = 5 * std::pow(10.0, -settings_.robust);
  const double f_squared = sum_squares > 0 ? f * f * sum / sum_squares : 0;
  for (std::size_t i = 0; i < density.size(); ++i) factor_[i] = static_cast<float>(1 / (1 + density[i] * f_squared));
}

void ImagingWeights::Apply(const UvRow& row, const float* natural, std::vector<std::int32_t>& cells,
                           float* weight) const {
  const std::size_t n = frequency_hz_->size();
  const ChannelRange range = InRange(row);
  WeightFactors factors;
  factors.begin = range.begin;
  factors.end = range.end;
  factors.taper = taper_ * (row.u_s * row.u_s + row.v_s * row.v_s);
  std::copy_n(natural, n, weight);
  if (!factor_.empty()) {
    cells.resize(n);
    DensityCells(Coordinates(row), frequency_hz_->data(), n, cells.data());
    factors.factor = factor_.data();
    factors.cell = cells.data();
  }
  ApplyWeightFactors(factors, frequency_hz_->data(), n, weight);
}

}  // namespace contimg::image
