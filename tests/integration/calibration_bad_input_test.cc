// `contimg solve`, `apply`, `predict` and `catalog` given what they must not swallow: a clear error or flagged
// solutions, never a gain of 1 passed off as solved.
#include <optional>

#include "calibrate/casacore/calibration_table.h"
#include "convert/measurement_set_reader.h"
#include "tests/integration/calibration_tool.h"
#include "tests/temporary_folder.h"

namespace contimg {
namespace {

namespace fs = std::filesystem;
using calibrate::SolutionSet;

class CalibrationInput : public CalibrationTest {
 protected:
  static void SetUpTestSuite() {
    tile_folder_.emplace("tile");
    tile_ = tile_folder_->path();
    MakeTile(tile_,
             "--antennas 12 --channels 8 --integrations 6 --calibrator 20 --gains 0.2,180 --delays 10 --bandpass 0.05");
    solved_ = Run("solve " + Quoted((tile_ / "x.ms").string()) + " --out " + Quoted((tile_ / "cal").string()) +
                      " --catalog " + Quoted((tile_ / "sky.csv").string()) + " --minuv 0",
                  tile_);
  }
  static void TearDownTestSuite() { tile_folder_.reset(); }
  void SetUp() override {
    CalibrationTest::SetUp();
    if (!HavePythonPeer("casacore.tables")) GTEST_SKIP() << "needs python3-casacore";
    ASSERT_EQ(solved_.status, 0) << solved_.err;
    CopyTile(tile_);
    for (const char* table : kTables) fs::copy(tile_ / table, root_ / table, fs::copy_options::recursive);
    fs::copy_file(tile_ / "sky.csv", root_ / "sky.csv");
  }

  void Damage(const std::string& kind, const std::string& name, const std::string& argument = "") {
    std::vector<std::string> words{kind, (root_ / name).string()};
    if (!argument.empty()) words.push_back(argument);
    const PeerResult result = RunPythonPeer("damage_calibration.py", words);
    ASSERT_EQ(result.status, 0) << result.output;
  }
  ToolResult Solve(const std::string& model) const {
    return Contimg("solve " + Path("x.ms") + " --out " + Path("new") + " --minuv 0 --json " + model);
  }
  ToolResult SolveSky() const { return Solve("--catalog " + Path("sky.csv")); }
  ToolResult Apply(const std::string& more = "") const {
    return Contimg("apply " + Path("x.ms") + " --tables " + Path("cal.kcal") + " " + Path("cal.bpcal") + " " +
                   Path("cal.gpcal") + " " + more);
  }
  void ExpectNoTables() const {
    for (const auto& entry : fs::directory_iterator(root_)) {
      EXPECT_EQ(entry.path().filename().string().find("new"), std::string::npos) << entry.path();
    }
  }
  void ExpectUnchanged() const {
    EXPECT_FALSE(convert::DescribeMeasurementSet(root_ / "x.ms").has_corrected);
    for (const auto& entry : fs::directory_iterator(root_)) {
      EXPECT_EQ(entry.path().filename().string().find(".part-"), std::string::npos) << entry.path();
    }
  }
  // Refused as bad input with the table's name; the Measurement Set is as before.
  void ExpectApplyRefuses(const std::string& table, const std::string& finding = "") const {
    const ToolResult result = Apply();
    ExpectRefused(result, 3, table);
    EXPECT_NE(result.err.find(finding), std::string::npos) << result.err;
    ExpectUnchanged();
  }
  std::unique_ptr<VisibilityBlock> Corrected() const {
    return convert::ReadMeasurementSet(root_ / "x.ms", {"CORRECTED_DATA", -1, {}}, {});
  }
  static std::string AntennaInUse(std::size_t position) {
    return std::to_string(Truth(tile_)["ants"][position].get<int>());
  }

  static constexpr const char* kTables[] = {"cal.kcal", "cal.bpcal", "cal.gpcal"};
  inline static std::optional<TemporaryFolder> tile_folder_;
  inline static fs::path tile_;
  inline static ToolResult solved_;
};

// ---- solve ----

TEST_F(CalibrationInput, AllDataFlaggedGivesNoTables) {
  Damage("flag_all", "x.ms");
  const ToolResult result = SolveSky();
  ExpectRefused(result, 1, "x.ms");
  EXPECT_NE(result.err.find("all data are flagged"), std::string::npos) << result.err;
  ExpectNoTables();
}

class TooFewBaselines : public CalibrationInput, public ::testing::WithParamInterface<const char*> {};

TEST_P(TooFewBaselines, FlagTheAntennaAndNoOther) {
  const std::string victim = AntennaInUse(4);
  Damage(GetParam(), "x.ms", victim);
  const ToolResult result = SolveSky();
  ASSERT_EQ(result.status, 0) << result.err;
  const nlohmann::json tables = nlohmann::json::parse(result.out)["tables"];
  ASSERT_EQ(tables.size(), 3U);
  const nlohmann::json truth = Truth(tile_);
  for (const auto& station : truth["ants"]) {
    const std::string name = std::to_string(station.get<int>());
    for (const auto& table : tables) {
      for (const auto& antenna : table["antennas"]) {
        if (antenna["name"] != name) continue;
        const double expected = name == victim ? 1.0 : 0.0;
        EXPECT_EQ(antenna["flagged"], nlohmann::json({expected, expected})) << name << " in " << table["path"];
      }
    }
  }
  const SolutionSet gains = calibrate::ReadCalibrationTable(root_ / "new.gpcal");
  for (std::size_t a = 0; a < gains.antennas.size(); ++a) {
    if (gains.antennas[a].name == victim) {
      EXPECT_TRUE(std::isnan(gains.value[gains.Index(0, a, 0, 0)].real()));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(, TooFewBaselines, ::testing::Values("flag_antenna", "leave_two_baselines"),
                         [](const auto& test) { return std::string(test.param); });

// As a group job's hourly solve: held to the day's tables, compared with them, scaled to them.
TEST_F(CalibrationInput, AnHourlyGainIsJudgedByHandAsAJobJudgesIt) {
  const std::string hourly = "--catalog " + Path("sky.csv") + " --kinds G --tables " + Path("cal.kcal") + " " +
                             Path("cal.bpcal") + " --anchor " + Path("cal.gpcal") + " --previous " + Path("cal.gpcal");
  ToolResult result = Solve(hourly);
  ASSERT_EQ(result.status, 0) << result.err;
  const nlohmann::json gain = nlohmann::json::parse(result.out)["tables"][0];
  EXPECT_TRUE(gain["accepted"]) << gain["failures"];
  EXPECT_NEAR(gain["scale_change"], 1, 1e-3);
  EXPECT_NEAR(gain["amplitude_ratio"], 1, 1e-3);
  // Twice the gains since: the anchor keeps half of the change at most, the gate sees it.
  SolutionSet halved = calibrate::ReadCalibrationTable(root_ / "cal.gpcal");
  for (auto& value : halved.value) value /= 2;
  calibrate::WriteCalibrationTable(halved, root_ / "half.gpcal");
  fs::remove_all(root_ / "new.gpcal");
  const std::string of_half = "--catalog " + Path("sky.csv") + " --kinds G --tables " + Path("cal.kcal") + " " +
                              Path("cal.bpcal") + " --previous " + Path("half.gpcal");
  result = Solve(of_half);
  ASSERT_EQ(result.status, 0) << result.err;
  const nlohmann::json doubled = nlohmann::json::parse(result.out)["tables"][0];
  EXPECT_FALSE(doubled["accepted"]);
  EXPECT_NEAR(doubled["amplitude_ratio"], 2, 2e-3);
  fs::remove_all(root_ / "new.gpcal");
  // The antenna that the day's tables refer to is gone.
  const SolutionSet day = calibrate::ReadCalibrationTable(root_ / "cal.bpcal");
  ASSERT_GE(day.reference_antenna, 0);
  const std::string reference = day.antennas[static_cast<std::size_t>(day.reference_antenna)].name;
  Damage("flag_antenna", "x.ms", reference);
  result = Solve(hourly);
  ASSERT_EQ(result.status, 0) << result.err;
  const nlohmann::json other = nlohmann::json::parse(result.out)["tables"][0];
  EXPECT_NE(other["reference_antenna"], reference);
  EXPECT_FALSE(other["accepted"]);
  EXPECT_NE(other["failures"].dump().find("rests on to " + reference), std::string::npos) << other["failures"];
}

TEST_F(CalibrationInput, ACalibratorBelowTheHorizonIsRefused) {
  const ToolResult result = Solve("--calibrator CYGNUS_A");
  ExpectRefused(result, 3, "CYGNUS_A");
  EXPECT_NE(result.err.find("below the horizon"), std::string::npos) << result.err;
  ExpectNoTables();
}

TEST_F(CalibrationInput, ACalibratorOutsideTheBeamIsRefused) {
  const ToolResult result = Solve("--calibrator 3C147");
  ExpectRefused(result, 3, "3C147");
  EXPECT_NE(result.err.find("outside the beam"), std::string::npos) << result.err;
  ExpectNoTables();
  // Nor does a Measurement Set get a model of it.
  ExpectRefused(Contimg("predict " + Path("x.ms") + " --calibrator 3C147"), 3, "3C147");
  EXPECT_FALSE(convert::DescribeMeasurementSet(root_ / "x.ms").has_model);
}

TEST_F(CalibrationInput, AStandardOutsideItsValidRangeIsRefused) {
  const ToolResult result = Solve("--calibrator FORNAX_A");  // valid to 0.5 GHz
  ExpectRefused(result, 3, "FORNAX_A");
  EXPECT_NE(result.err.find("Perley-Butler 2017"), std::string::npos) << result.err;
}

TEST_F(CalibrationInput, AModelOfAnotherFieldIsRefused) {
  std::ofstream(root_ / "other.csv") << "ra_deg,dec_deg,flux_jy\n202.78,30.51,15\n";
  ExpectRefused(Solve("--catalog " + Path("other.csv")), 3, "other.csv");
  ExpectNoTables();
}

TEST_F(CalibrationInput, AWrongModelOfTheRightFieldGivesNoTables) {
  // Sources of the right brightness where nothing is.
  std::ofstream(root_ / "wrong.csv") << "ra_deg,dec_deg,flux_jy\n107.2,16.9,12\n105.5,15.3,9\n106.9,15.5,5\n";
  const ToolResult result = Solve("--catalog " + Path("wrong.csv"));
  ExpectRefused(result, 1, "x.ms");
  EXPECT_NE(result.err.find("does not describe the data"), std::string::npos) << result.err;
  ExpectNoTables();
}

TEST_F(CalibrationInput, ASourceWithoutAFluxDensityIsRefused) {
  std::ofstream(root_ / "list.csv") << "name,ra_deg,dec_deg,L_jy,C_jy\nB0702+162,106.37,16.14,,1.0\n";
  ASSERT_EQ(Contimg("catalog import vla-calibrators " + Path("list.csv")).status, 0);
  const ToolResult result = Solve("--calibrator B0702+162");
  ExpectRefused(result, 3, "B0702+162");
  EXPECT_NE(result.err.find("no flux density"), std::string::npos) << result.err;
  std::ofstream(root_ / "zero.csv") << "ra_deg,dec_deg,flux_jy\n106.37,16.14,0\n";
  ExpectRefused(Solve("--catalog " + Path("zero.csv")), 3, "zero.csv");
  ExpectRefused(Solve("--calibrator NOBODY"), 3, "NOBODY");
  ExpectNoTables();
}

// By hand as in a job: what --catalog names knows calibrators, before what is imported.
TEST_F(CalibrationInput, ACalibratorOfTheCatalogueThatIsNamedIsFound) {
  const auto write = [&](const char* name, const char* flux) {
    std::ofstream(root_ / name) << "name,ra_deg,dec_deg,flux_jy\nB0702+162,106.37,16.14," << flux << "\n";
  };
  write("mine.csv", "2.5");
  write("none.csv", "");
  write("dim.csv", "1");
  const auto flux_of = [&](const std::string& model) {
    const ToolResult result = Contimg("predict " + Path("x.ms") + " --replace --json " + model);
    EXPECT_EQ(result.status, 0) << result.err;
    return result.status == 0 ? nlohmann::json::parse(result.out)["apparent_flux_jy"].get<double>() : 0;
  };
  const double listed = flux_of("--calibrator B0702+162 --catalog " + Path("mine.csv"));
  ASSERT_GT(listed, 0);
  ASSERT_EQ(Contimg("catalog import vla-calibrators " + Path("dim.csv")).status, 0);
  ASSERT_EQ(Contimg("catalog import csv " + Path("mine.csv") + " --name mine").status, 0);
  EXPECT_EQ(flux_of("--calibrator B0702+162 --catalog " + Path("mine.csv")), listed);
  EXPECT_NEAR(flux_of("--calibrator B0702+162 --catalog mine"), listed, 1e-9 * listed);
  EXPECT_NEAR(flux_of("--calibrator B0702+162"), listed / 2.5, 1e-9 * listed);  // the VLA's
  const ToolResult unknown = Solve("--calibrator NOBODY --catalog " + Path("mine.csv"));
  ExpectRefused(unknown, 3, "NOBODY");
  EXPECT_NE(unknown.err.find("mine.csv"), std::string::npos) << unknown.err;
  ExpectRefused(Solve("--calibrator B0702+162 --catalog " + Path("none.csv")), 3, "none.csv");
  ExpectNoTables();
}

TEST_F(CalibrationInput, WrongUseIsStatusTwo) {
  EXPECT_EQ(Solve("").status, 2);  // no model
  EXPECT_EQ(Solve("--calibrator 3C286 --kinds K,Q").status, 2);
  EXPECT_EQ(Solve("--calibrator 3C286 --solint 3x").status, 2);
  EXPECT_EQ(Solve("--calibrator 3C286 --solint 2.5int").status, 2);
  EXPECT_EQ(Solve("--calibrator 3C286 --calmode a").status, 2);
  EXPECT_EQ(Apply("--interp cubic").status, 2);
  EXPECT_EQ(Apply("--interp T=linear").status, 2);
  fs::copy(root_ / "cal.gpcal", root_ / "new.gpcal", fs::copy_options::recursive);
  const ToolResult exists = SolveSky();
  ExpectRefused(exists, 2, "new.gpcal");
  EXPECT_FALSE(fs::exists(root_ / "new.kcal"));
  EXPECT_EQ(Contimg("solve " + Path("none.ms") + " --calibrator 3C286 --out " + Path("new2")).status, 1);
}

// ---- apply ----

TEST_F(CalibrationInput, ATableOfAnotherAntennaLayoutIsRefused) {
  Damage("move_antenna", "cal.bpcal", AntennaInUse(3));
  ExpectApplyRefuses("cal.bpcal", "antenna '" + AntennaInUse(3) + "'");
}

TEST_F(CalibrationInput, ATableWithoutAnAntennaOfTheDataIsRefused) {
  Damage("rename_antenna", "cal.gpcal", AntennaInUse(3));
  ExpectApplyRefuses("cal.gpcal", "antenna '" + AntennaInUse(3) + "'");
}

TEST_F(CalibrationInput, ATableOfAnotherDeclinationIsRefused) {
  Damage("other_declination", "cal.kcal");
  ExpectApplyRefuses("cal.kcal", "declination");
}

TEST_F(CalibrationInput, TablesOfDifferentReferenceAntennasAreRefused) {
  const SolutionSet set = calibrate::ReadCalibrationTable(root_ / "cal.gpcal");
  const std::string reference = set.antennas[static_cast<std::size_t>(set.reference_antenna)].name;
  Damage("other_reference", "cal.gpcal", AntennaInUse(reference == AntennaInUse(0) ? 1 : 0));
  ExpectApplyRefuses("cal.gpcal", "reference antenna");
}

class TruncatedTable : public CalibrationInput, public ::testing::WithParamInterface<const char*> {};

TEST_P(TruncatedTable, IsRefused) {
  const fs::path file = root_ / "cal.bpcal" / GetParam();
  ASSERT_TRUE(fs::exists(file));
  fs::resize_file(file, fs::file_size(file) / 2);
  ExpectApplyRefuses("cal.bpcal");
  fs::remove(file);
  ExpectApplyRefuses("cal.bpcal");
  // The same as a table that a solve holds fixed.
  const ToolResult solve = Solve("--kinds G --catalog " + Path("sky.csv") + " --tables " + Path("cal.bpcal"));
  ExpectRefused(solve, 3, "cal.bpcal");
  ExpectNoTables();
}

INSTANTIATE_TEST_SUITE_P(, TruncatedTable,
                         ::testing::Values("table.dat", "table.f0", "table.f0i", "ANTENNA/table.f0",
                                           "SPECTRAL_WINDOW/table.f0"),
                         [](const auto& test) {
                           std::string name = test.param;
                           for (char& c : name) c = std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
                           return name;
                         });

TEST_F(CalibrationInput, AnEmptyOrMissingTableIsRefused) {
  fs::remove_all(root_ / "cal.gpcal");
  ExpectRefused(Apply(), 1, "cal.gpcal");
  fs::create_directory(root_ / "cal.gpcal");
  ExpectApplyRefuses("cal.gpcal");
}

TEST_F(CalibrationInput, SolutionsThatAreNoNumbersFlagTheData) {
  const std::string victim = AntennaInUse(5);
  Damage("nan_antenna", "cal.gpcal", victim);
  const ToolResult result = Apply("--json");
  ASSERT_EQ(result.status, 0) << result.err;
  const auto block = Corrected();
  std::size_t lost = 0;
  const auto [n_t, n_b, n_c, n_p] = block->shape();
  for (std::size_t b = 0; b < n_b; ++b) {
    const auto& baseline = block->baselines[b];
    const bool with = block->antennas.names[static_cast<std::size_t>(baseline.antenna1)] == victim ||
                      block->antennas.names[static_cast<std::size_t>(baseline.antenna2)] == victim;
    if (baseline.is_auto()) continue;
    for (std::size_t t = 0; t < n_t; ++t) {
      for (std::size_t c = 0; c < n_c; ++c) {
        for (std::size_t p = 0; p < n_p; ++p) {
          const Visibility v = block->vis_view()(t, b, c, p);
          ASSERT_TRUE(std::isfinite(std::norm(v)));
          ASSERT_EQ(block->flag_view()(t, b, c, p), with ? 1 : 0);
          lost += with ? 1 : 0;
        }
      }
    }
  }
  EXPECT_GT(lost, 0U);
  EXPECT_GE(nlohmann::json::parse(result.out)["flagged_by_calibration"].get<std::size_t>(), lost);
}

TEST_F(CalibrationInput, ATableOfNothingButNaNIsRefused) {
  Damage("nan_all", "cal.gpcal");
  ExpectApplyRefuses("cal.gpcal", "no usable solution");
}

TEST_F(CalibrationInput, ATableOfNothingButFlagsIsRefused) {
  Damage("flag_everything", "cal.bpcal");
  ExpectApplyRefuses("cal.bpcal", "no usable solution");
}

TEST_F(CalibrationInput, CorrectedDataAreReplacedOnlyOnRequest) {
  ASSERT_EQ(Apply().status, 0);
  ExpectRefused(Apply(), 2, "--replace");
  EXPECT_EQ(Apply("--replace").status, 0);
  // A table is none twice, and no other file is a table.
  ExpectRefused(Contimg("apply " + Path("x.ms") + " --replace --tables " + Path("cal.gpcal") + " " + Path("cal.gpcal")),
                3, "second table");
  ExpectRefused(Contimg("apply " + Path("x.ms") + " --replace --tables " + Path("x.ms")), 3, "x.ms");
}

// ---- catalogues ----

TEST_F(CalibrationInput, CataloguesNameTheLineThatIsWrong) {
  std::ofstream(root_ / "bad.csv") << "ra_deg,dec_deg,flux_jy\n10,20,1\n10,95,1\n";
  const ToolResult bad = Contimg("catalog import csv " + Path("bad.csv") + " --name mine");
  ExpectRefused(bad, 3, "line 3");
  ExpectRefused(Contimg("catalog import csv " + Path("none.csv") + " --name mine"), 1, "none.csv");
  EXPECT_EQ(Contimg("catalog import fits " + Path("bad.csv")).status, 2);
  EXPECT_EQ(Contimg("catalog import csv " + Path("sky.csv")).status, 2);  // no --name
  ASSERT_EQ(Contimg("catalog import csv " + Path("sky.csv") + " --name mine").status, 0);
  const ToolResult cone = Contimg("catalog cone 106.37 16.14 --radius 2deg --json");
  ASSERT_EQ(cone.status, 0) << cone.err;
  const nlohmann::json found = nlohmann::json::parse(cone.out);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_NEAR(found[0]["flux_jy"].get<double>(), 20, 1e-9);
  const ToolResult written = Contimg("catalog cone 07:05:28.8 16d08m24s --radius 120arcmin --json");
  ASSERT_EQ(written.status, 0) << written.err;
  EXPECT_NEAR(nlohmann::json::parse(written.out)[0]["separation_deg"].get<double>(),
              found[0]["separation_deg"].get<double>(), 1e-9);
  for (const char* words : {"466.37 16.14", "106.37 96.14", "nan 16.14", "106.37 16.14x", "106.37 16.14 --radius 0",
                            "106.37 16.14 --radius 1Jy", "106.37 16.14 --min-flux nan", "106.37 16.14 --limit 2.5"}) {
    EXPECT_EQ(Contimg(std::string("catalog cone ") + words).status, 2) << words;
  }
  // The only catalogue is the field's.
  EXPECT_EQ(Solve("--catalog field").status, 0);
}

// image, solve, predict, import and simulate read a list in the same way, and refuse it in the same words.
TEST_F(CalibrationInput, EveryCommandReadsAListOfSourcesAlike) {
  const std::string head = "ra_deg,dec_deg,flux_jy,alpha\n";
  const auto commands = [&](const std::string& list) {
    return std::vector<std::string>{
        "image " + Path("x.ms") + " --dirty-only --size 64 --cell 5 --minuv 0 --out " + Path("im") + " --catalogue " +
            Path(list),
        "solve " + Path("x.ms") + " --minuv 0 --out " + Path("cc") + " --catalog " + Path(list),
        "predict " + Path("x.ms") + " --replace --catalog " + Path(list),
        "catalog import csv " + Path(list) + " --name mine",
        "simulate --out " + Path("sim") +
            " --antennas 3 --channels 4 --subbands 1 --integrations 1 --quiet --catalog " + Path(list)};
  };
  for (const char* row : {"466.37,16.14,20,0", "106.37,16.14,20 K,0", "106.37,16.14,nan,0", "106.37,96.14,20,0",
                          "106.37,16.14,-20,0", "106,37,16,14,20,0"}) {
    std::ofstream(root_ / "bad.csv") << head << row << "\n";
    std::string words;
    for (const std::string& command : commands("bad.csv")) {
      const ToolResult result = Contimg(command);
      ExpectRefused(result, 3, "line 2");
      if (words.empty()) words = result.err;
      EXPECT_EQ(result.err, words) << command;
    }
  }
  const nlohmann::json source = Truth(tile_)["sources"][0];
  std::ofstream(root_ / "good.csv") << head
                                    << fmt::format("{:.9f}deg,{:.9f} deg,20000 mJy,0\n", source[0].get<double>(),
                                                   source[1].get<double>());
  for (const std::string& command : commands("good.csv")) {
    const ToolResult result = Contimg(command);
    EXPECT_EQ(result.status, 0) << command << ": " << result.err;
  }
}

TEST_F(CalibrationInput, AUvLimitThatLeavesNothingIsNamed) {
  const ToolResult result =
      Contimg("solve " + Path("x.ms") + " --minuv 50000 --out " + Path("new") + " --catalog " + Path("sky.csv"));
  ExpectRefused(result, 2, "leave 0 of 66 baselines");
  ExpectRefused(Contimg("image " + Path("x.ms") + " --size 64 --minuv 50000 --out " + Path("im")), 2,
                "leave 0 of 66 baselines");
  ExpectNoTables();
}

}  // namespace
}  // namespace contimg
