#include "image/clean/clean.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

#include "config/error.h"
#include "config/parallel.h"
#include "image/clean/fine_positions.h"
#include "image/clean/multiscale.h"
#include "image/clean/scale_kernels.h"

namespace contimg::image {
namespace {

constexpr double kWorse = 1.1;     // a residual that grew by more than this factor is worse
constexpr int kMaxRejections = 2;  // the guard's patience
// An automatic level counts as reached when a minor cycle went down to it and the exact residual exceeds it by no more
// than this factor: another major cycle for the few pixels in between costs more than it gives.
constexpr double kNearLevel = 1.25;

using ByteMask = Buffer<std::uint8_t>;

class Cleaner {
 public:
  Cleaner(const CleanInput& input, const CleanSettings& settings, ArrayView<float, 2> residual,
          ArrayView<float, 2> model)
      : input_(input), settings_(settings), residual_(residual), model_(model), major_gain_(settings.major_gain) {
    for (double scale : settings.scales_px) kernels_.emplace_back(scale);
    if (kernels_.empty()) kernels_.emplace_back(0.0);
    if (kernels_.size() > 1) {
      multiscale_ = std::make_unique<MultiscaleMinorCycle>(input.psf, kernels_, input.threads);
    } else {
      psf_ = PaddedPsf(input.psf, input.threads);
    }
    if (settings.psf_band > 0 && kernels_[0].is_point())
      fine_ = std::make_unique<FinePositions>(input.psf, settings.psf_band);
    minor_.gain = static_cast<float>(settings.gain);
    minor_.allow_negative = settings.allow_negative;
    minor_.border_px = static_cast<std::size_t>(settings.border_fraction * static_cast<double>(residual.shape(1)));
  }

  CleanReport Run() {
    Measure();
    while (true) {
      const double automatic = (masked_ || settings_.auto_mask <= 0) ? settings_.auto_threshold : settings_.auto_mask;
      const double threshold = std::max(settings_.threshold_jy, automatic * rms_);
      report_.final_threshold_jy = threshold;
      const bool can_mask = settings_.auto_mask > 0 && !masked_;
      const bool near =
          cleaned_to_level_ && threshold > settings_.threshold_jy && search_peak_ <= kNearLevel * threshold;
      const bool reached = search_peak_ <= threshold || near;
      if (reached && can_mask && !components_.empty()) {
        MakeMask();
        continue;
      }
      if (reached) return Finish(components_.empty() ? CleanStop::kNothing : CleanStop::kThreshold);
      if (found_.size() >= settings_.max_iterations) return Finish(CleanStop::kIterations);
      if (report_.cycles.size() >= settings_.max_major_cycles) return Finish(CleanStop::kMajorCycles);
      if (!Cycle(threshold)) return Finish(CleanStop::kDiverged);
    }
  }

 private:
  // Noise, search weights and peak of the present residual.
  void Measure() {
    rms_ = ComputeRobustStatistics(residual_).rms;
    local_weight_ = Buffer<float>();
    if (settings_.local_rms && !masked_) MakeLocalWeight();
    search_peak_ = FindSearchPeak();
  }

  SearchWeights Weights() const {
    SearchWeights weights;
    weights.mask = input_.user_mask;
    if (masked_) weights.mask = {masks_[0].data(), residual_.shape()};
    if (!local_weight_.empty()) weights.weight = {local_weight_.data(), residual_.shape()};
    return weights;
  }

  double FindSearchPeak() const {
    SearchWeights weights = Weights();
    double peak = 0;
    for (std::size_t scale = 0; scale < (masked_ ? masks_.size() : 1); ++scale) {
      if (masked_) weights.mask = {masks_[scale].data(), residual_.shape()};
      peak = std::max<double>(peak, SearchPeak(residual_, weights, minor_, input_.threads));
    }
    return peak;
  }

  void MakeLocalWeight() {
    const CoarseMap map = LocalRms(residual_, settings_.local_rms_window_beams * settings_.beam_fwhm_px,
                                   settings_.local_rms_method, input_.threads);
    const float lowest = map.Minimum();
    const std::size_t nx = residual_.shape(1);
    local_weight_ = Buffer<float>(residual_.size());
    ParallelFor(input_.threads, residual_.shape(0), [&](std::size_t y) {
      for (std::size_t x = 0; x < nx; ++x) {
        const float local = map.At(static_cast<double>(x), static_cast<double>(y));
        local_weight_[y * nx + x] = local > 0 ? lowest / local : 1.0F;
      }
    });
  }

  // From now on components may stand only where, at the same scale, they stand already.
  void MakeMask() {
    masked_ = true;
    cleaned_to_level_ = false;
    const std::size_t nx = residual_.shape(1);
    for (std::size_t scale = 0; scale < kernels_.size(); ++scale) masks_.emplace_back(residual_.size());
    for (const CleanComponent& c : found_) {
      masks_[static_cast<std::size_t>(c.scale)][static_cast<std::size_t>(c.y) * nx + static_cast<std::size_t>(c.x)] = 1;
    }
    Measure();
  }

  // One minor and one major cycle. False when the guard gives up.
  bool Cycle(double threshold) {
    const double level = std::max(threshold, search_peak_ * (1 - major_gain_));
    MinorCycleParams params = minor_;
    params.stop_level = static_cast<float>(level);
    params.max_iterations = settings_.max_iterations - found_.size();

    MajorCycleRecord record;
    record.cycle = report_.cycles.size() + 1;
    record.masked = masked_;
    const std::vector<CleanComponent> increment = Minor(params, record);
    if (increment.empty()) return false;  // the residual is not finite: nothing can be found
    cleaned_to_level_ = record.level_jy <= threshold * (1 + 1e-6) && increment.size() < params.max_iterations;
    const std::vector<CleanComponent> kept = components_;
    components_.insert(components_.end(), increment.begin(), increment.end());
    if (fine_ != nullptr) components_ = fine_->Merge(std::move(components_));
    found_.insert(found_.end(), increment.begin(), increment.end());
    MakeModel();
    input_.major_cycle->SetComponents(components_, rms_);

    const double peak_before = search_peak_, rms_before = rms_;
    input_.major_cycle->Residual(model_, residual_);
    Measure();
    record.undone = !(search_peak_ <= kWorse * peak_before && rms_ <= kWorse * rms_before);  // NaN is worse
    if (record.undone) Undo(kept, increment.size());
    record.iterations = found_.size();
    record.peak_jy = search_peak_;
    record.rms_jy = rms_;
    for (const CleanComponent& c : components_) record.model_flux_jy += c.flux_jy;
    report_.cycles.push_back(record);
    if (input_.on_cycle) input_.on_cycle(record);
    return rejections_ < kMaxRejections;
  }

  std::vector<CleanComponent> Minor(const MinorCycleParams& params, MajorCycleRecord& record) {
    if (multiscale_ == nullptr) {
      MinorCycleResult found = RunMinorCycle(residual_, psf_, Weights(), params, input_.threads);
      record.cells = found.cells;
      record.level_jy = found.level;
      return std::move(found.components);
    }
    std::vector<ArrayView<const std::uint8_t, 2>> masks;
    for (const ByteMask& mask : masks_) masks.emplace_back(mask.data(), residual_.shape());
    MultiscaleParams multiscale;
    multiscale.minor = params;
    multiscale.bias = settings_.scale_bias;
    MultiscaleResult found = multiscale_->Run(residual_, Weights(), masks, multiscale, input_.threads);
    record.cells = found.cells;
    record.level_jy = found.level;
    return std::move(found.components);
  }

  void MakeModel() {
    std::fill(model_.begin(), model_.end(), 0.0F);
    if (fine_ == nullptr) return AddComponents(components_, kernels_, model_);
    fine_->AddPoints(components_, model_);
    std::vector<CleanComponent> extended;
    for (const CleanComponent& c : components_) {
      if (c.scale != 0) extended.push_back(c);
    }
    AddComponents(extended, kernels_, model_);
  }

  void Undo(const std::vector<CleanComponent>& kept, std::size_t increment) {
    components_ = kept;
    found_.resize(found_.size() - increment);
    MakeModel();
    input_.major_cycle->SetComponents(components_, rms_);
    input_.major_cycle->Residual(model_, residual_);
    Measure();
    major_gain_ /= 2;
    ++rejections_;
  }

  CleanReport Finish(CleanStop stop) {
    report_.stop = stop;
    report_.iterations = found_.size();
    report_.final_rms_jy = rms_;
    const auto extreme = [](float a, float b) { return std::abs(a) < std::abs(b); };
    report_.final_peak_jy = std::abs(*std::max_element(residual_.begin(), residual_.end(), extreme));
    report_.components = SumSamePlaces(std::move(components_));
    return std::move(report_);
  }

  const CleanInput& input_;
  const CleanSettings& settings_;
  ArrayView<float, 2> residual_;
  ArrayView<float, 2> model_;
  std::vector<ScaleKernel> kernels_;
  PaddedPsf psf_;
  std::unique_ptr<FinePositions> fine_;
  std::unique_ptr<MultiscaleMinorCycle> multiscale_;
  MinorCycleParams minor_;
  double major_gain_;
  int rejections_ = 0;

  bool masked_ = false;
  bool cleaned_to_level_ = false;  // the last minor cycle ended at the level of its stage
  std::vector<ByteMask> masks_;    // one per scale, once masked
  Buffer<float> local_weight_;
  double rms_ = 0;
  double search_peak_ = 0;
  std::vector<CleanComponent> found_;       // by the minor cycles, in their order
  std::vector<CleanComponent> components_;  // of the model
  CleanReport report_;
};

}  // namespace

std::string_view ToString(CleanStop stop) {
  switch (stop) {
    case CleanStop::kThreshold:
      return "threshold";
    case CleanStop::kIterations:
      return "iterations";
    case CleanStop::kMajorCycles:
      return "major_cycles";
    case CleanStop::kNothing:
      return "nothing_to_clean";
    case CleanStop::kDiverged:
      return "diverged";
  }
  return "unknown";
}

CleanReport Clean(const CleanInput& input, const CleanSettings& settings, ArrayView<float, 2> residual,
                  ArrayView<float, 2> model) {
  if (residual.shape() != model.shape() || residual.shape() != input.psf.shape()) {
    throw Error(ErrorKind::kBug, "image", "clean", "residual, model and PSF must have one shape");
  }
  return Cleaner(input, settings, residual, model).Run();
}

}  // namespace contimg::image
