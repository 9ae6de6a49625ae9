#include "calibrate/field_model.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "calibrate/solutions.h"
#include "config/error.h"
#include "config/time.h"
#include "config/units.h"
#include "convert/frames.h"
#include "tests/temporary_folder.h"

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

TEST(FieldModel, NamesOfModelsGoThereAndBack) {
  EXPECT_EQ(CalibratorOf(CalibratorModel("3C286")), "3C286");
  EXPECT_EQ(CalibratorModel("3C286"), "calibrator:3C286");
  EXPECT_FALSE(CalibratorOf(kFieldModel));
  EXPECT_FALSE(CalibratorOf("calibrators"));
}

std::vector<ListedSource> Rows() {
  std::vector<ListedSource> rows(4);
  rows[0] = {"faint", 40.2, 30.1, 0.3, 0, {}, 0, 0, 0};
  rows[1] = {"bright", 40.1, 30.0, 2.0, 0, -0.2, 20, 20, 0};
  rows[2] = {"far", 60, 30, 9, 0, {}, 0, 0, 0};
  rows[3] = {"fainter than the limit", 40, 30, 1e-4, 0, {}, 0, 0, 0};
  return rows;
}

TEST(FieldSources, AreThoseAboutTheCentreAboveTheLimitBrightestFirst) {
  const FieldView view = ViewOf(Field());
  const CalibrateSettings settings;
  const auto sources = FieldSources(Rows(), view, settings, "list");
  ASSERT_EQ(sources.size(), 2U);
  EXPECT_EQ(sources[0].name, "bright");
  EXPECT_EQ(sources[0].spectral_index, -0.2);
  EXPECT_TRUE(sources[0].extended);  // 20 arcsec
  EXPECT_EQ(sources[1].name, "faint");
  EXPECT_EQ(sources[1].spectral_index, settings.spectral_index);
  EXPECT_FALSE(sources[1].extended);
  try {
    FieldSources({Rows()[2]}, view, settings, "list.csv");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kBadInput);
    EXPECT_EQ(error.subject(), "list.csv");
  }
}

TEST(FieldSources, AStandardTakesThePlaceOfItsEntry) {
  FieldView view = ViewOf(Field());
  const FluxStandard& standard = *FindFluxStandard("3C286");
  view.ra_rad = Angle::Degrees(standard.ra_deg).rad();
  view.dec_rad = Angle::Degrees(standard.dec_deg).rad();
  ListedSource entry;
  entry.name = "an NVSS name";
  entry.ra_deg = standard.ra_deg + 0.004;
  entry.dec_deg = standard.dec_deg;
  entry.flux_jy = 14.9;
  const auto sources = FieldSources({entry}, view, {}, "list");
  ASSERT_EQ(sources.size(), 1U);
  EXPECT_EQ(sources[0].name, "3C286");
  EXPECT_FALSE(sources[0].log_coefficients.empty());
}

TEST(ModelSources, AreFoundByTheWordsOfAJob) {
  const TemporaryFolder folder("models");
  const std::filesystem::path list = folder / "sky.csv";
  std::ofstream(list) << SourceListText(Rows());
  const FieldView view = ViewOf(Field());
  const ModelSources field = FindModelSources("field", list, view, {});
  EXPECT_FALSE(field.calibrator);
  EXPECT_EQ(field.field.size(), 2U);
  const ModelSources listed = FindModelSources("calibrator:bright", list, view, {});
  ASSERT_TRUE(listed.calibrator);
  EXPECT_EQ(listed.calibrator->flux_jy, 2.0);
  EXPECT_EQ(listed.name, "bright");
  EXPECT_EQ(listed.field.size(), 2U);
  const ModelSources standard = FindModelSources("calibrator:3C286", {}, view, {});
  ASSERT_TRUE(standard.calibrator);
  EXPECT_TRUE(standard.field.empty());
  std::vector<ListedSource> rows = Rows();
  rows[1].flux_jy = 0;
  std::ofstream(folder / "no_flux.csv") << SourceListText(rows);
  EXPECT_THROW(FindModelSources("calibrator:bright", folder / "no_flux.csv", view, {}), Error);
  for (const auto& [model, from] : {std::pair{"calibrator:nobody", list}, {"calibrator:nobody", {}}, {"field", {}}}) {
    EXPECT_THROW(FindModelSources(model, from, view, {}), Error) << model << " from " << from;
  }
}

TEST(CalibrationModel, HasTheCalibratorFirstAndChecksIt) {
  VisibilityBlock block = Field();
  // Where the field is in the zenith.
  const convert::Vector3 up = convert::SkyFrame(UtcTime::FromMjdSeconds(block.time_mjd_s.front()), {})
                                  .ItrfOfIcrs(block.phase_centre.ra_rad, block.phase_centre.dec_rad);
  for (auto& position : block.antennas.positions_itrf_m) {
    for (std::size_t k = 0; k < 3; ++k) position[k] += 6.37e6 * up[k];
  }
  PredictOptions options;
  options.beam = Beam(block, "tracking");
  ModelSources sources;
  sources.name = "3C1";
  sources.calibrator = At("3C1", 40, 30, 10);
  sources.calibrator->variable = sources.calibrator->extended = true;
  sources.field = {At("near", 40.5, 30.2, 0.3)};
  const CalibrationModel model = MakeModel(sources, block, options, {});
  EXPECT_FALSE(model.of_field);
  ASSERT_EQ(model.sources.size(), 2U);
  EXPECT_EQ(model.sources.front().name, "3C1");
  EXPECT_EQ(model.warnings.size(), 2U);
  sources.calibrator.reset();
  EXPECT_TRUE(MakeModel(sources, block, options, {}).of_field);
  sources.calibrator = At("3C1", 45, 30, 10);
  EXPECT_THROW(MakeModel(sources, block, options, {}), Error);
  options.beam = Beam(block, "none");
  sources.calibrator = At("3C1", 40 + 2.4 / std::cos(Angle::Degrees(30).rad()), 30, 10);
  const CalibrationModel alone = MakeModel(sources, block, options, {});
  EXPECT_EQ(alone.sources.size(), 1U);
  ASSERT_EQ(alone.warnings.size(), 1U);  // of the field, which is left out
  EXPECT_NE(alone.warnings[0].find("telescope.beam = none"), std::string::npos) << alone.warnings[0];
  sources.calibrator = At("3C1", 40 + 2.6 / std::cos(Angle::Degrees(30).rad()), 30, 10);
  EXPECT_THROW(MakeModel(sources, block, options, {}), Error);
}

TEST(SolutionFlags, AreCountedByAntennaWindowAndReceptor) {
  SolutionSet set;
  set.kind = SolutionKind::kBandpass;
  set.antennas = {{"a", {}, 0}, {"b", {}, 0}};
  set.windows = {{{1e9, 1.1e9}, 1e8, 1e9}, {{2e9}, 1e8, 2e9}};
  set.intervals = {{1000, 100}, {1200, 200}};
  set.Allocate();
  for (std::size_t t = 0; t < 2; ++t) {
    for (std::size_t c = 0; c < 3; ++c) set.flag[set.Index(t, 0, c, 0)] = kSolved;
  }
  set.flag[set.Index(1, 0, 2, 1)] = kInterpolated;
  const auto flags = FlagsByAntenna(set);
  ASSERT_EQ(flags.size(), 2U);
  EXPECT_EQ(flags[0].by_window, (std::vector<double>{0.5, 0.25}));
  EXPECT_EQ(flags[0].by_receptor, (std::vector<double>{0, 5.0 / 6}));
  EXPECT_EQ(flags[1].by_window, (std::vector<double>{1, 1}));
  EXPECT_EQ(MiddleOf(set), 1125);  // from 950 to 1300
  EXPECT_EQ(ParseSolutionKind("BP"), SolutionKind::kBandpass);
  EXPECT_FALSE(ParseSolutionKind("bp"));
}

}  // namespace
}  // namespace contimg::calibrate
