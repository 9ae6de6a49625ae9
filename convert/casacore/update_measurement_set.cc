#include <casacore/casa/Arrays/ArrayMath.h>
#include <casacore/casa/Arrays/Cube.h>
#include <casacore/ms/MeasurementSets/MSHistory.h>
#include <casacore/ms/MeasurementSets/MSHistoryColumns.h>
#include <casacore/tables/DataMan/TSMOption.h>
#include <casacore/tables/DataMan/TiledColumnStMan.h>
#include <casacore/tables/DataMan/TiledShapeStMan.h>
#include <casacore/tables/Tables/ArrColDesc.h>
#include <casacore/tables/Tables/ArrayColumn.h>
#include <casacore/tables/Tables/ScalarColumn.h>
#include <casacore/tables/Tables/SetupNewTab.h>
#include <casacore/tables/Tables/TableAttr.h>
#include <casacore/tables/Tables/TableDesc.h>
#include <casacore/tables/Tables/TableRecord.h>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include "config/os.h"
#include "config/time.h"
#include "config/unfinished.h"
#include "convert/casacore/casacore_lock.h"
#include "convert/casacore/row_map.h"
#include "convert/casacore/tile_rows.h"
#include "convert/measurement_set_lock.h"
#include "convert/measurement_set_reader.h"

namespace contimg::convert {
namespace {

namespace fs = std::filesystem;
using casacore::IPosition;
using casacore::Slicer;
using casacore::Table;

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
std::set<std::string> TouchedFiles(const Table& ms, const std::set<std::string>& columns) {
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

bool IsShared(const std::string& file, const std::set<std::string>& touched) {
  const std::size_t mark = file.find("_TSM");
  return mark != std::string::npos && touched.count(file.substr(0, mark)) == 0;
}

// Bytes of the files that LinkTree copies.
std::uint64_t BytesToCopy(const fs::path& from, const std::set<std::string>& touched) {
  std::uint64_t bytes = 0;
  for (const fs::path& entry : RealOs().List(from)) {
    const FileStatus status = RealOs().Status(entry);
    if (status.type == FileStatus::Type::kDirectory) {
      bytes += BytesToCopy(entry, {});
    } else if (!IsShared(entry.filename().string(), touched)) {
      bytes += status.size;
    }
  }
  return bytes;
}

// A sibling that shares the bulk (tile) files it does not change and copies the rest.
void LinkTree(Os& os, const fs::path& from, const fs::path& to, const std::set<std::string>& touched) {
  os.CreateDirectories(to);
  for (const fs::path& entry : os.List(from)) {
    const fs::path target = to / entry.filename();
    if (IsDirectory(entry, os)) {
      LinkTree(os, entry, target, {});
      continue;
    }
    if (IsShared(entry.filename().string(), touched)) {
      os.HardLink(entry, target);
    } else {
      os.CopyFile(entry, target);
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
    const std::vector<std::size_t>& position = rows.PolarisationsOf(row);
    const From* source =
        from + ((std::size_t{rows.time[row]} * block.n_baselines() + rows.baseline[row]) * block.n_channels() +
                window.first_channel) *
                   n_pols;
    To* target = to + r * n * rows.n_polarisations;
    for (std::size_t k = 0; k < n; ++k) {
      To* sample = target + (rows.reversed[w] != 0 ? n - 1 - k : k) * rows.n_polarisations;
      for (std::size_t p = 0; p < n_pols; ++p) {
        sample[position[p]] = change(source[k * n_pols + p], rows.swapped[row] != 0);
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
void AddVisibilityColumn(Table& ms, const std::string& name) {
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
void FillUnselected(const Table& ms, const std::string& name, const internal::RowMap& rows, bool copy_data) {
  const casacore::ArrayColumn<casacore::Complex> data(ms, "DATA");
  casacore::ArrayColumn<casacore::Complex> column(ms, name);
  for (std::size_t row = 0; row < rows.n_rows; ++row) {
    if (rows.time[row] != internal::kNotSelected) continue;
    casacore::Array<casacore::Complex> cell = data(row);
    if (!copy_data) cell = casacore::Complex(0);
    column.put(row, cell);
  }
}

void WriteVisibilities(Table& ms, const std::string& name, const Visibility* vis, const internal::RowMap& rows,
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

// FLAG as the block has it, FLAG_ROW where all of the row is flagged. What FLAG_ROW said was flagged on reading too, so
// it stays true, and FLAG becomes true with it.
void WriteFlags(Table& ms, const internal::RowMap& rows, const std::vector<internal::RowRun>& runs,
                const VisibilityBlock& block) {
  casacore::ArrayColumn<bool> flag(ms, "FLAG");
  casacore::ScalarColumn<bool> flag_row;
  if (ms.tableDesc().isColumn("FLAG_ROW")) flag_row.attach(ms, "FLAG_ROW");
  for (const internal::RowRun& run : runs) {
    const IPosition shape = RunShape(rows, run, block);
    casacore::Array<bool> values(shape);
    Gather(block.flag.data(), rows, run, block, values.data(), [](std::uint8_t f, bool) { return f != 0; });
    casacore::Vector<bool> whole(run.n_rows);
    const auto cell = static_cast<std::size_t>(shape[0] * shape[1]);
    for (std::size_t r = 0; r < run.n_rows; ++r) {
      bool* first = values.data() + r * cell;
      whole[r] = std::all_of(first, first + cell, [](bool f) { return f; });
      // Flags that an earlier apply set have been taken back: FLAG_ROW was its own then, unless FLAG did not say so.
      const std::size_t row = run.first_row + r;
      if (whole[r] || rows.flagged.empty() || rows.flagged[row] == 0) continue;
      if (casacore::allEQ(flag(row), true)) continue;
      std::fill(first, first + cell, true);
      whole[r] = true;
    }
    flag.putColumnRange(RowSlicer(run), values);
    if (!flag_row.isNull()) flag_row.putColumnRange(RowSlicer(run), whole);
  }
}

void WriteWeights(Table& ms, const float* weight, const internal::RowMap& rows,
                  const std::vector<internal::RowRun>& runs, const VisibilityBlock& block) {
  casacore::ArrayColumn<float> weight_column, sigma_column, spectrum;
  for (auto& [column, name] : {std::pair{&weight_column, "WEIGHT"}, {&sigma_column, "SIGMA"}}) {
    if (ms.tableDesc().isColumn(name)) column->attach(ms, name);
  }
  if (ms.tableDesc().isColumn("WEIGHT_SPECTRUM")) {
    spectrum.attach(ms, "WEIGHT_SPECTRUM");
    if (!spectrum.isDefined(runs.front().first_row)) spectrum = {};  // there is a column, and nothing in it
  }
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
    if (!weight_column.isNull()) weight_column.putColumnRange(RowSlicer(run), mean);
    if (!sigma_column.isNull()) sigma_column.putColumnRange(RowSlicer(run), sigma);
  }
}

// A set may lack the table; what contimg did to the data must stand somewhere, and later commands look for it.
casacore::MSHistory HistoryOf(Table& ms) {
  const bool known = ms.keywordSet().isDefined("HISTORY");
  if (known && Exists(fs::path(std::string(ms.keywordSet().tableAttributes("HISTORY").name())) / "table.dat")) {
    return casacore::MSHistory(ms.keywordSet().asTable("HISTORY"));
  }
  casacore::SetupNewTable setup(ms.tableName() + "/HISTORY", casacore::MSHistory::requiredTableDesc(), Table::New);
  casacore::MSHistory history(setup);
  ms.rwKeywordSet().defineTable("HISTORY", history);
  return history;
}

void AddHistory(Table& ms, const MeasurementSetChanges& changes) {
  casacore::MSHistory history = HistoryOf(ms);
  history.reopenRW();
  casacore::MSHistoryColumns columns(history);
  for (const std::string& message : changes.history) {
    const casacore::rownr_t row = history.nrow();
    history.addRow(1);
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
  history.flush();
}

// The directory that is changed: where links lead, else exchanging the names would put the new set in the link's place.
fs::path Resolved(const fs::path& path) {
  std::error_code failed;
  const fs::path real = fs::canonical(path, failed);
  if (!failed) return real;
  return path.has_filename() ? path : path.parent_path();
}

}  // namespace

void CheckChangeable(const fs::path& path) {
  std::error_code failed;
  if (!fs::exists(path / "table.dat", failed)) return;
  internal::WithCasacore(ErrorKind::kBadInput, path.string(), [&] {
    const internal::SetTables set(path);
    const casacore::Block<casacore::String> parts = set.main().getPartNames();
    if (parts.nelements() == 1 && parts[0] == set.main().tableName()) return;
    throw internal::BadSet(
        path.string(),
        fmt::format("expected a table with rows of its own, found {}; copy it deep (casacore: "
                    "table.copy(name, deep=True), CASA: split) and change the copy",
                    parts.nelements() == 1 ? "a selection of the rows of " + std::string(parts[0])
                                           : fmt::format("a concatenation of {} tables", parts.nelements())));
  });
}

void UpdateMeasurementSet(const fs::path& path, const MeasurementSetSelection& selection, const VisibilityBlock& block,
                          const MeasurementSetChanges& changes, const RunContext& context) {
  Os& os = OsOr(context.os);
  const fs::path clean = Resolved(path);
  const fs::path parent = clean.has_parent_path() ? clean.parent_path() : fs::path(".");
  CheckChangeable(path);
  CheckUnchanged(clean, block.set_stamp);
  const std::string stamp = SetStamp(clean);
  const Unfinished unfinished(clean, os);
  const fs::path& sibling = unfinished.path();
  internal::WithCasacore(ErrorKind::kIo, path.string(), [&] {
    std::set<std::string> touched;
    {
      const internal::SetTables set(clean);
      const Table& ms = set.main();
      const std::vector<std::pair<const char*, const Visibility*>> wanted{{"CORRECTED_DATA", changes.corrected},
                                                                          {"MODEL_DATA", changes.model}};
      for (const auto& [column, values] : wanted) {
        if (values != nullptr && !changes.replace && ms.tableDesc().isColumn(column)) {
          throw Error(ErrorKind::kUsage, "convert", path.string(),
                      std::string("has a column ") + column + " already; --replace overwrites it");
        }
      }
      touched = TouchedFiles(ms, TouchedColumns(changes));
      std::uint64_t needed = BytesToCopy(clean, touched) + (1u << 20);
      const std::uint64_t samples = block.vis.size() / std::max<std::size_t>(1, block.n_times() * block.n_baselines());
      for (const auto& [column, values] : wanted) {
        if (values == nullptr || ms.tableDesc().isColumn(column)) continue;
        needed += ms.nrow() * samples / block.windows.size() * sizeof(Visibility);
      }
      CheckRoom(os, parent, needed, "convert", path.string());
    }
    LinkTree(os, clean, sibling, touched);
    Table ms(sibling.string(), casacore::TableLock(casacore::TableLock::PermanentLocking), Table::Update,
             casacore::TSMOption(casacore::TSMOption::Cache));
    const internal::SelectedAxes axes = internal::ReadAxes(internal::SetTables(ms, path.string()), selection);
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
  CheckUnchanged(clean, stamp);
  os.Exchange(sibling, clean);
  os.SyncDirectory(parent);
  os.RemoveAll(sibling);  // the old set
}

}  // namespace contimg::convert
