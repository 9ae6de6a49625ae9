#include "ops/worker/integration_flags.h"

#include <gtest/gtest.h>

namespace contimg::ops {
namespace {

// Three antennas, XX and YY, four integrations, one window of ten channels.
class IntegrationFlags : public testing::Test {
 protected:
  IntegrationFlags() {
    block_.time_mjd_s = {0, 1, 2, 3};
    block_.baselines = {{0, 0}, {0, 1}, {0, 2}, {1, 1}, {1, 2}, {2, 2}};
    for (int i = 0; i < 10; ++i) block_.frequency_hz.push_back(1.4e9 + i);
    block_.polarisations = {Polarisation::kXX, Polarisation::kYY};
    block_.windows = {{0, 0, 10, ""}};
    block_.antennas.names = {"1", "2", "3"};
    block_.Allocate();
    settings_.image.gate_flagged = 0.5;
    settings_.flag.dead_antenna_fraction = 0.9;
  }
  void Flag(std::size_t time, std::size_t baseline, std::size_t channels, int pol = -1) {
    auto flags = block_.flag_view();
    for (std::size_t c = 0; c < channels; ++c) {
      for (std::size_t p = 0; p < 2; ++p) {
        if (pol < 0 || p == static_cast<std::size_t>(pol)) flags(time, baseline, c, p) = 1;
      }
    }
  }
  std::vector<QualityFlags> Words() const { return FlagsOfIntegrations(block_, settings_, 2); }

  VisibilityBlock block_;
  Settings settings_;
  const QualityFlags bad_ = quality::kInterference.mask();
};

TEST_F(IntegrationFlags, AreOfThoseThatLostMoreThanTheGateLets) {
  EXPECT_EQ(Words(), (std::vector<QualityFlags>{0, 0, 0, 0}));
  for (const std::size_t cross : {1, 2, 4}) Flag(2, cross, 6);
  for (const std::size_t cross : {1, 2, 4}) Flag(3, cross, 5);  // just the half
  for (const std::size_t lone : {0, 3, 5}) Flag(1, lone, 10);   // autocorrelations say nothing
  EXPECT_EQ(Words(), (std::vector<QualityFlags>{0, 0, bad_, 0}));
  settings_.image.gate_flagged = 0;
  EXPECT_EQ(Words(), (std::vector<QualityFlags>{0, 0, 0, 0}));
}

TEST_F(IntegrationFlags, DeadReceptorsAndRowsThatAreNotThereDoNotCount) {
  for (std::size_t time = 0; time < 4; ++time) {
    for (const std::size_t cross : {1, 2}) Flag(time, cross, 10);  // antenna 0 is dead
  }
  EXPECT_EQ(Words(), (std::vector<QualityFlags>{0, 0, 0, 0}));
  Flag(1, 4, 6);
  EXPECT_EQ(Words(), (std::vector<QualityFlags>{0, bad_, 0, 0}));
  // A row that was never written is no loss to interference.
  block_.absent.assign(4 * 6, 0);
  block_.absent[1 * 6 + 4] = 1;
  EXPECT_EQ(Words(), (std::vector<QualityFlags>{0, 0, 0, 0}));
}

}  // namespace
}  // namespace contimg::ops
