// Good tiles are graded A or B, spoiled ones C or F with a reason. The short form of `./run bench grades`.
#include <gtest/gtest.h>

#include <fstream>

#include "image/image_stage.h"
#include "tests/e2e/graded_tiles.h"
#include "tests/temporary_folder.h"

namespace contimg {
namespace {

using oracle::Spoiling;

image::ImageQuality QualityOf(Spoiling spoiling, unsigned number) {
  const TemporaryFolder folder("grades");
  oracle::GradedTile tile = oracle::GradedTileMaker(spoiling, number).Make();
  image::ImageRequest request;
  request.prefix = folder.path() / "tile";
  request.durable = false;
  request.settings.size = oracle::kGradedSize;
  request.settings.cell_arcsec = oracle::kGradedCellArcsec;
  request.telescope.beam = "none";
  if (tile.cut_clean_short) request.settings.max_major_cycles = 1;
  if (!tile.catalogue.empty()) {
    request.settings.catalogue_file = folder.path() / "sky.csv";
    std::ofstream(request.settings.catalogue_file) << tile.catalogue;
  }
  RunContext context;
  context.threads = 2;
  return image::RunImage(tile.block, request, context).quality;
}

std::string Why(const image::ImageQuality& quality) {
  std::string text;
  for (const std::string& reason : quality.reasons) text += reason + "\n";
  return text;
}

TEST(Grades, GoodTilesAreAOrB) {
  for (unsigned i = 0; i < 10; ++i) {
    const image::ImageQuality quality = QualityOf(Spoiling::kNone, i);
    EXPECT_LE(quality.grade, "B") << "tile " << i << "\n" << Why(quality);
  }
}

class SpoiledTiles : public testing::TestWithParam<Spoiling> {};

TEST_P(SpoiledTiles, AreCOrFWithAReason) {
  for (unsigned i = 0; i < 2; ++i) {
    const image::ImageQuality quality = QualityOf(GetParam(), i);
    EXPECT_GE(quality.grade, GetParam() == Spoiling::kSidelobesOnly ? "F" : "C")
        << NameOf(GetParam()) << " " << i << "\n"
        << Why(quality);
    EXPECT_FALSE(quality.reasons.empty());
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, SpoiledTiles, testing::ValuesIn(oracle::kSpoilings));

}  // namespace
}  // namespace contimg
