// Measurement Sets of other programs and arrays (docs/formats/measurement-set.md, "Sets of other programs"): which
// pointing and beam they are imaged, predicted and solved with, and in which frame. The sets are written without
// contimg: tests/integration/foreign_measurement_set.py.
#include <gmock/gmock.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "tests/integration/convert_tool.h"

namespace contimg {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::HasSubstr;

class ForeignMeasurementSet : public ConvertTest {
 protected:
  static void SetUpTestSuite() {}
  void SetUp() override {
    if (!HavePythonPeer("astropy, casacore")) GTEST_SKIP();
    for (const char* name : {"out", "staging"}) fs::create_directories(root_ / name);
  }
  fs::path ms() const { return root_ / "foreign.ms"; }
  fs::path prefix() const { return out() / "x"; }
  void Write(const std::string& words) {
    fs::remove_all(ms());
    const PeerResult result =
        RunCommand("/usr/bin/python3 " +
                   Quoted(std::string(CONTIMG_SOURCE_DIR) + "/tests/integration/foreign_measurement_set.py") + " " +
                   Quoted(ms().string()) + " " + words);
    ASSERT_EQ(result.status, 0) << result.output;
  }
  ToolResult Image(const std::string& more = "") {
    return Contimg("image " + Quoted(ms().string()) + " --out " + Quoted(prefix().string()) +
                   " --size 512 --cell 4 --minuv 0 --robust 0 --log-level warn --overwrite --niter 20000 " + more);
  }
  // Every flux within 1 % of flux × .pb × .smear, every place within 0.05 beams.
  void ExpectTheSky() {
    const PeerResult result =
        RunPythonPeer("image_fluxes.py", {prefix().string(), ms().string() + ".json", "0.01", "0.01", "0.05"});
    EXPECT_EQ(result.status, 0) << result.output;
  }
  json Metrics() const { return json::parse(FileText(prefix().string() + ".metrics.json")); }
};

struct ImageCase {
  const char* name;
  const char* words;
  const char* mode;
};
class ForeignImage : public ForeignMeasurementSet, public ::testing::WithParamInterface<ImageCase> {};

TEST_P(ForeignImage, HasTheFluxesAndPlacesOfTheSky) {
  Write(GetParam().words);
  const ToolResult result = Image();
  ASSERT_EQ(result.status, 0) << result.err;
  EXPECT_EQ(Metrics()["primary_beam"]["mode"], GetParam().mode) << Metrics()["primary_beam"];
  ExpectTheSky();
}

INSTANTIATE_TEST_SUITE_P(
    Sets, ForeignImage,
    ::testing::Values(ImageCase{"TrackedHour", "", "tracking"},
                      ImageCase{"StokesIAlone", "--correlations I", "tracking"},
                      ImageCase{"HandsTheOtherWayRound", "--correlations LL,RR", "tracking"},
                      ImageCase{"TrackedHourOfCircularFeeds", "--correlations RR,RL,LR,LL", "tracking"},
                      ImageCase{"PointedBesideThePhaseCentre", "--track 83.4,-21.2 --pointing sky", "tracking"},
                      ImageCase{"Rephased", "--track 82.7,-21.1 --reference 82.7,-21.1", "tracking"},
                      ImageCase{"AtRestOnTheEarth",
                                "--telescope NEW --rest 83.2,-20.8 --hours 0.15 --dish 5 --pointing azel", "drift"},
                      ImageCase{"CentreInB1950", "--frame B1950", "tracking"},
                      ImageCase{"CentreInGalacticCoordinates", "--frame GALACTIC", "tracking"}),
    [](const auto& each) { return std::string(each.param.name); });

struct PointingCase {
  const char* name;
  const char* words;
  const char* pointing;
  const char* source;
  double ra_deg, dec_deg;  // where it tracks
};
class ForeignPointing : public ForeignMeasurementSet, public ::testing::WithParamInterface<PointingCase> {};

TEST_P(ForeignPointing, IsToldByInspect) {
  const PointingCase& c = GetParam();
  Write(std::string("--times 6 ") + c.words);
  const ToolResult result = Contimg("inspect --json " + Quoted(ms().string()));
  ASSERT_EQ(result.status, 0) << result.err;
  const json found = json::parse(result.out);
  const json beam = (found.is_array() ? found[0] : found)["fields"][0]["primary_beam"];
  EXPECT_EQ(beam["pointing"], c.pointing) << beam;
  EXPECT_THAT(beam["source"].get<std::string>(), HasSubstr(c.source));
  if (std::string(c.pointing) == "tracking") {
    EXPECT_EQ(beam["mode"], "tracking");
    EXPECT_NEAR(beam["ra_deg"].get<double>(), c.ra_deg, 2e-3);
    EXPECT_NEAR(beam["dec_deg"].get<double>(), c.dec_deg, 2e-3);
  } else if (std::string(c.pointing) == "drift") {
    EXPECT_EQ(beam["mode"], "drift");
    EXPECT_NEAR(beam["apparent_dec_deg"].get<double>(), c.dec_deg, 0.02);  // precession since 2000
  } else {
    EXPECT_EQ(beam["mode"], "none");
    EXPECT_THAT(beam["warning"].get<std::string>(), HasSubstr("telescope.beam"));
  }
}

INSTANTIATE_TEST_SUITE_P(
    Sets, ForeignPointing,
    ::testing::Values(
        PointingCase{"FieldOfATrackingTelescope", "", "tracking", "FIELD.REFERENCE_DIR", 83, -21},
        PointingCase{"ReferenceAwayFromThePhaseCentre", "--reference 84,-22", "tracking", "FIELD", 84, -22},
        PointingCase{"DelayAndReferenceApart", "--reference 84,-22 --delay 83,-21", "unknown", "DELAY_DIR", 0, 0},
        PointingCase{"Dsa110AwayFromTheMeridian", "--telescope OVRO_MMA --dish 4.65", "unknown", "not on the meridian",
                     0, 0},
        PointingCase{"UnknownTelescope", "--telescope NEW", "unknown", "NEW", 0, 0},
        PointingCase{"Sky", "--telescope NEW --track 83.5,-21 --pointing sky", "tracking", "POINTING.DIRECTION", 83.5,
                     -21},
        PointingCase{"Target", "--telescope NEW --track 83.5,-21 --pointing target", "tracking", "POINTING.TARGET",
                     83.5, -21},
        PointingCase{"AzimuthAndElevationOfATrack", "--telescope NEW --track 83.5,-21 --pointing azel", "tracking",
                     "POINTING.DIRECTION", 83.5, -21},
        PointingCase{"HourAngleOfATrack", "--telescope NEW --track 83.5,-21 --pointing hadec", "tracking",
                     "POINTING.DIRECTION", 83.5, -21},
        PointingCase{"AzimuthAndElevationAtRest", "--telescope NEW --rest 83.5,-21 --pointing azel", "drift",
                     "POINTING.DIRECTION", 0, -21},
        PointingCase{"HourAngleAtRest", "--telescope NEW --rest 83.5,-21 --pointing hadec", "drift",
                     "POINTING.DIRECTION", 0, -21},
        PointingCase{"ItrfAtRest", "--telescope NEW --rest 83.5,-21 --pointing itrf", "drift", "POINTING.DIRECTION", 0,
                     -21},
        PointingCase{"ShortTrack", "--telescope NEW --hours 0.01 --pointing sky", "tracking", "POINTING", 83, -21},
        PointingCase{"ShortRest", "--telescope NEW --hours 0.01 --pointing azel", "drift", "POINTING", 0, -21},
        PointingCase{"Polynomial", "--telescope NEW --hours 0.02 --pointing polynomial", "tracking", "POINTING", 83,
                     -21},
        PointingCase{"Scattered", "--telescope NEW --pointing scattered", "unknown", "deg apart", 0, 0},
        PointingCase{"Elsewhen", "--telescope NEW --pointing elsewhen", "unknown", "no rows", 0, 0},
        PointingCase{"Zeros", "--pointing zeros", "tracking", "FIELD", 83, -21}),
    [](const auto& each) { return std::string(each.param.name); });

struct RefusedCase {
  const char* name;
  const char* words;
  const char* sentence;
  int status = 3;
};
class ForeignRefused : public ForeignMeasurementSet, public ::testing::WithParamInterface<RefusedCase> {};

TEST_P(ForeignRefused, InOneSentence) {
  Write(std::string("--times 6 ") + GetParam().words);
  const ToolResult result = Image();
  EXPECT_EQ(result.status, GetParam().status) << result.err;
  EXPECT_THAT(result.err, HasSubstr(GetParam().sentence));
  EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
  EXPECT_EQ(NamesBelow(out()), std::vector<std::string>());
}

INSTANTIATE_TEST_SUITE_P(
    Sets, ForeignRefused,
    ::testing::Values(RefusedCase{"ApparentPlace", "--frame APP", "in the frame APP"},
                      RefusedCase{"HourAngle", "--frame HADEC", "in the frame HADEC"},
                      RefusedCase{"Azimuth", "--frame AZELGEO", "in the frame AZELGEO"},
                      RefusedCase{"Planet", "--frame JUPITER", "in the frame JUPITER"},
                      RefusedCase{"MovingCentre", "--moving", "moves"},
                      RefusedCase{"Ephemeris", "--ephemeris", "moves"},
                      RefusedCase{"BeamElsewhere", "--track 86,-21 --pointing sky", "mean primary beam"},
                      RefusedCase{"ChannelsOfDifferentWidths", "--set SPECTRAL_WINDOW CHAN_WIDTH [2e6,2e6,2e6,8e6]",
                                  "2000000 and 8000000 Hz"},
                      RefusedCase{"TimesInDays", "--unit MAIN TIME d", "column TIME is in d"},
                      RefusedCase{"BaselinesInKilometres", "--unit MAIN UVW km", "column UVW is in km"},
                      RefusedCase{"FrequenciesInMegahertz", "--unit SPECTRAL_WINDOW CHAN_FREQ MHz",
                                  "column CHAN_FREQ is in MHz"},
                      RefusedCase{"AtomicTime", "--scale TAI", "in the scale TAI"},
                      RefusedCase{"OneHand", "--correlations LL", "Stokes I needs"},
                      RefusedCase{"CrossHandsOnly", "--correlations RL,LR", "Stokes I needs"},
                      RefusedCase{"VeryLongBaselines", "--extent 4000000", "mas", 2},
                      RefusedCase{"WhollyFlagged", "--flagged", "flagged"}),
    [](const auto& each) { return std::string(each.param.name); });

TEST_F(ForeignMeasurementSet, OfAnUnknownPointingIsImagedWithoutABeamAndSaysSoOnce) {
  Write("--telescope NEW --dish 0.5");  // no beam in the data either
  const ToolResult result = Image();
  ASSERT_EQ(result.status, 0) << result.err;
  EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
  EXPECT_THAT(result.err, HasSubstr("where the dishes pointed is not known"));
  EXPECT_EQ(Metrics()["primary_beam"]["mode"], "none");
  // A drifting beam of a pointing that nobody knows was what such a set used to get.
  const ToolResult asked = Image("--beam drift --set telescope.dish_diameter_m=25");
  EXPECT_EQ(asked.status, 3) << asked.err;
  EXPECT_THAT(asked.err, HasSubstr("the mean primary beam at the phase centre is"));
}

TEST_F(ForeignMeasurementSet, IsPredictedAndSolvedWithTheBeamItIsImagedWith) {
  Write("--track 83.4,-21.2 --pointing sky");
  const fs::path sky = root_ / "sky.csv";
  const json truth = json::parse(FileText(ms().string() + ".json"));
  std::ofstream csv(sky);
  csv << "name,ra_deg,dec_deg,flux_jy,spectral_index\n";
  csv.precision(10);
  int i = 0;
  for (const json& s : truth["sources"]) {
    csv << 's' << i++ << ',' << s[0].get<double>() << ',' << s[1].get<double>() << ',' << s[2].get<double>() << ",0\n";
  }
  csv.close();
  ToolResult result = Contimg("predict " + Quoted(ms().string()) + " --catalog " + Quoted(sky.string()));
  ASSERT_EQ(result.status, 0) << result.err;
  // Integrations and channels of the set are moments and frequencies, those of the model have lengths: that takes up to
  // 0.25 % of the sources at 0.17 degrees.
  const PeerResult compared =
      RunCommand("/usr/bin/python3 -c " +
                 Quoted("import sys, numpy as np; from casacore.tables import table\n"
                        "t = table(sys.argv[1], ack=False); d = t.getcol('DATA'); m = t.getcol('MODEL_DATA')\n"
                        "error = np.abs(d - m).max() / np.abs(d).max(); print('largest difference', error)\n"
                        "sys.exit(bool(error > 4e-3))") +
                 " " + Quoted(ms().string()));
  EXPECT_EQ(compared.status, 0) << compared.output;
  result = Contimg("solve " + Quoted(ms().string()) + " --kinds G --minuv 0 --catalog " + Quoted(sky.string()) +
                   " --out " + Quoted(prefix().string()) + " --json");
  ASSERT_EQ(result.status, 0) << result.err;
  EXPECT_NEAR(json::parse(result.out)["tables"][0]["median_amplitude"].get<double>(), 1, 1e-3) << result.out;
}

// Our own set as another program leaves it when it drops keywords that it does not know.
TEST_F(ConvertTest, SetWithoutItsRecordIsImagedAsBefore) {
  if (!HavePythonPeer("astropy, casacore")) GTEST_SKIP();
  ASSERT_EQ(Convert().status, 0);
  const fs::path ms = out() / "x.ms";
  const auto image = [&](const char* name) {
    const ToolResult result = Contimg("image " + Quoted(ms.string()) + " --out " + Quoted((root_ / name).string()) +
                                      " --size 256 --cell 20 --minuv 0 --niter 100 --log-level error --no-durable");
    EXPECT_EQ(result.status, 0) << result.err;
  };
  image("with");
  const PeerResult stripped =
      RunCommand("/usr/bin/python3 -c " +
                 Quoted("import sys; from casacore.tables import table\n"
                        "table(sys.argv[1], readonly=False, ack=False).removekeyword('CONTIMG')") +
                 " " + Quoted(ms.string()));
  ASSERT_EQ(stripped.status, 0) << stripped.output;
  EXPECT_THAT(Contimg("inspect " + Quoted(ms.string())).out, HasSubstr("dishes of the DSA-110"));
  image("without");
  for (const char* kind : {"pb", "smear", "image"}) {
    const PeerResult compared =
        RunCommand("/usr/bin/python3 -c " +
                   Quoted("import sys, numpy as np; from astropy.io import fits\n"
                          "a, b = (fits.getdata(f).astype(float) for f in sys.argv[1:])\n"
                          "error = np.abs(a - b).max() / np.abs(a).max(); print('largest difference', error)\n"
                          "sys.exit(bool(error > 1e-4))") +
                   fmt::format(" {0}/with.{1}.fits {0}/without.{1}.fits", Quoted(root_.string()), kind));
    EXPECT_EQ(compared.status, 0) << kind << ": " << compared.output;
  }
}

}  // namespace
}  // namespace contimg
