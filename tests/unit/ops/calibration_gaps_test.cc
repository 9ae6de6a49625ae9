// Gaps of the registry: times whose groups would have to wait.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <memory>

#include "ops/records/registration.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;

constexpr double kT0 = 60000.0, kHour = 1.0 / 24;

class FindGapsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = fs::temp_directory_path() / "contimg-gaps-XXXXXX";
    root_ = ::mkdtemp(pattern.data());
    store_ = std::make_unique<state::CalTableStore>(root_ / "cal_registry.sqlite3");
    settings_.backward_s = 1800;
    settings_.policy = "nearest";  // what is borrowed fills no gap
    settings_.nearest_limit_h = 48;
  }
  void TearDown() override { fs::remove_all(root_); }

  std::int64_t Add(const std::string& kind, double from_h, double hours, std::vector<std::int64_t> rests_on = {},
                   double declination_deg = 16) {
    state::CalTableRow row;
    row.path = root_ / ("table" + std::to_string(++n_));
    fs::create_directory(row.path);
    row.kind = kind;
    row.interval = kind == "G" ? "1h" : "24h";
    row.valid_from_mjd = kT0 + from_h * kHour;
    row.valid_to_mjd = row.valid_from_mjd + hours * kHour;
    row.rests_on = std::move(rests_on);
    row.quality_json = "{\"declination_deg\": " + std::to_string(declination_deg) + "}";
    return store_->Register(row, 0);
  }
  // "BP 0.00-2.50" in hours from kT0.
  std::vector<std::string> Gaps(double from_h, double to_h, std::optional<double> declination_deg = {}) {
    std::vector<std::string> out;
    for (const CalibrationGap& gap :
         FindGaps(*store_, kT0 + from_h * kHour, kT0 + to_h * kHour, declination_deg, settings_)) {
      char text[64];
      std::snprintf(text, sizeof text, "%s %.2f-%.2f", gap.kind.c_str(), (gap.from_mjd - kT0) / kHour,
                    (gap.to_mjd - kT0) / kHour);
      out.emplace_back(text);
    }
    return out;
  }

  fs::path root_;
  std::unique_ptr<state::CalTableStore> store_;
  CalibrateSettings settings_;
  int n_ = 0;
};

using Lines = std::vector<std::string>;

TEST_F(FindGapsTest, AnEmptyRegistryIsOneGap) { EXPECT_EQ(Gaps(0, 24), (Lines{"BP 0.00-24.00", "G 0.00-24.00"})); }

TEST_F(FindGapsTest, WindowsAndTheHalfHourBeforeThemServe) {
  const auto bandpass = Add("BP", 3, 24);
  Add("G", 3, 1, {bandpass});
  Add("G", 4, 1, {bandpass});
  EXPECT_EQ(Gaps(0, 6), (Lines{"BP 0.00-2.50", "G 0.00-2.50", "G 5.00-6.00"}));
  EXPECT_EQ(Gaps(2.5, 5), Lines{});
  // One that begins behind the end of the time asked for serves within it.
  Add("G", 6.25, 1, {bandpass});
  EXPECT_EQ(Gaps(3, 6), (Lines{"G 5.00-5.75"}));
}

TEST_F(FindGapsTest, AGainWithoutItsBandpassServesNobody) {
  const auto old = Add("BP", -20, 24);
  Add("G", 3, 1, {old});
  Add("BP", 3.5, 24);
  Add("G", 4, 2, {old});
  // From 4 h the old bandpass is over: the new one has no gain of its own, and the gain no bandpass.
  EXPECT_EQ(Gaps(3, 6), (Lines{"G 4.00-6.00"}));
}

TEST_F(FindGapsTest, OtherStripsRetiredTablesAndLostFilesDoNotCount) {
  const auto bandpass = Add("BP", 0, 24, {}, 16);
  const auto gain = Add("G", 0, 1, {bandpass}, 16);
  EXPECT_EQ(Gaps(0, 1, 16), Lines{});
  EXPECT_EQ(Gaps(0, 1), Lines{});
  EXPECT_EQ(Gaps(0, 1, 54), (Lines{"BP 0.00-1.00", "G 0.00-1.00"}));
  store_->SetStatus(gain, "retired", "", 0);
  EXPECT_EQ(Gaps(0, 1, 16), (Lines{"G 0.00-1.00"}));
  store_->SetStatus(gain, "active", "", 0);
  fs::remove(root_ / "table1");
  EXPECT_EQ(Gaps(0, 1, 16).front(), "BP 0.00-1.00");
}

}  // namespace
}  // namespace contimg::ops
