#include "tests/simulator/sky_model.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "config/error.h"
#include "tests/temporary_folder.h"
#include "tests/unit/simulator/read_back.h"

namespace contimg::simulator {
namespace {

class CatalogueFile {
 public:
  explicit CatalogueFile(const std::string& text) : path_(folder_.path() / "catalogue.csv") {
    std::ofstream(path_) << text;
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  TemporaryFolder folder_;
  std::filesystem::path path_;
};

TEST(SimulatorCatalogue, ReadsPeaksInMillijanskyAfterComments) {
  const CatalogueFile file("# NVSS\n# more\nra_deg,dec_deg,peak_mjy,qual\n10.5,-4.25,110.5,2\n20,+1,50,0\n");
  const SkyModel sky = ReadCatalogue(file.path(), -0.7);
  ASSERT_EQ(sky.sources.size(), 2u);
  EXPECT_DOUBLE_EQ(sky.sources[0].position.ra.deg(), 10.5);
  EXPECT_DOUBLE_EQ(sky.sources[0].position.dec.deg(), -4.25);
  EXPECT_DOUBLE_EQ(sky.sources[0].flux_jy, 0.1105);
  EXPECT_EQ(sky.sources[0].spectral_index, -0.7);
  EXPECT_EQ(sky.sources[1].position.dec.deg(), 1.0);
}

TEST(SimulatorCatalogue, TakesTheSpectralIndexOfTheFile) {
  const CatalogueFile file("ra_deg,dec_deg,flux_jy,spectral_index\n1,2,3.5,0.25\n");
  const SkyModel sky = ReadCatalogue(file.path(), -0.7);
  EXPECT_EQ(sky.sources.at(0).flux_jy, 3.5);
  EXPECT_EQ(sky.sources.at(0).spectral_index, 0.25);
}

TEST(SimulatorCatalogue, NamesTheLineThatIsWrong) {
  const CatalogueFile file("ra_deg,dec_deg,flux_jy\n1,2,3\n1,two,3\n");
  try {
    ReadCatalogue(file.path(), 0);
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kBadInput);
    EXPECT_NE(std::string(error.what()).find("line 3 has 'two' in column dec_deg"), std::string::npos) << error.what();
  }
  const CatalogueFile no_flux("ra_deg,dec_deg\n1,2\n");
  EXPECT_THROW(ReadCatalogue(no_flux.path(), 0), Error);
  EXPECT_THROW(ReadCatalogue("/nonexistent/catalogue.csv", 0), Error);
}

TEST(SourceCounts, AgreeWithTheDensityOfTheNvss) {
  // 125309 NVSS components above 50 mJy (peak) north of −40.4°, 10.37 sr. Total fluxes count more than peaks and the
  // two surveys differ by cosmic variance and incompleteness: 20 % is what the literature's fits scatter by.
  double density = 0;
  constexpr int kSteps = 4000;
  const double step = std::log(10 / 0.05) / kSteps;
  for (int i = 0; i < kSteps; ++i) {
    const double flux = 0.05 * std::exp((i + 0.5) * step);
    density += SourceCountsPerJySr(flux) * flux * step;
  }
  EXPECT_NEAR(density / (125309 / 10.37), 1.0, 0.2);
}

TEST(RandomSky, FollowsTheCountsAndTheStrip) {
  const SkyStrip strip{Angle::Degrees(350), Angle::Degrees(20), Angle::Degrees(16), Angle::Degrees(5)};
  const SkyModel sky = RandomSky(strip, 0.01, 3);
  const double area = (Angle::Degrees(30).rad() +
                       2 * std::asin(std::sin(Angle::Degrees(5).rad()) / std::cos(Angle::Degrees(21).rad()))) *
                      (std::sin(Angle::Degrees(21).rad()) - std::sin(Angle::Degrees(11).rad()));
  double above = 0;
  for (const Source& source : sky.sources) {
    EXPECT_GE(source.flux_jy, 0.01 * (1 - 1e-9));
    EXPECT_LE(source.flux_jy, 10.0 * (1 + 1e-9));
    EXPECT_NEAR(source.position.dec.deg(), 16, 5 + 1e-9);
    const double ra = WrapSigned(source.position.ra).deg();
    EXPECT_GT(ra, -10 - 5.5);
    EXPECT_LT(ra, 20 + 5.5);
    above += source.flux_jy > 0.05 ? 1 : 0;
  }
  double expected = 0;
  constexpr int kSteps = 4000;
  const double step = std::log(10 / 0.05) / kSteps;
  for (int i = 0; i < kSteps; ++i) {
    const double flux = 0.05 * std::exp((i + 0.5) * step);
    expected += SourceCountsPerJySr(flux) * flux * step * area;
  }
  EXPECT_NEAR(above, expected, 5 * std::sqrt(expected));
  EXPECT_EQ(RandomSky(strip, 0.01, 3).sources.size(), sky.sources.size());
  EXPECT_NE(RandomSky(strip, 0.01, 4).sources.at(0).flux_jy, sky.sources.at(0).flux_jy);
}

TEST(SimulatorCatalogue, HasSizesWhenAskedTo) {
  const CatalogueFile file("ra_deg,dec_deg,flux_jy,major_arcsec,minor_arcsec,pa_deg\n1,2,3.5,40,20,70\n");
  EXPECT_FALSE(ReadCatalogue(file.path(), 0).sources.at(0).shape.extended());
  const Shape shape = ReadCatalogue(file.path(), 0, true).sources.at(0).shape;
  EXPECT_NEAR(shape.major.arcsec(), 40, 1e-9);
  EXPECT_NEAR(shape.minor.arcsec(), 20, 1e-9);
  EXPECT_NEAR(shape.position_angle.deg(), 70, 1e-9);
}

TEST(RandomPairs, AreSoManyWidthsOfTheBeamApart) {
  PairRecipe recipe;
  recipe.pairs = 200;
  recipe.beam = {Angle::Arcsec(60), Angle::Arcsec(20), Angle::Degrees(30)};
  const SkyStrip strip{Angle::Degrees(359), Angle::Degrees(1), Angle::Degrees(54), Angle::Degrees(3)};
  const SkyModel sky = RandomPairs(strip, recipe, 7);
  ASSERT_EQ(sky.sources.size(), 400u);
  double nearest = 9, farthest = 0;
  for (std::size_t i = 0; i < 400; i += 2) {
    const Source &first = sky.sources[i], &second = sky.sources[i + 1];
    const double east =
                     WrapSigned(second.position.ra - first.position.ra).arcsec() * std::cos(first.position.dec.rad()),
                 north = (second.position.dec - first.position.dec).arcsec();
    const double along = east * 0.5 + north * std::sqrt(0.75), across = east * std::sqrt(0.75) - north * 0.5;
    const double widths = std::hypot(along / 60, across / 20);
    nearest = std::min(nearest, widths);
    farthest = std::max(farthest, widths);
    EXPECT_GE(first.flux_jy, 0.01);
    EXPECT_LE(first.flux_jy, 0.2);
    EXPECT_GE(second.flux_jy, 0.3 * first.flux_jy * (1 - 1e-12));
    EXPECT_LE(second.flux_jy, first.flux_jy);
    EXPECT_LT(std::abs(first.position.dec.deg() - 54), 1.5);
  }
  EXPECT_NEAR(nearest, 0.5, 0.05);
  EXPECT_NEAR(farthest, 2, 0.05);
  EXPECT_EQ(RandomPairs(strip, recipe, 7).sources[5].flux_jy, sky.sources[5].flux_jy);
}

TEST(SelectSources, KeepsTheBrightestThroughTheBeamWithinTheRadius) {
  const auto at = [](double ra, double dec, double jy) {
    return Source{{Angle::Degrees(ra), Angle::Degrees(dec)}, jy, 0};
  };
  // Across RA 0; the 3 Jy source is 2° off (beam about 0.3) and loses against 1 Jy at the centre.
  const SkyModel sky{{at(0, 0, 1), at(358, 0, 3), at(1, 0, 0.8), at(30, 0, 100)}};
  const SkyDirection centre{Angle::Degrees(0), Angle::Degrees(0)};
  const SkyModel two = SelectSources(sky, centre, Angle::Degrees(5), 2, 4.65);
  ASSERT_EQ(two.sources.size(), 2u);
  EXPECT_EQ(two.sources[0].flux_jy, 1);
  EXPECT_EQ(SelectSources(sky, centre, Angle::Degrees(5), 10, 4.65).sources.size(), 3u);
}

}  // namespace
}  // namespace contimg::simulator
