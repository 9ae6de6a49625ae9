#include "mosaic/photometry/photometry_table.h"

#include <utility>

namespace contimg::mosaic {
namespace {

// A column from a function of the row.
template <typename Value, typename Of>
TableColumn ColumnOf(const std::vector<PhotometryRow>& rows, TableColumn column, const Of& of) {
  std::vector<Value> values;
  values.reserve(rows.size());
  for (const PhotometryRow& row : rows) values.push_back(of(row));
  column.values = std::move(values);
  return column;
}

}  // namespace

Table PhotometryTable(const std::vector<PhotometryRow>& rows) {
  using Row = PhotometryRow;
  Table table;
  table.name = "photometry";
  table.description = "Forced photometry: the image read at known places, neighbours solved for";
  const auto number = [&](TableColumn column, const auto& of) {
    table.columns.push_back(ColumnOf<double>(rows, std::move(column), of));
  };
  const auto text = [&](TableColumn column, const auto& of) {
    table.columns.push_back(ColumnOf<std::string>(rows, std::move(column), of));
  };
  const auto whole = [&](TableColumn column, const auto& of) {
    table.columns.push_back(ColumnOf<std::int64_t>(rows, std::move(column), of));
  };
  whole({"source_id", "", "meta.id", "number of the source in its list", 0, {}, true},
        [](const Row& r) { return r.source_id; });
  text({"name", "", "meta.id;meta.main", "name of the source", 0, {}, true}, [](const Row& r) { return r.name; });
  number({"ra_deg", "deg", "pos.eq.ra;meta.main", "right ascension of the place, ICRS", 8, {}, true},
         [](const Row& r) { return r.measurement.place.ra.deg(); });
  number({"dec_deg", "deg", "pos.eq.dec;meta.main", "declination of the place, ICRS", 8, {}, true},
         [](const Row& r) { return r.measurement.place.dec.deg(); });
  number({"mjd", "d", "time.epoch", "middle of the observation, UTC", 8, {}, true}, [](const Row& r) { return r.mjd; });
  text({"product", "", "meta.dataset", "the tile", 0, {}, true}, [](const Row& r) { return r.product; });
  number({"flux_jy", "Jy", "phot.flux.density;em.radio", "flux density", -7, {}, true},
         [](const Row& r) { return r.measurement.flux_jy; });
  number({"flux_error_jy", "Jy", "stat.error;phot.flux.density", "standard error by noise alone", -5, {}, true},
         [](const Row& r) { return r.measurement.flux_error_jy; });
  number({"sigma_jy", "Jy/beam", "stat.stdev;phot.flux.density", "rms of the image about the place", -5, {}, true},
         [](const Row& r) { return r.measurement.local_rms_jy; });
  number({"response", "", "arith.factor;instr.beam", "primary beam times smearing", 5, {}, true},
         [](const Row& r) { return r.measurement.response; });
  number({"scale", "", "arith.factor", "by which fluxes of the tile were divided", 5, {}, true},
         [](const Row& r) { return r.scale; });
  number({"frequency_hz", "Hz", "em.freq", "at which the flux is the source's", -10, {}, true},
         [](const Row& r) { return r.frequency_hz; });
  whole({"flags", "", "meta.code.qual", "bits, see docs/photometry.md", 0, {}, true},
        [](const Row& r) { return std::int64_t{r.measurement.flags}; });
  number({"edge_beams", "", "pos.angDistance", "distance to edge or blank, in beams, at most 10", 2, {}, false},
         [](const Row& r) { return r.measurement.edge_beams; });
  number({"neighbour_share", "", "arith.factor", "what neighbours add there over its own flux", -4, {}, false},
         [](const Row& r) { return r.measurement.neighbour_share; });
  number({"condition", "", "stat.value", "condition number of the solve with its neighbours", -4, {}, false},
         [](const Row& r) { return r.measurement.condition; });
  number({"chi2", "", "stat.fit.chi2", "mean square left within 1.5 beams, in rms squared", -4, {}, false},
         [](const Row& r) { return r.measurement.chi2; });
  return table;
}

}  // namespace contimg::mosaic
