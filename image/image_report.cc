#include "image/image_report.h"

#include <nlohmann/json.hpp>

#include "config/units.h"

namespace contimg::image {

nlohmann::json ToJson(const ImageReport& report) {
  nlohmann::json cycles = nlohmann::json::array();
  for (const MajorCycleRecord& r : report.clean.cycles) {
    cycles.push_back({{"cycle", r.cycle},
                      {"iterations", r.iterations},
                      {"masked", r.masked},
                      {"undone", r.undone},
                      {"level_jy", r.level_jy},
                      {"peak_jy", r.peak_jy},
                      {"rms_jy", r.rms_jy},
                      {"model_flux_jy", r.model_flux_jy}});
  }
  const OperatorFigures& f = report.figures;
  nlohmann::json json = {{"quality", ToJson(report.quality)},
                         {"beam",
                          {{"major_arcsec", Angle::Radians(report.beam.major_rad).arcsec()},
                           {"minor_arcsec", Angle::Radians(report.beam.minor_rad).arcsec()},
                           {"angle_deg", Angle::Radians(report.beam.angle_rad).deg()}}},
                         {"primary_beam",
                          {{"mode", ToString(report.primary_beam.mode)},
                           {"pointing", convert::WordOf(report.primary_beam.pointing.kind)},
                           {"source", report.primary_beam.pointing.source},
                           {"dish_m", report.primary_beam.dish_diameter_m},
                           {"description", report.primary_beam.description},
                           {"warning", report.primary_beam.warning}}},
                         {"clean",
                          {{"stop", ToString(report.clean.stop)},
                           {"iterations", report.clean.iterations},
                           {"threshold_jy", report.clean.final_threshold_jy},
                           {"model_flux_jy", report.model_flux_jy},
                           {"cycles", cycles}}},
                         {"visibilities",
                          {{"used", f.n_used},
                           {"selected", f.n_selected},
                           {"nodes", f.n_nodes},
                           {"w_terms", f.n_w_terms},
                           {"w_planes", f.uses_w_planes},
                           {"expected_error", f.expected_error},
                           {"max_uv_lambda", f.max_uv_lambda}}},
                         {"seconds",
                          {{"read", report.timings.read_s},
                           {"prepare", report.timings.prepare_s},
                           {"dirty", report.timings.dirty_s},
                           {"clean", report.timings.clean_s},
                           {"major", report.timings.major_s},
                           {"products", report.timings.products_s},
                           {"quality", report.timings.quality_s},
                           {"total", report.timings.total_s}}}};
  json["antennas_without_sky"] = report.antennas_without_sky;
  for (const BandFigures& band : report.bands) {
    json["bands"].push_back(
        {{"frequency_hz", band.frequency_hz}, {"bandwidth_hz", band.bandwidth_hz}, {"rms_jy", band.rms_jy}});
  }
  for (const SpectralIndex& s : report.spectra) {
    json["spectra"].push_back({{"ra_deg", s.ra_deg},
                               {"dec_deg", s.dec_deg},
                               {"apparent_flux_jy", s.flux_jy},
                               {"spectral_index", s.index},
                               {"error", s.error}});
  }
  return json;
}

}  // namespace contimg::image
