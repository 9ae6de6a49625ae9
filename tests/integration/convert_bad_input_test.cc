// `contimg convert` and `contimg inspect --validate` given one damaged file in an otherwise good group.
#include <gmock/gmock.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "config/product_paths.h"
#include "config/time.h"
#include "tests/integration/convert_tool.h"

namespace contimg {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

class ConvertBadInput : public ConvertTest {
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

class DamagedFile : public ConvertBadInput, public ::testing::WithParamInterface<const char*> {};

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

TEST_F(ConvertBadInput, TruncatedFileIsRefused) {
  fs::resize_file(victim(), fs::file_size(victim()) / 2);
  ExpectRefused();
}

TEST_F(ConvertBadInput, EmptyFileIsRefused) {
  fs::resize_file(victim(), 0);
  ExpectRefused();
}

TEST_F(ConvertBadInput, TextIsRefused) {
  std::ofstream(victim(), std::ios::trunc) << "not HDF5 at all\n";
  ExpectRefused();
}

TEST_F(ConvertBadInput, DuplicateSubbandIsRefused) {
  // The same subband again under a stamp one second later.
  const fs::path copy = root_ / "in" / "2031-01-01T00:00:00_sb05.hdf5";
  fs::copy_file(victim(), copy);
  ExpectRefused("_sb05.hdf5");
}

TEST_F(ConvertBadInput, SwappedSubbandNumbersAreRefused) {
  const fs::path a = files()[5], b = files()[6], aside = root_ / "aside";
  fs::rename(a, aside);
  fs::rename(b, a);
  fs::rename(aside, b);
  ExpectRefused("_sb0");
}

TEST_F(ConvertBadInput, SamplesThatAreNotFiniteAreFlaggedAndCounted) {
  if (!HavePythonPeer("h5py")) GTEST_SKIP() << "needs python3-h5py";
  Damage("not_finite");
  const ToolResult result = Convert("--json");
  ASSERT_EQ(result.status, 0) << result.err;
  EXPECT_EQ(nlohmann::json::parse(result.out).at("non_finite"), 3);
  EXPECT_EQ(NamesBelow(staging()), std::vector<std::string>());
}

TEST_F(ConvertBadInput, MissingFileIsNoDamage) {
  const ToolResult result = Contimg("convert " + Quoted((root_ / "in/none_sb00.hdf5").string()) + " --out " +
                                    Quoted((out() / "x.ms").string()));
  EXPECT_EQ(result.status, 1) << result.err;
  EXPECT_THAT(result.err, HasSubstr("none_sb00.hdf5"));
  ExpectNothingLeft();
}

TEST_F(ConvertBadInput, InspectTellsByItsExitStatus) {
  const std::string good = Quoted(files()[4].string());
  EXPECT_EQ(Contimg("inspect --validate " + good).status, 0);
  EXPECT_EQ(Contimg("inspect --validate " + Quoted((root_ / "none.hdf5").string())).status, 1);
  fs::resize_file(victim(), fs::file_size(victim()) / 2);
  EXPECT_EQ(Contimg("inspect --validate " + Quoted(victim().string())).status, 3);
}

TEST_F(ConvertBadInput, InspectSaysWhatItTakes) {
  const fs::path other = root_ / "x.json";
  std::ofstream(other) << "{\"not\": \"a table\"}\n";
  const std::string expected = "expected a UVH5 file, a Measurement Set, a calibration table or an image, found a file";
  const ToolResult plain = Contimg("inspect " + Quoted(other.string()));
  EXPECT_EQ(plain.status, 3);
  EXPECT_THAT(plain.err, HasSubstr(expected));
  // Beside others it is one problem of several.
  const ToolResult both = Contimg("inspect --validate " + Quoted(other.string()) + " " + Quoted(files()[4].string()));
  EXPECT_EQ(both.status, 3);
  EXPECT_THAT(both.out, AllOf(HasSubstr("PROBLEM       " + expected), HasSubstr("  valid\n")));
}

TEST_F(ConvertBadInput, NamesWithLineFeedsStayOnTheirLine) {
  const fs::path strange = root_ / "in" / "new\nline_sb05.hdf5";
  fs::rename(victim(), strange);
  const ToolResult file = Contimg("inspect " + Quoted(strange.string()));
  ASSERT_EQ(file.status, 0) << file.err;
  EXPECT_THAT(file.out, HasSubstr("new\\nline_sb05.hdf5: UVH5"));
  ASSERT_EQ(Convert().status, 0);
  const fs::path set = out() / "made\nof it.ms";
  fs::rename(out() / "x.ms", set);
  const ToolResult made = Contimg("inspect " + Quoted(set.string()));
  ASSERT_EQ(made.status, 0) << made.err;
  EXPECT_THAT(made.out, AllOf(HasSubstr("made\\nof it.ms: Measurement Set"), HasSubstr("new\\nline_sb05.hdf5\n")));
}

TEST_F(ConvertBadInput, QuietPrintsErrorsAlone) {
  const ToolResult good = Convert("--quiet");
  EXPECT_EQ(good.status, 0);
  EXPECT_EQ(good.out + good.err, "");
  const ToolResult again = Convert("--quiet");
  EXPECT_EQ(again.status, 2);
  EXPECT_EQ(again.out, "");
  EXPECT_EQ(std::count(again.err.begin(), again.err.end(), '\n'), 1) << again.err;
}

TEST_F(ConvertBadInput, AbsurdCountsAreToldAndNotUsed) {
  if (!HavePythonPeer("h5py")) GTEST_SKIP() << "needs python3-h5py";
  Damage("absurd_counts");
  const ToolResult result = Convert("--json");
  ASSERT_EQ(result.status, 0) << result.err;
  EXPECT_EQ(nlohmann::json::parse(result.out).at("absurd_weights"), 10);
  EXPECT_THAT(result.err, HasSubstr("10 samples claim more than 10 000 times the usual nsamples: flagged"));
}

TEST_F(ConvertBadInput, TheWritersUt1IsComparedWithTheOneInUse) {
  if (!HavePythonPeer("h5py")) GTEST_SKIP() << "needs python3-h5py";
  Damage("ut1");  // 0.4 s
  const ToolResult without = Convert();
  EXPECT_EQ(without.status, 0) << without.err;
  EXPECT_THAT(
      without.err,
      HasSubstr("the header's dut1 is 0.4 s, but UT1 = UTC is assumed: right ascensions are off by 6.0 arcsec"));
  fs::remove_all(out() / "x.ms");
  const double today = std::floor(UtcTime::FromIso8601(ParseIncomingName(victim())->timestamp).mjd());
  const auto with = [&](double dut1_s) {
    std::ofstream table(root_ / "finals");
    for (const double mjd : {today - 1, today, today + 1, today + 2}) {
      std::string line(80, ' ');
      line.replace(7, 8, fmt::format("{:8.2f}", mjd));
      line.replace(18, 9, fmt::format("{:9.6f}", 0.1));
      line.replace(37, 9, fmt::format("{:9.6f}", 0.1));
      line.replace(58, 10, fmt::format("{:10.7f}", dut1_s));
      table << line << "\n";
    }
    table.close();
    return Convert("--set telescope.earth_orientation_file=" + Quoted((root_ / "finals").string()));
  };
  const ToolResult wrong = with(-0.2);
  EXPECT_EQ(wrong.status, 3) << wrong.err;
  EXPECT_THAT(wrong.err, AllOf(HasSubstr("gives UT1 - UTC = -0.200 s at "),
                               HasSubstr("but dut1 in the header of the files is 0.4 s")));
  ExpectNothingLeft();
  const ToolResult right = with(0.41);
  EXPECT_EQ(right.status, 0) << right.err;
  EXPECT_THAT(right.err, ::testing::Not(HasSubstr("dut1")));
}

}  // namespace
}  // namespace contimg
