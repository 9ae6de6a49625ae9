#include <casacore/casa/Arrays/ArrayMath.h>
#include <casacore/casa/Arrays/Cube.h>
#include <casacore/ms/MeasurementSets/MSColumns.h>
#include <casacore/ms/MeasurementSets/MeasurementSet.h>
#include <casacore/tables/Tables/ArrayColumn.h>
#include <casacore/tables/Tables/TableRecord.h>
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cstring>

#include "config/parallel.h"
#include "convert/casacore/casacore_lock.h"
#include "convert/casacore/field_direction.h"
#include "convert/casacore/row_map.h"
#include "convert/casacore/tile_file.h"
#include "convert/measurement_set_reader.h"

namespace contimg::convert {
namespace {

using casacore::IPosition;
using casacore::MeasurementSet;
using casacore::Slicer;

MeasurementSet Open(const std::filesystem::path& path) {
  if (!std::filesystem::exists(path)) throw Error(ErrorKind::kIo, "convert", path.string(), "does not exist");
  if (!std::filesystem::exists(path / "table.dat")) {
    throw Error(ErrorKind::kBadInput, "convert", path.string(), "is not a Measurement Set: it has no table.dat");
  }
  return MeasurementSet(path.string(), casacore::TableLock(casacore::TableLock::NoLocking), casacore::Table::Old);
}

// Copies a run of rows of one column, given as the set's [row][channel][pol], into the block's order.
template <typename From, typename To, typename Change>
void Place(const From* from, const internal::RowMap& rows, const internal::RowRun& run, const VisibilityBlock& block,
           To* to, Change&& change) {
  const std::size_t w = rows.window[run.first_row];
  const SpectralWindow& window = block.windows[w];
  const std::size_t n_pols = block.n_pols(), stored_pols = rows.n_polarisations, n = window.n_channels;
  for (std::size_t r = 0; r < run.n_rows; ++r) {
    const std::size_t row = run.first_row + r;
    const From* source = from + r * n * stored_pols;
    To* target = to + ((std::size_t{rows.time[row]} * block.n_baselines() + rows.baseline[row]) * block.n_channels() +
                       window.first_channel) *
                          n_pols;
    for (std::size_t k = 0; k < n; ++k) {
      const From* sample = source + (rows.reversed[w] != 0 ? n - 1 - k : k) * stored_pols;
      for (std::size_t p = 0; p < n_pols; ++p) {
        target[k * n_pols + p] = change(sample[rows.polarisation[p]], rows.swapped[row] != 0);
      }
    }
  }
}

template <typename T>
casacore::Array<T> Rows(const casacore::ArrayColumn<T>& column, const internal::RowRun& run) {
  return column.getColumnRange(
      Slicer(IPosition(1, static_cast<ssize_t>(run.first_row)), IPosition(1, static_cast<ssize_t>(run.n_rows))));
}

Visibility OfVisibility(const Visibility& v, bool swapped) { return swapped ? std::conj(v) : v; }
std::uint8_t OfFlag(std::uint8_t f, bool) { return f != 0 ? 1 : 0; }
float OfWeight(float w, bool) { return w; }

// Null when there is no such column, or no values in it.
casacore::ArrayColumn<float> WeightSpectrum(const MeasurementSet& ms) {
  casacore::ArrayColumn<float> spectrum;
  if (!ms.tableDesc().isColumn("WEIGHT_SPECTRUM")) return spectrum;
  spectrum.attach(ms, "WEIGHT_SPECTRUM");
  return spectrum.isDefined(0) ? spectrum : casacore::ArrayColumn<float>();
}

// Every kind of set, by one thread.
void ReadThroughCasacore(const MeasurementSet& ms, const std::string& column, internal::SelectedAxes& axes,
                         const RunContext& context) {
  VisibilityBlock& block = *axes.block;
  const internal::RowMap& rows = axes.rows;
  const casacore::ArrayColumn<casacore::Complex> data(ms, column);
  const casacore::ArrayColumn<bool> flag(ms, "FLAG");
  const casacore::ArrayColumn<float> weight(ms, "WEIGHT");
  const casacore::ArrayColumn<float> spectrum = WeightSpectrum(ms);
  const std::vector<internal::RowRun> runs = rows.Runs(4096);
  std::vector<float> broadcast;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    context.CheckCancelled("read");
    const internal::RowRun& run = runs[i];
    bool deleted = false;
    const casacore::Array<casacore::Complex> data_rows = Rows(data, run);
    Place(data_rows.getStorage(deleted), rows, run, block, block.vis.data(), OfVisibility);
    const casacore::Array<bool> flag_rows = Rows(flag, run);
    Place(flag_rows.getStorage(deleted), rows, run, block, block.flag.data(), OfFlag);
    if (!spectrum.isNull()) {
      const casacore::Array<float> weight_rows = Rows(spectrum, run);
      Place(weight_rows.getStorage(deleted), rows, run, block, block.weight.data(), OfWeight);
    } else {
      const casacore::Array<float> weight_rows = Rows(weight, run);
      const float* per_pol = weight_rows.getStorage(deleted);
      const std::size_t n_pols = rows.n_polarisations;
      const std::size_t cell = block.windows[rows.window[run.first_row]].n_channels * n_pols;
      broadcast.resize(run.n_rows * cell);
      for (std::size_t k = 0; k < broadcast.size(); ++k) broadcast[k] = per_pol[k / cell * n_pols + k % n_pols];
      Place(broadcast.data(), rows, run, block, block.weight.data(), OfWeight);
    }
    context.reporter->Progress("read", static_cast<double>(i + 1) / static_cast<double>(runs.size()));
  }
}

// One thread's copy of a run of rows.
struct FileRows {
  std::vector<Visibility> data;
  std::vector<std::uint8_t> flag, bits;
  std::vector<float> weight;
};

// The bulk columns of a set that is laid out as we lay them out.
struct BulkFiles {
  internal::TileFile data, flag, spectrum;

  void Read(const internal::RowRun& run, std::size_t cell, FileRows& rows) const {
    const std::size_t n = run.n_rows * cell;
    if (rows.data.size() < n)
      rows = {std::vector<Visibility>(n), std::vector<std::uint8_t>(n), {}, std::vector<float>(n)};
    data.Read(run.first_row, run.n_rows, rows.data.data());
    flag.ReadBits(run.first_row, run.n_rows, rows.bits, rows.flag.data());
    spectrum.Read(run.first_row, run.n_rows, rows.weight.data());
  }
};

// Whether casacore reads the same from a row: the layout of its files is its own affair.
bool ReadsAlike(const MeasurementSet& ms, const std::string& column, const BulkFiles& files, std::size_t row) {
  const casacore::Array<casacore::Complex> data = casacore::ArrayColumn<casacore::Complex>(ms, column)(row);
  const casacore::Array<bool> flag = casacore::ArrayColumn<bool>(ms, "FLAG")(row);
  const casacore::Array<float> weight = WeightSpectrum(ms)(row);
  if (flag.nelements() != data.nelements() || weight.nelements() != data.nelements()) return false;
  FileRows own;
  files.Read({row, 1}, data.nelements(), own);
  bool deleted = false;
  return std::memcmp(data.getStorage(deleted), own.data.data(), data.nelements() * sizeof(Visibility)) == 0 &&
         std::equal(own.flag.begin(), own.flag.end(), flag.getStorage(deleted)) &&
         std::memcmp(weight.getStorage(deleted), own.weight.data(), weight.nelements() * sizeof(float)) == 0;
}

// By all threads, straight from the files. False, and nothing done, when they are not laid out as that needs.
bool ReadFiles(const MeasurementSet& ms, const std::string& column, internal::SelectedAxes& axes,
               const RunContext& context) {
  auto data = internal::TileFile::Find(ms, column, 64), flag = internal::TileFile::Find(ms, "FLAG", 1);
  if (!data || !flag || WeightSpectrum(ms).isNull()) return false;
  auto spectrum = internal::TileFile::Find(ms, "WEIGHT_SPECTRUM", 32);
  if (!spectrum) return false;
  const BulkFiles files{std::move(*data), std::move(*flag), std::move(*spectrum)};
  for (const std::size_t row : {std::size_t{0}, axes.rows.n_rows / 2, axes.rows.n_rows - 1}) {
    if (!ReadsAlike(ms, column, files, row)) return false;
  }
  VisibilityBlock& block = *axes.block;
  const internal::RowMap& rows = axes.rows;
  const std::vector<internal::RowRun> runs = rows.Runs(1024);  // fits the cache
  const std::size_t workers =
      std::min<std::size_t>(static_cast<std::size_t>(std::max(1, context.threads)), runs.size());
  std::atomic<std::size_t> next{0};
  ParallelFor(static_cast<int>(workers), workers, [&](std::size_t) {
    FileRows copy;
    for (std::size_t i = next++; i < runs.size(); i = next++) {
      context.CheckCancelled("read");
      const std::size_t n_channels = block.windows[rows.window[runs[i].first_row]].n_channels;
      files.Read(runs[i], n_channels * rows.n_polarisations, copy);
      Place(copy.data.data(), rows, runs[i], block, block.vis.data(), OfVisibility);
      Place(copy.flag.data(), rows, runs[i], block, block.flag.data(), OfFlag);
      Place(copy.weight.data(), rows, runs[i], block, block.weight.data(), OfWeight);
      context.reporter->Progress("read", static_cast<double>(i + 1) / static_cast<double>(runs.size()));
    }
  });
  return true;
}

std::string ChooseColumn(const MeasurementSet& ms, const std::string& wanted, const std::string& path) {
  const std::string column = !wanted.empty()                             ? wanted
                             : ms.tableDesc().isColumn("CORRECTED_DATA") ? "CORRECTED_DATA"
                                                                         : "DATA";
  if (!ms.tableDesc().isColumn(column)) {
    throw Error(ErrorKind::kBadInput, "convert", path, "has no column " + column);
  }
  return column;
}

DataState StateOfColumn(const std::string& column) {
  if (column == "CORRECTED_DATA") return DataState::kCorrected;
  return column == "MODEL_DATA" ? DataState::kModel : DataState::kRaw;
}

}  // namespace

MeasurementSetInfo DescribeMeasurementSet(const std::filesystem::path& path) {
  return internal::WithCasacore(ErrorKind::kBadInput, path.string(), [&] {
    const MeasurementSet ms = Open(path);
    const casacore::MSColumns columns(ms);
    MeasurementSetInfo info;
    info.n_rows = ms.nrow();
    if (ms.observation().nrow() > 0) {
      const casacore::Vector<double> range = columns.observation().timeRange()(0);
      info.start_mjd_s = range[0];
      info.end_mjd_s = range[1];
      info.telescope_name = columns.observation().telescopeName()(0);
    }
    for (std::size_t i = 0; i < ms.antenna().nrow(); ++i) info.antennas.push_back(columns.antenna().name()(i));
    info.fields = internal::ReadFields(ms.field());
    for (std::size_t i = 0; i < ms.spectralWindow().nrow(); ++i) {
      const casacore::Vector<double> frequency = columns.spectralWindow().chanFreq()(i);
      MeasurementSetWindow window;
      window.name = columns.spectralWindow().name()(i);
      window.n_channels = frequency.nelements();
      if (window.n_channels > 0) {
        window.first_hz = frequency[0];
        window.last_hz = frequency[window.n_channels - 1];
        window.width_hz = casacore::Vector<double>(columns.spectralWindow().chanWidth()(i))[0];
      }
      info.windows.push_back(window);
    }
    if (ms.polarization().nrow() > 0) {
      for (const int stokes : casacore::Vector<int>(columns.polarization().corrType()(0))) {
        info.polarisations.push_back(internal::PolarisationOfStokes(stokes, path.string()));
      }
    }
    info.has_corrected = ms.tableDesc().isColumn("CORRECTED_DATA");
    info.has_model = ms.tableDesc().isColumn("MODEL_DATA");
    for (std::size_t i = 0; i < ms.history().nrow(); ++i) info.history.push_back(columns.history().message()(i));
    return info;
  });
}

std::unique_ptr<VisibilityBlock> ReadMeasurementSetAxes(const std::filesystem::path& path,
                                                        const MeasurementSetSelection& selection) {
  return internal::WithCasacore(ErrorKind::kBadInput, path.string(), [&] {
    return std::move(internal::ReadAxes(Open(path), path.string(), selection).block);
  });
}

std::unique_ptr<VisibilityBlock> ReadMeasurementSet(const std::filesystem::path& path,
                                                    const MeasurementSetSelection& selection,
                                                    const RunContext& context) {
  return internal::WithCasacore(ErrorKind::kBadInput, path.string(), [&] {
    const MeasurementSet ms = Open(path);
    const std::string column_name = ChooseColumn(ms, selection.column, path.string());
    internal::SelectedAxes axes = internal::ReadAxes(ms, path.string(), selection);
    VisibilityBlock& block = *axes.block;
    block.data_state = StateOfColumn(column_name);
    block.Allocate();
    std::memset(block.flag.data(), 1, block.flag.size());  // what no row fills stays flagged
    if (!ReadFiles(ms, column_name, axes, context)) ReadThroughCasacore(ms, column_name, axes, context);
    return std::move(axes.block);
  });
}

}  // namespace contimg::convert
