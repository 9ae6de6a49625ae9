#include "ingest/place_rows.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

namespace contimg::ingest {
namespace {

constexpr std::uint32_t kExponent = 0x7f800000;  // all ones in NaN and infinities

// One row of samples, in the file or in the block.
template <typename V, typename F, typename W>
struct Row {
  V* vis;
  F* flag;
  W* weight;
};
using FileRow = Row<const Visibility, const std::uint8_t, const float>;
using BlockRow = Row<Visibility, std::uint8_t, float>;

// True when every sample of the row is unflagged, finite, not 0 and has a positive finite weight: such a row needs no
// decisions. Integer operations without branches, so that the loops vectorise.
bool IsClean(const FileRow& row, std::size_t n) {
  std::uint32_t bad = 0;
  for (std::size_t i = 0; i < n; ++i) bad |= row.flag[i];
  const auto* vis = reinterpret_cast<const float*>(row.vis);
  for (std::size_t i = 0; i < 2 * n; ++i) {
    bad |= (std::bit_cast<std::uint32_t>(vis[i]) & kExponent) == kExponent ? 1u : 0u;
  }
  for (std::size_t i = 0; i < n; ++i) {
    const std::uint32_t both = std::bit_cast<std::uint32_t>(vis[2 * i]) | std::bit_cast<std::uint32_t>(vis[2 * i + 1]);
    bad |= both << 1 == 0 ? 1u : 0u;  // without the signs
  }
  for (std::size_t i = 0; i < n; ++i) {
    const auto bits = std::bit_cast<std::int32_t>(row.weight[i]);  // ordered as the floats are, for positive ones
    bad |= ((bits <= 0) | (bits >= static_cast<std::int32_t>(kExponent))) ? 1u : 0u;
  }
  return bad == 0;
}

// Copies channels of `Size` bytes each, in rising or falling order.
template <std::size_t Size>
void CopyChannels(const void* from, void* to, std::size_t n, bool descending) {
  const auto* in = static_cast<const std::byte*>(from);
  auto* out = static_cast<std::byte*>(to);
  if (!descending) {
    std::memcpy(out, in, n * Size);
    return;
  }
  in += n * Size;
  for (std::size_t c = 0; c < n; ++c) std::memcpy(out + c * Size, in - (c + 1) * Size, Size);
}

template <std::size_t Pols>
void CopyCleanRow(const FileRow& from, const BlockRow& to, std::size_t n_channels, bool descending) {
  CopyChannels<Pols * sizeof(Visibility)>(from.vis, to.vis, n_channels, descending);
  CopyChannels<Pols>(from.flag, to.flag, n_channels, descending);
  CopyChannels<Pols * sizeof(float)>(from.weight, to.weight, n_channels, descending);
}

void Conjugate(Visibility* vis, std::size_t n) {
  auto* parts = reinterpret_cast<float*>(vis);
  for (std::size_t i = 0; i < n; ++i) parts[2 * i + 1] = -parts[2 * i + 1];
}

// The general case: polarisations in any order, samples to be repaired.
void CopyRow(const FileRow& from, const BlockRow& to, const Placement& placement, bool conjugate, ReadReport& report) {
  const auto& pols = conjugate ? placement.file_pol_conjugate : placement.file_pol;
  for (std::size_t c = 0; c < placement.n_channels; ++c) {
    const std::size_t file_channel = placement.descending ? placement.n_channels - 1 - c : c;
    for (std::size_t p = 0; p < pols.size(); ++p) {
      const std::size_t in = file_channel * pols.size() + pols[p];
      Visibility vis = from.vis[in];
      float weight = from.weight[in];
      bool bad = from.flag[in] != 0;
      if (bad) ++report.flagged_in_file;
      if (!std::isfinite(vis.real()) || !std::isfinite(vis.imag())) {
        vis = 0;
        bad = true;
        ++report.non_finite;
      } else if (vis == Visibility(0) && weight > 0 && std::isfinite(weight)) {
        bad = true;
        ++report.zero;
      }
      if (!(weight > 0) || !std::isfinite(weight)) {
        weight = 0;
        bad = true;
        ++report.no_samples;
      }
      if (bad) ++report.flagged;
      const std::size_t out = c * pols.size() + p;
      to.vis[out] = vis;
      to.weight[out] = weight;
      to.flag[out] = bad ? 1 : 0;
    }
  }
}

// Of values that are not negative: their bits have their order, and the loop vectorises.
float Largest(const float* values, std::size_t n) {
  std::int32_t largest = 0;
  for (std::size_t i = 0; i < n; ++i) largest = std::max(largest, std::bit_cast<std::int32_t>(values[i]));
  return std::bit_cast<float>(largest);
}

bool IsIdentity(const std::vector<std::size_t>& order) {
  for (std::size_t i = 0; i < order.size(); ++i) {
    if (order[i] != i) return false;
  }
  return true;
}

}  // namespace

Placement MakePlacement(const SubbandHeader& header, std::size_t window, std::size_t first_channel) {
  Placement placement;
  placement.window = window;
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

PlaceCounts PlaceRows(const Placement& placement, const RowSamples& rows, std::size_t first, std::size_t count,
                      const TileVisitor& visitor, VisibilityBlock& block) {
  const std::size_t n_pols = placement.file_pol.size();
  const std::size_t n_baselines = placement.baseline.size();
  const std::size_t row_size = placement.n_channels * n_pols;
  const std::size_t block_row = block.n_channels() * n_pols;
  const bool plain = n_pols == 2 && IsIdentity(placement.file_pol);
  PlaceCounts counts;
  std::vector<Visibility> vis(row_size);  // in the cache, as what was just written to the block is not
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t time = (first + i) / n_baselines;
    const std::size_t file_row = (first + i) % n_baselines;
    const bool conjugate = placement.conjugate[file_row] != 0;
    const std::size_t in = i * row_size;
    const std::size_t baseline = placement.baseline[file_row];
    const std::size_t out = (time * n_baselines + baseline) * block_row + placement.first_channel * n_pols;
    const FileRow from{rows.vis + in, rows.flag + in, rows.nsamples + in};
    const BlockRow to{vis.data(), block.flag.data() + out, block.weight.data() + out};
    float& largest = time + 1 == block.n_times() ? counts.largest_weight_last : counts.largest_weight;
    if (plain && IsClean(from, row_size)) {
      CopyCleanRow<2>(from, to, placement.n_channels, placement.descending);
      largest = std::max(largest, Largest(from.weight, row_size));
    } else {
      CopyRow(from, to, placement, conjugate, counts.report);
      largest = std::max(largest, Largest(to.weight, row_size));
    }
    if (conjugate) Conjugate(to.vis, row_size);
    if (visitor.row) visitor.row(block, time, baseline, placement.window, vis.data());
    std::memcpy(block.vis.data() + out, vis.data(), row_size * sizeof(Visibility));
  }
  counts.report.samples = count * row_size;
  return counts;
}

}  // namespace contimg::ingest
