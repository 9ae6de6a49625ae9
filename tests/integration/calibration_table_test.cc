// Our calibration tables through python3-casacore, and real tables of the telescope by both readers.
#include "calibrate/casacore/calibration_table.h"
#include "tests/temporary_folder.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <string>

namespace contimg::calibrate {
namespace {

namespace fs = std::filesystem;

// Output of a Python program, or nothing when Python or casacore is absent.
std::string RunPython(const std::string& program) {
  const std::string command = "/usr/bin/python3 -c \"" + program + "\" 2>/dev/null";
  FILE* pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) return "";
  std::string output;
  std::array<char, 4096> buffer;
  while (std::fgets(buffer.data(), buffer.size(), pipe) != nullptr) output += buffer.data();
  ::pclose(pipe);
  return output;
}

TEST(CalibrationTablePeers, PythonCasacoreReadsWhatWeWrite) {
  if (RunPython("import casacore.tables; print(1)") != "1\n") GTEST_SKIP() << "python3-casacore is not installed";
  SolutionSet s;
  s.kind = SolutionKind::kBandpass;
  s.antennas.resize(3);
  for (std::size_t a = 0; a < 3; ++a) s.antennas[a].name = "A" + std::to_string(a);
  s.windows = {{{1.0e9, 1.1e9}, 1e8, 1.0e9}, {{1.2e9, 1.3e9}, 1e8, 1.2e9}};
  s.intervals = {{5e9, 300}};
  s.reference_antenna = 1;
  s.Allocate();
  for (std::size_t i = 0; i < s.size(); ++i) {
    s.value[i] = {static_cast<double>(i), 1};
    s.error[i] = 0.5F;
    s.snr[i] = 7;
    s.flag[i] = i == 5 ? kFlagged : kSolved;
  }
  const TemporaryFolder folder("peer");
  const fs::path path = folder / "x.bpcal";
  WriteCalibrationTable(s, path);
  const std::string output =
      RunPython("import casacore.tables as t; x=t.table('" + path.string() +
                "',ack=False); c=x.getcol('CPARAM'); f=x.getcol('FLAG'); "
                "print(x.info()['subType'],x.nrows(),c.shape,f.sum(),c[4,1,0],x.getcell('SPECTRAL_WINDOW_ID',4),"
                "x.getcell('ANTENNA1',4),x.getcell('ANTENNA2',4),t.table('" +
                path.string() + "/ANTENNA',ack=False).getcol('NAME'))");
  // Row 4 is window 1, antenna 1; its channel 1 is cell 3: value index (1·4 + 3)·2.
  EXPECT_EQ(output, "B Jones 6 (6, 2, 2) 1 (14+1j) 1 1 1 ['A0', 'A1', 'A2']\n");
}

TEST(CalibrationTablePeers, BothReadersSeeTheSameRealGains) {
  const char* from_environment = std::getenv("CONTIMG_TEST_DATA");
  const fs::path data = from_environment != nullptr ? fs::path(from_environment)
                                                    : fs::path(CONTIMG_SOURCE_DIR) / ".." / "shared" / "data";
  const fs::path path = data / "dsa110-caltables" / "2025-10-13T13:28:03_all_gpcal";
  if (!fs::exists(path)) GTEST_SKIP() << "the test data are not at " << data;
  const std::string output = RunPython(
      "import casacore.tables as t; x=t.table('" + path.string() +
      "',ack=False); c=x.getcol('CPARAM'); f=x.getcol('FLAG'); print((~f).sum(), abs(c[~f]).sum(), c[~f].sum().real)");
  if (output.empty()) GTEST_SKIP() << "python3-casacore is not installed";
  std::istringstream in(output);
  std::size_t n = 0;
  double amplitude = 0, real = 0;
  in >> n >> amplitude >> real;
  const SolutionSet s = ReadCalibrationTable(path);
  std::size_t usable = 0;
  double own_amplitude = 0, own_real = 0;
  for (std::size_t i = 0; i < s.size(); ++i) {
    if (!s.usable(i)) continue;
    ++usable;
    own_amplitude += std::abs(s.value[i]);
    own_real += s.value[i].real();
  }
  EXPECT_EQ(usable, n);
  EXPECT_NEAR(own_amplitude, amplitude, 1e-5 * amplitude);  // numpy sums in single precision
  EXPECT_NEAR(own_real, real, 1e-4 * amplitude);
}

}  // namespace
}  // namespace contimg::calibrate
