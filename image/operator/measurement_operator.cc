#include "image/operator/measurement_operator.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "config/buffer.h"
#include "config/error.h"
#include "config/machine.h"
#include "config/parallel.h"
#include "image/operator/grid_engine.h"
#include "image/operator/image_grid.h"
#include "image/operator/imaging_weights.h"
#include "image/operator/sample_kernels.h"
#include "image/operator/uv_plan.h"
#include "image/operator/varying_kernels.h"
#include "image/operator/w_expansion.h"

namespace contimg::image {
namespace {

constexpr std::size_t kTaps = FrequencyNodes::kMaxTaps;
constexpr double kOversampling = 1.5;
constexpr double kSinglePrecisionLimit = 5e-6;  // finer accuracies need double precision grids
constexpr std::size_t kDistributionBins = 1024;

// The sources of error share the request evenly (they add in squares, so the sum stays below it): kernel, w terms,
// interpolation in frequency, and that between pixels.
double ErrorShare(double accuracy) { return accuracy / 3; }

void CheckMemory(std::size_t needed, std::size_t limit, const ImageGeometry& geometry) {
  const MemoryRoom room = limit > 0 ? MemoryRoom{limit, "beside the images"} : AvailableMemory();
  if (needed <= room.bytes) return;
  throw Error(ErrorKind::kResource, "image", "",
              fmt::format("imaging {} x {} pixels needs {} of memory and only {} are available {}", geometry.nx,
                          geometry.ny, BytesInWords(needed), BytesInWords(room.bytes), room.bound));
}

void CheckBlock(const VisibilityBlock& block, const OperatorSettings& settings) {
  if (block.phase_state != PhaseState::kPhased || block.uvw_m.size() != block.n_times() * block.n_baselines() * 3) {
    throw Error(ErrorKind::kBadInput, "image", block.group_id,
                "the visibilities must be phased to one centre before imaging");
  }
  if (block.n_times() == 0 || block.n_baselines() == 0 || block.n_channels() == 0) {
    throw Error(ErrorKind::kBadInput, "image", block.group_id, "the data set is empty");
  }
  if (!(settings.accuracy >= 0.999e-6 && settings.accuracy <= 1.001e-2)) {  // the last bits of powers of ten
    throw Error(ErrorKind::kUsage, "image", "",
                fmt::format("the accuracy must lie between 1e-6 and 1e-2, not {}", settings.accuracy));
  }
}

// The image the model lives on must be the one the operator was made for.
template <typename View>
void CheckShape(const View& image, const ImageGeometry& geometry) {
  if (image.shape(0) != geometry.ny || image.shape(1) != geometry.nx) {
    throw Error(ErrorKind::kBug, "image", "",
                fmt::format("expected an image of {} rows of {} pixels, found {} of {}", geometry.ny, geometry.nx,
                            image.shape(0), image.shape(1)));
  }
}

// Distribution of |w|, each row counted with weight[row] spread evenly over its band.
WDistribution Distribution(const UvPlan& plan, const std::vector<double>& weight, WExpansion::Request& request) {
  WDistribution distribution;
  distribution.weight.assign(kDistributionBins, 0.0);
  for (std::size_t i = 0; i < plan.rows.size(); ++i) {
    if (weight[i] == 0) continue;
    for (const double hz : {plan.Set(plan.rows[i]).frequency_hz.front(), plan.Set(plan.rows[i]).frequency_hz.back()}) {
      request.min_w = std::min(request.min_w, plan.rows[i].w_s * hz);
      request.max_w = std::max(request.max_w, plan.rows[i].w_s * hz);
    }
  }
  distribution.max_w = std::max(-request.min_w, request.max_w);
  if (distribution.max_w == 0) return distribution;
  constexpr int kSteps = 4;
  for (std::size_t i = 0; i < plan.rows.size(); ++i) {
    if (weight[i] == 0) continue;
    for (int step = 0; step < kSteps; ++step) {
      const double hz =
          plan.frequency_hz.front() + (plan.frequency_hz.back() - plan.frequency_hz.front()) * (step + 0.5) / kSteps;
      const double position = std::fabs(plan.rows[i].w_s) * hz / distribution.max_w;
      const std::size_t bin =
          std::min(kDistributionBins - 1, static_cast<std::size_t>(position * static_cast<double>(kDistributionBins)));
      distribution.weight[bin] += weight[i] / kSteps;
    }
  }
  return distribution;
}

GridEngineSetup MakeSetup(const UvPlan& plan, const ImageGeometry& geometry, double accuracy,
                          const std::vector<double>& row_weight) {
  const GriddingKernel kernel(ChooseKernel(kOversampling, ErrorShare(accuracy)));
  WExpansion::Request request;
  request.rms_error = ErrorShare(accuracy);
  request.half_range = 0.5 * (plan.n_range.max - plan.n_range.min);
  const WDistribution distribution = Distribution(plan, row_weight, request);
  return {&plan, geometry, kernel, WExpansion(distribution, request, kernel), accuracy < kSinglePrecisionLimit};
}

ImageGeometry WithSlant(const VisibilityBlock& block, ImageGeometry geometry, const OperatorSettings& settings) {
  CheckBlock(block, settings);
  if (!settings.fit_slant) return geometry;
  geometry.slant_a = geometry.slant_b = 0;
  const SlantFit fit = FitSlant(block, geometry);
  geometry.slant_a = fit.a;
  geometry.slant_b = fit.b;
  return geometry;
}

// Double precision is for images that keep their own pixels.
ImageGrid GridOf(const VisibilityBlock& block, const ImageGeometry& geometry, double max_uv_lambda, double accuracy) {
  return ChooseGrid(block, geometry, max_uv_lambda, accuracy < kSinglePrecisionLimit ? 0 : ErrorShare(accuracy));
}

UvPlanRequest PlanRequest(const WeightSettings& weights, const OperatorSettings& settings) {
  UvPlanRequest request;
  request.min_uv_lambda = weights.min_uv_lambda;
  request.max_uv_lambda = weights.max_uv_lambda;
  request.interpolation_error = ErrorShare(settings.accuracy);
  request.threads = settings.threads;
  return request;
}

// Leaves are worked on in this many fixed sequences, each with sums of its own, so that sums do not depend on threads.
constexpr std::size_t kSlots = 16;

}  // namespace

double OperatorFigures::NoiseFactor() const {
  return sum_weights > 0 ? std::sqrt(sum_weights_squared_over_natural) / sum_weights : 0;
}

struct MeasurementOperator::Impl {
  Impl(const VisibilityBlock& block, const VisibilityParts& vis, const ImageGeometry& requested,
       const WeightSettings& weights, const OperatorSettings& operator_settings, const VaryingSources& outside);

  // Fills the nodes, Gram matrices and sums. Returns false when unflagged samples were left out as not finite.
  bool Compress(const VisibilityBlock& block, const VisibilityParts& vis, const ImagingWeights& weights,
                const HandSelection& hands, const VaryingSources& outside, std::vector<double>& row_weight_squared);

  OperatorSettings settings;
  ImageGeometry geometry;
  ImageGrid grid;
  UvPlan plan;
  OperatorFigures figures;
  Buffer<float> node_re;  // weighted visibilities at the nodes, conjugated as GridEngine wants them
  Buffer<float> node_im;
  Buffer<float> node_weight;
  Buffer<float> gram;
  std::vector<std::size_t> gram_offset;  // per row of the plan
  std::vector<double> by_time_channel;
  std::vector<double> by_time_baseline;
  std::size_t n_times = 0;
  std::size_t n_baselines = 0;
  std::unique_ptr<GridEngine> engine;
  Buffer<float> residual_re;  // scratch of Residual, kept because fresh memory is slow
  Buffer<float> residual_im;
};

MeasurementOperator::Impl::Impl(const VisibilityBlock& block, const VisibilityParts& vis,
                                const ImageGeometry& requested, const WeightSettings& weights,
                                const OperatorSettings& operator_settings, const VaryingSources& outside)
    : settings(operator_settings),
      geometry(WithSlant(block, requested, operator_settings)),
      grid(GridOf(block, geometry, weights.max_uv_lambda, operator_settings.accuracy)),
      plan(block, grid.geometry, PlanRequest(weights, operator_settings)),
      n_times(block.n_times()),
      n_baselines(block.n_baselines()) {
  const HandSelection hands = SelectHands(block, weights.accept_single_hand);
  std::size_t gram_size = 0;
  if (settings.prepare_residual) {
    for (const UvRow& row : plan.rows) {
      gram_offset.push_back(gram_size);
      gram_size += plan.Set(row).size() * static_cast<std::size_t>(plan.Set(row).taps);
    }
  }
  figures.memory_bytes = sizeof(float) * (3 * plan.n_nodes + gram_size) + plan.rows.size() * sizeof(UvRow);
  const std::size_t residual_bytes = settings.prepare_residual ? 2 * sizeof(float) * plan.n_nodes : 0;
  CheckMemory(figures.memory_bytes + residual_bytes, settings.memory_limit_bytes, geometry);
  node_re = Buffer<float>(plan.n_nodes);
  node_im = Buffer<float>(plan.n_nodes);
  node_weight = Buffer<float>(plan.n_nodes);
  gram = Buffer<float>(gram_size + (gram_size > 0 ? kTaps : 0));

  std::vector<double> row_weight_squared(plan.rows.size());
  const bool finite =
      Compress(block, vis, ImagingWeights({&block, &vis, &plan, true}, geometry, weights, settings.threads), hands,
               outside, row_weight_squared);
  if (!finite && weights.mode != WeightMode::kNatural) {  // the density counted samples that are not there
    Compress(block, vis, ImagingWeights({&block, &vis, &plan, false}, geometry, weights, settings.threads), hands,
             outside, row_weight_squared);
  }
  if (figures.n_used == 0) {
    throw Error(
        ErrorKind::kBadInput, "image", block.group_id,
        fmt::format("none of the {} selected samples is usable: all are flagged or have no finite, positive weight",
                    figures.n_selected));
  }

  const GridEngineSetup setup = MakeSetup(plan, grid.geometry, settings.accuracy, row_weight_squared);
  engine = grid.MakeEngine(setup);
  const GridEngine::Memory memory = engine->MemoryBytes(settings.threads);
  const std::size_t still_needed = memory.held_bytes + memory.scratch_bytes + residual_bytes;
  const std::size_t limit = settings.memory_limit_bytes;
  if (limit > 0) {
    CheckMemory(figures.memory_bytes + still_needed, limit, geometry);
  } else {
    CheckMemory(still_needed, 0, geometry);  // what is held already no longer counts as available
  }
  figures.memory_bytes += memory.held_bytes + residual_bytes;
  figures.peak_memory_bytes = figures.memory_bytes + memory.scratch_bytes;
  const KernelShape& shape = setup.kernel.shape();
  figures.n_nodes = plan.n_nodes;
  figures.n_w_terms = setup.expansion.n_terms();
  figures.uses_w_planes = setup.expansion.uses_planes();
  const double w_error = setup.expansion.expected_error();
  const double pixel_error = grid.doubling ? grid.doubling->largest_error() : 0;
  figures.expected_error = std::sqrt(shape.rms_error * shape.rms_error + w_error * w_error + pixel_error * pixel_error +
                                     ErrorShare(settings.accuracy) * ErrorShare(settings.accuracy));
  figures.kernel_support = static_cast<std::size_t>(shape.support);
  figures.fft_nx = engine->padded_nx();
  figures.fft_ny = engine->padded_ny();
  for (std::size_t i = 0; i < plan.rows.size(); ++i) {
    if (row_weight_squared[i] == 0) continue;
    const UvRow& row = plan.rows[i];
    const double hz = plan.frequency_hz.back();
    figures.max_residual_w_lambda = std::max(figures.max_residual_w_lambda, std::fabs(row.w_s) * hz);
    figures.max_uv_lambda = std::max(figures.max_uv_lambda, std::hypot(row.u_s, row.v_s) * hz);
  }
}

bool MeasurementOperator::Impl::Compress(const VisibilityBlock& block, const VisibilityParts& vis,
                                         const ImagingWeights& weights, const HandSelection& hands,
                                         const VaryingSources& outside, std::vector<double>& row_weight_squared) {
  // Sums of their own for each integration: they are the same in however many parts the visibilities come.
  struct Slot {
    std::vector<double> by_time_channel;
    std::vector<double> over_natural;
    std::size_t used = 0;
    bool finite = true;
  };
  const std::size_t n = plan.frequency_hz.size();
  by_time_channel.assign(n_times * n, 0.0);
  by_time_baseline.assign(n_times * n_baselines, 0.0);
  figures.n_selected = plan.rows.size() * n;
  figures.n_used = 0;
  figures.sum_weights = figures.sum_weights_squared_over_natural = 0;
  std::size_t largest = 0;
  for (const FrequencyNodes& set : plan.compression.sets()) largest = std::max(largest, set.size());
  FrequencyNodes channels;
  channels.frequency_hz = plan.frequency_hz;
  std::vector<Slot> slots(kSlots);
  for (Slot& slot : slots) {
    slot.by_time_channel.assign(n_times * n, 0.0);
    slot.over_natural.assign(n_times, 0.0);
  }
  const auto compress = [&](const VisibilityPart& part, std::size_t s) {
    Slot& slot = slots[s];
    std::vector<float> re(n), im(n), natural(n), weight(n);
    std::vector<float> out_re(largest + kTaps), out_im(largest + kTaps), out_weight(largest + kTaps);
    std::vector<float> scratch(settings.prepare_residual ? (largest + kTaps) * 2 * kTaps : 0);
    std::vector<std::int32_t> cells;
    VaryingScratch varying;
    std::vector<float> outside_re(n), outside_im(n);
    for (std::size_t leaf = s; leaf < plan.leaves.size(); leaf += kSlots) {
      for (std::size_t i = plan.leaves[leaf].begin; i < plan.leaves[leaf].end; ++i) {
        const UvRow& row = plan.rows[i];
        if (!part.Has(row.time)) continue;
        const FrequencyNodes& set = plan.Set(row);
        if (FormStokesI(BlockRow(block, part, row.time, row.baseline), hands, re.data(), im.data(), natural.data())) {
          slot.finite = false;
        }
        if (outside.size > 0) {
          std::fill(outside_re.begin(), outside_re.end(), 0.0f);
          std::fill(outside_im.begin(), outside_im.end(), 0.0f);
          AddVaryingSources(outside, row, channels, varying, outside_re.data(), outside_im.data());
          const float conjugate = row.turned ? 1.0f : -1.0f;
          for (std::size_t k = 0; k < n; ++k) {
            re[k] -= outside_re[k];
            im[k] -= conjugate * outside_im[k];
          }
        }
        weights.Apply(row, natural.data(), cells, weight.data());
        const RowSums sums = SumRow(natural.data(), weight.data(), n, slot.by_time_channel.data() + row.time * n);
        if (sums.used == 0) continue;  // the nodes of such a row stay zero
        slot.over_natural[row.time] += sums.weight_squared_over_natural;
        slot.used += sums.used;
        by_time_baseline[row.time * n_baselines + row.baseline] = sums.weight;
        row_weight_squared[i] = sums.weight_squared;
        // Turned visibilities are conjugated once, and gridding wants the conjugate: that leaves them as they are.
        const float sign = row.turned ? 1.0f : -1.0f;
        for (std::size_t k = 0; k < n; ++k) {
          re[k] *= weight[k];
          im[k] *= sign * weight[k];
        }
        CompressRow(set, re.data(), im.data(), weight.data(), {out_re.data(), out_im.data(), out_weight.data()});
        std::copy_n(out_re.data(), set.size(), node_re.data() + row.first_node);
        std::copy_n(out_im.data(), set.size(), node_im.data() + row.first_node);
        std::copy_n(out_weight.data(), set.size(), node_weight.data() + row.first_node);
        if (settings.prepare_residual) GramRow(set, weight.data(), scratch.data(), gram.data() + gram_offset[i]);
      }
    }
  };
  vis.ForEach([&](const VisibilityPart& part) {
    ParallelFor(settings.threads, kSlots, [&](std::size_t s) { compress(part, s); });
  });
  for (const Slot& slot : slots) {
    figures.n_used += slot.used;
    for (const double sum : slot.over_natural) figures.sum_weights_squared_over_natural += sum;
    for (std::size_t i = 0; i < by_time_channel.size(); ++i) by_time_channel[i] += slot.by_time_channel[i];
  }
  for (const double w : by_time_channel) figures.sum_weights += w;
  return std::all_of(slots.begin(), slots.end(), [](const Slot& slot) { return slot.finite; });
}

MeasurementOperator::MeasurementOperator(const VisibilityBlock& block, const ImageGeometry& geometry,
                                         const WeightSettings& weights, const OperatorSettings& settings,
                                         const VaryingSources& outside)
    : MeasurementOperator(block, VisibilitiesInMemory(block), geometry, weights, settings, outside) {}
MeasurementOperator::MeasurementOperator(const VisibilityBlock& block, const VisibilityParts& vis,
                                         const ImageGeometry& geometry, const WeightSettings& weights,
                                         const OperatorSettings& settings, const VaryingSources& outside)
    : impl_(std::make_unique<Impl>(block, vis, geometry, weights, settings, outside)) {}
MeasurementOperator::~MeasurementOperator() = default;
MeasurementOperator::MeasurementOperator(MeasurementOperator&&) noexcept = default;
MeasurementOperator& MeasurementOperator::operator=(MeasurementOperator&&) noexcept = default;

const ImageGeometry& MeasurementOperator::geometry() const { return impl_->geometry; }
const OperatorFigures& MeasurementOperator::figures() const { return impl_->figures; }

void MeasurementOperator::Dirty(ArrayView<float, 2> image) const {
  CheckShape(image, impl_->geometry);
  impl_->engine->ToImage(GridEngine::Kind::kData, impl_->node_re.data(), impl_->node_im.data(),
                         1 / impl_->figures.sum_weights, image, impl_->settings.threads);
}

void MeasurementOperator::Psf(ArrayView<float, 2> psf) const {
  CheckShape(psf, impl_->geometry);
  impl_->engine->ToImage(GridEngine::Kind::kPsf, impl_->node_weight.data(), nullptr, 1 / impl_->figures.sum_weights,
                         psf, impl_->settings.threads);
}

void MeasurementOperator::DirtyAndPsf(ArrayView<float, 2> image, ArrayView<float, 2> psf) const {
  Dirty(image);
  Psf(psf);
}

void MeasurementOperator::Residual(ArrayView<const float, 2> model, const VaryingSources& varying,
                                   ArrayView<float, 2> residual, ResidualProbe* probe) const {
  CheckShape(model, impl_->geometry);
  CheckShape(residual, impl_->geometry);
  if (impl_->gram.empty()) {
    throw Error(ErrorKind::kBug, "image", "", "residuals need an operator made with prepare_residual");
  }
  const UvPlan& plan = impl_->plan;
  if (impl_->residual_re.empty()) {
    impl_->residual_re = Buffer<float>(plan.n_nodes);
    impl_->residual_im = Buffer<float>(plan.n_nodes);
  }
  Buffer<float>& re = impl_->residual_re;
  Buffer<float>& im = impl_->residual_im;
  impl_->engine->FromImage(model, re.data(), im.data(), impl_->settings.threads);
  const std::size_t n_places = probe != nullptr ? probe->places.size : 0;
  const std::size_t n_sums = n_places > 0 ? 2 * probe->places.padded : 0;
  std::vector<double> sums(plan.leaves.size() * n_sums);  // leaf by leaf, so that they do not depend on threads
  ParallelFor(impl_->settings.threads, plan.leaves.size(), [&](std::size_t leaf) {
    std::vector<float> model_re, model_im, left_re, left_im;
    VaryingScratch scratch;
    for (std::size_t i = plan.leaves[leaf].begin; i < plan.leaves[leaf].end; ++i) {
      const UvRow& row = plan.rows[i];
      const FrequencyNodes& set = plan.Set(row);
      const std::size_t size = set.size();
      for (std::vector<float>* v : {&model_re, &model_im, &left_re, &left_im}) v->assign(size + kTaps, 0.0f);
      std::copy_n(re.data() + row.first_node, size, model_re.data());
      std::copy_n(im.data() + row.first_node, size, model_im.data());
      AddVaryingSources(varying, row, set, scratch, model_re.data(), model_im.data());
      std::copy_n(impl_->node_re.data() + row.first_node, size, left_re.data());
      std::copy_n(impl_->node_im.data() + row.first_node, size, left_im.data());
      SubtractGram(set, impl_->gram.data() + impl_->gram_offset[i], model_re.data(), model_im.data(), left_re.data(),
                   left_im.data());
      if (n_sums > 0) {
        ProbeResidual(probe->places, row, set, scratch, left_re.data(), left_im.data(), &sums[leaf * n_sums]);
      }
      std::copy_n(left_re.data(), size, re.data() + row.first_node);
      std::copy_n(left_im.data(), size, im.data() + row.first_node);
    }
  });
  if (probe != nullptr) {
    probe->mean_jy.assign(n_places, 0.0);
    probe->first_jy.assign(n_places, 0.0);
    for (std::size_t leaf = 0; leaf < plan.leaves.size() && n_sums > 0; ++leaf) {
      for (std::size_t s = 0; s < n_places; ++s) {
        probe->mean_jy[s] += sums[leaf * n_sums + s] / impl_->figures.sum_weights;
        probe->first_jy[s] += sums[leaf * n_sums + n_sums / 2 + s] / impl_->figures.sum_weights;
      }
    }
  }
  impl_->engine->ToImage(GridEngine::Kind::kData, re.data(), im.data(), 1 / impl_->figures.sum_weights, residual,
                         impl_->settings.threads);
}

void MeasurementOperator::Predict(ArrayView<const float, 2> model, const VaryingSources& varying,
                                  VisibilityBlock& block) const {
  CheckShape(model, impl_->geometry);
  CheckBlock(block, impl_->settings);
  const HandSelection hands = SelectHands(block, true);
  UvPlanRequest request;
  request.autocorrelations = true;
  request.interpolation_error = ErrorShare(impl_->settings.accuracy);
  request.threads = impl_->settings.threads;
  const ImageGrid grid = GridOf(block, impl_->geometry, request.max_uv_lambda, impl_->settings.accuracy);
  const UvPlan plan(block, grid.geometry, request);
  const std::unique_ptr<GridEngine> engine = grid.MakeEngine(
      MakeSetup(plan, grid.geometry, impl_->settings.accuracy, std::vector<double>(plan.rows.size(), 1.0)));
  const int threads = impl_->settings.threads;
  const GridEngine::Memory memory = engine->MemoryBytes(threads);
  CheckMemory(memory.held_bytes + memory.scratch_bytes + 2 * sizeof(float) * plan.n_nodes,
              impl_->settings.memory_limit_bytes, impl_->geometry);
  Buffer<float> re(plan.n_nodes + kTaps);  // ExpandRow reads ahead
  Buffer<float> im(plan.n_nodes + kTaps);
  engine->FromImage(model, re.data(), im.data(), threads);
  const std::size_t n = block.n_channels();
  const std::size_t n_pols = block.n_pols();
  ParallelFor(threads, plan.leaves.size(), [&](std::size_t leaf) {
    std::vector<float> channel_re(n), channel_im(n);
    VaryingScratch scratch;
    for (std::size_t i = plan.leaves[leaf].begin; i < plan.leaves[leaf].end; ++i) {
      const UvRow& row = plan.rows[i];
      AddVaryingSources(varying, row, plan.Set(row), scratch, re.data() + row.first_node, im.data() + row.first_node);
      ExpandRow(plan.Set(row), re.data() + row.first_node, im.data() + row.first_node, channel_re.data(),
                channel_im.data());
      const float sign = row.turned ? 1.0f : -1.0f;
      Visibility* out = block.vis.data() + (row.time * block.n_baselines() + row.baseline) * n * n_pols;
      for (std::size_t k = 0; k < n; ++k) {
        const Visibility v{channel_re[k], sign * channel_im[k]};
        for (std::size_t p = 0; p < n_pols; ++p) out[k * n_pols + p] = p == hands.first || p == hands.second ? v : 0.0f;
      }
    }
  });
}

ArrayView<const double, 2> MeasurementOperator::weight_by_time_channel() const {
  return {impl_->by_time_channel.data(), {impl_->n_times, impl_->plan.frequency_hz.size()}};
}
ArrayView<const double, 2> MeasurementOperator::weight_by_time_baseline() const {
  return {impl_->by_time_baseline.data(), {impl_->n_times, impl_->n_baselines}};
}

}  // namespace contimg::image
