#include <casacore/casa/Arrays/ArrayMath.h>
#include <casacore/casa/Arrays/Cube.h>
#include <casacore/tables/Tables/ArrayColumn.h>
#include <casacore/tables/Tables/TableDesc.h>
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <limits>

#include "config/parallel.h"
#include "convert/casacore/casacore_lock.h"
#include "convert/casacore/check_units.h"
#include "convert/casacore/field_direction.h"
#include "convert/casacore/polarisation_order.h"
#include "convert/casacore/row_map.h"
#include "convert/casacore/spectral_setup.h"
#include "convert/casacore/tile_file.h"
#include "convert/measurement_set_lock.h"
#include "convert/measurement_set_reader.h"
#include "convert/unusable_samples.h"

namespace contimg::convert {
namespace {

using casacore::IPosition;
using casacore::Slicer;
using internal::SetTables;

// Copies a run of rows of one column, given as the set's [row][channel][pol], into the block's order.
// `change`: of a value and its row.
template <typename From, typename To, typename Change>
void Place(const From* from, const internal::RowMap& rows, const internal::RowRun& run, const VisibilityBlock& block,
           To* to, Change&& change) {
  const std::size_t w = rows.window[run.first_row];
  const SpectralWindow& window = block.windows[w];
  const std::size_t n_pols = block.n_pols(), stored_pols = rows.n_polarisations, n = window.n_channels;
  for (std::size_t r = 0; r < run.n_rows; ++r) {
    const std::size_t row = run.first_row + r;
    const std::vector<std::size_t>& position = rows.PolarisationsOf(row);
    const From* source = from + r * n * stored_pols;
    To* target = to + ((std::size_t{rows.time[row]} * block.n_baselines() + rows.baseline[row]) * block.n_channels() +
                       window.first_channel) *
                          n_pols;
    for (std::size_t k = 0; k < n; ++k) {
      const From* sample = source + (rows.reversed[w] != 0 ? n - 1 - k : k) * stored_pols;
      for (std::size_t p = 0; p < n_pols; ++p) {
        target[k * n_pols + p] = change(sample[position[p]], row);
      }
    }
  }
}

template <typename T>
casacore::Array<T> Rows(const casacore::ArrayColumn<T>& column, const internal::RowRun& run) {
  return column.getColumnRange(
      Slicer(IPosition(1, static_cast<ssize_t>(run.first_row)), IPosition(1, static_cast<ssize_t>(run.n_rows))));
}

// "4 x 64 values" of a cell, polarisations first.
std::string ShapeWords(const IPosition& shape) {
  std::string words;
  for (std::size_t i = 0; i < shape.nelements(); ++i) words += fmt::format("{}{}", i == 0 ? "" : " x ", shape[i]);
  return words + " values";
}

// How values of the set become those of the block.
struct Changes {
  const internal::RowMap& rows;

  auto vis() const {
    return [&](const Visibility& v, std::size_t row) { return rows.swapped[row] != 0 ? std::conj(v) : v; };
  }
  auto flag() const {
    return [&](std::uint8_t f, std::size_t row) -> std::uint8_t {
      return f != 0 || (!rows.flagged.empty() && rows.flagged[row] != 0) ? 1 : 0;
    };
  }
  // Weights that are no number or not above 0 mean that there is nothing to weigh.
  auto weight() const {
    return [](float w, std::size_t) { return w > 0 && w <= std::numeric_limits<float>::max() ? w : 0.0F; };
  }
};

// Null when there is no such column, or no values in it.
casacore::ArrayColumn<float> WeightSpectrum(const SetTables& set, std::size_t first_row) {
  if (!set.HasArrays("WEIGHT_SPECTRUM", casacore::TpFloat)) return {};
  const auto spectrum = set.Arrays<float>("WEIGHT_SPECTRUM");
  return spectrum.isDefined(first_row) ? spectrum : casacore::ArrayColumn<float>();
}

// The rows of a run whose cells must have this shape. Throws Error{kBadInput} that names the first that has not.
template <typename T>
casacore::Array<T> RowsOf(const SetTables& set, const casacore::ArrayColumn<T>& column, const internal::RowRun& run,
                          const IPosition& cell) {
  if ((column.columnDesc().options() & casacore::ColumnDesc::FixedShape) == 0) {
    for (std::size_t row = run.first_row; row < run.first_row + run.n_rows; ++row) {
      const bool defined = column.isDefined(row);
      if (defined && column.shape(row).isEqual(cell)) continue;
      throw internal::BadSet(set.path(), fmt::format("expected {} in column {} of row {}, found {}", ShapeWords(cell),
                                                     std::string(column.columnDesc().name()), row,
                                                     defined ? ShapeWords(column.shape(row)) : "nothing"));
    }
  } else if (!column.shapeColumn().isEqual(cell)) {
    throw internal::BadSet(set.path(),
                           fmt::format("expected {} in the cells of column {}, found {}", ShapeWords(cell),
                                       std::string(column.columnDesc().name()), ShapeWords(column.shapeColumn())));
  }
  return Rows(column, run);
}

// Every kind of set, by one thread.
void ReadThroughCasacore(const SetTables& set, const std::string& column, internal::SelectedAxes& axes,
                         const RunContext& context) {
  VisibilityBlock& block = *axes.block;
  const internal::RowMap& rows = axes.rows;
  const Changes to_block{rows};
  const auto data = set.Arrays<casacore::Complex>(column);
  const auto flag = set.Arrays<bool>("FLAG");
  const std::vector<internal::RowRun> runs = rows.Runs(4096);
  const casacore::ArrayColumn<float> spectrum = WeightSpectrum(set, runs.front().first_row);
  const auto weight = spectrum.isNull() ? set.Arrays<float>("WEIGHT") : casacore::ArrayColumn<float>();
  const std::size_t n_pols = rows.n_polarisations;
  std::vector<float> broadcast;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    context.CheckCancelled("read");
    const internal::RowRun& run = runs[i];
    const std::size_t n_channels = block.windows[rows.window[run.first_row]].n_channels;
    const IPosition cell(2, static_cast<ssize_t>(n_pols), static_cast<ssize_t>(n_channels));
    bool deleted = false;
    const casacore::Array<casacore::Complex> data_rows = RowsOf(set, data, run, cell);
    Place(data_rows.getStorage(deleted), rows, run, block, block.vis.data(), to_block.vis());
    const casacore::Array<bool> flag_rows = RowsOf(set, flag, run, cell);
    Place(flag_rows.getStorage(deleted), rows, run, block, block.flag.data(), to_block.flag());
    if (!spectrum.isNull()) {
      const casacore::Array<float> weight_rows = RowsOf(set, spectrum, run, cell);
      Place(weight_rows.getStorage(deleted), rows, run, block, block.weight.data(), to_block.weight());
    } else {
      const casacore::Array<float> weight_rows = RowsOf(set, weight, run, IPosition(1, static_cast<ssize_t>(n_pols)));
      const float* per_pol = weight_rows.getStorage(deleted);
      broadcast.resize(run.n_rows * n_channels * n_pols);
      for (std::size_t k = 0; k < broadcast.size(); ++k) {
        broadcast[k] = per_pol[k / (n_channels * n_pols) * n_pols + k % n_pols];
      }
      Place(broadcast.data(), rows, run, block, block.weight.data(), to_block.weight());
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
bool ReadsAlike(const SetTables& set, const std::string& column, const BulkFiles& files, std::size_t row) {
  const casacore::Array<casacore::Complex> data = set.Arrays<casacore::Complex>(column)(row);
  const casacore::Array<bool> flag = set.Arrays<bool>("FLAG")(row);
  const casacore::Array<float> weight = WeightSpectrum(set, row)(row);
  if (flag.nelements() != data.nelements() || weight.nelements() != data.nelements()) return false;
  FileRows own;
  files.Read({row, 1}, data.nelements(), own);
  bool deleted = false;
  return std::memcmp(data.getStorage(deleted), own.data.data(), data.nelements() * sizeof(Visibility)) == 0 &&
         std::equal(own.flag.begin(), own.flag.end(), flag.getStorage(deleted)) &&
         std::memcmp(weight.getStorage(deleted), own.weight.data(), weight.nelements() * sizeof(float)) == 0;
}

// By all threads, straight from the files. False, and nothing done, when they are not laid out as that needs.
bool ReadFiles(const SetTables& set, const std::string& column, internal::SelectedAxes& axes,
               const RunContext& context) {
  auto data = internal::TileFile::Find(set.main(), column, 64), flag = internal::TileFile::Find(set.main(), "FLAG", 1);
  if (!data || !flag || WeightSpectrum(set, 0).isNull()) return false;
  auto spectrum = internal::TileFile::Find(set.main(), "WEIGHT_SPECTRUM", 32);
  if (!spectrum) return false;
  const BulkFiles files{std::move(*data), std::move(*flag), std::move(*spectrum)};
  for (const std::size_t row : {std::size_t{0}, axes.rows.n_rows / 2, axes.rows.n_rows - 1}) {
    if (!ReadsAlike(set, column, files, row)) return false;
  }
  VisibilityBlock& block = *axes.block;
  const internal::RowMap& rows = axes.rows;
  const Changes to_block{rows};
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
      Place(copy.data.data(), rows, runs[i], block, block.vis.data(), to_block.vis());
      Place(copy.flag.data(), rows, runs[i], block, block.flag.data(), to_block.flag());
      Place(copy.weight.data(), rows, runs[i], block, block.weight.data(), to_block.weight());
      context.reporter->Progress("read", static_cast<double>(i + 1) / static_cast<double>(runs.size()));
    }
  });
  return true;
}

std::string ChooseColumn(const SetTables& set, const std::string& wanted) {
  const auto has = [&](const char* column) { return set.main().tableDesc().isColumn(column); };
  const std::string column = !wanted.empty() ? wanted : has("CORRECTED_DATA") ? "CORRECTED_DATA" : "DATA";
  if (column == "DATA" && !has("DATA") && has("FLOAT_DATA")) {
    throw internal::BadSet(set.path(), "expected correlations in column DATA, found FLOAT_DATA of a single dish");
  }
  if (!has(column.c_str())) throw internal::BadSet(set.path(), "has no column " + column);
  return column;
}

// Channels of a windowed spectrum overlap, and each sees more of the band than its distance to the next says.
void WarnOfOverlap(const VisibilityBlock& block, const std::string& path, const RunContext& context) {
  for (const SpectralWindow& window : block.windows) {
    if (window.n_channels < 2) continue;
    const double spacing = block.frequency_hz[window.first_channel + 1] - block.frequency_hz[window.first_channel];
    if (block.channel_width_hz <= 1.05 * spacing) continue;
    context.reporter->Warn("read", fmt::format("{}: channels are {:.0f} Hz wide and {:.0f} Hz apart: they are taken to "
                                               "overlap",
                                               path, block.channel_width_hz, spacing));
    return;
  }
}

DataState StateOfColumn(const std::string& column) {
  if (column == "CORRECTED_DATA") return DataState::kCorrected;
  return column == "MODEL_DATA" ? DataState::kModel : DataState::kRaw;
}

}  // namespace

MeasurementSetInfo DescribeMeasurementSet(const std::filesystem::path& path) {
  return internal::WithCasacore(ErrorKind::kBadInput, path.string(), [&] {
    const SetTables set(path);
    MeasurementSetInfo info;
    info.n_rows = set.main().nrow();
    const casacore::Table observation = set.IfAny("OBSERVATION"), polarisation = set.IfAny("POLARIZATION");
    info.telescope_name = internal::TextOr(observation, "TELESCOPE_NAME", 0);
    if (!observation.isNull()) {
      const casacore::Vector<double> range(casacore::ArrayColumn<double>(observation, "TIME_RANGE")(0));
      info.start_mjd_s = range[0];
      info.end_mjd_s = range[1];
    } else if (info.n_rows > 0) {
      const casacore::Vector<double> time = set.Scalars<double>("TIME");
      info.start_mjd_s = casacore::min(time);
      info.end_mjd_s = casacore::max(time);
    }
    const casacore::Table antennas = set.Needed("ANTENNA"), windows = set.Needed("SPECTRAL_WINDOW");
    for (std::size_t i = 0; i < antennas.nrow(); ++i) info.antennas.push_back(internal::TextOr(antennas, "NAME", i));
    info.fields = internal::ReadFields(set.Needed("FIELD"));
    for (std::size_t i = 0; i < windows.nrow(); ++i) {
      const casacore::Vector<double> frequency(casacore::ArrayColumn<double>(windows, "CHAN_FREQ")(i));
      MeasurementSetWindow window;
      window.name = internal::TextOr(windows, "NAME", i);
      window.n_channels = frequency.nelements();
      if (window.n_channels > 0) {
        window.first_hz = frequency[0];
        window.last_hz = frequency[window.n_channels - 1];
        window.width_hz = casacore::Vector<double>(casacore::ArrayColumn<double>(windows, "CHAN_WIDTH")(i))[0];
      }
      info.windows.push_back(window);
    }
    if (!polarisation.isNull()) {
      for (const int stokes : internal::ReadCorrelations(set, 0)) {
        info.polarisations.push_back(internal::PolarisationOfStokes(stokes, path.string()));
      }
    }
    info.has_corrected = set.main().tableDesc().isColumn("CORRECTED_DATA");
    info.has_model = set.main().tableDesc().isColumn("MODEL_DATA");
    const casacore::Table history = set.IfAny("HISTORY");
    const std::size_t n_lines = history.isNull() ? 0 : history.nrow();
    for (std::size_t i = 0; i < n_lines; ++i) info.history.push_back(internal::TextOr(history, "MESSAGE", i));
    return info;
  });
}

std::unique_ptr<VisibilityBlock> ReadMeasurementSetAxes(const std::filesystem::path& path,
                                                        const MeasurementSetSelection& selection) {
  return internal::WithCasacore(ErrorKind::kBadInput, path.string(),
                                [&] { return std::move(internal::ReadAxes(SetTables(path), selection).block); });
}

std::unique_ptr<VisibilityBlock> ReadMeasurementSet(const std::filesystem::path& path,
                                                    const MeasurementSetSelection& selection,
                                                    const RunContext& context) {
  return internal::WithCasacore(ErrorKind::kBadInput, path.string(), [&] {
    const std::string stamp = SetStamp(path);
    const SetTables set(path);
    const std::string column_name = ChooseColumn(set, selection.column);
    internal::CheckDataUnit(set.main(), column_name, path.string());
    internal::SelectedAxes axes = internal::ReadAxes(set, selection);
    VisibilityBlock& block = *axes.block;
    WarnOfOverlap(block, path.string(), context);
    block.set_stamp = stamp;
    block.data_state = StateOfColumn(column_name);
    block.Allocate();
    if (!block.absent.empty()) std::memset(block.flag.data(), 1, block.flag.size());  // what no row fills
    if (!ReadFiles(set, column_name, axes, context)) ReadThroughCasacore(set, column_name, axes, context);
    // Files are opened one after the other: some may have been those of another set.
    if (SetStamp(path) != stamp) {
      throw Error(ErrorKind::kBusy, "convert", path.string(),
                  "was changed by another program while it was read; try again");
    }
    DropUnusable(block, path.string(), context);
    return std::move(axes.block);
  });
}

}  // namespace contimg::convert
