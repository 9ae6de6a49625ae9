// Groups that another program phased or rewrote give what the correlator's own files give.
#include <gmock/gmock.h>

#include "tests/integration/convert_tool.h"

namespace contimg {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

// Half a degree from where the simulator's default pointing has the middle of the tile.
constexpr const char* kCentre = "106.9 16.4";

class Foreign : public ConvertTest {
 protected:
  static bool HavePeers() {
    return HavePythonPeer("h5py") && HavePythonPeer("erfa") && HavePythonPeer("casacore.tables") &&
           HavePythonPeer("astropy");
  }
  // Converts the group as it is, then changes it and converts it again: largest difference of DATA as a fraction.
  void ExpectTheSame(const std::string& kind, const std::string& centre, double largest, std::string& text) {
    const fs::path before = out() / "before.ms", after = out() / "after.ms";
    const ToolResult plain = Contimg("convert" + Words(files()) + " --out " + Quoted(before.string()) + centre);
    ASSERT_EQ(plain.status, 0) << plain.err;
    std::vector<std::string> words{kind, "106.9", "16.4"};
    for (const fs::path& file : files()) words.push_back(file.string());
    const PeerResult changed = RunPythonPeer("rephase_uvh5.py", words);
    ASSERT_EQ(changed.status, 0) << changed.output;
    const ToolResult converted = Contimg("convert" + Words(files()) + " --out " + Quoted(after.string()));
    ASSERT_EQ(converted.status, 0) << converted.err;
    text = converted.out + converted.err;
    const PeerResult compared =
        RunPythonPeer("same_measurement_set.py", {before.string(), after.string(), fmt::format("{}", largest)});
    EXPECT_EQ(compared.status, 0) << compared.output;
    fmt::print("{}: {}", kind, compared.output);
  }
};

class SiderealCentre : public Foreign, public ::testing::WithParamInterface<const char*> {};

// float32 is rounded by the other program and twice here: 1e-7 of a sample each, and of the largest sample some times
// that of the rms. A quarter of a second of UT1, or the writer's diurnal aberration taken for the sky's, would be 0.6.
TEST_P(SiderealCentre, GivesWhatTheDriftScanGivesAtThatCentre) {
  if (!HavePeers()) GTEST_SKIP() << "needs python3-h5py, -erfa, -casacore, -astropy";
  std::string text;
  ExpectTheSame(GetParam(), std::string(" --centre ") + kCentre, 1e-5, text);
  EXPECT_THAT(text, HasSubstr("phased to ICRS 106.900000 +16.400000 deg"));
  EXPECT_THAT(text, HasSubstr("the dishes stood on the meridian at declination"));
}

INSTANTIATE_TEST_SUITE_P(Foreign, SiderealCentre, ::testing::Values("catalogue", "old", "old_fk5"),
                         [](const auto& test) { return std::string(test.param); });

TEST_F(Foreign, DriftScanRewrittenByPyuvdataIsTheSame) {
  if (!HavePeers()) GTEST_SKIP() << "needs python3-h5py, -erfa, -casacore, -astropy";
  std::string text;
  ExpectTheSame("rewritten", "", 1e-12, text);
  EXPECT_THAT(text, HasSubstr("drift scan, fringes stopped at hour angle 0"));
}

TEST_F(Foreign, InspectSaysWhatTheFileIsPhasedTo) {
  if (!HavePythonPeer("h5py") || !HavePythonPeer("erfa")) GTEST_SKIP() << "needs python3-h5py and -erfa";
  const fs::path file = files()[0];
  EXPECT_THAT(Contimg("inspect " + Quoted(file.string())).out,
              HasSubstr("phases        drift scan, fringes stopped at hour angle 0, declination"));
  ASSERT_EQ(RunPythonPeer("rephase_uvh5.py", {"catalogue", "106.9", "16.4", file.string()}).status, 0);
  EXPECT_THAT(
      Contimg("inspect " + Quoted(file.string())).out,
      HasSubstr("phases        phased to ICRS 106.900000 +16.400000 deg (phase_center_catalog: sidereal 'target')"));
  const ToolResult valid = Contimg("inspect --validate " + Quoted(file.string()));
  EXPECT_EQ(valid.status, 0) << valid.out << valid.err;
}

TEST_F(Foreign, AFileWithoutASubbandInItsNameHasTheOneThatItsFrequenciesFill) {
  const fs::path plain = root_ / "in" / "rewritten.hdf5";
  fs::rename(files()[0], plain);
  const ToolResult filled =
      Contimg("convert " + Quoted(plain.string()) + " --out " + Quoted((out() / "x.ms").string()));
  ASSERT_EQ(filled.status, 0) << filled.err;
  EXPECT_THAT(filled.out, HasSubstr("1 subbands"));

  if (!HavePythonPeer("h5py")) GTEST_SKIP() << "needs python3-h5py";
  ASSERT_EQ(RunPythonPeer("damage_uvh5.py", {"between_subbands", plain.string()}).status, 0);
  const ToolResult none = Contimg("convert " + Quoted(plain.string()) + " --out " + Quoted((out() / "y.ms").string()));
  ASSERT_EQ(none.status, 0) << none.err;
  EXPECT_THAT(none.out, HasSubstr("1 files, 0 with a subband number"));
  EXPECT_THAT(none.err, HasSubstr("1 of 1 files have no subband number (expected names like"));
}

}  // namespace
}  // namespace contimg
