#include "calibrate/casacore/calibration_table.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "calibrate/solve.h"
#include "config/error.h"
#include "tests/temporary_folder.h"
#include "tests/unit/calibrate/synthetic_block.h"

namespace contimg::calibrate {
namespace {

namespace fs = std::filesystem;

class CalibrationTable : public ::testing::Test {
 protected:
  TemporaryFolder folder_{"caltable"};
  const fs::path directory_ = folder_.path();
};

SolveResult Solved() {
  static VisibilityBlock block = testkit::MakeBlock({});
  const auto model = testkit::ConstantModel(block, 10);
  testkit::FillVisibilities(block, model, testkit::RandomGains(block, 50), 0.5);
  SolveParams params;
  params.source_ms = "tile.ms";
  params.field_name = "3C286";
  params.gain_interval_s = 0;
  return SolveCalibration(block, testkit::ModelView(block, model), params, {});
}

TEST_F(CalibrationTable, ReadsBackWhatItWrote) {
  SolveResult result = Solved();
  SolutionSet& bandpass = result.solutions[1];
  bandpass.flag[bandpass.Index(0, 3, 7, 1)] = kInterpolated;
  bandpass.flag[bandpass.Index(0, 4, 9, 0)] = kFlagged;
  for (SolutionSet& s : result.solutions) {
    s.history = {"solved", "for a test"};
    const fs::path path = directory_ / ("x." + std::string(ToString(s.kind)));
    WriteCalibrationTable(s, path);
    const SolutionSet back = ReadCalibrationTable(path);
    EXPECT_EQ(back.kind, s.kind);
    EXPECT_EQ(back.reference_antenna, s.reference_antenna);
    EXPECT_EQ(back.field_name, "3C286");
    EXPECT_EQ(back.source_ms, "tile.ms");
    EXPECT_EQ(back.history, s.history);
    EXPECT_EQ(back.flag, s.flag);
    EXPECT_EQ(back.normalisation, s.normalisation);
    ASSERT_EQ(back.size(), s.size());
    ASSERT_EQ(back.intervals.size(), s.intervals.size());
    for (std::size_t t = 0; t < s.intervals.size(); ++t) {
      EXPECT_EQ(back.intervals[t].time_mjd_s, s.intervals[t].time_mjd_s);
    }
    for (std::size_t w = 0; w < s.windows.size(); ++w) {
      EXPECT_EQ(back.windows[w].reference_hz, s.windows[w].reference_hz);
    }
    for (std::size_t i = 0; i < s.size(); ++i) {
      if (!s.usable(i)) continue;
      EXPECT_NEAR(std::abs(back.value[i] - s.value[i]), 0, 1e-6 * std::abs(s.value[i]));  // stored in single precision
      EXPECT_EQ(back.error[i], s.error[i]);
      EXPECT_EQ(back.snr[i], s.snr[i]);
    }
  }
}

TEST_F(CalibrationTable, NeverReplacesAnExistingTable) {
  const SolveResult result = Solved();
  WriteCalibrationTable(result.solutions[0], directory_ / "x.kcal");
  try {
    WriteCalibrationTable(result.solutions[0], directory_ / "x.kcal");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
  }
}

TEST_F(CalibrationTable, DamageIsBadInput) {
  const SolveResult result = Solved();
  const fs::path path = directory_ / "x.gpcal";
  WriteCalibrationTable(result.solutions[2], path);
  const auto kind_after = [&](const fs::path& table) {
    try {
      ReadCalibrationTable(table);
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(table.string()), std::string::npos);
      return error.kind();
    }
    return ErrorKind::kBug;
  };
  EXPECT_EQ(kind_after(directory_ / "none"), ErrorKind::kIo);
  fs::create_directory(directory_ / "empty");
  EXPECT_EQ(kind_after(directory_ / "empty"), ErrorKind::kBadInput);
  fs::copy(path, directory_ / "no_antennas", fs::copy_options::recursive);
  fs::remove_all(directory_ / "no_antennas" / "ANTENNA");
  EXPECT_EQ(kind_after(directory_ / "no_antennas"), ErrorKind::kBadInput);
  fs::copy(path, directory_ / "truncated", fs::copy_options::recursive);
  fs::resize_file(directory_ / "truncated" / "table.f0", 1000);
  EXPECT_EQ(kind_after(directory_ / "truncated"), ErrorKind::kBadInput);
  EXPECT_EQ(kind_after(path / "ANTENNA"), ErrorKind::kBadInput);  // a table, but of another sort
}

fs::path TestData() {
  const char* from_environment = std::getenv("CONTIMG_TEST_DATA");
  return from_environment != nullptr ? fs::path(from_environment)
                                     : fs::path(CONTIMG_SOURCE_DIR) / ".." / "shared" / "data";
}

TEST(ReadCalibrationTable, ReadsRealTablesOfTheTelescope) {
  const fs::path tables = TestData() / "dsa110-caltables";
  if (!fs::exists(tables)) GTEST_SKIP() << "the test data are not at " << tables;
  const SolutionSet b = ReadCalibrationTable(tables / "2025-10-13T13:28:03_all_bpcal");
  EXPECT_EQ(b.kind, SolutionKind::kBandpass);
  EXPECT_EQ(b.antennas.size(), 117U);
  EXPECT_EQ(b.windows.size(), 16U);
  EXPECT_EQ(b.n_cells(), 768U);
  EXPECT_EQ(b.intervals.size(), 1U);  // sixteen slightly different times are one interval
  EXPECT_EQ(b.antennas[static_cast<std::size_t>(b.reference_antenna)].name, "103");
  double last = 0;
  for (const SolutionWindow& window : b.windows) {
    for (double f : window.frequency_hz) {
      EXPECT_GT(f, last);
      last = f;
    }
  }
  EXPECT_NEAR(b.windows.front().frequency_hz.front(), 1311387329.1, 1);
  EXPECT_NEAR(last, 1498643188.5, 1);
  const SolutionSet g = ReadCalibrationTable(tables / "2025-10-13T13:28:03_all_gpcal");
  EXPECT_EQ(g.kind, SolutionKind::kGain);
  EXPECT_EQ(g.n_cells(), 16U);

  // The digest of the same tables: station, window, polarisation, G phase and SNR, median B amplitude.
  std::ifstream digest(TestData() / "dsa110_gains_2025-10-13.csv");
  std::string line;
  int checked = 0;
  std::size_t solved = 0;
  for (std::size_t a = 0; a < 117; ++a)
    solved += g.usable(g.Index(0, a, 5, 0)) || g.usable(g.Index(0, a, 5, 1)) ? 1 : 0;
  EXPECT_EQ(solved, 83U);  // as the digest has them in this window
  while (std::getline(digest, line)) {
    if (line.empty() || line[0] == '#' || line[0] == 's') continue;
    int station = 0;
    double mhz = 0, phase = 0, snr = 0, amplitude = 0;
    char pol = 0;
    if (std::sscanf(line.c_str(), "%d,%lf,%c,%lf,%lf,%lf", &station, &mhz, &pol, &phase, &snr, &amplitude) != 6)
      continue;
    for (std::size_t w = 0; w < 16; ++w) {
      const auto& f = b.windows[w].frequency_hz;
      if (std::abs(0.5 * (f.front() + f.back()) * 1e-6 - mhz) > 0.1) continue;
      const std::size_t i = g.Index(0, static_cast<std::size_t>(station - 1), w, pol == 'X' ? 0 : 1);
      ASSERT_TRUE(g.usable(i)) << line;
      EXPECT_NEAR(std::remainder(std::arg(g.value[i]) * 180 / kPi - phase, 360), 0, 0.06);
      EXPECT_NEAR(g.snr[i], snr, 0.06);
      ++checked;
    }
  }
  EXPECT_GT(checked, 2000);
}

}  // namespace
}  // namespace contimg::calibrate
