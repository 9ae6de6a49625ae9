#include "calibrate/flag_rfi.h"

#include <algorithm>
#include <atomic>
#include <cmath>

#include "calibrate/flag_rfi_plan.h"
#include "config/error.h"
#include "config/parallel.h"

namespace contimg::calibrate {

std::vector<float> HalfKernel(double variance) {
  // Terms below one millionth of the centre cannot move a limit.
  std::vector<float> weights;
  for (int k = 0; k == 0 || std::exp(-k * k / (2 * variance)) >= 1e-6; ++k) {
    weights.push_back(static_cast<float>(std::exp(-k * k / (2 * variance))));
  }
  return weights;
}

RfiPlan::RfiPlan(const FlagSettings& settings, std::size_t times, std::size_t channels, std::size_t pols)
    : n_times(times),
      n_channels(channels),
      n_pols(pols),
      iterations(static_cast<int>(settings.iterations)),
      normalize_bandpass(settings.normalize_bandpass),
      base_threshold(settings.base_threshold),
      threshold_step(settings.threshold_step),
      transient_factor(settings.transient_factor),
      window_scatter(settings.window_scatter),
      timestep_rms(settings.timestep_rms),
      channel_rms(settings.channel_rms),
      final_timestep_rms(settings.final_timestep_rms),
      time_resize(static_cast<std::size_t>(settings.time_resize)),
      n_coarse((times + time_resize - 1) / time_resize),
      kernel_times(HalfKernel(settings.kernel_times)),
      kernel_channels(HalfKernel(settings.kernel_channels)),
      channel_norm(channels),
      sir_times(settings.sir_times),
      sir_channels(settings.sir_channels) {
  for (std::size_t c = 0; c < channels; ++c) {
    float sum = kernel_channels[0];
    for (std::size_t k = 1; k < kernel_channels.size(); ++k) {
      if (c >= k) sum += kernel_channels[k];
      if (c + k < channels) sum += kernel_channels[k];
    }
    channel_norm[c] = sum;
  }
}

double RfiPlan::Sensitivity(int round) const {
  return base_threshold * std::pow(threshold_step, iterations - 1 - round);
}

RfiWorkspace::RfiWorkspace(const RfiPlan& plan, std::size_t lanes)
    : row(plan.n_channels * lanes + 16),
      amplitude(plan.n_pols * plan.n_times * row),
      data(plan.n_times * row),
      coarse(2 * plan.n_coarse * row),
      smooth(2 * plan.n_coarse * row),
      places(plan.n_coarse * lanes),
      line(std::max(plan.n_times, plan.n_channels) * lanes),
      windows(kMaxWindows * lanes),
      gather(lanes * (plan.n_channels * plan.n_pols + 16)),
      missing(plan.n_pols * plan.n_times * plan.n_channels),
      mask(plan.n_times * plan.n_channels),
      found(plan.n_times * plan.n_channels),
      hits(std::max(plan.n_times, plan.n_channels)),
      spread(hits.size()) {}

void FlagRfi(ArrayView<const Visibility, 4> vis, ArrayView<std::uint8_t, 4> flag,
             const std::vector<std::size_t>& baselines, const FlagSettings& settings, int threads) {
  if (vis.shape() != flag.shape() || vis.shape(3) > 4) {
    throw Error(ErrorKind::kBug, "flag", "",
                "visibilities and flags must have the same shape and at most 4 polarisations");
  }
  if (vis.empty() || baselines.empty()) return;
  const RfiPlan plan(settings, vis.shape(0), vis.shape(2), vis.shape(3));
  const std::size_t lanes = RfiLanes();
  const std::size_t n_groups = (baselines.size() + lanes - 1) / lanes;
  const std::size_t workers = std::min<std::size_t>(std::max(threads, 1), n_groups);
  std::atomic<std::size_t> next{0};
  // One index per worker, so that each has its memory once.
  ParallelFor(static_cast<int>(workers), workers, [&](std::size_t) {
    RfiWorkspace workspace(plan, lanes);
    for (std::size_t g = next++; g < n_groups; g = next++) {
      const std::size_t first = g * lanes;
      FlagRfiGroup(
          plan,
          {vis.data(), flag.data(), vis.shape(1), baselines.data() + first, std::min(lanes, baselines.size() - first)},
          workspace);
    }
  });
}

}  // namespace contimg::calibrate
