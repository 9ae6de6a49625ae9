#include "ingest/place_rows.h"

#include <cmath>

namespace contimg::ingest {

Placement MakePlacement(const SubbandHeader& header, std::size_t first_channel) {
  Placement placement;
  placement.baseline.resize(header.baselines.size());
  placement.conjugate.resize(header.baselines.size());
  for (std::size_t b = 0; b < header.baselines.size(); ++b) {
    placement.baseline[header.file_row[b]] = b;
    placement.conjugate[header.file_row[b]] = header.conjugated[b];
  }
  placement.first_channel = first_channel;
  placement.n_channels = header.frequency_hz.size();
  placement.descending = header.descending;
  placement.file_pol = header.file_polarisation;
  placement.file_pol_conjugate = header.file_polarisation;
  if (placement.file_pol.size() == 4) std::swap(placement.file_pol_conjugate[1], placement.file_pol_conjugate[2]);
  return placement;
}

void PlaceRows(const Placement& placement, const RowSamples& rows, std::size_t first, std::size_t count,
               VisibilityBlock& block, ReadReport& report) {
  const std::size_t n_pols = placement.file_pol.size();
  const std::size_t n_channels = placement.n_channels;
  const std::size_t n_baselines = placement.baseline.size();
  const std::size_t row_size = n_channels * n_pols;
  const std::size_t block_row = block.n_channels() * n_pols;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t time = (first + i) / n_baselines;
    const std::size_t file_row = (first + i) % n_baselines;
    const bool conjugate = placement.conjugate[file_row] != 0;
    const auto& pols = conjugate ? placement.file_pol_conjugate : placement.file_pol;
    const std::size_t to =
        (time * n_baselines + placement.baseline[file_row]) * block_row + placement.first_channel * n_pols;
    Visibility* vis = block.vis.data() + to;
    std::uint8_t* flag = block.flag.data() + to;
    float* weight = block.weight.data() + to;
    for (std::size_t c = 0; c < n_channels; ++c) {
      const std::size_t file_channel = placement.descending ? n_channels - 1 - c : c;
      for (std::size_t p = 0; p < n_pols; ++p) {
        const std::size_t from = i * row_size + file_channel * n_pols + pols[p];
        Visibility v = rows.vis[from];
        float w = rows.nsamples[from];
        bool bad = rows.flag[from] != 0;
        if (bad) ++report.flagged_in_file;
        if (conjugate) v = std::conj(v);
        if (!std::isfinite(v.real()) || !std::isfinite(v.imag())) {
          v = 0;
          bad = true;
          ++report.non_finite;
        }
        if (!(w > 0) || !std::isfinite(w)) {
          w = 0;
          bad = true;
          ++report.no_samples;
        }
        if (bad) ++report.flagged;
        vis[c * n_pols + p] = v;
        weight[c * n_pols + p] = w;
        flag[c * n_pols + p] = bad ? 1 : 0;
      }
    }
  }
  report.samples += count * row_size;
}

}  // namespace contimg::ingest
