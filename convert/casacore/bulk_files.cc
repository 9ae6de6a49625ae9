#include "convert/casacore/bulk_files.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "config/parallel.h"
#include "convert/casacore/placed_rows.h"

namespace contimg::convert::internal {
namespace {

// body(run, scratch) for each run, by all threads.
template <typename Scratch, typename Body>
void ForEachRun(const std::vector<RowRun>& runs, const RunContext& context, const Body& body) {
  const std::size_t workers =
      std::min<std::size_t>(static_cast<std::size_t>(std::max(1, context.threads)), runs.size());
  std::atomic<std::size_t> next{0};
  ParallelFor(static_cast<int>(workers), workers, [&](std::size_t) {
    Scratch scratch;
    for (std::size_t i = next++; i < runs.size(); i = next++) {
      context.CheckCancelled("read");
      body(runs[i], scratch);
      context.reporter->Progress("read", static_cast<double>(i + 1) / static_cast<double>(runs.size()));
    }
  });
}

template <typename T>
void Grow(std::vector<T>& values, std::size_t size) {
  if (values.size() < size) values.resize(size);
}

}  // namespace

casacore::ArrayColumn<float> WeightSpectrum(const SetTables& set, std::size_t first_row) {
  if (!set.HasArrays("WEIGHT_SPECTRUM", casacore::TpFloat)) return {};
  const auto spectrum = set.Arrays<float>("WEIGHT_SPECTRUM");
  return spectrum.isDefined(first_row) ? spectrum : casacore::ArrayColumn<float>();
}

std::optional<BulkFiles> BulkFiles::Find(const SetTables& set, const std::string& column, const RowMap& rows) {
  auto data = TileFile::Find(set.main(), column, 64), flag = TileFile::Find(set.main(), "FLAG", 1);
  if (!data || !flag || WeightSpectrum(set, 0).isNull()) return std::nullopt;
  auto spectrum = TileFile::Find(set.main(), "WEIGHT_SPECTRUM", 32);
  if (!spectrum) return std::nullopt;
  BulkFiles files(std::move(*data), std::move(*flag), std::move(*spectrum));
  for (const std::size_t row : {std::size_t{0}, rows.n_rows / 2, rows.n_rows - 1}) {
    if (!files.ReadsAsCasacore(set, column, row)) return std::nullopt;
  }
  return files;
}

void BulkFiles::ReadData(const RowRun& run, std::size_t cell, Copy& copy) const {
  Grow(copy.data, run.n_rows * cell);
  data_.Read(run.first_row, run.n_rows, copy.data.data());
}

void BulkFiles::ReadRest(const RowRun& run, std::size_t cell, Copy& copy) const {
  Grow(copy.flag, run.n_rows * cell);
  Grow(copy.weight, run.n_rows * cell);
  flag_.ReadBits(run.first_row, run.n_rows, copy.bits, copy.flag.data());
  spectrum_.Read(run.first_row, run.n_rows, copy.weight.data());
}

bool BulkFiles::ReadsAsCasacore(const SetTables& set, const std::string& column, std::size_t row) const {
  const casacore::Array<casacore::Complex> data = set.Arrays<casacore::Complex>(column)(row);
  const casacore::Array<bool> flag = set.Arrays<bool>("FLAG")(row);
  const casacore::Array<float> weight = WeightSpectrum(set, row)(row);
  if (flag.nelements() != data.nelements() || weight.nelements() != data.nelements()) return false;
  Copy own;
  ReadData({row, 1}, data.nelements(), own);
  ReadRest({row, 1}, data.nelements(), own);
  bool deleted = false;
  return std::memcmp(data.getStorage(deleted), own.data.data(), data.nelements() * sizeof(Visibility)) == 0 &&
         std::equal(own.flag.begin(), own.flag.end(), flag.getStorage(deleted)) &&
         std::memcmp(weight.getStorage(deleted), own.weight.data(), weight.nelements() * sizeof(float)) == 0;
}

void BulkFiles::ReadFlagsAndWeights(const std::vector<RowRun>& runs, const RowMap& rows, VisibilityBlock& block,
                                    const RunContext& context) const {
  ForEachRun<Copy>(runs, context, [&](const RowRun& run, Copy& copy) {
    ReadRest(run, block.windows[rows.window[run.first_row]].n_channels * rows.n_polarisations, copy);
    Place(copy.flag.data(), rows, run, block, 0, block.flag.data());
    Place(copy.weight.data(), rows, run, block, 0, block.weight.data());
  });
}

void BulkFiles::ReadVisibilities(const std::vector<RowRun>& runs, const RowMap& rows, const VisibilityBlock& axes,
                                 std::size_t first_time, Visibility* to, const RunContext& context) const {
  ForEachRun<Copy>(runs, context, [&](const RowRun& run, Copy& copy) {
    ReadData(run, axes.windows[rows.window[run.first_row]].n_channels * rows.n_polarisations, copy);
    Place(copy.data.data(), rows, run, axes, first_time, to);
  });
}

}  // namespace contimg::convert::internal
