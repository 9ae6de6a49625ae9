#include "ingest/uvh5_inspect.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/temporary_folder.h"
#include "tests/unit/ingest/uvh5_fixture.h"

namespace contimg::ingest {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testkit::Uvh5Fixture;

Validation Validate(const std::filesystem::path& path) {
  return ValidateSubband(ReadSubbandHeader(path), ValidationLimits{}, RunContext{});
}

// The fixture's data start at 13:28:03 like the stamp in its name.
TEST(ValidateSubband, AcceptsASoundFile) {
  const TemporaryFolder folder;
  const Validation validation = Validate(Uvh5Fixture{}.Write(folder.path()));
  EXPECT_THAT(validation.problems, IsEmpty());
  EXPECT_THAT(validation.remarks, IsEmpty());
  EXPECT_EQ(validation.flagged_fraction, 0);
}

TEST(ValidateSubband, ComparesTheDataTimeWithTheName) {
  const TemporaryFolder folder;
  Uvh5Fixture fixture;
  fixture.start_jd += 90.0 / 86400;
  EXPECT_THAT(Validate(fixture.Write(folder.path())).problems, ElementsAre(HasSubstr("found 2025-10-13T13:29:33")));
}

TEST(ValidateSubband, FindsUnevenTimes) {
  const TemporaryFolder folder;
  Uvh5Fixture fixture;
  const std::filesystem::path path = fixture.Write(folder.path());
  std::vector<double> time;
  for (int row = 0; row < 30; ++row) {
    const int t = row / 10;
    time.push_back(fixture.start_jd + (t == 2 ? 2.5 : t) * fixture.integration_s / 86400);
  }
  testkit::Put(path, "Header/time_array", {30}, time);
  EXPECT_THAT(Validate(path).problems,
              ElementsAre(HasSubstr("expected times 12.885 s apart, found 19.327 s before time 2")));
}

TEST(ValidateSubband, RejectsAFileWithoutUsableSamples) {
  const TemporaryFolder folder;
  const std::filesystem::path path = Uvh5Fixture{}.Write(folder.path());
  testkit::Put(path, "Data/nsamples", {30, 1, 8, 2}, std::vector<double>(480, 0), H5::PredType::IEEE_F32LE);
  const Validation validation = Validate(path);
  EXPECT_EQ(validation.flagged_fraction, 1);
  EXPECT_THAT(validation.problems, ElementsAre(HasSubstr("found 100.0 % flagged")));
  EXPECT_THAT(validation.remarks, Contains(HasSubstr("480 samples hold no data")));
}

TEST(DescribeDataSets, TellsTypeChunksAndFilters) {
  const TemporaryFolder folder;
  Uvh5Fixture fixture;
  fixture.storage = testkit::Storage::kDeflate;
  const std::vector<DataSetFacts> facts = DescribeDataSets(fixture.Write(folder.path()));
  ASSERT_EQ(facts.size(), 3u);
  EXPECT_EQ(facts[0].type, "complex float32");
  EXPECT_THAT(facts[0].chunk, ElementsAre(8, 1, 3, 1));
  EXPECT_THAT(facts[0].filters, ElementsAre("deflate"));
  EXPECT_EQ(facts[1].type, "boolean");
}

TEST(AntennasWithData, CountsThoseInBaselines) {
  const TemporaryFolder folder;
  const AntennaPresence presence = AntennasWithData(ReadSubbandHeader(Uvh5Fixture{}.Write(folder.path())));
  EXPECT_THAT(presence.present, ElementsAre("1", "2", "3", "4"));
  EXPECT_EQ(presence.absent, 1u);
}

}  // namespace
}  // namespace contimg::ingest
