// What `contimg convert` makes, seen by other people's software: python3-casacore.
#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>

#include "config/time.h"
#include "convert/measurement_set_reader.h"
#include "tests/integration/convert_tool.h"

namespace contimg {
namespace {

namespace fs = std::filesystem;

class Product : public ConvertTest {};

TEST_F(Product, IsACompleteMeasurementSet) {
  if (!HavePythonPeer("casacore.tables") || !HavePythonPeer("h5py"))
    GTEST_SKIP() << "needs python3-casacore and python3-h5py";
  ASSERT_EQ(Convert().status, 0);
  std::vector<std::string> words = {"full", (out() / "x.ms").string()};
  for (const fs::path& file : files()) words.push_back(file.string());
  const PeerResult check = RunPythonPeer("measurement_set_check.py", words);
  EXPECT_EQ(check.status, 0) << check.output;
  fmt::print("{}", check.output);
}

// Ours is read straight from its files, the copy through casacore.
TEST_F(Product, ReadsTheSameWhateverTheByteOrder) {
  if (!HavePythonPeer("casacore.tables")) GTEST_SKIP() << "needs python3-casacore";
  ASSERT_EQ(Convert().status, 0);
  const fs::path ours = out() / "x.ms", copy = out() / "copy.ms";
  const ToolResult flagged = Contimg("flag " + Quoted(ours.string()) + " --set flag.base_threshold=0.7");
  ASSERT_EQ(flagged.status, 0) << flagged.err;
  const PeerResult made = RunPythonPeer("copy_measurement_set.py", {ours.string(), copy.string()});
  ASSERT_EQ(made.status, 0) << made.output;
  RunContext context;
  context.threads = 2;
  const auto a = convert::ReadMeasurementSet(ours, {}, context), b = convert::ReadMeasurementSet(copy, {}, context);
  ASSERT_EQ(a->shape(), b->shape());
  EXPECT_GT(std::count(a->flag.begin(), a->flag.end(), 1), 0);
  EXPECT_LT(static_cast<std::size_t>(std::count(a->flag.begin(), a->flag.end(), 1)), a->flag.size() / 2);
  EXPECT_TRUE(std::equal(a->vis.begin(), a->vis.end(), b->vis.begin()));
  EXPECT_TRUE(std::equal(a->flag.begin(), a->flag.end(), b->flag.begin()));
  EXPECT_TRUE(std::equal(a->weight.begin(), a->weight.end(), b->weight.begin()));
}

TEST_F(Product, NamesTheMissingSubbands) {
  if (!HavePythonPeer("casacore.tables") || !HavePythonPeer("h5py"))
    GTEST_SKIP() << "needs python3-casacore and python3-h5py";
  const std::string stamp = files()[0].filename().string().substr(0, 19);
  fs::remove(files()[7]);
  fs::remove(files()[3]);
  const ToolResult result = Contimg("convert --group " + Quoted((root_ / "in").string()) + " " + stamp + " --out " +
                                    Quoted((out() / "x.ms").string()));
  ASSERT_EQ(result.status, 0) << result.err;
  std::vector<std::string> words = {"full", (out() / "x.ms").string(), "--missing", "3,7"};
  for (const fs::path& file : files()) words.push_back(file.string());
  const PeerResult check = RunPythonPeer("measurement_set_check.py", words);
  EXPECT_EQ(check.status, 0) << check.output;
}

TEST_F(Product, WarnsOnceThatNoEarthOrientationTableIsSet) {
  const std::string warning = "no Earth-orientation table";
  const ToolResult without = Convert();
  ASSERT_EQ(without.status, 0) << without.err;
  const std::size_t at = without.err.find(warning);
  ASSERT_NE(at, std::string::npos) << without.err;
  EXPECT_EQ(without.err.find(warning, at + 1), std::string::npos) << without.err;

  // Two lines of the IERS' finals2000A around the simulated day, with the Bulletin A columns that are read.
  const fs::path table = root_ / "finals2000A";
  const double mjd = std::floor(UtcTime::FromIso8601(files()[0].filename().string().substr(0, 19)).mjd());
  std::ofstream out_file(table);
  for (const double day : {mjd - 1, mjd, mjd + 1, mjd + 2}) {
    out_file << fmt::format("       {:8.2f} I {:9.6f}{:9.6f} {:9.6f}{:9.6f}  I{:10.7f}\n", day, 0.1, 0.0, 0.3, 0.0,
                            0.05);
  }
  out_file.close();
  const ToolResult with = Contimg("convert" + Words(files()) + " --out " + Quoted((out() / "y.ms").string()) +
                                  " --set telescope.earth_orientation_file=" + Quoted(table.string()));
  ASSERT_EQ(with.status, 0) << with.err;
  EXPECT_EQ(with.err.find(warning), std::string::npos) << with.err;
}

}  // namespace
}  // namespace contimg
