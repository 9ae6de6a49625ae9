#include "calibrate/field_model.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "config/units.h"

namespace contimg::calibrate {
namespace {

SkySource At(const std::string& name, double ra_deg, double dec_deg, double flux_jy) {
  SkySource source;
  source.name = name;
  source.ra_rad = Angle::Degrees(ra_deg).rad();
  source.dec_rad = Angle::Degrees(dec_deg).rad();
  source.flux_jy = flux_jy;
  return source;
}

// What beam attenuation needs of a block: times, band, dishes, phase centre.
VisibilityBlock Field() {
  VisibilityBlock block;
  block.time_mjd_s = {5.27e9, 5.27e9 + 12.9};
  block.integration_s = {12.9, 12.9};
  for (int k = 0; k < 8; ++k) block.frequency_hz.push_back(1.31e9 + 2.5e7 * k);
  block.channel_width_hz = 2.5e7;
  block.phase_centre = {Angle::Degrees(40).rad(), Angle::Degrees(30).rad()};
  block.antennas.names = {"1", "2"};
  block.antennas.diameters_m = {4.65, 4.65};
  block.antennas.positions_itrf_m = {{0, 0, 0}, {100, 0, 0}};
  block.baselines = {{0, 1}};
  block.phase_state = PhaseState::kPhased;
  return block;
}

convert::TileBeam Beam(const VisibilityBlock& block, const char* mode) {
  TelescopeSettings telescope;
  telescope.beam = mode;
  return convert::ChooseBeam(block, telescope, {});
}

TEST(CalibratorField, IsTheCalibratorAndWhatStandsAroundIt) {
  const VisibilityBlock block = Field();
  const SkySource calibrator = At("3C1", 40, 30, 10);
  const std::vector<SkySource> catalogue{At("itself", 40.005, 30, 9.7), At("near", 40.5, 30.2, 0.3),
                                         At("far", 41.8, 30, 0.4), At("faint", 40.1, 29.9, 0.06)};
  PredictOptions options;
  options.beam = Beam(block, "tracking");
  CalibrateSettings settings;
  const auto names = [&] {
    std::vector<std::string> list;
    for (const auto& s : CalibratorField(calibrator, catalogue, block, options, settings)) list.push_back(s.name);
    return list;
  };
  EXPECT_EQ(names(), (std::vector<std::string>{"3C1", "near", "far", "faint"}));  // by apparent flux
  settings.field_max_sources = 1;
  EXPECT_EQ(names(), (std::vector<std::string>{"3C1", "near"}));
  options.beam = Beam(block, "none");  // nobody knows how bright the others appear
  EXPECT_EQ(names(), std::vector<std::string>{"3C1"});
}

}  // namespace
}  // namespace contimg::calibrate
