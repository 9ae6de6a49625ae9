// `contimg convert` and `contimg inspect --validate` given one damaged file in an otherwise good group.
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "tests/integration/convert_tool.h"

namespace contimg {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class BadInput : public ConvertTest {
 protected:
  fs::path victim() const { return files()[5]; }

  void Damage(const std::string& kind) {
    const PeerResult result = RunPythonPeer("damage_uvh5.py", {kind, victim().string()});
    ASSERT_EQ(result.status, 0) << result.output;
  }
  // Exit status 3, one sentence with the file's name, nothing left.
  void ExpectRefused(const std::string& name) {
    const ToolResult result = Convert();
    EXPECT_EQ(result.status, 3) << result.err;
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
    EXPECT_THAT(result.err, HasSubstr(name));
    EXPECT_EQ(result.out, "");
    ExpectNothingLeft();
  }
  void ExpectRefused() { ExpectRefused(victim().filename().string()); }
};

class DamagedFile : public BadInput, public ::testing::WithParamInterface<const char*> {};

TEST_P(DamagedFile, IsRefused) {
  if (!HavePythonPeer("h5py")) GTEST_SKIP() << "needs python3-h5py";
  Damage(GetParam());
  ExpectRefused();
}

INSTANTIATE_TEST_SUITE_P(, DamagedFile,
                         ::testing::Values("missing_data_set", "missing_visibilities", "wrong_rank", "wrong_type",
                                           "axes_swapped", "nblts_contradicts", "too_few_rows", "index_out_of_range",
                                           "times_differ", "antennas_differ", "unknown_polarisation"),
                         [](const auto& test) { return std::string(test.param); });

TEST_F(BadInput, TruncatedFileIsRefused) {
  fs::resize_file(victim(), fs::file_size(victim()) / 2);
  ExpectRefused();
}

TEST_F(BadInput, EmptyFileIsRefused) {
  fs::resize_file(victim(), 0);
  ExpectRefused();
}

TEST_F(BadInput, TextIsRefused) {
  std::ofstream(victim(), std::ios::trunc) << "not HDF5 at all\n";
  ExpectRefused();
}

TEST_F(BadInput, DuplicateSubbandIsRefused) {
  // The same subband again under a stamp one second later.
  const fs::path copy = root_ / "in" / "2031-01-01T00:00:00_sb05.hdf5";
  fs::copy_file(victim(), copy);
  ExpectRefused("_sb05.hdf5");
}

TEST_F(BadInput, SwappedSubbandNumbersAreRefused) {
  const fs::path a = files()[5], b = files()[6], aside = root_ / "aside";
  fs::rename(a, aside);
  fs::rename(b, a);
  fs::rename(aside, b);
  ExpectRefused("_sb0");
}

TEST_F(BadInput, SamplesThatAreNotFiniteAreFlaggedAndCounted) {
  if (!HavePythonPeer("h5py")) GTEST_SKIP() << "needs python3-h5py";
  Damage("not_finite");
  const ToolResult result = Convert("--json");
  ASSERT_EQ(result.status, 0) << result.err;
  EXPECT_EQ(nlohmann::json::parse(result.out).at("non_finite"), 3);
  EXPECT_EQ(NamesBelow(staging()), std::vector<std::string>());
}

TEST_F(BadInput, MissingFileIsNoDamage) {
  const ToolResult result = Contimg("convert " + Quoted((root_ / "in/none_sb00.hdf5").string()) + " --out " +
                                    Quoted((out() / "x.ms").string()));
  EXPECT_EQ(result.status, 1) << result.err;
  EXPECT_THAT(result.err, HasSubstr("none_sb00.hdf5"));
  ExpectNothingLeft();
}

TEST_F(BadInput, InspectTellsByItsExitStatus) {
  const std::string good = Quoted(files()[4].string());
  EXPECT_EQ(Contimg("inspect --validate " + good).status, 0);
  EXPECT_EQ(Contimg("inspect --validate " + Quoted((root_ / "none.hdf5").string())).status, 1);
  fs::resize_file(victim(), fs::file_size(victim()) / 2);
  EXPECT_EQ(Contimg("inspect --validate " + Quoted(victim().string())).status, 3);
}

}  // namespace
}  // namespace contimg
