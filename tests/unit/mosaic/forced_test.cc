#include "mosaic/photometry/forced.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "mosaic/background/rms_mesh.h"
#include "mosaic/photometry/effective_frequency.h"
#include "mosaic/photometry/listed_places.h"
#include "tests/unit/mosaic/made_up_tile.h"

namespace contimg::mosaic {
namespace {

using testing_tile::kCell;
using testing_tile::MadeUpTile;
using testing_tile::MakeTile;

image::CoarseMap FlatRms(float rms) {
  image::CoarseMap map;
  map.nx = map.ny = 1;
  map.step = 1024;
  map.values = {rms};
  return map;
}

ForcedPlace At(const MadeUpTile& tile, double x, double y, double expected_jy = 0) {
  return {DirectionOf(tile.header, x, y), expected_jy, 0};
}

TEST(Forced, AnIsolatedSourceReadsItsFlux) {
  MadeUpTile tile = MakeTile(256, 10, 16);
  AddSource(tile, {100.4, 120.7, 0.02});
  for (float& v : tile.pb.pixels) v = 0.8F;
  const auto result = MeasureForced(tile.images(), FlatRms(0.001F), {At(tile, 100.4, 120.7)}, {}, 1);
  ASSERT_EQ(result.measurements.size(), 1u);
  const ForcedMeasurement& m = result.measurements[0];
  EXPECT_NEAR(m.flux_jy, 0.025, 3e-6);
  // The rms over the response: the pixels of a beam are no independent measurements.
  EXPECT_NEAR(m.flux_error_jy, 0.001 / 0.8, 1e-8);
  EXPECT_FLOAT_EQ(static_cast<float>(m.local_rms_jy), 0.001F);
  EXPECT_NEAR(m.response, 0.8, 1e-6);
  EXPECT_EQ(m.flags, 0u);
  EXPECT_EQ(m.condition, 1);
  EXPECT_LT(m.chi2, 1e-3);
}

// Below the CLEAN limit a source is a dirty beam, narrower than the restoring one and in a bowl: 1 at its place all the
// same. Sums over the beam would differ by the bowl.
TEST(Forced, CleanedAndUncleanedSourcesReadAlike) {
  MadeUpTile cleaned = MakeTile(256, 10, 16), dirty = MakeTile(256, 10, 16);
  AddSource(cleaned, {128.3, 128.6, 0.01});
  const image::GaussianBeam beam = *dirty.header.beam;
  for (std::size_t y = 0; y < 256; ++y) {
    for (std::size_t x = 0; x < 256; ++x) {
      const double dx = static_cast<double>(x) - 128.3, dy = static_cast<double>(y) - 128.6;
      const double core = testing_tile::BeamValue(beam, 1.15 * dx, 1.15 * dy),
                   wide = testing_tile::BeamValue(beam, dx / 3, dy / 3);
      dirty.image.view()(y, x) = static_cast<float>(0.01 * (1.12 * core - 0.12 * wide));
    }
  }
  const std::vector<ForcedPlace> place{At(cleaned, 128.3, 128.6)};
  const double a = MeasureForced(cleaned.images(), FlatRms(0.001F), place, {}, 1).measurements[0].flux_jy;
  const double b = MeasureForced(dirty.images(), FlatRms(0.001F), place, {}, 1).measurements[0].flux_jy;
  EXPECT_NEAR(a, 0.01, 2e-6);
  EXPECT_NEAR(b, 0.01, 4e-6);
}

TEST(Forced, TwoSourcesHalfABeamApart) {
  MadeUpTile tile = MakeTile(256, 10, 16);
  // Half a full width apart along the minor axis, 30° north through east: (east, north) = (cos, −sin).
  const double dx = -4.8 * std::cos(M_PI / 6), dy = -4.8 * std::sin(M_PI / 6);
  AddSource(tile, {100, 120, 0.05});
  AddSource(tile, {100 + dx, 120 + dy, 0.02});
  const std::vector<ForcedPlace> places{At(tile, 100, 120, 0.05), At(tile, 100 + dx, 120 + dy, 0.02)};
  const auto result = MeasureForced(tile.images(), FlatRms(0.001F), places, {}, 1);
  ASSERT_EQ(result.measurements.size(), 2u);
  EXPECT_NEAR(result.measurements[0].flux_jy, 0.05, 1e-5);
  EXPECT_NEAR(result.measurements[1].flux_jy, 0.02, 1e-5);
  for (const auto& m : result.measurements) {
    EXPECT_NEAR(m.flux_error_jy, 0.001 / std::sqrt(1 - 0.25), 1e-5);  // the beam is 1/2 there
    EXPECT_NEAR(m.condition, 3, 0.01);
    EXPECT_EQ(m.flags & quality::kBlend.mask(), 0u);
  }
  EXPECT_NEAR(result.measurements[1].neighbour_share, 0.5 * 0.05 / 0.02, 0.01);
  ForcedOptions alone;
  alone.solve_clusters = false;
  EXPECT_NEAR(MeasureForced(tile.images(), FlatRms(0.001F), places, alone, 1).measurements[1].flux_jy, 0.045, 1e-4);
}

// What CLEAN left has side lobes where the beam has nothing.
TEST(Forced, WhatCleanLeftOfNeighboursIsTakenAwayWithThePsf) {
  MadeUpTile tile = MakeTile(256, 10, 16);
  const auto psf_at = [&](double dx, double dy) {  // 0.46 at 16 pixels along x; positive definite
    image::GaussianBeam wide = *tile.header.beam;
    wide.major_rad = wide.minor_rad = 30 * kCell;
    return testing_tile::BeamValue(wide, dx, dy) * (0.6 + 0.4 * std::cos(2 * M_PI * dx / 16));
  };
  image::Plane psf(256, 256);
  struct Point {
    double x, y, cleaned, left;
  };
  const std::vector<Point> points{{100.3, 120, 0.03, 0.004}, {116.3, 121, 0.02, 0.003}};
  for (const Point& p : points) AddSource(tile, {p.x, p.y, p.cleaned});
  for (std::size_t y = 0; y < 256; ++y) {
    for (std::size_t x = 0; x < 256; ++x) {
      const auto px = static_cast<double>(x), py = static_cast<double>(y);
      psf.view()(y, x) = static_cast<float>(psf_at(px - 128, py - 128));
      for (const Point& p : points) {
        const auto value = static_cast<float>(p.left * psf_at(px - p.x, py - p.y));
        tile.residual.view()(y, x) += value;
        tile.image.view()(y, x) += value;
      }
    }
  }
  const std::vector<ForcedPlace> places{At(tile, 100.3, 120, 0.034), At(tile, 116.3, 121, 0.023),
                                        At(tile, 130.3, 121, 0.0001)};
  TileImages images = tile.images();
  const auto blind = MeasureForced(images, FlatRms(0.001F), places, {}, 1).measurements;
  EXPECT_GT(blind[0].flux_jy, 0.035);
  EXPECT_GT(blind[2].flux_jy, 0.001);
  images.psf = psf.view();
  const auto known = MeasureForced(images, FlatRms(0.001F), places, {}, 1).measurements;
  EXPECT_NEAR(known[0].flux_jy, 0.034, 1e-5);
  EXPECT_NEAR(known[1].flux_jy, 0.023, 1e-5);
  EXPECT_NEAR(known[2].flux_jy, 0, 1e-5);  // fainter than the noise: in no solve
  // And what they leave is nothing.
  EXPECT_GT(blind[0].chi2, 1);
  for (const ForcedMeasurement& m : known) EXPECT_LT(m.chi2, 0.05);
  // Without a PSF the side lobes of a neighbour (0.004 left of it) may exceed the noise.
  EXPECT_NE(blind[1].flags & quality::kBlend.mask(), 0u);
  for (const ForcedMeasurement& m : known) EXPECT_EQ(m.flags & quality::kBlend.mask(), 0u);
  // Where the image stands in for a residual nothing tells what was cleaned.
  images.residual = images.image;
  EXPECT_EQ(MeasureForced(images, FlatRms(0.001F), places, {}, 1).measurements[0].flux_jy, blind[0].flux_jy);
}

TEST(Forced, ABlendThatNoiseRulesIsFlagged) {
  MadeUpTile tile = MakeTile(256, 10, 16);
  AddSource(tile, {100, 120, 0.05});
  AddSource(tile, {101.5, 120, 0.05});
  const auto result =
      MeasureForced(tile.images(), FlatRms(0.001F), {At(tile, 100, 120, 0.05), At(tile, 101.5, 120, 0.05)}, {}, 1);
  for (const auto& m : result.measurements) {
    EXPECT_NE(m.flags & quality::kBlend.mask(), 0u);
    EXPECT_GT(m.condition, 10);
    EXPECT_GT(m.flux_error_jy, 0.0017);
  }
}

// Two rows of a list at one place: no solve can tell them apart, and none is tried.
TEST(Forced, TwoRowsAtOnePlaceAreOneSource) {
  MadeUpTile tile = MakeTile(256, 10, 16);
  AddSource(tile, {100, 120, 0.05});
  const auto result = MeasureForced(
      tile.images(), FlatRms(0.001F),
      {At(tile, 100, 120, 0.05), At(tile, 100, 120, 0.05), At(tile, 100.05, 120, 0.02), At(tile, 180, 120, 0.01)}, {},
      1);
  ASSERT_EQ(result.measurements.size(), 4u);
  for (int i = 0; i < 3; ++i) {
    EXPECT_NEAR(result.measurements[i].flux_jy, 0.05, 1e-5);
    EXPECT_NE(result.measurements[i].flags & quality::kBlend.mask(), 0u);
  }
  EXPECT_EQ(result.measurements[3].flags, 0u);
}

TEST(Forced, BesideABrightNeighbour) {
  MadeUpTile tile = MakeTile(256, 10, 16);
  AddSource(tile, {100, 120, 3});
  AddSource(tile, {114, 126, 0.01});
  const auto result =
      MeasureForced(tile.images(), FlatRms(0.001F), {At(tile, 114, 126, 0.01), At(tile, 100, 120, 3)}, {}, 1);
  EXPECT_NEAR(result.measurements[0].flux_jy, 0.01, 2e-3 * 0.01 + 3e-4 * 3);
  EXPECT_NEAR(result.measurements[1].flux_jy, 3, 1e-3);
  EXPECT_EQ(result.measurements[0].index, 0u);
}

// A hundred places with nothing there must not pour their noise into what stands beside them.
TEST(Forced, FaintPlacesDoNotDisturbTheirNeighbours) {
  MadeUpTile tile = MakeTile(256, 10, 16);
  AddNoise(tile, 0.001, 3);
  AddSource(tile, {100, 120, 0.05});
  std::vector<ForcedPlace> places{At(tile, 100, 120, 0.05)};
  const double alone = MeasureForced(tile.images(), FlatRms(0.001F), places, {}, 1).measurements[0].flux_jy;
  for (int i = 0; i < 9; ++i) places.push_back(At(tile, 92 + 2 * i, 130, 0.0004));
  const auto result = MeasureForced(tile.images(), FlatRms(0.001F), places, {}, 1);
  EXPECT_EQ(result.measurements[0].flux_jy, alone);
  // What the bright one adds there is taken away all the same.
  EXPECT_LT(std::abs(result.measurements[5].flux_jy), 0.004);
  EXPECT_GT(result.measurements[5].flux_error_jy, 0.001);
}

TEST(Forced, AcrossRightAscensionZeroAndOverThePole) {
  const auto fluxes = [](double ra, double dec) {
    MadeUpTile tile = MakeTile(256, ra, dec);
    std::vector<ForcedPlace> places;
    for (const auto& [x, y] : {std::pair{100.3, 128.0}, {128.2, 90.1}, {150.8, 140.0}, {158.0, 143.5}}) {
      AddSource(tile, {x, y, 0.02});
      places.push_back(At(tile, x, y, 0.02));
    }
    std::vector<double> list;
    for (const auto& m : MeasureForced(tile.images(), FlatRms(0.001F), places, {}, 1).measurements)
      list.push_back(m.flux_jy);
    return list;
  };
  const std::vector<double> plain = fluxes(180, 16);
  ASSERT_EQ(plain.size(), 4u);
  for (const auto& [ra, dec] : {std::pair{0.0, 16.0}, {359.9999, 16.0}, {77.0, 90.0}, {200.0, -89.99}}) {
    const std::vector<double> there = fluxes(ra, dec);
    ASSERT_EQ(there.size(), 4u) << ra << " " << dec;
    for (int i = 0; i < 4; ++i) EXPECT_NEAR(there[i], plain[i], 1e-7) << ra << " " << dec;
  }
}

TEST(Forced, ASourceInNoTileIsCountedNotMeasured) {
  MadeUpTile tile = MakeTile(256, 10, 16);
  const auto result = MeasureForced(tile.images(), FlatRms(0.001F),
                                    {{{Angle::Degrees(190), Angle::Degrees(-16)}, 1, 0},
                                     {{Angle::Degrees(11), Angle::Degrees(16)}, 1, 0},
                                     At(tile, -0.5, 20)},
                                    {}, 1);
  EXPECT_TRUE(result.measurements.empty());
  EXPECT_EQ(result.outside, 3u);
}

TEST(Forced, BlankIsNotZeroFlux) {
  MadeUpTile tile = MakeTile(256, 10, 16);
  AddSource(tile, {100, 120, 0.05});
  for (std::size_t y = 115; y < 256; ++y) {
    for (std::size_t x = 95; x < 256; ++x) tile.image.view()(y, x) = std::numeric_limits<float>::quiet_NaN();
  }
  tile.pb.view()(20, 20) = std::numeric_limits<float>::quiet_NaN();
  const auto result =
      MeasureForced(tile.images(), FlatRms(0.001F),
                    {At(tile, 100, 120), At(tile, 92.5, 200), At(tile, 20.2, 20.2), At(tile, 70, 200)}, {}, 1);
  EXPECT_EQ(result.blank, 3u);
  ASSERT_EQ(result.measurements.size(), 1u);
  EXPECT_NE(result.measurements[0].flags & quality::kEdge.mask(), 0u);
  EXPECT_TRUE(std::isfinite(result.measurements[0].flux_jy));
  EXPECT_NEAR(result.measurements[0].edge_beams, 25 / 17.8, 0.15);
}

TEST(Forced, ASourceOnTheEdgeIsFlagged) {
  MadeUpTile tile = MakeTile(256, 10, 16);
  AddSource(tile, {1, 120, 0.05});
  AddSource(tile, {128, 120, 0.05});
  const auto result = MeasureForced(tile.images(), FlatRms(0.001F), {At(tile, 1, 120), At(tile, 128, 120)}, {}, 1);
  ASSERT_EQ(result.measurements.size(), 2u);
  EXPECT_NE(result.measurements[0].flags & quality::kEdge.mask(), 0u);
  EXPECT_NEAR(result.measurements[0].flux_jy, 0.05, 0.001);
  EXPECT_EQ(result.measurements[1].flags & quality::kEdge.mask(), 0u);
}

TEST(Forced, LowResponseIsLeftOutOrFlagged) {
  MadeUpTile tile = MakeTile(256, 10, 16);
  AddSource(tile, {128, 120, 0.01});
  for (float& v : tile.pb.pixels) v = 0.2F;
  const std::vector<ForcedPlace> place{At(tile, 128, 120)};
  const auto none = MeasureForced(tile.images(), FlatRms(0.001F), place, {}, 1);
  EXPECT_TRUE(none.measurements.empty());
  EXPECT_EQ(none.low_response, 1u);
  ForcedOptions options;
  options.min_response = 0.1;
  options.tile_flags = quality::kBadTile.mask();
  const auto one = MeasureForced(tile.images(), FlatRms(0.001F), place, options, 1);
  ASSERT_EQ(one.measurements.size(), 1u);
  EXPECT_EQ(one.measurements[0].flags, quality::kLowResponse.mask() | quality::kBadTile.mask());
  EXPECT_NEAR(one.measurements[0].flux_jy, 0.05, 1e-5);
}

TEST(Forced, SaysAtWhichFrequencyAFluxIs) {
  MadeUpTile tile = MakeTile(256, 10, 16);
  AddSource(tile, {128, 120, 0.01});
  for (float& v : tile.pb.pixels) v = 0.5F;
  tile.header.bandwidth_hz = 187.5e6;
  std::vector<ForcedPlace> place{At(tile, 128, 120)};
  const auto hz = [&] {
    return MeasureForced(tile.images(), FlatRms(0.001F), place, {}, 1).measurements.at(0).frequency_hz;
  };
  EXPECT_NEAR(hz(), EffectiveFrequency(1.4e9, 187.5e6, 0.5, -0.7), 10);
  place[0].spectral_index = 2;
  EXPECT_NEAR(hz(), EffectiveFrequency(1.4e9, 187.5e6, 0.5, 2), 10);
  tile.header.mosaic.emplace();
  EXPECT_EQ(hz(), 1.4e9);
}

TEST(Forced, WhatSmearingTakesIsFlagged) {
  MadeUpTile tile = MakeTile(256, 10, 16);
  AddSource(tile, {128, 120, 0.01});
  image::Plane smear(256, 256);
  TileImages images = tile.images();
  images.smear = smear.view();
  const std::vector<ForcedPlace> place{At(tile, 128, 120)};
  for (const auto& [left, flags] : {std::pair(0.91F, QualityFlags{0}), std::pair(0.89F, quality::kSmearing.mask())}) {
    for (float& v : smear.pixels) v = left;
    const auto one = MeasureForced(images, FlatRms(0.001F), place, {}, 1);
    ASSERT_EQ(one.measurements.size(), 1u);
    EXPECT_EQ(one.measurements[0].flags, flags) << left;
    EXPECT_NEAR(one.measurements[0].flux_jy, 0.01 / left, 1e-5);
  }
}

// 400 sources of 5 to 50 σ in noise that is correlated as the beam: unbiased, and the errors are those made.
TEST(Forced, ErrorsAreThoseThatAreMade) {
  MadeUpTile tile = MakeTile(1024, 10, 16);
  AddNoise(tile, 0.001, 11);
  std::mt19937 random(4);
  std::uniform_real_distribution<double> uniform(0, 1);
  std::vector<ForcedPlace> places;
  std::vector<double> truth;
  for (int i = 0; i < 400; ++i) {
    const double x = 30 + 50 * (i % 20) + 40 * uniform(random) - 20, y = 30 + 50 * (i / 20) + 40 * uniform(random) - 20;
    const double flux = 0.005 * std::pow(10, uniform(random));
    AddSource(tile, {x, y, flux});
    truth.push_back(flux);
    places.push_back(At(tile, x, y, flux * 1.1));
  }
  const image::CoarseMap rms = MeasureRms(tile.residual.view(), {}, 2);
  const auto result = MeasureForced(tile.images(), rms, places, {}, 2);
  ASSERT_EQ(result.measurements.size(), 400u);
  double mean = 0, square = 0, chi2 = 0;
  for (const ForcedMeasurement& m : result.measurements) {
    const double pull = (m.flux_jy - truth[m.index]) / m.flux_error_jy;
    mean += pull / 400;
    square += pull * pull / 400;
    chi2 += m.chi2 / 400;
  }
  EXPECT_NEAR(mean, 0, 0.15);
  EXPECT_NEAR(std::sqrt(square), 1, 0.15);
  EXPECT_NEAR(chi2, 1, 0.3);
  // The same bits, whoever computes them.
  const auto again = MeasureForced(tile.images(), rms, places, {}, 7);
  for (std::size_t i = 0; i < 400; ++i) {
    EXPECT_EQ(again.measurements[i].flux_jy, result.measurements[i].flux_jy);
    EXPECT_EQ(again.measurements[i].chi2, result.measurements[i].chi2);
  }
}

TEST(ListedPlaces, FluxesAreBroughtToTheFrequency) {
  ListedSource plain, flat;
  plain.ra_deg = 359.5, plain.dec_deg = -3, plain.flux_jy = 2;
  flat = plain;
  flat.spectral_index = 0;
  const auto places = PlacesOfList({plain, flat}, 2.8e9);
  EXPECT_NEAR(places[0].expected_jy, 2 * std::pow(2.0, -0.7), 1e-12);
  EXPECT_NEAR(places[1].expected_jy, 2, 1e-12);
  EXPECT_NEAR(places[0].direction.ra.deg(), 359.5, 1e-9);
  EXPECT_EQ(PlacesOfList({plain}, 0)[0].expected_jy, 2);  // of an image that knows no frequency
}

TEST(ListedPlaces, AnEntryAtThePlaceIsTheSourceItself) {
  ListedSource a, b;
  a.ra_deg = 0.0001, a.dec_deg = 5;
  b.ra_deg = 0.1, b.dec_deg = 5;
  ListedSource asked;
  asked.ra_deg = 359.9999, asked.dec_deg = 5;
  const auto others = Others(PlacesOfList({a, b}, 0), PlacesOfList({asked}, 0), Angle::Arcsec(5));
  ASSERT_EQ(others.size(), 1u);
  EXPECT_NEAR(others[0].direction.ra.deg(), 0.1, 1e-9);
}

}  // namespace
}  // namespace contimg::mosaic
