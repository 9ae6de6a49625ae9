// The chain of commands on real sky, judged by wsclean: convert, flag, solve, apply, image.
#include <regex>

#include "tests/integration/calibration_tool.h"

namespace contimg {
namespace {

namespace fs = std::filesystem;

class CalibrationChain : public CalibrationTest {};

// 3C286 with the VLA, tracked: no beam. Perley-Butler 2017 gives 15.09 Jy in this band; the observation was found to
// hold 15.0 +- 0.3 Jy/beam with an rms below 4 mJy/beam, and NVSS has two neighbours, which a wrong sign would mirror.
TEST_F(CalibrationChain, MakesTheKnownImageOf3C286) {
  const fs::path folder = SharedData("vla-3c286-uvh5");
  if (folder.empty()) GTEST_SKIP() << "no vla-3c286-uvh5 (set CONTIMG_TEST_DATA)";
  if (RunCommand("command -v wsclean").status != 0 || !HavePythonPeer("astropy")) {
    GTEST_SKIP() << "needs wsclean and python3-astropy";
  }
  const std::string no_beam = "CONTIMG_TELESCOPE_BEAM=none";
  const auto step = [&](const std::string& words) {
    const ToolResult result = Contimg(words, no_beam);
    ASSERT_EQ(result.status, 0) << words << ": " << result.err;
  };
  step("convert" + Words(SubbandFiles(folder)) + " --out " + Path("x.ms"));
  step("flag " + Path("x.ms"));
  step("solve " + Path("x.ms") + " --calibrator 3C286 --out " + Path("cal"));
  step("apply " + Path("x.ms") + " --tables " + Path("cal.gpcal") + " " + Path("cal.bpcal") + " " + Path("cal.kcal"));
  if (HasFailure()) return;

  const PeerResult made = Wsclean("-quiet -name " + Path("img") +
                                  " -data-column CORRECTED_DATA -pol i -weight briggs 0 -size 1536 1536 -scale 1asec "
                                  "-niter 3000 -mgain 0.8 -auto-threshold 3 -reorder -no-update-model-required " +
                                  Path("x.ms"));
  ASSERT_EQ(made.status, 0) << made.output;
  const std::string image = (root_ / "img-image.fits").string();
  // NVSS positions are good to 1 arcsec; the second neighbour is resolved, its peak need not be NVSS's centroid.
  const PeerResult fit = RunPythonPeer(
      "source_positions.py", {image, "202.784533,30.509155,0.3", "202.95234,30.53001,1.36", "202.95402,30.40740,3.6"});
  EXPECT_EQ(fit.status, 0) << fit.output;
  fmt::print("{}", fit.output);
  std::smatch found;
  ASSERT_TRUE(std::regex_search(fit.output, found, std::regex("202\\.78453 \\+30\\.50915: ([0-9.]+) Jy/beam")));
  const double peak = std::stod(found[1]);  // fitted: no pixel stands at the source's very place
  EXPECT_NEAR(peak, 15.0, 0.3);

  const PeerResult figures = RunPythonPeer("image_figures.py", {image, (root_ / "img-residual.fits").string()});
  ASSERT_EQ(figures.status, 0) << figures.output;
  fmt::print("{}", figures.output);
  const double rms = nlohmann::json::parse(figures.output.substr(figures.output.find('{')))["rms"];
  EXPECT_LT(rms, 4e-3);
  EXPECT_GT(peak / rms, 3000);  // 700 without calibration
}

}  // namespace
}  // namespace contimg
