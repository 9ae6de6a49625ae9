// Sources in an image that wsclean makes of a converted group stand where they belong.
#include "tests/integration/convert_tool.h"

namespace contimg {
namespace {

namespace fs = std::filesystem;

class Positions : public ConvertTest {
 protected:
  static bool HavePeers() { return RunCommand("command -v wsclean").status == 0 && HavePythonPeer("astropy"); }

  fs::path Image(const fs::path& folder, const std::string& options) {
    const fs::path ms = out() / "x.ms", name = root_ / "image";
    const ToolResult made = Contimg("convert" + Words(SubbandFiles(folder)) + " --out " + Quoted(ms.string()));
    EXPECT_EQ(made.status, 0) << made.err;
    const PeerResult cleaned =
        RunCommand("wsclean -quiet -name " + Quoted(name.string()) + " -weight briggs 0 -pol i " +
                   "-no-update-model-required " + options + " " + Quoted(ms.string()));
    EXPECT_EQ(cleaned.status, 0) << cleaned.output;
    return name.string() + "-image.fits";
  }
};

TEST_F(Positions, OfASimulatedGroupAreWithinATenthOfABeam) {
  const fs::path folder = SharedData("sample-uvh5");
  if (folder.empty()) GTEST_SKIP() << "no sample-uvh5 (set CONTIMG_TEST_DATA)";
  if (!HavePeers()) GTEST_SKIP() << "needs wsclean and python3-astropy";
  const fs::path image =
      Image(folder, "-niter 30000 -mgain 0.6 -auto-mask 5 -auto-threshold 0.5 -size 3600 3600 -scale 3asec");
  std::string truth;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() == ".json") truth = entry.path().string();
  }
  const PeerResult fit = RunPythonPeer("source_positions.py", {image.string(), truth});
  EXPECT_EQ(fit.status, 0) << fit.output;
  fmt::print("{}", fit.output);
}

// Uncalibrated real data, so one source at the centre tells nothing about orientation: two NVSS neighbours do. NVSS
// positions (45 arcsec beam) are good to about 1 arcsec, which adds to the tenth of a beam for the first. The second is
// resolved (0.10 Jy at 4 arcsec, 0.15 Jy at 15 arcsec): its peak need not be NVSS's centroid, and one beam shows only
// that it is not mirrored.
TEST_F(Positions, OfThe3C286FieldAreThoseOfNvss) {
  const fs::path folder = SharedData("vla-3c286-uvh5");
  if (folder.empty()) GTEST_SKIP() << "no vla-3c286-uvh5 (set CONTIMG_TEST_DATA)";
  if (!HavePeers()) GTEST_SKIP() << "needs wsclean and python3-astropy";
  const fs::path image =
      Image(folder, "-niter 1000 -mgain 0.8 -reorder -auto-threshold 3 -size 2048 2048 -scale 2asec");
  const PeerResult fit = RunPythonPeer("source_positions.py", {image.string(), "202.784533,30.509155",
                                                               "202.95234,30.53001,1.36", "202.95402,30.40740,3.6"});
  EXPECT_EQ(fit.status, 0) << fit.output;
  fmt::print("{}", fit.output);
}

}  // namespace
}  // namespace contimg
