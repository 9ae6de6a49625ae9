#include <casacore/casa/Arrays/ArrayMath.h>
#include <casacore/casa/Arrays/Matrix.h>
#include <casacore/casa/Arrays/Vector.h>
#include <casacore/measures/Measures/MDirection.h>
#include <casacore/measures/Measures/MFrequency.h>
#include <casacore/ms/MeasurementSets/MSColumns.h>
#include <casacore/ms/MeasurementSets/MeasurementSet.h>
#include <casacore/tables/DataMan/IncrementalStMan.h>
#include <casacore/tables/DataMan/StandardStMan.h>
#include <casacore/tables/DataMan/TSMOption.h>
#include <casacore/tables/DataMan/TiledColumnStMan.h>
#include <casacore/tables/Tables/ScaColDesc.h>
#include <casacore/tables/Tables/SetupNewTab.h>
#include <casacore/tables/Tables/TableRecord.h>

#include <algorithm>

#include "config/os.h"
#include "convert/casacore/casacore_lock.h"
#include "convert/casacore/subtables.h"
#include "convert/casacore/tile_rows.h"
#include "convert/measurement_set_writer.h"

namespace contimg::convert {
namespace {

using casacore::IPosition;
using casacore::MS;
using casacore::String;

// Makes an array column of the description fixed in shape, as TiledColumnStMan needs.
void FixShape(casacore::TableDesc& description, const String& column, const IPosition& shape) {
  casacore::ColumnDesc& desc = description.rwColumnDesc(column);
  if (desc.ndim() <= 0) desc.setNdim(shape.nelements());
  if (desc.shape().nelements() == 0) desc.setShape(shape);
  desc.setOptions(casacore::ColumnDesc::FixedShape | casacore::ColumnDesc::Direct);
}

// Binds one column to a tiled storage manager of its own.
void BindTiled(casacore::SetupNewTable& setup, const String& column, const IPosition& cell, std::size_t tile_rows) {
  IPosition tile = cell;
  tile.append(IPosition(1, static_cast<ssize_t>(tile_rows)));
  setup.bindColumn(column, casacore::TiledColumnStMan("Tiled_" + column, tile));
}

// A column that is written past casacore, in a tile file of its own.
struct TiledColumn {
  const char* name;
  IPosition cell;
  std::size_t bits;  // of a row
  BulkColumn* column;

  String manager() const { return "Tiled_" + String(name); }
};

std::vector<TiledColumn> TiledColumns(const VisibilityBlock& block, bool corrected_data, MeasurementSetLayout& layout) {
  const std::size_t n_pols = block.n_pols(), n_channels = block.windows.front().n_channels;
  const std::size_t row_bits = n_channels * n_pols * sizeof(Visibility) * 8;
  const IPosition cell(2, static_cast<ssize_t>(n_pols), static_cast<ssize_t>(n_channels));
  const IPosition per_pol(1, static_cast<ssize_t>(n_pols));
  std::vector<TiledColumn> tiled{{"DATA", cell, row_bits, &layout.data},
                                 {"FLAG", cell, n_channels * n_pols, &layout.flag},
                                 {"WEIGHT_SPECTRUM", cell, n_channels * n_pols * 32, &layout.weight_spectrum},
                                 {"UVW", IPosition(1, 3), 192, &layout.uvw},
                                 {"WEIGHT", per_pol, n_pols * 32, &layout.weight},
                                 {"SIGMA", per_pol, n_pols * 32, &layout.sigma},
                                 {"ANTENNA1", IPosition(), 32, &layout.antenna1},
                                 {"ANTENNA2", IPosition(), 32, &layout.antenna2},
                                 {"FLAG_ROW", IPosition(), 1, &layout.flag_row}};
  if (corrected_data) tiled.push_back({"CORRECTED_DATA", cell, row_bits, &layout.corrected});
  return tiled;
}

casacore::TableDesc DescribeMain(const std::vector<TiledColumn>& tiled, bool corrected_data) {
  casacore::TableDesc description = MS::requiredTableDesc();
  MS::addColumnToDesc(description, MS::DATA, 2);
  MS::addColumnToDesc(description, MS::WEIGHT_SPECTRUM, 2);
  if (corrected_data) MS::addColumnToDesc(description, MS::CORRECTED_DATA, 2);
  for (const TiledColumn& t : tiled) {
    if (t.cell.nelements() > 0) FixShape(description, t.name, t.cell);
    description.defineHypercolumn(t.manager(), t.cell.nelements() + 1, casacore::stringToVector(t.name));
  }
  return description;
}

// The incremental manager stores a value where it changes and lets later rows inherit it, provided that the value is
// put while its row is the last one.
void AddRows(MS& ms, const VisibilityBlock& block) {
  casacore::MSMainColumns columns(ms);
  for (std::size_t t = 0; t < block.n_times(); ++t) {
    for (std::size_t w = 0; w < block.windows.size(); ++w) {
      const casacore::rownr_t row = ms.nrow();
      ms.addRow(1);
      columns.dataDescId().put(row, static_cast<int>(w));
      if (w == 0) {
        columns.time().put(row, block.time_mjd_s[t]);
        columns.timeCentroid().put(row, block.time_mjd_s[t]);
        columns.exposure().put(row, block.integration_s[t]);
        columns.interval().put(row, block.integration_s[t]);
      }
      if (row == 0) {
        columns.arrayId().put(row, 0);
        columns.feed1().put(row, 0);
        columns.feed2().put(row, 0);
        columns.fieldId().put(row, 0);
        columns.observationId().put(row, 0);
        columns.processorId().put(row, 0);
        columns.scanNumber().put(row, 1);
        columns.stateId().put(row, 0);
      }
      if (block.n_baselines() > 1) ms.addRow(block.n_baselines() - 1);
    }
  }
}

// What the standard columns have no place for: the beam stands on this meridian at this declination, unless "pointing"
// says otherwise.
casacore::TableRecord DriftKeywords(const VisibilityBlock& block) {
  casacore::TableRecord drift;
  drift.define("app_dec_rad", block.app_dec_rad);
  drift.define("latitude_rad", block.site.latitude_rad);
  drift.define("longitude_rad", block.site.longitude_rad);
  drift.define("height_m", block.site.height_m);
  drift.define("site_source", String(block.site.source));
  drift.define("group_id", String(block.group_id));
  if (block.pointing.kind == Pointing::Kind::kTracking) {
    drift.define("pointing", "tracking");
    drift.define("pointing_ra_rad", block.pointing.direction.ra_rad);
    drift.define("pointing_dec_rad", block.pointing.direction.dec_rad);
  } else if (block.pointing.kind == Pointing::Kind::kUnknown) {
    drift.define("pointing", "unknown");
  }
  return drift;
}

// Where casacore put the tiles.
void FindTileFiles(const MS& ms, const std::filesystem::path& path, const std::vector<TiledColumn>& tiled) {
  const casacore::Record managers = ms.dataManagerInfo();
  for (casacore::uInt i = 0; i < managers.nfields(); ++i) {
    const casacore::Record& manager = managers.subRecord(i);
    for (const TiledColumn& t : tiled) {
      if (manager.asString("NAME") != t.manager()) continue;
      t.column->file = path / ("table.f" + std::to_string(manager.asuInt("SEQNR")) + "_TSM0");
      t.column->bits_per_row = t.bits;
    }
  }
  for (const TiledColumn& t : tiled) {
    if (t.column->file.empty() || !Exists(t.column->file)) {
      throw Error(ErrorKind::kBug, "convert", path.string(),
                  std::string("casacore made no tile file for column ") + t.name);
    }
  }
}

}  // namespace

MeasurementSetLayout CreateMeasurementSet(const std::filesystem::path& path, const VisibilityBlock& block,
                                          const PhaseCentre& centre, const MeasurementSetHeader& header) {
  return internal::WithCasacore(ErrorKind::kIo, path.string(), [&] {
    MeasurementSetLayout layout;
    layout.n_rows = block.n_times() * block.windows.size() * block.n_baselines();
    layout.tile_rows = internal::TileRows(block.windows.front().n_channels * block.n_pols() * sizeof(Visibility));
    const std::vector<TiledColumn> tiled = TiledColumns(block, header.corrected_data, layout);

    // Little endian is what every machine we run on computes in; a tile file under buffered access grows without being
    // written (casacore fills it with zeros otherwise: 3.5 s for a full tile).
    casacore::SetupNewTable setup(path.string(), DescribeMain(tiled, header.corrected_data), casacore::Table::New);
    casacore::IncrementalStMan incremental("Incremental");
    casacore::StandardStMan standard("Standard");
    setup.bindAll(incremental);
    setup.bindColumn("FLAG_CATEGORY", standard);
    for (const TiledColumn& t : tiled) BindTiled(setup, t.name, t.cell, layout.tile_rows);
    MS ms(casacore::Table(setup, casacore::TableLock(casacore::TableLock::PermanentLocking), 0, false,
                          casacore::Table::LittleEndian, casacore::TSMOption(casacore::TSMOption::Buffer)));
    ms.createDefaultSubtables(casacore::Table::New);
    AddRows(ms, block);
    internal::FillSubtables(ms, block, centre, header);
    ms.rwKeywordSet().defineRecord("CONTIMG", DriftKeywords(block));
    ms.flush();
    FindTileFiles(ms, path, tiled);
    return layout;
  });
}

std::vector<MeasurementSetSample> ReadBack(const std::filesystem::path& path, const std::vector<std::size_t>& rows) {
  return internal::WithCasacore(ErrorKind::kIo, path.string(), [&] {
    const MS ms(path.string(), casacore::TableLock(casacore::TableLock::NoLocking), casacore::Table::Old);
    const casacore::MSColumns columns(ms);
    std::vector<MeasurementSetSample> samples;
    for (const std::size_t row : rows) {
      MeasurementSetSample s;
      s.n_rows = ms.nrow();
      s.row = row;
      if (row < ms.nrow()) {
        s.antenna1 = columns.antenna1()(row);
        s.antenna2 = columns.antenna2()(row);
        s.data_desc_id = columns.dataDescId()(row);
        s.time_mjd_s = columns.time()(row);
        const casacore::Vector<double> uvw = columns.uvw()(row);
        s.uvw_m.assign(uvw.begin(), uvw.end());
        const casacore::Array<casacore::Complex> data = columns.data()(row);
        s.data.assign(data.begin(), data.end());
        if (ms.tableDesc().isColumn("CORRECTED_DATA")) {
          const casacore::ArrayColumn<casacore::Complex> column(ms, "CORRECTED_DATA");
          const casacore::Array<casacore::Complex> corrected = column(row);
          s.corrected.assign(corrected.begin(), corrected.end());
        }
        const casacore::Array<bool> flag = columns.flag()(row);
        s.flag.assign(flag.begin(), flag.end());
        const casacore::Array<float> weight = columns.weightSpectrum()(row);
        s.weight_spectrum.assign(weight.begin(), weight.end());
      }
      samples.push_back(std::move(s));
    }
    return samples;
  });
}

}  // namespace contimg::convert
