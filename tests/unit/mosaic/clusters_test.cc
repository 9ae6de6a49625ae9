#include "mosaic/photometry/clusters.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "tests/unit/mosaic/made_up_tile.h"

namespace contimg::mosaic {
namespace {

const image::GaussianBeam kLinkBeam{17.8 * testing_tile::kCell, 9.6 * testing_tile::kCell, 0.5};
BeamPixels LinkBeam() { return {kLinkBeam, testing_tile::kCell}; }

std::vector<image::PixelPosition> RandomPlaces(std::size_t n, double size, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> uniform(0, size);
  std::vector<image::PixelPosition> places;
  for (std::size_t i = 0; i < n; ++i) places.push_back({uniform(random), uniform(random)});
  return places;
}

// Full widths between two places, from the value of the beam.
double Widths(const image::PixelPosition& a, const image::PixelPosition& b) {
  return std::sqrt(-std::log2(testing_tile::BeamValue(kLinkBeam, a.x - b.x, a.y - b.y)) / 4);
}

TEST(BeamPixels, HasTheBeamsValuesReachAndArea) {
  const BeamPixels beam = LinkBeam();
  double sum = 0, reach_x = 0, reach_y = 0;
  for (int y = -60; y <= 60; ++y) {
    for (int x = -60; x <= 60; ++x) {
      const double value = testing_tile::BeamValue(kLinkBeam, x, y);
      EXPECT_NEAR(beam.Value(x, y), value, 1e-12);
      sum += value;
      if (value < std::pow(0.5, 4)) continue;  // one full width
      reach_x = std::max(reach_x, std::abs(x * 1.0));
      reach_y = std::max(reach_y, std::abs(y * 1.0));
    }
  }
  EXPECT_NEAR(beam.Area(), sum, 1e-6 * sum);
  EXPECT_NEAR(beam.ReachX(1), reach_x, 1);
  EXPECT_NEAR(beam.ReachY(1), reach_y, 1);
}

TEST(Clusters, LinksAreThoseOfAllPairs) {
  const auto places = RandomPlaces(200, 400, 5);
  std::vector<std::size_t> label(places.size());
  for (std::size_t i = 0; i < label.size(); ++i) label[i] = i;
  for (bool changed = true; changed;) {  // the smallest index that is reached
    changed = false;
    for (std::size_t i = 0; i < places.size(); ++i) {
      for (std::size_t k = 0; k < places.size(); ++k) {
        if (Widths(places[i], places[k]) >= 1.6 || label[i] <= label[k]) continue;
        label[i] = label[k];
        changed = true;
      }
    }
  }
  const auto groups = LinkPlaces(places, LinkBeam(), 1.6);
  std::size_t members = 0;
  for (const auto& group : groups) {
    ASSERT_FALSE(group.empty());
    EXPECT_TRUE(std::is_sorted(group.begin(), group.end()));
    for (const std::size_t i : group) EXPECT_EQ(label[i], group.front());
    members += group.size();
  }
  EXPECT_EQ(members, places.size());
  EXPECT_LT(groups.size(), places.size());
}

TEST(Clusters, NearPlacesAreThoseOfAllPairs) {
  const auto places = RandomPlaces(60, 200, 6), others = RandomPlaces(80, 200, 7);
  const auto near = NearPlaces(places, others, LinkBeam(), 2.3, false);
  for (std::size_t i = 0; i < places.size(); ++i) {
    std::vector<std::size_t> expected;
    for (std::size_t k = 0; k < others.size(); ++k) {
      if (Widths(places[i], others[k]) < 2.3) expected.push_back(k);
    }
    EXPECT_EQ(near[i], expected);
  }
  EXPECT_TRUE(NearPlaces(places, places, LinkBeam(), 1e-6, true)[3].empty());
}

TEST(Clusters, JointFluxesAndErrorsAreThoseOfTheNormalEquations) {
  const std::vector<image::PixelPosition> places{{100, 100}, {108, 103}, {95, 112.5}, {104, 90}};
  const std::vector<double> truth{1.0, 0.02, -0.3, 5.0};
  std::vector<double> values;
  for (const auto& p : places) {
    double v = 0;
    for (std::size_t k = 0; k < places.size(); ++k)
      v += truth[k] * testing_tile::BeamValue(kLinkBeam, p.x - places[k].x, p.y - places[k].y);
    values.push_back(v);
  }
  const JointFluxes solved = SolveJointly(places, values, LinkBeam());
  for (std::size_t i = 0; i < truth.size(); ++i) EXPECT_NEAR(solved.flux[i], truth[i], 1e-9);
  // Of two alone at correlation k: variance 1/(1 − k²), condition (1 + k)/(1 − k).
  const double k = testing_tile::BeamValue(kLinkBeam, 8, 3);
  const JointFluxes pair = SolveJointly({places[0], places[1]}, {1, 1}, LinkBeam());
  EXPECT_NEAR(pair.variance[0], 1 / (1 - k * k), 1e-9);
  EXPECT_NEAR(pair.condition, (1 + k) / (1 - k), 1e-9);
  EXPECT_NEAR(pair.flux[0], 1 / (1 + k), 1e-9);
}

}  // namespace
}  // namespace contimg::mosaic
