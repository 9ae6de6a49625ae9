#include "ingest/uvh5_reader.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "config/units.h"

namespace contimg::ingest {
namespace {

std::filesystem::path TestData(const std::string& folder) {
  const char* root = std::getenv("CONTIMG_TEST_DATA");
  return std::filesystem::path(root != nullptr ? root : CONTIMG_SOURCE_DIR "/../shared/data") / folder;
}

std::vector<std::filesystem::path> FilesIn(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == ".hdf5") paths.push_back(entry.path());
  }
  return paths;
}

TEST(RealUvh5, ReadsTheCorrelatorsLayout) {
  const std::filesystem::path folder = TestData("sample-uvh5");
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "no test data in " << folder << " (set CONTIMG_TEST_DATA)";
  const SubbandHeader header = ReadSubbandHeader(folder / "2025-10-13T13:28:03_sb03.hdf5");
  EXPECT_EQ(header.subband, 3);
  EXPECT_EQ(header.time_mjd_s.size(), 8u);
  EXPECT_EQ(header.baselines.size(), 55u);
  EXPECT_TRUE(header.descending);
  EXPECT_DOUBLE_EQ(header.frequency_hz.back(), 1463486938.4765625);
  EXPECT_EQ(header.antennas.size(), 117u);
  EXPECT_NEAR(Angle::Radians(header.site.latitude_rad).deg(), 37.2333752, 1e-12);
}

TEST(RealUvh5, ReadsTheSampleGroup) {
  const std::filesystem::path folder = TestData("sample-uvh5");
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "no test data in " << folder << " (set CONTIMG_TEST_DATA)";
  RunContext context;
  context.threads = 2;
  const TileInput tile = ReadTile(FilesIn(folder), context);
  EXPECT_EQ(tile.block->shape(), (std::array<std::size_t, 4>{8, 55, 768, 2}));
  EXPECT_TRUE(std::is_sorted(tile.block->frequency_hz.begin(), tile.block->frequency_hz.end()));
  EXPECT_EQ(tile.report.samples, 8u * 55 * 768 * 2);
  EXPECT_EQ(tile.report.non_finite, 0u);
  EXPECT_EQ(tile.block->windows.front().subband, 15);
  EXPECT_EQ(tile.block->group_id, "2025-10-13T13:28:03");
}

TEST(RealUvh5, ReadsTheRealVlaGroup) {
  const std::filesystem::path folder = TestData("vla-3c286-uvh5");
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "no test data in " << folder << " (set CONTIMG_TEST_DATA)";
  const TileInput tile = ReadTile(FilesIn(folder), RunContext{});
  EXPECT_EQ(tile.block->shape(), (std::array<std::size_t, 4>{51, 325, 14, 2}));
  EXPECT_GT(tile.report.flagged_in_file, 0u);
}

}  // namespace
}  // namespace contimg::ingest
