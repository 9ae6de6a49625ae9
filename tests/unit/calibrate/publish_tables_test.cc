#include "calibrate/publish_tables.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>
#include <string>
#include <vector>

#include "calibrate/casacore/calibration_table.h"
#include "config/error.h"
#include "tests/faulty_os.h"
#include "tests/temporary_folder.h"

namespace contimg::calibrate {
namespace {

namespace fs = std::filesystem;
using contimg::testkit::FaultyOs;

SolutionSet OneGain(float amplitude) {
  SolutionSet s;
  s.kind = SolutionKind::kGain;
  for (const char* name : {"1", "2", "3"}) {
    s.antennas.push_back({name, {-2409000.0 + 30 * static_cast<double>(s.antennas.size()), -4478000, 3838000}, 4.65});
  }
  s.windows.push_back({{1.4e9}, 1e6, 1.4e9});
  s.intervals.push_back({60000 * 86400.0, 300});
  s.field_name = "field";
  s.reference_antenna = 0;
  s.Allocate();
  for (std::size_t i = 0; i < s.size(); ++i) {
    s.value[i] = amplitude;
    s.error[i] = 0.01f;
    s.snr[i] = 100;
    s.flag[i] = kSolved;
  }
  return s;
}

class PublishTablesTest : public ::testing::Test {
 protected:
  float Amplitude(int i) { return std::abs(ReadCalibrationTable(paths_[static_cast<std::size_t>(i)]).value[0]); }
  std::size_t Names() {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder_.path()), fs::directory_iterator()));
  }
  TemporaryFolder folder_{"tables"};
  const std::vector<fs::path> paths_{folder_ / "a.gpcal", folder_ / "b.gpcal"};
};

TEST_F(PublishTablesTest, NewTablesTakeTheNamesOfOlderOnes) {
  PublishTables({OneGain(1), OneGain(2)}, paths_, false, RealOs());
  PublishTables({OneGain(3), OneGain(4)}, paths_, true, RealOs());
  EXPECT_EQ(Amplitude(0), 3);
  EXPECT_EQ(Amplitude(1), 4);
  EXPECT_EQ(Names(), 2u);
}

TEST_F(PublishTablesTest, OlderTablesInTheWayAreAnError) {
  PublishTables({OneGain(1)}, {paths_[1]}, false, RealOs());
  try {
    PublishTables({OneGain(3), OneGain(4)}, paths_, false, RealOs());
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
  }
  EXPECT_EQ(Amplitude(1), 1);
  EXPECT_EQ(Names(), 1u);
}

// Whichever step fails, the older ones are what they were.
TEST_F(PublishTablesTest, AFailureLeavesTheOlderTables) {
  PublishTables({OneGain(1), OneGain(2)}, paths_, false, RealOs());
  bool came = true;
  for (int n = 1; came && n < 50; ++n) {
    FaultyOs os(FaultyOs::Fault::kFailBefore, n, EIO);
    try {
      PublishTables({OneGain(3), OneGain(4)}, paths_, true, os);
      came = false;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kIo) << os.fault_at();
    }
    EXPECT_EQ(Amplitude(0), came ? 1 : 3) << os.fault_at();
    EXPECT_EQ(Amplitude(1), came ? 2 : 4) << os.fault_at();
    EXPECT_EQ(Names(), 2u) << os.fault_at();
  }
  EXPECT_FALSE(came);
}

TEST_F(PublishTablesTest, AFailureLeavesNothingWhereNothingWas) {
  for (int n = 1; n <= 3; ++n) {
    FaultyOs os(FaultyOs::Fault::kFailBefore, n, EIO);
    EXPECT_THROW(PublishTables({OneGain(3), OneGain(4)}, paths_, false, os), Error) << n;
    EXPECT_EQ(Names(), 0u) << os.fault_at();
  }
}

}  // namespace
}  // namespace contimg::calibrate
