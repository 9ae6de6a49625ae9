// `contimg image` and `contimg inspect` on Measurement Sets, tables and images, as a user runs them.
#include <gmock/gmock.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

#include "tests/integration/convert_tool.h"
#include "tests/temporary_folder.h"

namespace contimg {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::HasSubstr;

constexpr const char* kSmall = " --size 512 --cell 5 --minuv 0 --robust 0 --log-level error ";

// One noiseless set of 26 stations on both arms, with three sources inside half a degree; calibrated by tables of its
// own so that images name them.
class ImageCommand : public ConvertTest {
 protected:
  static void SetUpTestSuite() {
    shared_folder_.emplace("image");
    shared_ = shared_folder_->path();
    const std::string tool = std::string(CONTIMG_BIN_DIR) + "/contimg ", ms = Quoted((shared_ / "tile.ms").string());
    const std::string sources = "--source 150.0,16.0,3,0 --source 150.18,16.12,1,0 --source 149.8,15.85,1.5,0 ";
    const auto run = [&](const std::string& command) {
      const PeerResult result = RunCommand(command);
      EXPECT_EQ(result.status, 0) << command << "\n" << result.output;
      return result.status == 0;
    };
    const std::string quiet = " --log-level error", table = (shared_ / "2025-01-01T00:00:00_24h").string();
    ready_ =
        run(tool + "simulate --out " + Quoted(shared_.string()) + " --truth " + Quoted((shared_ / "truth").string()) +
            " --antennas 1,3,5,7,9,13,16,19,24,27,30,33,36,40,44,48,68,72,76,80,84,88,92,96,100,102 --integrations 4"
            " --channels 8 --transit 150,16 --sefd 200 --quiet " +
            sources) &&
        run(tool + "convert" + Words(SubbandFiles(shared_)) + " --out " + ms + quiet) &&
        run(tool + "solve " + ms + " --kinds BP,G --catalog " + Quoted(Sky().string()) + " --out " + Quoted(table) +
            quiet) &&
        run("cp -r " + ms + " " + Quoted((shared_ / "raw.ms").string())) &&
        run(tool + "apply " + ms + " --tables " + Quoted(table + ".bpcal") + " " + Quoted(table + ".gpcal") + quiet);
    ASSERT_TRUE(ready_);
  }
  static void TearDownTestSuite() { shared_folder_.reset(); }
  void SetUp() override {
    for (const char* name : {"out", "staging"}) fs::create_directories(root_ / name);
    ASSERT_TRUE(ready_);
  }
  // The sky as a catalogue.
  static fs::path Sky() {
    const fs::path path = shared_ / "sky.csv";
    std::ofstream(path) << "name,ra_deg,dec_deg,flux_jy,spectral_index\n"
                           "a,150.0,16.0,3,0\nb,150.18,16.12,1,0\nc,149.8,15.85,1.5,0\n";
    return path;
  }
  static fs::path Tile() { return shared_ / "tile.ms"; }
  fs::path prefix() const { return out() / "tile"; }
  ToolResult Image(const fs::path& ms, const std::string& more = "") {
    return Contimg("image " + Quoted(ms.string()) + " --out " + Quoted(prefix().string()) + kSmall + more);
  }
  fs::path Damaged(const std::string& kind) {
    const fs::path copy = root_ / (kind + ".ms");
    fs::copy(shared_ / "raw.ms", copy, fs::copy_options::recursive);
    const PeerResult result = RunPythonPeer("damage_ms.py", {kind, copy.string()});
    EXPECT_EQ(result.status, 0) << result.output;
    return copy;
  }
  // One sentence on stderr, nothing in the output folder.
  void ExpectRefused(const ToolResult& result, int status, const std::string& words) {
    EXPECT_EQ(result.status, status) << result.err;
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
    EXPECT_THAT(result.err, HasSubstr(words));
    EXPECT_EQ(result.out, "");
    EXPECT_EQ(NamesBelow(out()), std::vector<std::string>());
  }
  ToolResult Inspect(const std::string& words) { return Contimg("inspect " + words); }

  inline static std::optional<TemporaryFolder> shared_folder_;
  inline static fs::path shared_;
  inline static bool ready_ = false;
};

class ImageBadInput : public ImageCommand {
 protected:
  void SetUp() override {
    ImageCommand::SetUp();
    if (!HavePythonPeer("casacore.tables")) GTEST_SKIP() << "needs python3-casacore";
  }
};

TEST_F(ImageBadInput, NoUnflaggedData) { ExpectRefused(Image(Damaged("all_flagged")), 3, "no"); }

TEST_F(ImageBadInput, OneBaseline) { ExpectRefused(Image(Damaged("one_baseline")), 3, "baseline"); }

TEST_F(ImageBadInput, OnlyNaNWeights) { ExpectRefused(Image(Damaged("nan_weights")), 3, "no"); }

TEST_F(ImageBadInput, OnlyNaNData) { ExpectRefused(Image(Damaged("nan_data")), 3, "no"); }

TEST_F(ImageBadInput, SomeNaNWeightsAreLeftOut) {
  const ToolResult result = Image(Damaged("some_nan_weights"), "--catalogue " + Quoted(Sky().string()) + " --json");
  ASSERT_EQ(result.status, 0) << result.err;
  const json report = json::parse(result.out);
  EXPECT_TRUE(std::isfinite(report["quality"]["rms_jy"].get<double>()));
  EXPECT_NEAR(report["quality"]["catalogue"]["flux_ratio_median"], 1, 0.05);
}

TEST_F(ImageCommand, AFieldBeyondTheHorizon) {
  ExpectRefused(Contimg("image " + Quoted(Tile().string()) + " --out " + Quoted(prefix().string()) +
                        " --size 4800 --cell 120 --log-level error"),
                2, "horizon");
}

TEST_F(ImageCommand, AnImageTooLargeForMemorySaysWhatItNeeds) {
  ExpectRefused(Contimg("image " + Quoted(Tile().string()) + " --out " + Quoted(prefix().string()) +
                        " --size 65536 --cell 0.5 --log-level error"),
                1, "GiB");
}

TEST_F(ImageCommand, MissingCorrectedData) {
  ExpectRefused(Image(shared_ / "raw.ms", "--column CORRECTED_DATA"), 3, "CORRECTED_DATA");
}

TEST_F(ImageCommand, UnknownSelections) {
  ExpectRefused(Image(Tile(), "--field 7"), 3, "7");
  ExpectRefused(Image(Tile(), "--spws 99"), 3, "spectral windows");
  ExpectRefused(Image(Tile(), "--channels 100 500"), 2, "500");
  ExpectRefused(Image(Tile(), "--bands 900 --spws 0"), 2, "bands");
  ExpectRefused(Image(root_ / "none.ms"), 1, "none.ms");
  ExpectRefused(Image(Tile(), "--beam-file " + Quoted((root_ / "none.fits").string())), 1, "none.fits");
  ExpectRefused(Image(Tile(), "--mask " + Quoted((root_ / "none.fits").string())), 2, "none.fits");
  ExpectRefused(Image(Tile(), "--catalogue " + Quoted((root_ / "none.csv").string())), 2, "none.csv");
  ExpectRefused(Image(Tile(), "--dirty-only --predict"), 2, "exclude");
}

TEST_F(ImageCommand, UnwritableOutput) {
  std::ofstream(root_ / "file") << "in the way";
  const ToolResult result =
      Contimg("image " + Quoted(Tile().string()) + " --out " + Quoted((root_ / "file" / "tile").string()) + kSmall);
  ExpectRefused(result, 1, "file");
  EXPECT_EQ(FileText(root_ / "file"), "in the way");
}

TEST_F(ImageCommand, OptionsHaveTheRangesOfTheirSettings) {
  const std::string start = "image " + Quoted(Tile().string()) + " --out " + Quoted(prefix().string()) + " ";
  for (const char* option : {"--gain 5", "--gain nan", "--niter -1", "--size -100", "--size 1e9", "--robust nan",
                             "--mgain 0", "--mgain 1.5", "--threads -3", "--cell 0", "--cell 1e9", "--minuv -2",
                             "--auto-mask -2", "--threshold nan", "--bands 0", "--weight heavy"}) {
    const std::string words = option, value = words.substr(words.find(' ') + 1);
    SCOPED_TRACE(words);
    const ToolResult result = Contimg(start + words);
    ExpectRefused(result, 2, "'" + value + "' (" + words.substr(0, words.find(' ')) + ")");
    EXPECT_THAT(result.err, HasSubstr("expected "));
  }
  ExpectRefused(Contimg(start + "--size 511"), 2, "expected an even number, found 511");
  ExpectRefused(Contimg(start + "--size 4800 --cell 3600"), 2, "beyond the horizon");
  ExpectRefused(Contimg(start + "--multiscale 0,8,4"), 2, "image.scales_px");
  ExpectRefused(Contimg(start + "--minuv 2000 --maxuv 1000"), 2, "image.min_uv_lambda");
}

TEST_F(ImageCommand, OutputThatExistsIsKept) {
  std::ofstream(prefix().string() + ".psf.fits") << "precious";
  const ToolResult result = Image(Tile());
  EXPECT_EQ(result.status, 2) << result.err;
  EXPECT_EQ(NamesBelow(out()).size(), 1U);
  EXPECT_EQ(FileText(prefix().string() + ".psf.fits"), "precious");
}

TEST_F(ImageCommand, PrintsALinePerMajorCycleAndItsReport) {
  const ToolResult result = Contimg("image " + Quoted(Tile().string()) + " --out " + Quoted(prefix().string()) +
                                    " --size 512 --cell 5 --minuv 0 --catalogue " + Quoted(Sky().string()));
  ASSERT_EQ(result.status, 0) << result.err;
  EXPECT_THAT(result.err, HasSubstr("major cycle 1: "));
  EXPECT_THAT(result.out, HasSubstr("tile.image.pbcor.fits"));
  EXPECT_THAT(result.out, HasSubstr("quality A"));
  EXPECT_EQ(NamesBelow(out()).size(), 10U);
}

TEST_F(ImageCommand, MakesTheProductsAskedFor) {
  ASSERT_EQ(Image(Tile(), "--psf-only").status, 0);
  EXPECT_EQ(NamesBelow(out()).size(), 2U);
  fs::remove_all(out());
  ASSERT_EQ(Image(Tile(), "--dirty-only --spws 2,3").status, 0);
  EXPECT_EQ(NamesBelow(out()).size(), 6U);
  const ToolResult inspected = Inspect("--json " + Quoted(prefix().string() + ".dirty.fits"));
  ASSERT_EQ(inspected.status, 0) << inspected.err;
  EXPECT_NEAR(json::parse(inspected.out)[0]["bandwidth_hz"], 2 * 187.5e6 / 16, 1);
}

TEST_F(ImageCommand, PredictWritesTheModelBack) {
  const fs::path copy = root_ / "copy.ms";
  fs::copy(Tile(), copy, fs::copy_options::recursive);
  ASSERT_EQ(Image(copy, "--predict --niter 3000").status, 0);
  const ToolResult inspected = Inspect("--json " + Quoted(copy.string()));
  EXPECT_TRUE(json::parse(inspected.out)[0]["has_model"].get<bool>()) << inspected.out;
  // The image of the model is the image of the data.
  const ToolResult again =
      Contimg("image " + Quoted(copy.string()) + " --column MODEL_DATA --out " + Quoted((out() / "model").string()) +
              kSmall + "--catalogue " + Quoted(Sky().string()) + " --json");
  ASSERT_EQ(again.status, 0) << again.err;
  EXPECT_NEAR(json::parse(again.out)["quality"]["catalogue"]["flux_ratio_median"], 1, 0.03);
}

// astropy and casacore agree with us about every product.
TEST_F(ImageCommand, ProductsAreWhatOtherProgramsExpect) {
  if (!HavePythonPeer("astropy.wcs") || !HavePythonPeer("casacore.images")) {
    GTEST_SKIP() << "needs python3-astropy and python3-casacore";
  }
  const json ms = json::parse(Inspect("--json " + Quoted(Tile().string())).out)[0];
  const PeerResult start = RunCommand("/usr/bin/python3 -c " + Quoted("from astropy.time import Time; print(Time('" +
                                                                      ms["start"].get<std::string>() + "').mjd)"));
  ASSERT_EQ(start.status, 0) << start.output;
  std::string number = start.output;
  while (!number.empty() && std::isspace(static_cast<unsigned char>(number.back())) != 0) number.pop_back();
  const std::vector<std::string> sources = {"150.0,16.0,3", "150.18,16.12,1", "149.8,15.85,1.5"};
  const auto check = [&](const std::string& name) {
    std::vector<std::string> arguments = {(out() / name).string(), ms["telescope"].get<std::string>(), number};
    arguments.insert(arguments.end(), sources.begin(), sources.end());
    const PeerResult result = RunPythonPeer("image_products_check.py", arguments);
    EXPECT_EQ(result.status, 0) << result.output;
    return result.output;
  };
  ASSERT_EQ(Image(Tile(), "--format both").status, 0);
  EXPECT_THAT(check("tile"), HasSubstr("casacore image agrees"));
  ASSERT_EQ(Contimg("image " + Quoted(Tile().string()) + " --out " + Quoted((out() / "packed").string()) + kSmall +
                    "--compress")
                .status,
            0);
  check("packed");
}

TEST_F(ImageCommand, BandsGiveSpectralIndices) {
  const ToolResult result = Image(Tile(), "--bands 4 --json --beam none");
  ASSERT_EQ(result.status, 0) << result.err;
  const json report = json::parse(result.out);
  EXPECT_EQ(report["bands"].size(), 4U);
  EXPECT_EQ(NamesBelow(out()).size(), 16U);
}

TEST_F(ImageCommand, InspectTellsWhatFilesHold) {
  ASSERT_EQ(Image(Tile(), "--format both").status, 0);
  const std::string files = Quoted(Tile().string()) + " " +
                            Quoted((shared_ / "2025-01-01T00:00:00_24h.bpcal").string()) + " " +
                            Quoted(prefix().string() + ".image.fits") + " " + Quoted(prefix().string() + ".image");
  const ToolResult result = Inspect("--validate --json " + files);
  ASSERT_EQ(result.status, 0) << result.err << result.out;
  const json records = json::parse(result.out);
  ASSERT_EQ(records.size(), 4U);
  for (const json& record : records) EXPECT_TRUE(record["valid"].get<bool>()) << record.dump(1);
  EXPECT_EQ(records[0]["kind"], "measurement_set");
  EXPECT_EQ(records[0]["antennas"].size(), 117U);  // the telescope's table
  EXPECT_TRUE(records[0]["has_corrected"].get<bool>());
  EXPECT_EQ(records[1]["kind"], "calibration_table");
  EXPECT_EQ(records[1]["jones"], "BP");
  EXPECT_EQ(records[1]["channels"], 128);
  EXPECT_EQ(records[2]["form"], "FITS");
  EXPECT_EQ(records[2]["pixels"], json({512, 512}));
  EXPECT_EQ(records[2]["calibration"][0]["table"], "2025-01-01T00:00:00_24h.bpcal");
  EXPECT_EQ(records[2]["calibration"][0]["valid_from"], "2025-01-01T00:00:00");
  EXPECT_EQ(records[3]["form"], "casacore");
  EXPECT_EQ(records[3]["maximum"], records[2]["maximum"]);
  const ToolResult text = Inspect(files);
  EXPECT_EQ(text.status, 0) << text.err;
  for (const char* words : {"Measurement Set", "BP Jones", "FITS image", "casacore image", "beam"}) {
    EXPECT_THAT(text.out, HasSubstr(words));
  }
}

TEST_F(ImageCommand, InspectTellsByItsExitStatusWhatIsWrong) {
  EXPECT_EQ(Inspect(Quoted((root_ / "none.fits").string())).status, 1);
  fs::create_directories(root_ / "folder");
  EXPECT_EQ(Inspect(Quoted((root_ / "folder").string())).status, 3);
  ASSERT_EQ(Image(Tile(), "--psf-only").status, 0);
  const fs::path psf = prefix().string() + ".psf.fits";
  fs::resize_file(psf, fs::file_size(psf) / 2);
  EXPECT_EQ(Inspect("--validate " + Quoted(psf.string())).status, 3);
  if (!HavePythonPeer("casacore.tables")) GTEST_SKIP() << "needs python3-casacore";
  const ToolResult flagged = Inspect("--validate " + Quoted(Damaged("all_flagged").string()));
  EXPECT_EQ(flagged.status, 3);
  EXPECT_THAT(flagged.out, HasSubstr("every visibility is flagged"));
}

}  // namespace
}  // namespace contimg
