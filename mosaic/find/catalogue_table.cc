#include "mosaic/find/catalogue_table.h"

#include <fmt/format.h>

#include <utility>

namespace contimg::mosaic {
namespace {

// A column from a member of the source, or a function of it.
template <typename Value, typename Of>
void AddFound(Table& table, const std::vector<FoundSource>& sources, TableColumn column, const Of& of) {
  std::vector<Value> values;
  values.reserve(sources.size());
  for (const FoundSource& source : sources) values.push_back(static_cast<Value>(of(source)));
  column.values = std::move(values);
  table.columns.push_back(std::move(column));
}

}  // namespace

Table CatalogueTable(const SourceCatalogue& catalogue, const std::string& image, const FindOptions& options) {
  using Source = FoundSource;
  Table table;
  table.name = "sources";
  table.description = "Sources found in a restored image";
  table.facts = {{"image", image},
                 {"seed", fmt::format("{:g}", options.seed)},
                 {"min_pb", fmt::format("{:g}", options.min_pb)},
                 {"searched_pixels", std::to_string(catalogue.searched_pixels)}};
  for (const FalseAlarms& alarms : catalogue.false_alarms) {
    table.facts.emplace_back(fmt::format("false_alarms_{:g}", alarms.threshold),
                             fmt::format("expected {:.3g}, negative {}", alarms.expected, alarms.negative));
  }
  const auto number = [&](TableColumn column, const auto& of) {
    AddFound<double>(table, catalogue.sources, std::move(column), of);
  };
  const auto whole = [&](TableColumn column, const auto& of) {
    AddFound<std::int64_t>(table, catalogue.sources, std::move(column), of);
  };
  AddFound<std::string>(table, catalogue.sources,
                        {"name", "", "meta.id;meta.main", "name, of the place truncated", 0, {}, true},
                        [](const Source& s) { return s.name; });
  number({"ra_deg", "deg", "pos.eq.ra;meta.main", "right ascension, ICRS", 7, {}, true},
         [](const Source& s) { return s.place.ra.deg(); });
  number({"dec_deg", "deg", "pos.eq.dec;meta.main", "declination, ICRS", 7, {}, true},
         [](const Source& s) { return s.place.dec.deg(); });
  number({"ra_error_arcsec", "arcsec", "stat.error;pos.eq.ra", "standard error eastwards on the sky", 4, {}, true},
         [](const Source& s) { return s.ra_error_arcsec; });
  number({"dec_error_arcsec", "arcsec", "stat.error;pos.eq.dec", "standard error northwards", 4, {}, true},
         [](const Source& s) { return s.dec_error_arcsec; });
  number({"flux_jy", "Jy", "phot.flux.density;em.radio;meta.main", "flux density", -7, {}, true},
         [](const Source& s) { return s.flux_jy; });
  number({"flux_error_jy", "Jy", "stat.error;phot.flux.density", "standard error by noise alone", -5, {}, true},
         [](const Source& s) { return s.flux_error_jy; });
  number({"snr", "", "stat.snr", "peak over local rms", 2, {}, true}, [](const Source& s) { return s.snr; });
  number({"sigma_jy", "Jy/beam", "stat.stdev;phot.flux.density", "rms of the image about the place", -5, {}, true},
         [](const Source& s) { return s.local_rms_jy; });
  number({"response", "", "arith.factor;instr.beam", "primary beam times smearing", 5, {}, true},
         [](const Source& s) { return s.response; });
  whole({"resolved", "", "meta.code", "1: larger than the beam, its flux density is an integral", 0, {}, true},
        [](const Source& s) { return s.resolved ? 1 : 0; });
  whole({"group", "", "meta.id.part", "sources of one group were told apart", 0, {}, true},
        [](const Source& s) { return s.group; });
  whole({"flags", "", "meta.code.qual", "bits, see docs/source-finding.md", 0, {}, true},
        [](const Source& s) { return s.flags; });
  number({"peak_jy", "Jy/beam", "phot.flux.density;stat.max", "peak on the sky", -7, {}, false},
         [](const Source& s) { return s.peak_jy; });
  number({"major_arcsec",
          "arcsec",
          "phys.angSize.smajAxis",
          "fitted full width with the beam in it; 0: a point",
          3,
          {},
          false},
         [](const Source& s) { return s.major_arcsec; });
  number({"minor_arcsec", "arcsec", "phys.angSize.sminAxis", "likewise, across", 3, {}, false},
         [](const Source& s) { return s.minor_arcsec; });
  number({"angle_deg", "deg", "pos.posAng", "of the major axis, north through east", 2, {}, false},
         [](const Source& s) { return s.angle_deg; });
  whole({"group_size", "", "meta.number", "sources in its group", 0, {}, false},
        [](const Source& s) { return s.group_size; });
  return table;
}

std::string Ds9Regions(const SourceCatalogue& catalogue, const image::GaussianBeam& beam) {
  std::string text = "# Region file format: DS9 version 4.1\nglobal color=green width=1\nicrs\n";
  for (const FoundSource& s : catalogue.sources) {
    const bool sized = s.major_arcsec > 0;
    const double major = sized ? s.major_arcsec : Angle::Radians(beam.major_rad).arcsec();
    const double minor = sized ? s.minor_arcsec : Angle::Radians(beam.minor_rad).arcsec();
    const double angle = sized ? s.angle_deg : Angle::Radians(beam.angle_rad).deg();
    // Semi-axes; DS9 turns the first of them from west to north, we count from north to east.
    text += fmt::format("ellipse({:.7f},{:.7f},{:.3f}\",{:.3f}\",{:.2f}) # text={{{}}}{}\n", s.place.ra.deg(),
                        s.place.dec.deg(), major / 2, minor / 2, angle + 90, s.name,
                        (s.flags & quality::kArtefact.mask()) != 0 ? " color=red" : "");
  }
  return text;
}

}  // namespace contimg::mosaic
