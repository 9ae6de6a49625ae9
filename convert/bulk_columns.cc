#include "convert/bulk_columns.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstring>
#include <memory>
#include <optional>
#include <vector>

#include "config/buffer.h"
#include "config/checksum.h"
#include "config/os.h"
#include "config/parallel.h"
#include "config/pool.h"

namespace contimg::convert {
namespace {

// The file of one column.
class ColumnFile {
 public:
  // `summed`: rows come in ascending order.
  ColumnFile(Os& os, const BulkColumn& column, bool summed)
      : path_(column.file),
        size_(FileSize(column.file, os)),
        file_(os.OpenForUpdate(column.file)),
        bits_per_row_(column.bits_per_row) {
    if (summed) sum_.emplace();
  }
  void PastTheCache() { file_->BypassCache(); }
  void Write(std::size_t first_row, std::size_t rows, const void* data) {
    const std::size_t bytes = (rows * bits_per_row_ + 7) / 8;
    file_->WriteAt(data, bytes, first_row * bits_per_row_ / 8);
    if (!sum_) return;
    sum_->Add(data, bytes);
    summed_ += bytes;
  }
  const std::filesystem::path& path() const { return path_; }
  // Once all is written, of a summed one. The file ends in zeros, up to a whole tile.
  std::string Checksum() {
    const std::vector<char> zeros(size_ - summed_);
    sum_->Add(zeros.data(), zeros.size());
    summed_ = size_;
    return sum_->Hex();
  }

 private:
  std::filesystem::path path_;
  std::uint64_t size_;
  std::unique_ptr<OsFile> file_;
  std::size_t bits_per_row_;
  std::optional<Xxh64> sum_;
  std::uint64_t summed_ = 0;
};

// One bit per element, lowest bit first, as casacore keeps Bool tiles.
class BitWriter {
 public:
  explicit BitWriter(std::size_t bits) : bytes_((bits + 7) / 8) {}
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
  std::array<double, 4> sum{};  // polarisations beside each other: sums wait for themselves
  std::array<std::size_t, 4> n{};
  if (n_pols == 2 && std::memchr(flag, 1, 2 * n_channels) == nullptr) {  // most rows
    for (std::size_t c = 0; c < n_channels; ++c) {
      sum[0] += double{weight[2 * c]};
      sum[1] += double{weight[2 * c + 1]};
    }
    n[0] = n[1] = n_channels;
  } else {
    for (std::size_t c = 0; c < n_channels; ++c) {
      for (std::size_t p = 0; p < n_pols; ++p) {
        const bool good = flag[c * n_pols + p] == 0;
        sum[p] += good ? double{weight[c * n_pols + p]} : 0.0;
        n[p] += good ? 1 : 0;
      }
    }
  }
  for (std::size_t p = 0; p < n_pols; ++p) {
    mean[p] = n[p] == 0 ? 0.0f : static_cast<float>(sum[p] / static_cast<double>(n[p]));
  }
  return std::all_of(n.begin(), n.begin() + n_pols, [](std::size_t good) { return good == 0; });
}

// The visibilities of a chunk of rows, one row after the other, in memory that can go to the disk as it is.
class RowGatherer {
 public:
  explicit RowGatherer(const VisibilityBlock& block)
      : block_(block), cell_(block.windows.front().n_channels * block.n_pols()) {}

  // Where row `row`, (time, window, baseline) with the last fastest, begins in the block.
  std::size_t Source(std::size_t row) const {
    const std::size_t n_baselines = block_.n_baselines(), n_windows = block_.windows.size();
    const std::size_t b = row % n_baselines, tw = row / n_baselines;
    return ((tw / n_windows * n_baselines + b) * block_.n_channels() + block_.windows[tw % n_windows].first_channel) *
           block_.n_pols();
  }
  // Rows of `from`, which has the block's shape.
  template <typename T>
  void Gather(const T* from, std::size_t first, std::size_t rows, Buffer<T>& to) const {
    if (to.size() < kRowsAtOnce * cell_) to = Buffer<T>(kRowsAtOnce * cell_);
    for (std::size_t r = 0; r < rows; ++r) std::memcpy(&to[r * cell_], from + Source(first + r), cell_ * sizeof(T));
  }

 private:
  const VisibilityBlock& block_;
  const std::size_t cell_;
};

// What of a row is small.
struct SmallColumns {
  std::vector<float> weight, sigma;
  std::vector<double> uvw;
  std::vector<std::int32_t> antenna1, antenna2;
  BitWriter flag, flag_row;

  SmallColumns(const VisibilityBlock& block, const RowGatherer& gatherer, std::size_t first, std::size_t rows)
      : weight(rows * block.n_pols()),
        sigma(rows * block.n_pols()),
        uvw(rows * 3),
        antenna1(rows),
        antenna2(rows),
        flag(rows * block.windows.front().n_channels * block.n_pols()),
        flag_row(rows) {
    const std::size_t n_pols = block.n_pols(), n_channels = block.windows.front().n_channels;
    for (std::size_t r = 0; r < rows; ++r) {
      const std::size_t row = first + r, from = gatherer.Source(row);
      const std::size_t b = row % block.n_baselines(), t = row / block.n_baselines() / block.windows.size();
      flag.Append(&block.flag[from], n_channels * n_pols);
      flag_row.Put(AverageWeights(&block.weight[from], &block.flag[from], n_channels, n_pols, &weight[r * n_pols]));
      for (std::size_t i = r * n_pols; i < (r + 1) * n_pols; ++i) {
        sigma[i] = weight[i] > 0 ? 1.0f / std::sqrt(weight[i]) : 0.0f;
      }
      std::memcpy(&uvw[r * 3], &block.uvw_m[(t * block.n_baselines() + b) * 3], 3 * sizeof(double));
      antenna1[r] = block.baselines[b].antenna1;
      antenna2[r] = block.baselines[b].antenna2;
    }
  }
};

}  // namespace

struct DataColumn::Parts {
  const VisibilityBlock& block;
  RowGatherer gatherer;
  ColumnFile file;
  Pool<Buffer<Visibility>> buffers;

  Parts(const VisibilityBlock& from, const BulkColumn& to, bool summed, Os& os)
      : block(from), gatherer(from), file(os, to, summed) {
    file.PastTheCache();
  }
};

DataColumn::DataColumn(const VisibilityBlock& block, const BulkColumn& file, bool summed, Os& os)
    : parts_(std::make_unique<Parts>(block, file, summed, os)) {}
DataColumn::~DataColumn() = default;

void DataColumn::Write(std::size_t first_row, std::size_t rows) {
  const auto buffer = parts_->buffers.Take();
  for (const std::size_t end = first_row + rows; first_row < end; first_row += kRowsAtOnce) {
    const std::size_t n = std::min(kRowsAtOnce, end - first_row);
    parts_->gatherer.Gather(parts_->block.vis.data(), first_row, n, *buffer);
    parts_->file.Write(first_row, n, buffer->data());
  }
}

std::string DataColumn::Checksum() const { return parts_->file.Checksum(); }

std::map<std::filesystem::path, std::string> WriteOtherColumns(const VisibilityBlock& block,
                                                               const Visibility* corrected,
                                                               const MeasurementSetLayout& layout, bool summed,
                                                               const TimeWritten& written, const RunContext& context) {
  Os& os = OsOr(context.os);
  const RowGatherer gatherer(block);
  const std::size_t n_chunks = (layout.n_rows + kRowsAtOnce - 1) / kRowsAtOnce;
  const std::size_t rows_of_time = layout.n_rows / block.n_times();
  std::vector<std::atomic<std::size_t>> left(block.n_times());  // rows to be written
  for (auto& rows : left) rows = rows_of_time;
  const auto for_each_chunk = [&](const auto& write) {
    ParallelFor(summed ? 1 : context.threads, n_chunks, [&](std::size_t chunk) {
      context.CheckCancelled("convert");
      const std::size_t first = chunk * kRowsAtOnce, end = std::min(first + kRowsAtOnce, layout.n_rows);
      write(first, end - first);
      for (std::size_t t = first / rows_of_time; written && t * rows_of_time < end; ++t) {
        const std::size_t rows = std::min(end, (t + 1) * rows_of_time) - std::max(first, t * rows_of_time);
        if ((left[t] -= rows) == 0) written(t);
      }
      context.reporter->Progress("write", 0.5 + 0.5 * static_cast<double>(chunk + 1) / static_cast<double>(n_chunks));
    });
  };
  ColumnFile flag(os, layout.flag, summed), spectrum(os, layout.weight_spectrum, summed), uvw(os, layout.uvw, summed),
      weight(os, layout.weight, summed), sigma(os, layout.sigma, summed), antenna1(os, layout.antenna1, summed),
      antenna2(os, layout.antenna2, summed), flag_row(os, layout.flag_row, summed);
  std::optional<ColumnFile> corrected_column;
  if (corrected != nullptr) corrected_column.emplace(os, layout.corrected, summed);
  for (ColumnFile* large : {&spectrum, corrected_column ? &*corrected_column : nullptr}) {
    if (large != nullptr) large->PastTheCache();
  }
  Pool<Buffer<float>> weights;
  Pool<Buffer<Visibility>> visibilities;
  for_each_chunk([&](std::size_t first, std::size_t rows) {
    const SmallColumns small(block, gatherer, first, rows);
    flag.Write(first, rows, small.flag.data());
    uvw.Write(first, rows, small.uvw.data());
    weight.Write(first, rows, small.weight.data());
    sigma.Write(first, rows, small.sigma.data());
    antenna1.Write(first, rows, small.antenna1.data());
    antenna2.Write(first, rows, small.antenna2.data());
    flag_row.Write(first, rows, small.flag_row.data());
    const auto spectrum_rows = weights.Take();
    gatherer.Gather(block.weight.data(), first, rows, *spectrum_rows);
    spectrum.Write(first, rows, spectrum_rows->data());
    if (!corrected_column) return;
    const auto buffer = visibilities.Take();
    gatherer.Gather(corrected, first, rows, *buffer);
    corrected_column->Write(first, rows, buffer->data());
  });
  std::map<std::filesystem::path, std::string> sums;
  if (!summed) return sums;
  for (ColumnFile* column : {&flag, &spectrum, &uvw, &weight, &sigma, &antenna1, &antenna2, &flag_row,
                             corrected_column ? &*corrected_column : nullptr}) {
    if (column != nullptr) sums[column->path()] = column->Checksum();
  }
  return sums;
}

}  // namespace contimg::convert
