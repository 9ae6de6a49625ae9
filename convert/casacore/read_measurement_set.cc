#include <casacore/casa/Arrays/ArrayMath.h>
#include <casacore/casa/Arrays/Cube.h>
#include <casacore/tables/Tables/ArrayColumn.h>
#include <casacore/tables/Tables/TableDesc.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

#include "convert/casacore/bulk_files.h"
#include "convert/casacore/casacore_lock.h"
#include "convert/casacore/check_units.h"
#include "convert/casacore/field_direction.h"
#include "convert/casacore/file_visibilities.h"
#include "convert/casacore/placed_rows.h"
#include "convert/casacore/polarisation_order.h"
#include "convert/casacore/row_map.h"
#include "convert/casacore/spectral_setup.h"
#include "convert/measurement_set_lock.h"
#include "convert/measurement_set_reader.h"
#include "convert/unusable_samples.h"

namespace contimg::convert {
namespace {

using casacore::IPosition;
using casacore::Slicer;
using internal::SetTables;

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
  const auto data = set.Arrays<casacore::Complex>(column);
  const auto flag = set.Arrays<bool>("FLAG");
  const std::vector<internal::RowRun> runs = rows.Runs(4096);
  const casacore::ArrayColumn<float> spectrum = internal::WeightSpectrum(set, runs.front().first_row);
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
    internal::Place(data_rows.getStorage(deleted), rows, run, block, 0, block.vis.data());
    const casacore::Array<bool> flag_rows = RowsOf(set, flag, run, cell);
    internal::Place(flag_rows.getStorage(deleted), rows, run, block, 0, block.flag.data());
    if (!spectrum.isNull()) {
      const casacore::Array<float> weight_rows = RowsOf(set, spectrum, run, cell);
      internal::Place(weight_rows.getStorage(deleted), rows, run, block, 0, block.weight.data());
    } else {
      const casacore::Array<float> weight_rows = RowsOf(set, weight, run, IPosition(1, static_cast<ssize_t>(n_pols)));
      const float* per_pol = weight_rows.getStorage(deleted);
      broadcast.resize(run.n_rows * n_channels * n_pols);
      for (std::size_t k = 0; k < broadcast.size(); ++k) {
        broadcast[k] = per_pol[k / (n_channels * n_pols) * n_pols + k % n_pols];
      }
      internal::Place(broadcast.data(), rows, run, block, 0, block.weight.data());
    }
    context.reporter->Progress("read", static_cast<double>(i + 1) / static_cast<double>(runs.size()));
  }
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

// `part_bytes`: 0: visibilities in memory.
TileOfSet Open(const std::filesystem::path& path, const MeasurementSetSelection& selection, std::size_t part_bytes,
               const RunContext& context) {
  return internal::WithCasacore(ErrorKind::kBadInput, path.string(), [&] {
    const std::string stamp = SetStamp(path);
    const SetTables set(path);
    const std::string column = ChooseColumn(set, selection.column);
    internal::CheckDataUnit(set.main(), column, path.string());
    internal::SelectedAxes axes = internal::ReadAxes(set, selection);
    VisibilityBlock& block = *axes.block;
    WarnOfOverlap(block, path.string(), context);
    block.set_stamp = stamp;
    block.data_state = StateOfColumn(column);
    block.Allocate();
    if (!block.absent.empty()) std::memset(block.flag.data(), 1, block.flag.size());  // what no row fills
    const std::vector<internal::RowRun> runs = axes.rows.Runs(internal::kRowsOfRun);
    std::optional<internal::BulkFiles> files = internal::BulkFiles::Find(set, column, axes.rows);
    TileOfSet tile;
    const std::size_t times = internal::FileVisibilities::TimesInPart(block, part_bytes);
    if (!files) {
      ReadThroughCasacore(set, column, axes, context);
    } else if (part_bytes > 0 && internal::FileVisibilities::InOrder(runs, axes.rows, block.n_times(), times)) {
      files->ReadFlagsAndWeights(runs, axes.rows, block, context);
      block.vis = {};
      tile.vis = std::make_unique<internal::FileVisibilities>(path, std::move(*files), std::move(axes.rows), times,
                                                              block, context);
    } else {
      RunContext quiet = context;  // progress is that of the visibilities, most of the bytes
      quiet.reporter = &SilentReporter();
      files->ReadFlagsAndWeights(runs, axes.rows, block, quiet);
      files->ReadVisibilities(runs, axes.rows, block, 0, block.vis.data(), context);
    }
    if (!tile.vis) tile.vis = std::make_unique<VisibilitiesInMemory>(block);
    // Files are opened one after the other: some may have been those of another set.
    internal::CheckUnchanged(path, stamp);
    DropUnusable(block, *tile.vis, path.string(), context);
    tile.block = std::move(axes.block);
    return tile;
  });
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
  return Open(path, selection, 0, context).block;
}

TileOfSet OpenMeasurementSet(const std::filesystem::path& path, const MeasurementSetSelection& selection,
                             const RunContext& context, std::size_t part_bytes) {
  return Open(path, selection, std::max<std::size_t>(1, part_bytes), context);
}

}  // namespace contimg::convert
