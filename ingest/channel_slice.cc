#include "ingest/channel_slice.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "config/error.h"
#include "config/parallel.h"

namespace contimg {
namespace {

// Rows of `from`, each `n` elements from `offset` on, one after the other in `to`.
template <typename T>
void CopySlices(const Buffer<T>& from, std::size_t row, std::size_t offset, std::size_t n, Buffer<T>& to, int threads) {
  ParallelFor(threads, from.size() / row,
              [&](std::size_t r) { std::copy_n(from.data() + r * row + offset, n, to.data() + r * n); });
}

}  // namespace

VisibilityBlock SliceChannels(const VisibilityBlock& block, std::size_t first, std::size_t last, int threads) {
  if (first > last || last >= block.n_channels()) {
    throw Error(ErrorKind::kUsage, "ingest", "channels",
                fmt::format("expected channels between 0 and {}, the first not above the last; found {} to {}",
                            block.n_channels() - 1, first, last));
  }
  VisibilityBlock part;
  part.time_mjd_s = block.time_mjd_s;
  part.integration_s = block.integration_s;
  part.baselines = block.baselines;
  part.frequency_hz.assign(block.frequency_hz.begin() + static_cast<std::ptrdiff_t>(first),
                           block.frequency_hz.begin() + static_cast<std::ptrdiff_t>(last) + 1);
  part.channel_width_hz = block.channel_width_hz;
  std::vector<std::size_t> kept;  // windows of which something is left
  for (std::size_t w = 0; w < block.windows.size(); ++w) {
    SpectralWindow window = block.windows[w];
    const std::size_t begin = std::max(first, window.first_channel);
    const std::size_t end = std::min(last + 1, window.first_channel + window.n_channels);
    if (begin >= end) continue;
    window.first_channel = begin - first;
    window.n_channels = end - begin;
    part.windows.push_back(window);
    kept.push_back(w);
  }
  for (std::size_t row = 0; row < block.absent.size(); row += block.windows.size()) {
    for (std::size_t w : kept) part.absent.push_back(block.absent[row + w]);
  }
  part.polarisations = block.polarisations;
  part.antennas = block.antennas;
  part.site = block.site;
  part.app_dec_rad = block.app_dec_rad;
  part.pointing = block.pointing;
  part.phase_state = block.phase_state;
  part.data_state = block.data_state;
  part.phase_centre = block.phase_centre;
  part.fringe_place = block.fringe_place;
  part.uvw_m = block.uvw_m;
  part.group_id = block.group_id;
  part.telescope_name = block.telescope_name;
  part.instrument = block.instrument;
  part.object_name = block.object_name;
  part.Allocate();
  const std::size_t row = block.n_channels() * block.n_pols(), offset = first * block.n_pols(),
                    n = part.n_channels() * block.n_pols();
  CopySlices(block.vis, row, offset, n, part.vis, threads);
  CopySlices(block.flag, row, offset, n, part.flag, threads);
  CopySlices(block.weight, row, offset, n, part.weight, threads);
  return part;
}

void InsertChannels(const VisibilityBlock& part, std::size_t first, VisibilityBlock& block, int threads) {
  const std::size_t row = block.n_channels() * block.n_pols(), n = part.n_channels() * block.n_pols();
  ParallelFor(threads, block.n_times() * block.n_baselines(), [&](std::size_t r) {
    std::copy_n(part.vis.data() + r * n, n, block.vis.data() + r * row + first * block.n_pols());
  });
}

}  // namespace contimg
