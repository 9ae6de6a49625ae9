// Runs the calibration commands as a user does, on a simulated tile that is made once for a test suite.
#pragma once

#include <nlohmann/json.hpp>

#include "tests/integration/convert_tool.h"
#include "tests/temporary_folder.h"

namespace contimg {

// A folder with a pristine Measurement Set that every test gets a copy of. The suite calls MakeTile first.
class CalibrationTest : public ::testing::Test {
 protected:
  static ToolResult Run(const std::string& words, const std::filesystem::path& root,
                        const std::string& variables = "") {
    const PeerResult run = RunCommand(fmt::format(
        "{{ env CONTIMG_STAGING_DIR={0}/staging CONTIMG_STATE_DIR={0}/state CONTIMG_SCRATCH_DIR={0} {1} {2}/contimg "
        "--log-level warn {3} > {0}/stdout 2> {0}/stderr; }}",
        Quoted(root.string()), variables, CONTIMG_BIN_DIR, words));
    return {run.status, FileText(root / "stdout"), FileText(root / "stderr")};
  }

  // Simulates with `options` and converts to `folder`/x.ms; the truth is `folder`/truth.json, its sources sky.csv.
  static void MakeTile(const std::filesystem::path& folder, const std::string& options) {
    std::filesystem::create_directories(folder / "in");
    const PeerResult made =
        RunCommand(fmt::format("{}/contimg simulate --out {}/in --truth {}/in/truth --quiet {}", CONTIMG_BIN_DIR,
                               Quoted(folder.string()), Quoted(folder.string()), options));
    ASSERT_EQ(made.status, 0) << made.output;
    std::filesystem::copy_file(TruthIn(folder / "in/truth"), folder / "truth.json");
    const ToolResult converted =
        Run("convert" + Words(SubbandFiles(folder / "in")) + " --out " + Quoted((folder / "x.ms").string()), folder);
    ASSERT_EQ(converted.status, 0) << converted.err;
    std::filesystem::remove_all(folder / "in");
    std::ofstream sky(folder / "sky.csv");
    sky << "ra_deg,dec_deg,flux_jy,alpha\n";
    const nlohmann::json truth = Truth(folder);
    for (const auto& source : truth["sources"]) {
      sky << fmt::format("{},{},{},{}\n", source[0].get<double>(), source[1].get<double>(), source[2].get<double>(),
                         source[3].get<double>());
    }
  }
  static nlohmann::json Truth(const std::filesystem::path& folder) {
    return nlohmann::json::parse(FileText(folder / "truth.json"));
  }

  void SetUp() override { std::filesystem::create_directories(root_ / "state"); }

  std::filesystem::path CopyTile(const std::filesystem::path& folder, const std::string& name = "x.ms") const {
    std::filesystem::copy(folder / "x.ms", root_ / name, std::filesystem::copy_options::recursive);
    return root_ / name;
  }
  ToolResult Contimg(const std::string& words, const std::string& variables = "") const {
    return Run(words, root_, variables);
  }
  std::string Path(const std::string& name) const { return Quoted((root_ / name).string()); }

  // One sentence that names `subject`, and the exit status.
  static void ExpectRefused(const ToolResult& result, int status, const std::string& subject) {
    EXPECT_EQ(result.status, status) << result.err;
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
    EXPECT_NE(result.err.find(subject), std::string::npos) << result.err;
  }

  TemporaryFolder folder_{"calibration"};
  const std::filesystem::path root_ = folder_.path();
};

}  // namespace contimg
