#include <casacore/casa/Arrays/ArrayMath.h>
#include <casacore/casa/Arrays/Cube.h>
#include <casacore/ms/MeasurementSets/MSColumns.h>
#include <casacore/ms/MeasurementSets/MeasurementSet.h>
#include <casacore/tables/DataMan/TSMOption.h>
#include <casacore/tables/DataMan/TiledColumnStMan.h>
#include <casacore/tables/DataMan/TiledShapeStMan.h>
#include <casacore/tables/Tables/ArrColDesc.h>
#include <casacore/tables/Tables/ArrayColumn.h>
#include <casacore/tables/Tables/ScalarColumn.h>
#include <casacore/tables/Tables/TableRecord.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "config/os.h"
#include "config/time.h"
#include "convert/casacore/casacore_lock.h"
#include "convert/casacore/row_map.h"
#include "convert/casacore/tile_rows.h"
#include "convert/measurement_set_reader.h"

namespace contimg::convert {
namespace {

namespace fs = std::filesystem;
using casacore::IPosition;
using casacore::MeasurementSet;
using casacore::Slicer;

constexpr std::size_t kRowsAtOnce = 4096;

// Columns whose storage a change touches.
std::set<std::string> TouchedColumns(const MeasurementSetChanges& changes) {
  std::set<std::string> columns;
  if (changes.flags) columns.insert({"FLAG", "FLAG_ROW"});
  if (changes.corrected != nullptr) columns.insert("CORRECTED_DATA");
  if (changes.model != nullptr) columns.insert("MODEL_DATA");
  if (changes.weight != nullptr) columns.insert({"WEIGHT", "SIGMA", "WEIGHT_SPECTRUM"});
  return columns;
}

// "table.f7" for every data manager that holds one of the columns.
std::set<std::string> TouchedFiles(const MeasurementSet& ms, const std::set<std::string>& columns) {
  std::set<std::string> files;
  const casacore::Record managers = ms.dataManagerInfo();
  for (casacore::uInt i = 0; i < managers.nfields(); ++i) {
    const casacore::Record& manager = managers.subRecord(i);
    for (const casacore::String& column : manager.asArrayString("COLUMNS")) {
      if (columns.count(column) > 0) files.insert("table.f" + std::to_string(manager.asuInt("SEQNR")));
    }
  }
  return files;
}

// A sibling that shares the bulk (tile) files it does not change and copies the rest.
void LinkTree(Os& os, const fs::path& from, const fs::path& to, const std::set<std::string>& touched) {
  os.CreateDirectories(to);
  for (const auto& entry : fs::directory_iterator(from)) {
    const fs::path target = to / entry.path().filename();
    if (entry.is_directory()) {
      LinkTree(os, entry.path(), target, {});
      continue;
    }
    const std::string name = entry.path().filename().string();
    const std::size_t mark = name.find("_TSM");
    if (mark != std::string::npos && touched.count(name.substr(0, mark)) == 0) {
      os.HardLink(entry.path(), target);
    } else {
      os.CopyFile(entry.path(), target);
    }
  }
}

// The block's samples of a run of rows, in the set's [row][channel][pol] order.
template <typename From, typename To, typename Change>
void Gather(const From* from, const internal::RowMap& rows, const internal::RowRun& run, const VisibilityBlock& block,
            To* to, Change&& change) {
  const std::size_t w = rows.window[run.first_row];
  const SpectralWindow& window = block.windows[w];
  const std::size_t n_pols = block.n_pols(), n = window.n_channels;
  for (std::size_t r = 0; r < run.n_rows; ++r) {
    const std::size_t row = run.first_row + r;
    const From* source =
        from + ((std::size_t{rows.time[row]} * block.n_baselines() + rows.baseline[row]) * block.n_channels() +
                window.first_channel) *
                   n_pols;
    To* target = to + r * n * rows.n_polarisations;
    for (std::size_t k = 0; k < n; ++k) {
      To* sample = target + (rows.reversed[w] != 0 ? n - 1 - k : k) * rows.n_polarisations;
      for (std::size_t p = 0; p < n_pols; ++p) {
        sample[rows.polarisation[p]] = change(source[k * n_pols + p], rows.swapped[row] != 0);
      }
    }
  }
}

Slicer RowSlicer(const internal::RowRun& run) {
  return Slicer(IPosition(1, static_cast<ssize_t>(run.first_row)), IPosition(1, static_cast<ssize_t>(run.n_rows)));
}

IPosition RunShape(const internal::RowMap& rows, const internal::RowRun& run, const VisibilityBlock& block) {
  return IPosition(3, static_cast<ssize_t>(rows.n_polarisations),
                   static_cast<ssize_t>(block.windows[rows.window[run.first_row]].n_channels),
                   static_cast<ssize_t>(run.n_rows));
}

// Adds a visibility column beside DATA, stored like it.
void AddVisibilityColumn(MeasurementSet& ms, const std::string& name) {
  const casacore::ColumnDesc& data = ms.tableDesc().columnDesc("DATA");
  casacore::ArrayColumnDesc<casacore::Complex> description(name, "", 2);
  const casacore::ArrayColumn<casacore::Complex> column(ms, "DATA");
  const IPosition cell = column.shape(0);
  const auto row_bytes = static_cast<std::size_t>(cell.product()) * sizeof(casacore::Complex);
  const std::size_t tile_rows = internal::TileRows(row_bytes);
  IPosition tile = cell;
  tile.append(IPosition(1, static_cast<ssize_t>(tile_rows)));
  if (data.isFixedShape()) {
    description.setShape(cell);
    description.setOptions(casacore::ColumnDesc::FixedShape | casacore::ColumnDesc::Direct);
    ms.addColumn(description, casacore::TiledColumnStMan("Tiled_" + name, tile));
  } else {
    ms.addColumn(description, casacore::TiledShapeStMan("Tiled_" + name, tile));
  }
}

// Rows outside the selection: copies of DATA, or zeros.
void FillUnselected(const MeasurementSet& ms, const std::string& name, const internal::RowMap& rows, bool copy_data) {
  const casacore::ArrayColumn<casacore::Complex> data(ms, "DATA");
  casacore::ArrayColumn<casacore::Complex> column(ms, name);
  for (std::size_t row = 0; row < rows.n_rows; ++row) {
    if (rows.time[row] != internal::kNotSelected) continue;
    casacore::Array<casacore::Complex> cell = data(row);
    if (!copy_data) cell = casacore::Complex(0);
    column.put(row, cell);
  }
}

void WriteVisibilities(MeasurementSet& ms, const std::string& name, const Visibility* vis, const internal::RowMap& rows,
                       const std::vector<internal::RowRun>& runs, const VisibilityBlock& block, bool replace,
                       const std::string& path) {
  if (ms.tableDesc().isColumn(name)) {
    if (!replace) {
      throw Error(ErrorKind::kUsage, "convert", path, "has a column " + name + " already; --replace overwrites it");
    }
  } else {
    AddVisibilityColumn(ms, name);
    FillUnselected(ms, name, rows, name == "CORRECTED_DATA");
  }
  casacore::ArrayColumn<casacore::Complex> column(ms, name);
  for (const internal::RowRun& run : runs) {
    casacore::Array<casacore::Complex> values(RunShape(rows, run, block));
    Gather(vis, rows, run, block, values.data(),
           [](const Visibility& v, bool swapped) { return swapped ? std::conj(v) : v; });
    column.putColumnRange(RowSlicer(run), values);
  }
}

void WriteFlags(MeasurementSet& ms, const internal::RowMap& rows, const std::vector<internal::RowRun>& runs,
                const VisibilityBlock& block) {
  casacore::ArrayColumn<bool> flag(ms, "FLAG");
  casacore::ScalarColumn<bool> flag_row(ms, "FLAG_ROW");
  for (const internal::RowRun& run : runs) {
    const IPosition shape = RunShape(rows, run, block);
    casacore::Array<bool> values(shape);
    Gather(block.flag.data(), rows, run, block, values.data(), [](std::uint8_t f, bool) { return f != 0; });
    flag.putColumnRange(RowSlicer(run), values);
    casacore::Vector<bool> whole(run.n_rows);
    const auto cell = static_cast<std::size_t>(shape[0] * shape[1]);
    for (std::size_t r = 0; r < run.n_rows; ++r) {
      const bool* first = values.data() + r * cell;
      whole[r] = std::all_of(first, first + cell, [](bool f) { return f; });
    }
    flag_row.putColumnRange(RowSlicer(run), whole);
  }
}

void WriteWeights(MeasurementSet& ms, const float* weight, const internal::RowMap& rows,
                  const std::vector<internal::RowRun>& runs, const VisibilityBlock& block) {
  casacore::ArrayColumn<float> weight_column(ms, "WEIGHT"), sigma_column(ms, "SIGMA"), spectrum;
  if (ms.tableDesc().isColumn("WEIGHT_SPECTRUM")) spectrum.attach(ms, "WEIGHT_SPECTRUM");
  for (const internal::RowRun& run : runs) {
    const IPosition shape = RunShape(rows, run, block);
    casacore::Array<float> values(shape);
    Gather(weight, rows, run, block, values.data(), [](float w, bool) { return w; });
    casacore::Array<bool> flags(shape);
    Gather(block.flag.data(), rows, run, block, flags.data(), [](std::uint8_t f, bool) { return f != 0; });
    if (!spectrum.isNull()) spectrum.putColumnRange(RowSlicer(run), values);
    const auto n_pols = static_cast<std::size_t>(shape[0]), n_channels = static_cast<std::size_t>(shape[1]);
    casacore::Matrix<float> mean(n_pols, run.n_rows), sigma(n_pols, run.n_rows);
    for (std::size_t r = 0; r < run.n_rows; ++r) {
      for (std::size_t p = 0; p < n_pols; ++p) {
        double sum = 0;
        std::size_t n = 0;
        for (std::size_t k = 0; k < n_channels; ++k) {
          const std::size_t i = (r * n_channels + k) * n_pols + p;
          if (flags.data()[i]) continue;
          sum += values.data()[i];
          ++n;
        }
        mean(p, r) = n == 0 ? 0.0f : static_cast<float>(sum / static_cast<double>(n));
        sigma(p, r) = mean(p, r) > 0 ? 1.0f / std::sqrt(mean(p, r)) : 0.0f;
      }
    }
    weight_column.putColumnRange(RowSlicer(run), mean);
    sigma_column.putColumnRange(RowSlicer(run), sigma);
  }
}

void AddHistory(MeasurementSet& ms, const MeasurementSetChanges& changes) {
  casacore::MSHistoryColumns columns(ms.history());
  for (const std::string& message : changes.history) {
    const casacore::rownr_t row = ms.history().nrow();
    ms.history().addRow(1);
    columns.time().put(row, UtcTime::Now().mjd_s());
    columns.observationId().put(row, 0);
    columns.message().put(row, message);
    columns.priority().put(row, "INFO");
    columns.origin().put(row, changes.application);
    columns.objectId().put(row, -1);
    columns.application().put(row, changes.application);
    columns.cliCommand().put(row, casacore::Vector<casacore::String>(1, ""));
    columns.appParams().put(row, casacore::Vector<casacore::String>(1, ""));
  }
}

}  // namespace

void UpdateMeasurementSet(const fs::path& path, const MeasurementSetSelection& selection, const VisibilityBlock& block,
                          const MeasurementSetChanges& changes, const RunContext& context) {
  Os& os = OsOr(context.os);
  const fs::path clean = path.has_filename() ? path : path.parent_path();
  const fs::path parent = clean.has_parent_path() ? clean.parent_path() : fs::path(".");
  const fs::path sibling = UnfinishedSibling(clean);
  try {
    internal::WithCasacore(ErrorKind::kIo, path.string(), [&] {
      std::set<std::string> touched;
      {
        const MeasurementSet ms(clean.string(), casacore::TableLock(casacore::TableLock::NoLocking),
                                casacore::Table::Old);
        const std::vector<std::pair<const char*, const Visibility*>> wanted{{"CORRECTED_DATA", changes.corrected},
                                                                            {"MODEL_DATA", changes.model}};
        for (const auto& [column, values] : wanted) {
          if (values != nullptr && !changes.replace && ms.tableDesc().isColumn(column)) {
            throw Error(ErrorKind::kUsage, "convert", path.string(),
                        std::string("has a column ") + column + " already; --replace overwrites it");
          }
        }
        touched = TouchedFiles(ms, TouchedColumns(changes));
      }
      os.RemoveAll(sibling);
      LinkTree(os, clean, sibling, touched);
      MeasurementSet ms(casacore::Table(sibling.string(), casacore::TableLock(casacore::TableLock::PermanentLocking),
                                        casacore::Table::Update, casacore::TSMOption(casacore::TSMOption::Cache)));
      const internal::SelectedAxes axes = internal::ReadAxes(ms, path.string(), selection);
      const std::vector<internal::RowRun> runs = axes.rows.Runs(kRowsAtOnce);
      if (axes.block->shape() != block.shape()) {
        throw Error(ErrorKind::kBug, "convert", path.string(), "the tile to write back has other axes than the set");
      }
      if (changes.flags) WriteFlags(ms, axes.rows, runs, block);
      if (changes.weight != nullptr) WriteWeights(ms, changes.weight, axes.rows, runs, block);
      if (changes.corrected != nullptr) {
        WriteVisibilities(ms, "CORRECTED_DATA", changes.corrected, axes.rows, runs, block, changes.replace,
                          path.string());
      }
      if (changes.model != nullptr) {
        WriteVisibilities(ms, "MODEL_DATA", changes.model, axes.rows, runs, block, changes.replace, path.string());
      }
      AddHistory(ms, changes);
      ms.flush();
    });
    SyncTree(os, sibling);
    os.Exchange(sibling, clean);
  } catch (...) {
    std::error_code ignored;
    fs::remove_all(sibling, ignored);
    throw;
  }
  os.SyncDirectory(parent);
  os.RemoveAll(sibling);  // the old set
}

}  // namespace contimg::convert
