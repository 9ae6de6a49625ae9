// What the flagger's kernel works from: the settings turned into tables, and one thread's memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "config/buffer.h"
#include "config/settings.h"
#include "ingest/visibility_block.h"

namespace contimg::calibrate {

// One side of a symmetric kernel: weight[k] for a distance of k, weight[0] = 1.
std::vector<float> HalfKernel(double variance);

struct RfiPlan {
  RfiPlan(const FlagSettings& settings, std::size_t n_times, std::size_t n_channels, std::size_t n_pols);

  std::size_t n_times, n_channels, n_pols;
  int iterations;
  bool normalize_bandpass;
  double base_threshold, threshold_step, transient_factor, window_scatter;
  double timestep_rms, channel_rms, final_timestep_rms;
  std::size_t time_resize;
  std::size_t n_coarse;  // averaged integrations
  std::vector<float> kernel_times, kernel_channels;
  std::vector<float> channel_norm;  // sum of the channel kernel inside the band, per channel
  double sir_times, sir_channels;

  // Factor on all limits in round `round` (0 first): base · step^(iterations − 1 − round).
  double Sensitivity(int round) const;
};

// So many runs of a length say how their means scatter: to 5 %.
constexpr std::size_t kMaxWindows = 512;

// Memory for one vector of baselines, lanes innermost. Rows of `row` floats hold [channel][lane]; they are padded so
// that rows do not fall on the same cache sets. Masks hold one bit per lane, [time][channel].
struct RfiWorkspace {
  RfiWorkspace(const RfiPlan& plan, std::size_t lanes);

  std::size_t row;
  Buffer<float> amplitude;             // [pol][time][row]; 0 where missing
  Buffer<float> data;                  // [time][row]: amplitude less background
  Buffer<float> coarse;                // [coarse time][row] and, after it, the weights
  Buffer<float> smooth;                // the same, convolved along frequency
  Buffer<float> places;                // [coarse time][lane]: mean time of its samples, integrations
  Buffer<float> line;                  // [max(time, channel)][lane]
  Buffer<float> windows;               // [kMaxWindows][lane]: means of runs of one length
  Buffer<float> gather;                // amplitudes of one integration before lanes are interleaved, [lane][channel]
  std::vector<std::uint16_t> missing;  // [pol][time][channel]
  std::vector<std::uint16_t> mask;     // [time][channel]
  std::vector<std::uint16_t> found;    // [time][channel], all polarisations
  std::vector<std::uint16_t> hits, spread;  // [max(time, channel)]
};

// One vector's worth of baselines of a tile.
struct RfiGroup {
  const Visibility* vis;
  std::uint8_t* flag;
  std::size_t n_baselines;       // of the tile
  const std::size_t* baselines;  // positions on the tile's baseline axis
  std::size_t count;             // 1 … lanes
};

// Lanes of the vectors of the processor at hand.
std::size_t RfiLanes();
// Flags one group.
void FlagRfiGroup(const RfiPlan& plan, const RfiGroup& group, RfiWorkspace& workspace);

}  // namespace contimg::calibrate
