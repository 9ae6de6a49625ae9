// What `contimg convert` makes, seen by other people's software: python3-casacore.
#include <gmock/gmock.h>

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

}  // namespace
}  // namespace contimg
