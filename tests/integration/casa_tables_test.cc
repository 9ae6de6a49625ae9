// Tables as CASA writes them: applied exactly as CASA would, or refused by name (docs/formats/calibration-tables.md).
#include <optional>

#include "convert/measurement_set_reader.h"
#include "tests/integration/calibration_tool.h"
#include "tests/temporary_folder.h"

namespace contimg {
namespace {

namespace fs = std::filesystem;

class CasaTables : public CalibrationTest {
 protected:
  static void SetUpTestSuite() {
    tile_folder_.emplace("casa");
    MakeTile(tile_folder_->path(), "--antennas 8 --channels 8 --subbands 4 --integrations 6 --calibrator 20 --no-beam");
  }
  static void TearDownTestSuite() { tile_folder_.reset(); }
  void SetUp() override {
    CalibrationTest::SetUp();
    if (!HavePythonPeer("casacore.tables")) GTEST_SKIP() << "needs python3-casacore";
    CopyTile(tile_folder_->path());
  }
  std::string Make(const std::string& kind, const std::string& name = "casa.cal") {
    const PeerResult made =
        RunPythonPeer("casa_tables.py", {"make", kind, (root_ / "x.ms").string(), (root_ / name).string()});
    EXPECT_EQ(made.status, 0) << made.output;
    return Path(name);
  }
  void Damage(const std::string& kind, const std::string& argument = "") {
    std::vector<std::string> words{kind, (root_ / "casa.cal").string()};
    if (!argument.empty()) words.push_back(argument);
    const PeerResult result = RunPythonPeer("damage_calibration.py", words);
    ASSERT_EQ(result.status, 0) << result.output;
  }
  ToolResult Apply(const std::string& more = "") const {
    return Contimg("apply " + Path("x.ms") + " --tables " + Path("casa.cal") + " " + more);
  }
  void ExpectRefuses(const std::string& finding) const {
    for (const std::string& command :
         {"apply " + Path("x.ms") + " --tables " + Path("casa.cal"), "cal register " + Path("casa.cal")}) {
      const ToolResult result = Contimg(command);
      ExpectRefused(result, 3, "casa.cal");
      EXPECT_NE(result.err.find(finding), std::string::npos) << result.err;
    }
    ASSERT_FALSE(convert::DescribeMeasurementSet(root_ / "x.ms").has_corrected);
  }

  static inline std::optional<TemporaryFolder> tile_folder_;
};

struct Applied {
  const char* kind;  // of casa_tables.py
  const char* options;
  const char* rule;  // the peer's
};

class CasaTableApplied : public CasaTables, public ::testing::WithParamInterface<std::vector<Applied>> {};

TEST_P(CasaTableApplied, AsCasaApplies) {
  for (const Applied& each : GetParam()) {
    SCOPED_TRACE(each.kind);
    fs::remove_all(root_ / "x.ms");
    fs::remove_all(root_ / "casa.cal");
    CopyTile(tile_folder_->path());
    Make(each.kind);
    const ToolResult applied = Apply(each.options);
    ASSERT_EQ(applied.status, 0) << applied.err;
    const PeerResult peer =
        RunPythonPeer("casa_tables.py", {"check", (tile_folder_->path() / "x.ms").string(), (root_ / "x.ms").string(),
                                         (root_ / "casa.cal").string() + ":" + each.rule});
    EXPECT_EQ(peer.status, 0) << peer.output;
  }
}

INSTANTIATE_TEST_SUITE_P(Gains, CasaTableApplied,
                         ::testing::Values(std::vector<Applied>{{"g_int", "", "linear"},
                                                                {"g_nearest", "--interp nearest", "nearest"},
                                                                {"g_sparse", "", "linear"},
                                                                {"g_flags", "", "linear"},
                                                                {"g_unusable", "", "linear"},
                                                                {"g_antennas", "", "linear"},
                                                                {"g_windows", "", "linear"},
                                                                {"g_late_window", "", "linear"},
                                                                {"g_combined", "--combined-spw", "combined"},
                                                                {"t_sparse", "", "linear"}}));
INSTANTIATE_TEST_SUITE_P(Bandpasses, CasaTableApplied,
                         ::testing::Values(std::vector<Applied>{{"b_plain", "", "linear"},
                                                                {"b_descending", "", "linear"},
                                                                {"b_coarse", "", "linear"},
                                                                {"b_drift", "--interp BP=linear", "linear"}}));
INSTANTIATE_TEST_SUITE_P(Delays, CasaTableApplied,
                         ::testing::Values(std::vector<Applied>{{"k_plain", "", "linear"},
                                                                {"k_before_5_3", "", "linear"},
                                                                {"k_drift", "--interp K=linear", "linear"},
                                                                {"k_combined", "--combined-spw", "combined"}}));

TEST_F(CasaTables, SeveralActTogether) {
  const std::string tables =
      Make("k_plain", "k") + " " + Make("b_plain", "b") + " " + Make("g_int", "g") + " " + Make("t_sparse", "t");
  const ToolResult applied = Contimg("apply " + Path("x.ms") + " --tables " + tables);
  ASSERT_EQ(applied.status, 0) << applied.err;
  std::vector<std::string> words{"check", (tile_folder_->path() / "x.ms").string(), (root_ / "x.ms").string()};
  for (const char* name : {"k", "b", "g", "t"}) words.push_back((root_ / name).string() + ":linear");
  const PeerResult peer = RunPythonPeer("casa_tables.py", words);
  EXPECT_EQ(peer.status, 0) << peer.output;
}

TEST_F(CasaTables, InspectSaysWhatApplyWillDo) {
  Make("g_int");
  const ToolResult many = Contimg("inspect --json " + Path("casa.cal"));
  ASSERT_EQ(many.status, 0) << many.err;
  const nlohmann::json facts = nlohmann::json::parse(many.out);
  const nlohmann::json& table = facts.is_array() ? facts[0] : facts;
  EXPECT_EQ(table["intervals"].size(), 6U);
  EXPECT_EQ(table["interpolation"], "linear");
  EXPECT_EQ(table["contimg"], false);
  fs::remove_all(root_ / "casa.cal");
  Make("k_combined");
  const ToolResult combined = Contimg("inspect " + Path("casa.cal"));
  EXPECT_NE(combined.out.find("--combined-spw"), std::string::npos) << combined.out;
  ExpectRefuses("--combined-spw");
}

TEST_F(CasaTables, WhatAWindowLacksIsNamedAndFlagged) {
  Make("b_plain");
  Damage("drop_window", "1");
  const ToolResult applied = Apply();
  ASSERT_EQ(applied.status, 0) << applied.err;
  EXPECT_NE(applied.err.find("no solutions for 1 of the 4 spectral windows"), std::string::npos) << applied.err;
}

TEST_F(CasaTables, ATTableIsNotRegistered) {
  Make("t_sparse");
  ExpectRefused(Contimg("cal register " + Path("casa.cal")), 3, "T Jones");
}

struct Refused {
  const char* kind;  // of damage_calibration.py
  const char* argument;
  const char* finding;
};

TEST_F(CasaTables, WhatIsNotUnderstoodIsRefusedByName) {
  const Refused kRefused[] = {{"rename", "GSPLINE", "splines in time"},
                              {"rename", "BPOLY", "polynomials"},
                              {"rename", "Df Jones", "leakage"},
                              {"rename", "D Jones", "leakage"},
                              {"rename", "F Jones", "Faraday"},
                              {"rename", "Kcross Jones", "two polarisations"},
                              {"rename", "KAntPos Jones", "antenna positions"},
                              {"rename", "Fringe Jones", "rates"},
                              {"rename", "Xf Jones", "polarisations"},
                              {"rename", "M Mueller", "baselines"},
                              {"rename", "Q Jones", "does not know"},
                              {"set_viscal", "B Jones", "contradicts itself"},
                              {"repeat_row", "5", "rows 5 and"},
                              {"short_position", "", "POSITION"},
                              {"drop_keyword", "ANTENNA", "subtable ANTENNA"},
                              {"drop_keyword", "SPECTRAL_WINDOW", "subtable SPECTRAL_WINDOW"},
                              {"drop_column", "CPARAM", "no column CPARAM"},
                              {"drop_column", "FLAG", "no column FLAG"},
                              {"number_keyword", "MSName", "no text"},
                              {"bad_window", "", "spectral window 99"},
                              {"bad_antenna", "", "to antenna 999"},
                              {"no_time", "", "no time in row"},
                              {"empty_frequencies", "", "without frequencies"},
                              {"undefined_cell", "", "another shape"},
                              {"no_rows", "", "no solutions"}};
  Make("g_int", "whole.cal");
  for (const Refused& each : kRefused) {
    SCOPED_TRACE(std::string(each.kind) + " " + each.argument);
    fs::remove_all(root_ / "casa.cal");
    fs::copy(root_ / "whole.cal", root_ / "casa.cal", fs::copy_options::recursive);
    Damage(each.kind, each.argument);
    ExpectRefuses(each.finding);
  }
}

}  // namespace
}  // namespace contimg
