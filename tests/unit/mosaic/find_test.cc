#include "mosaic/find/find_sources.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "config/error.h"
#include "mosaic/background/rms_mesh.h"
#include "mosaic/find/catalogue_table.h"
#include "mosaic/find/components.h"
#include "mosaic/find/extent.h"
#include "mosaic/find/noise_shape.h"
#include "mosaic/find/peaks.h"
#include "mosaic/photometry/forced.h"
#include "tests/unit/mosaic/made_up_tile.h"

namespace contimg::mosaic {
namespace {

using testing_tile::AddSource;
using testing_tile::kCell;
using testing_tile::MadeUpTile;
using testing_tile::MakeTile;

constexpr double kNoiseJy = 0.001;
constexpr std::size_t kFieldPixels = 512;

// Noise that several tests read.
const MadeUpTile& NoiseField() {
  static const MadeUpTile field = [] {
    MadeUpTile tile = MakeTile(kFieldPixels, 10, 16);
    AddNoise(tile, kNoiseJy, 7);
    return tile;
  }();
  return field;
}

MadeUpTile NoisyTile(double ra_deg = 10, double dec_deg = 16) {
  MadeUpTile tile = MakeTile(kFieldPixels, ra_deg, dec_deg);
  std::copy(NoiseField().image.pixels.begin(), NoiseField().image.pixels.end(), tile.image.pixels.begin());
  std::copy(NoiseField().image.pixels.begin(), NoiseField().image.pixels.end(), tile.residual.pixels.begin());
  return tile;
}

SourceCatalogue Find(const TileImages& images, int threads = 2, const FindOptions& options = {}) {
  RunContext context;
  context.threads = threads;
  return FindSources(images, MeasureRms(images.residual, {}, threads), options, context);
}
SourceCatalogue Find(const MadeUpTile& tile, int threads = 2, const FindOptions& options = {}) {
  return Find(tile.images(), threads, options);
}

// What a bright source leaves where CLEAN ended early, side lobe beside side lobe: no time is spent on telling them
// apart, and each is suspect.
TEST(Find, SideLobesInHeapsStayAsTheyAre) {
  MadeUpTile tile = NoisyTile();
  constexpr int kRows = 18, kInRow = 30;
  for (int j = 0; j < kRows; ++j) {
    for (int i = 0; i < kInRow; ++i) AddSource(tile, {40.0 + 14 * i, 40.0 + 24 * j, 0.05});
  }
  const SourceCatalogue found = Find(tile);
  EXPECT_EQ(found.sources.size(), static_cast<std::size_t>(kRows * kInRow));
  for (const FoundSource& source : found.sources) {
    EXPECT_GE(source.group_size, static_cast<std::size_t>(kInRow));
    EXPECT_NE(source.flags & quality::kArtefact.mask(), 0u) << source.name;
  }
  FindOptions few;
  few.most_maxima = 500;
  try {
    Find(tile, 2, few);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kBadInput);
    EXPECT_NE(std::string(error.what()).find("540 maxima above 5.5"), std::string::npos) << error.what();
  }
}

// The one nearest to a place, in pixels.
const FoundSource& Nearest(const SourceCatalogue& catalogue, double x, double y) {
  return *std::min_element(catalogue.sources.begin(), catalogue.sources.end(),
                           [&](const FoundSource& a, const FoundSource& b) {
                             return std::hypot(a.x - x, a.y - y) < std::hypot(b.x - x, b.y - y);
                           });
}
double Miss(const FoundSource& source, double x, double y) { return std::hypot(source.x - x, source.y - y); }

TEST(Find, ASourceIsWhereItIsAndAsBright) {
  MadeUpTile tile = NoisyTile();
  for (float& v : tile.pb.pixels) v = 0.5F;
  AddSource(tile, {200.3, 150.7, 0.2});
  const SourceCatalogue catalogue = Find(tile);
  ASSERT_EQ(catalogue.sources.size(), 1u);
  const FoundSource& s = catalogue.sources[0];
  EXPECT_LT(Miss(s, 200.3, 150.7), 0.1);
  EXPECT_NEAR(s.flux_jy, 0.4, 0.008);
  EXPECT_NEAR(s.flux_error_jy, kNoiseJy / 0.5, 0.0003);
  EXPECT_NEAR(s.snr, 200, 20);
  EXPECT_EQ(s.flags, 0u);
  EXPECT_FALSE(s.resolved);
  EXPECT_EQ(s.group_size, 1u);
  // H = G here: the covariance of the place is (σ/S)² G⁻¹, G of the beam 8 ln 2 / θ².
  const double narrowest = 9.6 * 3 / std::sqrt(8 * std::log(2.0)) / s.snr;
  EXPECT_NEAR(std::min(s.ra_error_arcsec, s.dec_error_arcsec) / narrowest, 1.2, 0.35);
  EXPECT_EQ(s.name, SourceName(s.place));
}

TEST(Find, NoiseAloneIsEmptyAndCountedAsRiceSays) {
  FindOptions low;
  low.seed = 3;
  const SourceCatalogue catalogue = Find(NoisyTile(), 2, low);
  ASSERT_EQ(catalogue.false_alarms.size(), 3u);
  const FalseAlarms& alarms = catalogue.false_alarms[0];
  EXPECT_EQ(alarms.threshold, 3);
  // Both sides of the noise: the formula knows them alike.
  const double both = (static_cast<double>(catalogue.maxima) + static_cast<double>(alarms.negative)) / 2;
  EXPECT_NEAR(both / alarms.expected, 1, 4 / std::sqrt(2 * alarms.expected));
  EXPECT_GT(alarms.expected, 10);
  EXPECT_TRUE(Find(NoisyTile()).sources.empty());
}

TEST(Find, NoiseShapeIsThatOfItsCorrelation) {
  const MadeUpTile& tile = NoiseField();
  const auto rms = MeasureRms(tile.residual.view(), {}, 2);
  const PixelTensor g = MeasureGradients(tile.images(), rms, 0.1, 2);
  // The correlation is the beam: its curvature at zero.
  const auto beam = [&](double x, double y) { return testing_tile::BeamValue(*tile.header.beam, x, y); };
  const double h = 0.05;
  const PixelTensor expected{(2 - beam(h, 0) - beam(-h, 0)) / (h * h), (2 - beam(0, h) - beam(0, -h)) / (h * h),
                             (beam(h, -h) + beam(-h, h) - beam(h, h) - beam(-h, -h)) / (4 * h * h)};
  EXPECT_NEAR(g.xx / expected.xx, 1, 0.1);
  EXPECT_NEAR(g.yy / expected.yy, 1, 0.1);
  EXPECT_NEAR(g.xy / expected.xy, 1, 0.15);
  const PixelTensor c = PlaceCovariance(g, g);  // G⁻¹
  EXPECT_NEAR(c.xx * g.xx + c.xy * g.xy, 1, 1e-9);
  EXPECT_NEAR(c.xx * g.xy + c.xy * g.yy, 0, 1e-9);
  // The numbers of the beam itself.
  MadeUpTile psf = MakeTile(128, 0, 0);
  AddSource(psf, {64, 64, 1});
  const PixelTensor curvature = CurvatureOf(psf.image.view(), BandOf(*psf.header.beam, kCell));
  EXPECT_NEAR(curvature.xx, expected.xx, 0.01 * expected.xx);
  EXPECT_NEAR(curvature.xy, expected.xy, 0.02 * std::abs(expected.xy));
  // By hand: 1e6 pixels, √det 0.1, u = 5.
  EXPECT_NEAR(ExpectedMaxima(1e6, {0.1, 0.1, 0}, 5), 1e5 * 5 * std::exp(-12.5) / std::pow(2 * M_PI, 1.5), 1e-9);
}

// Fluxes, places and their errors over many sources: unbiased, pulls of 1.
TEST(Find, ErrorsAreThoseThatAreMade) {
  MadeUpTile tile = NoisyTile();
  std::mt19937 random(9);
  std::uniform_real_distribution<double> uniform(-1, 1);
  struct Truth {
    double x, y, flux;
  };
  std::vector<Truth> truth;
  for (int i = 0; i < 49; ++i) {
    truth.push_back({60 + 65.0 * (i % 7) + 8 * uniform(random), 60 + 65.0 * (i / 7) + 8 * uniform(random),
                     kNoiseJy * 30 * std::pow(3, uniform(random))});
    AddSource(tile, {truth.back().x, truth.back().y, truth.back().flux});
  }
  const SourceCatalogue catalogue = Find(tile);
  EXPECT_EQ(catalogue.sources.size(), truth.size());
  double mean = 0, flux2 = 0, ra2 = 0, dec2 = 0;
  for (const Truth& t : truth) {
    const FoundSource& s = Nearest(catalogue, t.x, t.y);
    ASSERT_LT(Miss(s, t.x, t.y), 3);
    const double pull = (s.flux_jy - t.flux) / s.flux_error_jy;
    mean += pull / 49;
    flux2 += pull * pull / 49;
    ra2 += std::pow((s.x - t.x) * 3 / s.ra_error_arcsec, 2) / 49;
    dec2 += std::pow((s.y - t.y) * 3 / s.dec_error_arcsec, 2) / 49;
  }
  EXPECT_NEAR(mean, 0, 0.45);
  EXPECT_NEAR(std::sqrt(flux2), 1, 0.3);
  EXPECT_NEAR(std::sqrt(ra2), 1, 0.3);
  EXPECT_NEAR(std::sqrt(dec2), 1, 0.3);
}

TEST(Find, TwoSourcesOneBeamApartAreTwo) {
  MadeUpTile tile = NoisyTile();
  // One full width apart along the minor axis: the fainter is a shoulder.
  const double dx = 9.6 * std::cos(M_PI / 6), dy = 9.6 * std::sin(M_PI / 6);
  AddSource(tile, {250, 250, 0.06});
  AddSource(tile, {250 + dx, 250 + dy, 0.03});
  const SourceCatalogue catalogue = Find(tile);
  ASSERT_EQ(catalogue.sources.size(), 2u);
  EXPECT_NEAR(catalogue.sources[0].flux_jy, 0.06, 5 * kNoiseJy);
  EXPECT_NEAR(catalogue.sources[1].flux_jy, 0.03, 5 * kNoiseJy);
  EXPECT_LT(Miss(catalogue.sources[1], 250 + dx, 250 + dy), 1);
  EXPECT_EQ(catalogue.sources[0].group, catalogue.sources[1].group);
  EXPECT_GT(catalogue.sources[1].flux_error_jy, kNoiseJy);
}

// 47″ beside a source six times as bright: the weak spot of finders that fit one after the other.
TEST(Find, BesideABrightNeighbour) {
  MadeUpTile tile = NoisyTile();
  AddSource(tile, {250, 250, 0.17});
  AddSource(tile, {250 + 15.6, 250 + 1.5, 0.03});
  const SourceCatalogue catalogue = Find(tile);
  ASSERT_EQ(catalogue.sources.size(), 2u);
  EXPECT_NEAR(catalogue.sources[1].flux_jy, 0.03, 4 * catalogue.sources[1].flux_error_jy);
  EXPECT_LT(Miss(catalogue.sources[1], 265.6, 251.5), 1);
  EXPECT_NEAR(catalogue.sources[0].flux_jy, 0.17, 4 * kNoiseJy);
}

// What CLEAN left of a bright source has side lobes where the beam has nothing. A made-up tile with the PSF of an array
// of two arms: 0.46 at 16 pixels along x; positive definite.
struct HalfCleaned {
  MadeUpTile tile = NoisyTile();
  image::Plane psf{kFieldPixels, kFieldPixels};

  HalfCleaned() {
    for (std::size_t y = 0; y < kFieldPixels; ++y) {
      for (std::size_t x = 0; x < kFieldPixels; ++x) {
        psf.view()(y, x) = static_cast<float>(PsfAt(static_cast<double>(x) - 256, static_cast<double>(y) - 256));
      }
    }
  }
  double PsfAt(double dx, double dy) const {
    image::GaussianBeam wide = *tile.header.beam;
    wide.major_rad = wide.minor_rad = 30 * kCell;
    return testing_tile::BeamValue(wide, dx, dy) * (0.6 + 0.4 * std::cos(2 * M_PI * dx / 16));
  }
  void Add(double at_x, double at_y, double cleaned, double left) {
    AddSource(tile, {at_x, at_y, cleaned});
    for (std::size_t y = 0; y < kFieldPixels; ++y) {
      for (std::size_t x = 0; x < kFieldPixels; ++x) {
        const auto value =
            static_cast<float>(left * PsfAt(static_cast<double>(x) - at_x, static_cast<double>(y) - at_y));
        tile.image.view()(y, x) += value;
        tile.residual.view()(y, x) += value;
      }
    }
  }
  TileImages images() const {
    TileImages all = tile.images();
    all.psf = psf.view();
    return all;
  }
  SourceCatalogue Found(bool with_psf = true) const {
    RunContext context;
    context.threads = 2;
    return FindSources(with_psf ? images() : tile.images(), MeasureRms(NoiseField().image.view(), {}, 2), {}, context);
  }
};

TEST(Find, WhatCleanLeftOfABrightNeighbourIsTakenAwayWithThePsf) {
  HalfCleaned field;
  field.Add(250, 250, 0.3, 0.03);         // side lobes of 14 mJy, of which CLEAN knows nothing
  field.Add(250 + 21, 250 + 3, 0.01, 0);  // on the flank of one of them
  const SourceCatalogue catalogue = field.Found();
  ASSERT_EQ(catalogue.sources.size(), 2u);
  EXPECT_NEAR(catalogue.sources[0].flux_jy, 0.33, 4 * kNoiseJy);
  EXPECT_NEAR(catalogue.sources[1].flux_jy, 0.01, 3 * catalogue.sources[1].flux_error_jy);
  EXPECT_LT(Miss(catalogue.sources[1], 271, 253), 2);
  // As forced photometry has them.
  std::vector<ForcedPlace> places;
  for (const FoundSource& s : catalogue.sources) places.push_back({s.place, s.flux_jy, 0});
  const auto forced =
      MeasureForced(field.images(), MeasureRms(NoiseField().image.view(), {}, 1), places, {}, 1).measurements;
  for (std::size_t i = 0; i < 2; ++i) EXPECT_NEAR(forced[i].flux_jy, catalogue.sources[i].flux_jy, 3e-4);
}

// Nothing of the side lobes themselves is a source.
TEST(Find, SideLobesOfWhatCleanLeftAreNoSources) {
  HalfCleaned field;
  field.Add(250, 250, 0.1, 0.03);
  const SourceCatalogue catalogue = field.Found();
  ASSERT_EQ(catalogue.sources.size(), 1u) << "of " << catalogue.maxima << " maxima";
  EXPECT_GT(catalogue.maxima, 1u);
  EXPECT_GT(field.Found(false).sources.size(), 1u);  // the beam alone does not tell
  EXPECT_NEAR(catalogue.sources[0].flux_jy, 0.13, 4 * kNoiseJy);
}

// Pairs 0.8 to 2 full widths apart, half cleaned: fluxes and places of both.
TEST(Find, PairsAreToldApartWithThePsf) {
  for (const double widths : {0.8, 1.0, 1.3, 1.6, 2.0}) {
    for (const double angle : {0.0, 1.0, 2.0}) {
      HalfCleaned field;
      // Full width of the beam in this direction: 9.6 along its minor axis to 17.8 along its major one.
      const BeamPixels beam(*field.tile.header.beam, kCell);
      const double away = widths / std::sqrt(beam.Distance2(std::cos(angle), std::sin(angle)));
      const double x = 250 + away * std::cos(angle), y = 250 + away * std::sin(angle);
      field.Add(250, 250, 0.06, 0.008);
      field.Add(x, y, 0.03, 0.006);
      const SourceCatalogue catalogue = field.Found();
      ASSERT_EQ(catalogue.sources.size(), 2u) << widths << " " << angle;
      const FoundSource &a = catalogue.sources[0], &b = catalogue.sources[1];
      EXPECT_NEAR(a.flux_jy, 0.068, 4 * a.flux_error_jy) << widths << " " << angle;
      EXPECT_NEAR(b.flux_jy, 0.036, 4 * b.flux_error_jy) << widths << " " << angle;
      EXPECT_LT(Miss(a, 250, 250), 1) << widths << " " << angle;
      EXPECT_LT(Miss(b, x, y), 1.5) << widths << " " << angle;
    }
  }
}

// Of a cleaned source hardly anything differs from the beam: a neighbour of 3 % of it is seen in what the beam leaves.
// Of one that is not cleaned, PSF and beam differ by more than that.
TEST(Find, AHiddenNeighbourOfACleanedSourceIsFound) {
  MadeUpTile tile = NoisyTile();
  const double dx = -9.6 * 1.3 * std::cos(M_PI / 6), dy = -9.6 * 1.3 * std::sin(M_PI / 6);
  AddSource(tile, {250, 250, 0.5});
  AddSource(tile, {250 + dx, 250 + dy, 0.018});
  const SourceCatalogue catalogue = Find(tile);
  ASSERT_EQ(catalogue.sources.size(), 2u);
  EXPECT_NEAR(catalogue.sources[0].flux_jy, 0.5, 5 * kNoiseJy);
  EXPECT_NEAR(catalogue.sources[1].flux_jy, 0.018, 5 * kNoiseJy);
  TileImages uncleaned = tile.images();
  uncleaned.residual = uncleaned.image;
  EXPECT_EQ(Find(uncleaned).sources.size(), 1u);
}

// Nearer than half a beam nobody can tell: one source with the flux of both, not two.
TEST(Find, TwoSourcesNearerThanHalfABeamAreOne) {
  MadeUpTile tile = NoisyTile();
  AddSource(tile, {250, 250, 0.02});
  AddSource(tile, {252, 251, 0.02});
  const SourceCatalogue catalogue = Find(tile);
  ASSERT_EQ(catalogue.sources.size(), 1u);
  EXPECT_NEAR(catalogue.sources[0].flux_jy, 0.04, 0.005);
}

// A faint maximum 2 full widths from a bright source is a group of its own; what it leaves on the bright one's flank is
// the bright one's, and not found once more.
TEST(Find, NoSourceIsFoundTwice) {
  for (const double distance : {2.2, 2.6}) {
    MadeUpTile tile = NoisyTile();
    AddSource(tile, {250, 250, 3});
    AddSource(tile, {250 - 9.6 * distance * std::cos(M_PI / 6), 250 - 9.6 * distance * std::sin(M_PI / 6), 0.012});
    const SourceCatalogue catalogue = Find(tile);
    ASSERT_EQ(catalogue.sources.size(), 2u) << distance << " of " << catalogue.maxima << " maxima";
    EXPECT_NEAR(catalogue.sources[0].flux_jy, 3, 0.01);
    EXPECT_NEAR(catalogue.sources[1].flux_jy, 0.012, 5 * kNoiseJy);
  }
}

TEST(Find, AResolvedSourceHasItsIntegral) {
  MadeUpTile tile = NoisyTile();
  for (int i = 0; i < 25; ++i) AddSource(tile, {60 + 95.0 * (i % 5), 60 + 95.0 * (i / 5), 0.05});  // points
  // A Gaussian of 1.6 beams each way, 0.1 Jy.
  const image::GaussianBeam beam = *tile.header.beam;
  const double x0 = 107.4, y0 = 300.2, grown = 1.6;
  for (std::size_t y = 200; y < 400; ++y) {
    for (std::size_t x = 10; x < 210; ++x) {
      tile.image.view()(y, x) += static_cast<float>(
          0.1 / (grown * grown) *
          testing_tile::BeamValue(beam, (static_cast<double>(x) - x0) / grown, (static_cast<double>(y) - y0) / grown));
    }
  }
  const SourceCatalogue catalogue = Find(tile);
  std::size_t resolved = 0;
  for (const FoundSource& s : catalogue.sources) resolved += s.resolved ? 1 : 0;
  const FoundSource& s = Nearest(catalogue, x0, y0);
  EXPECT_TRUE(s.resolved);
  EXPECT_LE(resolved, 3u);
  EXPECT_NE(s.flags & quality::kResolved.mask(), 0u);
  EXPECT_NEAR(s.flux_jy, 0.1, 4 * s.flux_error_jy);
  EXPECT_LT(s.flux_error_jy, 0.006);
  EXPECT_NEAR(s.major_arcsec, grown * 17.8 * 3, 5);
  EXPECT_NEAR(s.minor_arcsec, grown * 9.6 * 3, 3);
  EXPECT_NEAR(s.angle_deg, 30, 5);
  EXPECT_NEAR(s.peak_jy, 0.1 / (grown * grown), 0.004);
  const FoundSource& point = Nearest(catalogue, 60, 60);
  EXPECT_NEAR(point.flux_jy, 0.05, 4 * kNoiseJy);
}

TEST(Find, AcrossRightAscensionZeroAndOverThePole) {
  const auto found = [](double ra, double dec) {
    MadeUpTile tile = NoisyTile(ra, dec);
    AddSource(tile, {256.0 - 30.3, 200.2, 0.05});
    AddSource(tile, {256.0 + 30.8, 260.9, 0.04});
    return Find(tile);
  };
  const SourceCatalogue plain = found(180, 16);
  ASSERT_EQ(plain.sources.size(), 2u);
  for (const auto& [ra, dec] : {std::pair{0.0, 16.0}, {359.99, 54.0}, {45.0, 89.99}, {10.0, 86.0}, {300.0, -90.0}}) {
    const SourceCatalogue there = found(ra, dec);
    ASSERT_EQ(there.sources.size(), 2u) << ra << " " << dec;
    for (std::size_t i = 0; i < 2; ++i) {
      const FoundSource &a = plain.sources[i], &b = there.sources[i];
      EXPECT_EQ(a.flux_jy, b.flux_jy);
      EXPECT_GE(b.place.ra.deg(), 0);
      EXPECT_LT(b.place.ra.deg(), 360);
      // Turned, but no larger: the area of the error ellipse's box is at least that of the plain one.
      EXPECT_LT(std::hypot(b.ra_error_arcsec, b.dec_error_arcsec),
                1.001 * std::hypot(a.ra_error_arcsec, a.dec_error_arcsec));
      EXPECT_NEAR(std::hypot(b.ra_error_arcsec, b.dec_error_arcsec), std::hypot(a.ra_error_arcsec, a.dec_error_arcsec),
                  1e-3 * a.ra_error_arcsec);
      const auto back = PixelOf(NoisyTile(ra, dec).header, b.place);
      ASSERT_TRUE(back);
      EXPECT_NEAR(back->x, b.x, 1e-4);
    }
  }
}

// The corners of an image of the whole sky are none.
TEST(Find, NothingIsFoundBeyondTheHorizon) {
  MadeUpTile tile = NoisyTile();
  AddSource(tile, {256, 256, 0.05});
  AddSource(tile, {60, 60, 0.05});
  const double coarser = 1.0 / 200 / kCell;  // the horizon is 200 pixels from the centre
  tile.header.geometry.cell_rad *= coarser;
  tile.header.beam->major_rad *= coarser;
  tile.header.beam->minor_rad *= coarser;
  const SourceCatalogue catalogue = Find(tile);
  ASSERT_EQ(catalogue.sources.size(), 1u);
  EXPECT_LT(Miss(catalogue.sources[0], 256, 256), 1);
}

TEST(Find, ASourceOnTheEdgeIsFlagged) {
  MadeUpTile tile = NoisyTile();
  AddSource(tile, {20, 250, 0.05});
  for (std::size_t y = 400; y < kFieldPixels; ++y) {
    for (std::size_t x = 0; x < kFieldPixels; ++x)
      tile.image.view()(y, x) = tile.residual.view()(y, x) = std::numeric_limits<float>::quiet_NaN();
  }
  AddSource(tile, {300, 398, 0.05});  // half of it is blank
  AddSource(tile, {300, 200, 0.05});
  const SourceCatalogue catalogue = Find(tile);
  EXPECT_NE(Nearest(catalogue, 20, 250).flags & quality::kEdge.mask(), 0u);
  EXPECT_NE(Nearest(catalogue, 300, 398).flags & quality::kEdge.mask(), 0u);
  EXPECT_EQ(Nearest(catalogue, 300, 200).flags & quality::kEdge.mask(), 0u);
  for (const FoundSource& s : catalogue.sources) EXPECT_TRUE(std::isfinite(s.flux_jy));
}

TEST(Find, NothingIsLookedForWhereTheBeamIsLow) {
  MadeUpTile tile = NoisyTile();
  AddSource(tile, {100, 250, 0.05});
  AddSource(tile, {400, 250, 0.05});
  for (std::size_t y = 0; y < kFieldPixels; ++y) {
    for (std::size_t x = 0; x < 256; ++x) tile.pb.view()(y, x) = 0.05F;
    for (std::size_t x = 256; x < kFieldPixels; ++x) tile.pb.view()(y, x) = 0.2F;
  }
  const SourceCatalogue catalogue = Find(tile);
  ASSERT_EQ(catalogue.sources.size(), 1u);
  EXPECT_NE(catalogue.sources[0].flags & quality::kLowResponse.mask(), 0u);
  EXPECT_NEAR(catalogue.sources[0].flux_jy, 0.25, 0.03);
  EXPECT_NEAR(static_cast<double>(catalogue.searched_pixels), 256.0 * 512, 1);
}

// 10 Jy with a side lobe of 2 %: errors of calibration leave some 3 mJy there. A source as faint elsewhere is none.
TEST(Find, ASidelobeIsSuspect) {
  MadeUpTile tile = NoisyTile();
  image::Plane psf(kFieldPixels, kFieldPixels);
  MadeUpTile lobes = MakeTile(kFieldPixels, 0, 0);
  AddSource(lobes, {256, 256, 1});
  AddSource(lobes, {256 + 90, 256 + 60, 0.02});
  AddSource(tile, {200, 200, 10});
  AddSource(tile, {290, 260, 0.01});
  AddSource(tile, {120, 300, 0.01});
  TileImages images = tile.images();
  images.psf = lobes.image.view();
  const SourceCatalogue catalogue = Find(images);
  EXPECT_NE(Nearest(catalogue, 290, 260).flags & quality::kArtefact.mask(), 0u);
  EXPECT_EQ(Nearest(catalogue, 120, 300).flags & quality::kArtefact.mask(), 0u);
  EXPECT_EQ(Nearest(catalogue, 200, 200).flags & quality::kArtefact.mask(), 0u);
}

TEST(Find, ANegativeTwinIsSuspect) {
  MadeUpTile tile = NoisyTile();
  AddSource(tile, {200, 200, 0.02});
  AddSource(tile, {216, 204, -0.018});
  AddSource(tile, {400, 200, 0.02});
  const SourceCatalogue catalogue = Find(tile);
  EXPECT_NE(Nearest(catalogue, 200, 200).flags & quality::kArtefact.mask(), 0u);
  EXPECT_EQ(Nearest(catalogue, 400, 200).flags & quality::kArtefact.mask(), 0u);
}

TEST(Find, TheSameBitsForAnyNumberOfThreads) {
  MadeUpTile tile = NoisyTile();
  std::mt19937 random(5);
  std::uniform_real_distribution<double> uniform(40, 470);
  for (int i = 0; i < 60; ++i) AddSource(tile, {uniform(random), uniform(random), 0.02});
  const std::string one = CsvText(CatalogueTable(Find(tile, 1), "x", {}));
  EXPECT_EQ(CsvText(CatalogueTable(Find(tile, 6), "x", {})), one);
  EXPECT_GT(std::count(one.begin(), one.end(), '\n'), 40);
}

// What forced photometry measures at the places that were found is what was found, but for the bias of the maximum.
TEST(Find, AgreesWithForcedPhotometry) {
  MadeUpTile tile = NoisyTile();
  AddSource(tile, {250, 250, 0.05});
  AddSource(tile, {262, 256, 0.03});
  const SourceCatalogue catalogue = Find(tile);
  ASSERT_EQ(catalogue.sources.size(), 2u);
  std::vector<ForcedPlace> places;
  for (const FoundSource& s : catalogue.sources) places.push_back({s.place, s.flux_jy, 0});
  const auto forced = MeasureForced(tile.images(), MeasureRms(tile.residual.view(), {}, 1), places, {}, 1).measurements;
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_NEAR(forced[i].flux_jy, catalogue.sources[i].flux_jy, 1e-4);
    EXPECT_NEAR(forced[i].flux_error_jy, catalogue.sources[i].flux_error_jy, 1e-6);
  }
}

// A neighbour below the seed lifts a source; a list that knows it takes it away.
TEST(Find, KnownNeighboursAreToldApart) {
  MadeUpTile tile = NoisyTile();
  const double dx = 9.6 * std::cos(M_PI / 6), dy = 9.6 * std::sin(M_PI / 6);
  AddSource(tile, {250, 250, 0.02});
  AddSource(tile, {250 + dx, 250 + dy, 0.008});
  AddSource(tile, {100, 100, 0.1});
  FindOptions options;
  options.seed = 13;
  SourceCatalogue catalogue = Find(tile, 1, options);
  ASSERT_EQ(catalogue.sources.size(), 2u);
  const double alone = catalogue.sources[1].flux_jy, bright = catalogue.sources[0].flux_jy;
  options.known = {{DirectionOf(tile.header, 250, 250), 0.02, 0},
                   {DirectionOf(tile.header, 250 + dx, 250 + dy), 0.008, 0},
                   {DirectionOf(tile.header, 100, 100), 0.1, 0},
                   {{Angle::Degrees(190), Angle::Degrees(-16)}, 1, 0}};
  catalogue = Find(tile, 1, options);
  ASSERT_EQ(catalogue.sources.size(), 2u);
  EXPECT_EQ(catalogue.told_from_known, 1u);
  EXPECT_LT(catalogue.sources[1].flux_jy, alone - 0.0002);
  EXPECT_NEAR(catalogue.sources[1].flux_jy, 0.02, 0.004);
  EXPECT_GT(catalogue.sources[1].flux_error_jy, 1.001 * catalogue.sources[1].local_rms_jy);
  EXPECT_FALSE(catalogue.sources[1].resolved);
  EXPECT_EQ(catalogue.sources[0].flux_jy, bright);  // which stands alone
}

TEST(Extent, ApertureOfAPointIsItsFlux) {
  MadeUpTile tile = MakeTile(128, 10, 16);
  AddSource(tile, {60.3, 61.7, 0.7});
  const TileImages images = tile.images();
  const PointShape shape(images);
  EXPECT_NEAR(ApertureFlux(images.image, shape, 60.3, 61.7, {}), 0.7, 1e-5);
  EXPECT_NEAR(ApertureFlux(images.image, shape, 60.3, 61.7, {{60.3, 61.7, 0.4, 1, 1}}), 0.3, 1e-5);
  EXPECT_TRUE(std::isnan(ApertureFlux(images.image, shape, 3, 61.7, {})));
}

TEST(SourceName, IsTruncatedNotRounded) {
  EXPECT_EQ(SourceName({Angle::Degrees(0.1174), Angle::Degrees(16.2012)}), "J000028.1+161204");
  EXPECT_EQ(SourceName({Angle::Hours(23 + 59 / 60.0 + 59.99 / 3600), Angle::Degrees(-0.5)}), "J235959.9-003000");
  EXPECT_EQ(SourceName({Angle::Degrees(0), Angle::Degrees(-90)}), "J000000.0-900000");
  EXPECT_EQ(SourceName({Angle::Hours(13.5), Angle::Degrees(30.5)}), "J133000.0+303000");
}

// Others read these columns by name and order.
TEST(CatalogueTable, HasTheColumnsThatOthersRead) {
  const std::string csv = CsvText(CatalogueTable({}, "x", {}));
  EXPECT_EQ(csv,
            "name,ra_deg,dec_deg,ra_error_arcsec,dec_error_arcsec,flux_jy,flux_error_jy,snr,sigma_jy,response,resolved,"
            "group,flags\n");
}

TEST(CatalogueTable, RegionsAreEllipses) {
  SourceCatalogue catalogue;
  FoundSource source;
  source.name = "J000028.1+161204";
  source.place = {Angle::Degrees(0.1174), Angle::Degrees(16.2012)};
  catalogue.sources = {source};
  EXPECT_THAT(Ds9Regions(catalogue, {Angle::Arcsec(50).rad(), Angle::Arcsec(30).rad(), 0}),
              testing::HasSubstr("ellipse(0.1174000,16.2012000,25.000\",15.000\",90.00) # text={J000028.1+161204}\n"));
}

}  // namespace
}  // namespace contimg::mosaic
