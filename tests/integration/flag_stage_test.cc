// Flags on disk: what `contimg flag` writes is what it reports, and what other programs read.
#include "calibrate/flag_stage.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "convert/convert_stage.h"
#include "tests/temporary_folder.h"

namespace contimg::calibrate {
namespace {

namespace fs = std::filesystem;

class FlagMeasurementSet : public ::testing::Test {
 protected:
  void SetUp() override {
    const char* root = std::getenv("CONTIMG_TEST_DATA");
    const fs::path data = fs::path(root != nullptr ? root : CONTIMG_SOURCE_DIR "/../shared/data") / "vla-3c286-uvh5";
    if (!fs::exists(data)) GTEST_SKIP() << data << " is absent";
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator(data)) {
      if (entry.path().extension() == ".hdf5") files.push_back(entry.path());
    }
    convert::ConvertOptions options;
    options.output = Path();
    options.staging_root = dir_ / "staging";
    options.expected_subbands = 0;
    options.durable = false;
    convert::ConvertGroup(files, options, {});
  }

  fs::path Path() const { return dir_ / "x.ms"; }

  // Flagged fraction of the cross-correlations as python-casacore reads it; −1 when that is not installed.
  double FractionByCasacore() const {
    const std::string command = "/usr/bin/python3 -c \"import casacore.tables as t, numpy as n; x = t.table('" +
                                Path().string() +
                                "', ack=False); c = x.getcol('ANTENNA1') != x.getcol('ANTENNA2'); "
                                "print(n.mean(x.getcol('FLAG')[c]))\" 2>/dev/null";
    std::FILE* pipe = ::popen(command.c_str(), "r");
    double fraction = -1;
    if (pipe != nullptr) {
      if (std::fscanf(pipe, "%lf", &fraction) != 1) fraction = -1;
      ::pclose(pipe);
    }
    return fraction;
  }

  TemporaryFolder folder_{"flag"};
  const fs::path dir_ = folder_.path();
};

TEST_F(FlagMeasurementSet, WritesTheFlagsItReports) {
  const FlagStageReport report = calibrate::FlagMeasurementSet(Path(), {}, {}, {});
  EXPECT_GT(report.flags.total.fraction(), 0.019);  // the file's own flags
  EXPECT_LT(report.flags.total.fraction(), 0.1);    // a calibrator's band shape is no interference
  const double seen = FractionByCasacore();
  if (seen < 0) GTEST_SKIP() << "python3-casacore is not installed";
  EXPECT_NEAR(seen, report.flags.total.fraction(), 1e-6);
}

TEST_F(FlagMeasurementSet, ChangesNothingInADryRun) {
  const double before = FractionByCasacore();
  FlagStageOptions options;
  options.dry_run = true;
  calibrate::FlagMeasurementSet(Path(), options, {}, {});
  EXPECT_EQ(FractionByCasacore(), before);
}

TEST_F(FlagMeasurementSet, NeverTakesAFlagAway) {
  calibrate::FlagMeasurementSet(Path(), {}, {}, {});
  const double before = FractionByCasacore();
  FlagSettings none;
  none.enabled = false;
  const FlagStageReport again = calibrate::FlagMeasurementSet(Path(), {}, none, {});
  if (before < 0) GTEST_SKIP() << "python3-casacore is not installed";
  EXPECT_NEAR(FractionByCasacore(), before, 1e-6);
  EXPECT_NEAR(again.flags.total.fraction(), before, 1e-6);
}

}  // namespace
}  // namespace contimg::calibrate
