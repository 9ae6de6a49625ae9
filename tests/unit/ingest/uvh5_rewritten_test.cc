// Files that other programs rewrote: storage that was never written, names without a subband.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "ingest/uvh5_inspect.h"
#include "ingest/uvh5_reader.h"
#include "tests/temporary_folder.h"
#include "tests/unit/ingest/uvh5_fixture.h"

namespace contimg::ingest {
namespace {

using Path = std::filesystem::path;
using ::testing::Contains;
using ::testing::HasSubstr;
using testkit::Uvh5Fixture;

void PutUnwritten(const Path& path, const std::string& name, bool chunked) {
  const H5::H5File file(path.string(), H5F_ACC_RDWR);
  const H5::DataSet old = file.openDataSet(name);
  const H5::DataSpace space = old.getSpace();
  const H5::DataType type = old.getDataType();
  H5::DSetCreatPropList layout;
  if (chunked) layout = old.getCreatePlist();
  file.unlink(name);
  file.createDataSet(name, type, space, layout);
}

TEST(UnwrittenStorage, OfVisibilitiesIsFlaggedAndCounted) {
  for (const bool chunked : {true, false}) {
    const TemporaryFolder folder;
    const Path path = Uvh5Fixture{}.Write(folder.path());
    PutUnwritten(path, "Data/visdata", chunked);
    const TileInput tile = ReadTile({path}, RunContext{});
    EXPECT_EQ(tile.report.zero, 480u);
    EXPECT_EQ(tile.report.flagged, 480u);
    EXPECT_EQ(tile.report.no_samples, 0u);
    for (const std::uint8_t flag : tile.block->flag) ASSERT_EQ(flag, 1);
  }
}

TEST(UnwrittenStorage, OfSomeVisibilitiesLeavesTheOthersAlone) {
  for (const auto number : {testkit::Number::kFloat, testkit::Number::kInt32}) {
    const TemporaryFolder folder;
    Uvh5Fixture fixture;
    fixture.number = number;
    const Path path = fixture.Write(folder.path());
    const std::array<double, 2> zero{}, minus{-0.0, 0.0};
    H5::CompType complex(std::size_t{16});
    complex.insertMember("r", 0, H5::PredType::NATIVE_DOUBLE);
    complex.insertMember("i", 8, H5::PredType::NATIVE_DOUBLE);
    testkit::Overwrite(path, "Data/visdata", {4, 0, 3, 0}, zero.data(), complex);
    testkit::Overwrite(path, "Data/visdata", {17, 0, 5, 1}, minus.data(), complex);
    const TileInput tile = ReadTile({path}, RunContext{});
    EXPECT_EQ(tile.report.zero, 2u);
    EXPECT_EQ(tile.report.flagged, 2u);
    const Validation validation = ValidateSubband(ReadSubbandHeader(path), {}, RunContext{});
    EXPECT_THAT(validation.remarks, Contains(HasSubstr("2 samples are exactly 0 although nsamples is not")));
  }
}

TEST(UnwrittenStorage, OfCountsAndFlagsIsNamed) {
  const TemporaryFolder folder;
  const Path path = Uvh5Fixture{}.Write(folder.path());
  PutUnwritten(path, "Data/flags", true);
  EXPECT_EQ(ReadTile({path}, RunContext{}).report.flagged, 0u) << "HDF5 gives FALSE";
  EXPECT_THAT(ValidateSubband(ReadSubbandHeader(path), {}, RunContext{}).remarks,
              Contains(HasSubstr("chunks of Data/flags were never written: not flagged")));
  PutUnwritten(path, "Data/nsamples", true);
  EXPECT_EQ(ReadTile({path}, RunContext{}).report.no_samples, 480u);
  EXPECT_THAT(ValidateSubband(ReadSubbandHeader(path), {}, RunContext{}).remarks,
              Contains(HasSubstr("chunks of Data/nsamples were never written: flagged")));
}

TEST(NameWithoutASubband, TakesItFromFrequenciesThatFillOne) {
  const TemporaryFolder folder;
  Uvh5Fixture fixture;
  fixture.n_channels = 48;
  const Path path = folder.path() / "rewritten.uvh5";
  for (const int subband : {0, 3, 15}) {
    fixture.subband = subband;
    fixture.WriteTo(path);
    const SubbandHeader header = ReadSubbandHeader(path);
    EXPECT_EQ(header.subband, std::optional<int>(subband));
    EXPECT_FALSE(header.subband_in_name);
    EXPECT_THAT(ValidateSubband(header, {}, RunContext{}).remarks,
                Contains(HasSubstr("its frequencies are those of subband " + std::to_string(subband))));
  }
}

TEST(NameWithoutASubband, HasNoneWhenTheFrequenciesFillNone) {
  const TemporaryFolder folder;
  const Path path = folder.path() / "rewritten.uvh5";
  Uvh5Fixture fixture;  // the lower eighth of a subband
  fixture.WriteTo(path);
  EXPECT_EQ(ReadSubbandHeader(path).subband, std::nullopt);
  fixture.n_channels = 48;
  fixture.channel_width_hz = 200e3;
  fixture.WriteTo(path);
  EXPECT_EQ(ReadSubbandHeader(path).subband, std::nullopt);
}

}  // namespace
}  // namespace contimg::ingest
