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
