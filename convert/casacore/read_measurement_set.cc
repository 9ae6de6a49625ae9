#include <casacore/casa/Arrays/ArrayMath.h>
#include <casacore/casa/Arrays/Cube.h>
#include <casacore/ms/MeasurementSets/MSColumns.h>
#include <casacore/ms/MeasurementSets/MeasurementSet.h>
#include <casacore/tables/Tables/ArrayColumn.h>
#include <casacore/tables/Tables/TableRecord.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "convert/casacore/casacore_lock.h"
#include "convert/casacore/row_map.h"
#include "convert/measurement_set_reader.h"

namespace contimg::convert {
namespace {

using casacore::IPosition;
using casacore::MeasurementSet;
using casacore::Slicer;

constexpr std::size_t kRowsAtOnce = 4096;

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
    info.fields = internal::ReadFields(ms);
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

std::unique_ptr<VisibilityBlock> ReadMeasurementSet(const std::filesystem::path& path,
                                                    const MeasurementSetSelection& selection,
                                                    const RunContext& context) {
  return internal::WithCasacore(ErrorKind::kBadInput, path.string(), [&] {
    const MeasurementSet ms = Open(path);
    const std::string column_name = ChooseColumn(ms, selection.column, path.string());
    internal::SelectedAxes axes = internal::ReadAxes(ms, path.string(), selection);
    VisibilityBlock& block = *axes.block;
    const internal::RowMap& rows = axes.rows;
    block.data_state = StateOfColumn(column_name);
    block.Allocate();
    std::memset(block.flag.data(), 1, block.flag.size());  // what no row fills stays flagged

    const casacore::ArrayColumn<casacore::Complex> data(ms, column_name);
    const casacore::ArrayColumn<bool> flag(ms, "FLAG");
    const casacore::ArrayColumn<float> weight(ms, "WEIGHT");
    casacore::ArrayColumn<float> spectrum;
    if (ms.tableDesc().isColumn("WEIGHT_SPECTRUM")) {
      spectrum.attach(ms, "WEIGHT_SPECTRUM");
      if (!spectrum.isDefined(0)) spectrum = casacore::ArrayColumn<float>();
    }
    const std::vector<internal::RowRun> runs = rows.Runs(kRowsAtOnce);
    std::vector<float> broadcast;
    for (std::size_t i = 0; i < runs.size(); ++i) {
      context.CheckCancelled("read");
      const internal::RowRun& run = runs[i];
      const std::size_t n_channels = block.windows[rows.window[run.first_row]].n_channels;
      bool deleted = false;
      const casacore::Array<casacore::Complex> data_rows = Rows(data, run);
      Place(data_rows.getStorage(deleted), rows, run, block, block.vis.data(),
            [](const casacore::Complex& v, bool swapped) { return swapped ? std::conj(v) : Visibility(v); });
      const casacore::Array<bool> flag_rows = Rows(flag, run);
      Place(flag_rows.getStorage(deleted), rows, run, block, block.flag.data(),
            [](bool f, bool) { return static_cast<std::uint8_t>(f ? 1 : 0); });
      if (!spectrum.isNull()) {
        const casacore::Array<float> weight_rows = Rows(spectrum, run);
        Place(weight_rows.getStorage(deleted), rows, run, block, block.weight.data(), [](float w, bool) { return w; });
      } else {
        const casacore::Array<float> weight_rows = Rows(weight, run);
        const float* per_pol = weight_rows.getStorage(deleted);
        broadcast.resize(run.n_rows * n_channels * rows.n_polarisations);
        for (std::size_t k = 0; k < broadcast.size(); ++k) {
          broadcast[k] =
              per_pol[k / (n_channels * rows.n_polarisations) * rows.n_polarisations + k % rows.n_polarisations];
        }
        Place(broadcast.data(), rows, run, block, block.weight.data(), [](float w, bool) { return w; });
      }
      context.reporter->Progress("read", static_cast<double>(i + 1) / static_cast<double>(runs.size()));
    }
    return std::move(axes.block);
  });
}

}  // namespace contimg::convert
