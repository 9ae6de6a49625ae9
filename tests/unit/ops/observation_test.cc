#include "ops/job/observation.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/observed_tile.h"

namespace contimg::ops {
namespace {

TEST(Observation, SurvivesItsWayThroughTheCheckingProcess) {
  auto tile = Tile();
  tile.longitude_deg = -118.28;
  tile.integration_s = 12.885;
  const auto back = ParseObservation(nlohmann::json::parse(ToJson(tile).dump()));
  EXPECT_EQ(ToJson(back), ToJson(tile));
  auto other = tile;
  other.low_hz = 1.2e9;
  Widen(tile, other);
  EXPECT_EQ(tile.low_hz, 1.2e9);
  EXPECT_EQ(tile.subbands, 32);
}

}  // namespace
}  // namespace contimg::ops
