#include "convert/bulk_columns.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <vector>

#include "config/os.h"
#include "config/parallel.h"

namespace contimg::convert {
namespace {

// Rows handled at once: their data fit the cache, and a multiple of 8 keeps bit columns on byte boundaries.
constexpr std::size_t kChunkRows = 2048;

struct OpenColumn {
  std::unique_ptr<OsFile> file;
  std::size_t bits_per_row = 0;

  OpenColumn(Os& os, const BulkColumn& column)
      : file(os.OpenForUpdate(column.file)), bits_per_row(column.bits_per_row) {}
  void Write(std::size_t first_row, std::size_t rows, const void* data) const {
    file->WriteAt(data, (rows * bits_per_row + 7) / 8, first_row * bits_per_row / 8);
  }
};

// One bit per element, lowest bit first, as casacore keeps Bool tiles.
class BitWriter {
 public:
  explicit BitWriter(std::size_t bits) : bytes_((bits + 7) / 8) {}
  void Reset() {
    std::fill(bytes_.begin(), bytes_.end(), std::uint8_t{0});
    at_ = 0;
  }
  // Appends `count` flags (0 or not).
  void Append(const std::uint8_t* flags, std::size_t count) {
    std::size_t i = 0;
    while (i < count && at_ % 8 != 0) Put(flags[i++] != 0);
    for (; i + 8 <= count; i += 8, at_ += 8) {
      std::uint64_t eight;
      std::memcpy(&eight, flags + i, 8);
      if (eight == 0) continue;
      unsigned byte = 0;
      for (unsigned k = 0; k < 8; ++k) byte |= (flags[i + k] != 0 ? 1u : 0u) << k;
      bytes_[at_ / 8] = static_cast<std::uint8_t>(byte);
    }
    while (i < count) Put(flags[i++] != 0);
  }
  void Put(bool set) {
    if (set) bytes_[at_ / 8] = static_cast<std::uint8_t>(bytes_[at_ / 8] | (1u << (at_ % 8)));
    ++at_;
  }
  const std::uint8_t* data() const { return bytes_.data(); }

 private:
  std::vector<std::uint8_t> bytes_;
  std::size_t at_ = 0;
};

// Mean weight of each polarisation over its unflagged channels; returns true when every sample is flagged.
bool AverageWeights(const float* weight, const std::uint8_t* flag, std::size_t n_channels, std::size_t n_pols,
                    float* mean) {
  bool all_flagged = true;
  for (std::size_t p = 0; p < n_pols; ++p) {
    double sum = 0;
    std::size_t n = 0;
    for (std::size_t k = p; k < n_channels * n_pols; k += n_pols) {
      if (flag[k] != 0) continue;
      sum += weight[k];
      ++n;
    }
    mean[p] = n == 0 ? 0.0f : static_cast<float>(sum / static_cast<double>(n));
    all_flagged = all_flagged && n == 0;
  }
  return all_flagged;
}

}  // namespace

void WriteBulkColumns(const VisibilityBlock& block, const Visibility* corrected, const MeasurementSetLayout& layout,
                      BulkPart part, const RunContext& context) {
  const std::size_t n_pols = block.n_pols(), n_channels = block.windows.front().n_channels;
  const std::size_t n_windows = block.windows.size(), n_baselines = block.n_baselines();
  const std::size_t cell = n_channels * n_pols;
  Os& os = OsOr(context.os);
  const std::size_t n_chunks = (layout.n_rows + kChunkRows - 1) / kChunkRows;
  // Row r is (time, window, baseline), the last fastest.
  const auto source = [&](std::size_t row) {
    const std::size_t b = row % n_baselines, tw = row / n_baselines;
    return ((tw / n_windows * n_baselines + b) * block.n_channels() + block.windows[tw % n_windows].first_channel) *
           n_pols;
  };
  const auto write_visibilities = [&](const OpenColumn& column, const Visibility* vis, std::size_t first,
                                      std::size_t rows, std::vector<Visibility>& buffer) {
    buffer.resize(rows * cell);
    for (std::size_t r = 0; r < rows; ++r) {
      std::memcpy(&buffer[r * cell], vis + source(first + r), cell * sizeof(Visibility));
    }
    column.Write(first, rows, buffer.data());
  };
  if (part == BulkPart::kData) {
    const OpenColumn data(os, layout.data);
    ParallelFor(context.threads, n_chunks, [&](std::size_t chunk) {
      context.CheckCancelled("convert");
      const std::size_t first = chunk * kChunkRows;
      std::vector<Visibility> buffer;
      write_visibilities(data, block.vis.data(), first, std::min(kChunkRows, layout.n_rows - first), buffer);
      context.reporter->Progress("write", 0.5 * static_cast<double>(chunk + 1) / static_cast<double>(n_chunks));
    });
    return;
  }

  const OpenColumn flag(os, layout.flag), spectrum(os, layout.weight_spectrum), uvw(os, layout.uvw),
      weight(os, layout.weight), sigma(os, layout.sigma), antenna1(os, layout.antenna1), antenna2(os, layout.antenna2),
      flag_row(os, layout.flag_row);
  std::unique_ptr<OpenColumn> corrected_column;
  if (corrected != nullptr) corrected_column = std::make_unique<OpenColumn>(os, layout.corrected);
  ParallelFor(context.threads, n_chunks, [&](std::size_t chunk) {
    context.CheckCancelled("convert");
    const std::size_t first = chunk * kChunkRows;
    const std::size_t rows = std::min(kChunkRows, layout.n_rows - first);
    std::vector<float> spectrum_rows(rows * cell), weight_rows(rows * n_pols), sigma_rows(rows * n_pols);
    std::vector<double> uvw_rows(rows * 3);
    std::vector<std::int32_t> antenna1_rows(rows), antenna2_rows(rows);
    BitWriter flag_bits(rows * cell), flag_row_bits(rows);
    for (std::size_t r = 0; r < rows; ++r) {
      const std::size_t row = first + r, b = row % n_baselines, t = row / n_baselines / n_windows;
      const std::size_t from = source(row);
      std::memcpy(&spectrum_rows[r * cell], &block.weight[from], cell * sizeof(float));
      flag_bits.Append(&block.flag[from], cell);
      flag_row_bits.Put(
          AverageWeights(&block.weight[from], &block.flag[from], n_channels, n_pols, &weight_rows[r * n_pols]));
      for (std::size_t p = 0; p < n_pols; ++p) {
        const float w = weight_rows[r * n_pols + p];
        sigma_rows[r * n_pols + p] = w > 0 ? 1.0f / std::sqrt(w) : 0.0f;
      }
      std::memcpy(&uvw_rows[r * 3], &block.uvw_m[(t * n_baselines + b) * 3], 3 * sizeof(double));
      antenna1_rows[r] = block.baselines[b].antenna1;
      antenna2_rows[r] = block.baselines[b].antenna2;
    }
    flag.Write(first, rows, flag_bits.data());
    spectrum.Write(first, rows, spectrum_rows.data());
    uvw.Write(first, rows, uvw_rows.data());
    weight.Write(first, rows, weight_rows.data());
    sigma.Write(first, rows, sigma_rows.data());
    antenna1.Write(first, rows, antenna1_rows.data());
    antenna2.Write(first, rows, antenna2_rows.data());
    flag_row.Write(first, rows, flag_row_bits.data());
    if (corrected != nullptr) {
      std::vector<Visibility> buffer;
      write_visibilities(*corrected_column, corrected, first, rows, buffer);
    }
    context.reporter->Progress("write", 0.5 + 0.5 * static_cast<double>(chunk + 1) / static_cast<double>(n_chunks));
  });
}

}  // namespace contimg::convert
