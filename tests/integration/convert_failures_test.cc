// `contimg convert` among full disks, wrong paths, wrong options and sudden death.
#include <gmock/gmock.h>

#include <chrono>
#include <random>

#include "tests/integration/convert_tool.h"
#include "tests/temporary_folder.h"

namespace contimg {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class Failures : public ConvertTest {
 protected:
  std::string ConvertTo(const fs::path& output) {
    return "convert" + Words(files()) + " --out " + Quoted(output.string());
  }
};

// A tmpfs of its own; `mounted` is false where mounting is not allowed.
struct SmallDisk {
  SmallDisk(fs::path at, const std::string& options) : path(std::move(at)) {
    fs::create_directories(path);
    mounted = RunCommand("mount -t tmpfs -o " + options + " tmpfs " + Quoted(path.string())).status == 0;
  }
  ~SmallDisk() {
    if (mounted) RunCommand("umount " + Quoted(path.string()));
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  fs::path path;
  bool mounted = false;
};

TEST_F(Failures, ExistingOutputIsKept) {
  fs::create_directories(out() / "x.ms");
  std::ofstream(out() / "x.ms/mine") << "precious";
  EXPECT_EQ(Convert().status, 2);
  EXPECT_EQ(FileText(out() / "x.ms/mine"), "precious");
  EXPECT_EQ(NamesBelow(staging()), std::vector<std::string>());
}

TEST_F(Failures, WrongOptionsAreWrongUse) {
  const std::string input = Quoted(files()[0].string());
  EXPECT_EQ(Contimg("convert " + input).status, 2);
  EXPECT_EQ(Contimg("convert --out " + Quoted((out() / "x.ms").string())).status, 2);
  EXPECT_EQ(Contimg("convert " + input + " --nonsense --out " + Quoted((out() / "x.ms").string())).status, 2);
  EXPECT_EQ(Contimg("convert " + input + " --centre 1 --out " + Quoted((out() / "x.ms").string())).status, 2);
  ExpectNothingLeft();
}

TEST_F(Failures, OutputBelowAFileFails) {
  std::ofstream(root_ / "plain") << "a file";
  const ToolResult result = Contimg(ConvertTo(root_ / "plain/x.ms"));
  EXPECT_EQ(result.status, 1) << result.err;
  EXPECT_EQ(FileText(root_ / "plain"), "a file");
  ExpectNothingLeft();
}

TEST_F(Failures, ReadOnlyOutputFails) {
  const SmallDisk disk(root_ / "disk", "ro,size=64m");
  if (!disk.mounted) GTEST_SKIP() << "needs to mount a read-only tmpfs (root)";
  const ToolResult result = Contimg(ConvertTo(disk.path / "x.ms"));
  EXPECT_EQ(result.status, 1) << result.err;
  EXPECT_EQ(NamesBelow(disk.path), std::vector<std::string>());
  ExpectNothingLeft();
}

TEST_F(Failures, FullOutputDiskFailsAndKeepsNothing) {
  const SmallDisk disk(root_ / "disk", "size=256k");
  if (!disk.mounted) GTEST_SKIP() << "needs to mount a small tmpfs (root)";
  const ToolResult result = Contimg(ConvertTo(disk.path / "x.ms"));
  EXPECT_EQ(result.status, 1) << result.err;
  EXPECT_EQ(NamesBelow(disk.path), std::vector<std::string>());
  ExpectNothingLeft();
}

TEST_F(Failures, FullStagingDiskIsPassedOver) {
  const SmallDisk disk(root_ / "disk", "size=256k");
  if (!disk.mounted) GTEST_SKIP() << "needs to mount a small tmpfs (root)";
  const ToolResult result = Contimg(ConvertTo(out() / "x.ms"), disk.path);
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_THAT(result.err, HasSubstr("staging in"));
  EXPECT_EQ(NamesBelow(disk.path), std::vector<std::string>());
}

TEST_F(Failures, UnreadableInputFails) {
  if (::geteuid() == 0 && RunCommand("setpriv --reuid=65534 --clear-groups true").status != 0) {
    GTEST_SKIP() << "needs setpriv to become another user";
  }
  fs::permissions(files()[5], fs::perms::none);
  for (const char* name : {"", "out", "staging"}) fs::permissions(root_ / name, fs::perms::all);
  const ToolResult result =
      Contimg(ConvertTo(out() / "x.ms"), staging(), ::geteuid() == 0 ? "setpriv --reuid=65534 --clear-groups" : "");
  if (result.status >= 126) GTEST_SKIP() << "another user cannot run the program here: " << result.err;
  EXPECT_EQ(result.status, 1) << result.err;
  EXPECT_THAT(result.err, HasSubstr(files()[5].filename().string()));
  ExpectNothingLeft();
}

// Kills at random moments. The staging and the output folder lie on different file systems where /dev/shm is one, so
// that the copy to the hidden sibling is hit too.
TEST_F(Failures, KilledConversionLeavesAllOrNothing) {
  if (!HavePythonPeer("casacore.tables")) GTEST_SKIP() << "needs python3-casacore";
  const TemporaryFolder shm("kill", fs::exists("/dev/shm") ? "/dev/shm" : fs::temp_directory_path());
  const fs::path& stage = shm.path();
  const fs::path output = out() / "x.ms";

  const auto begun = std::chrono::steady_clock::now();
  ASSERT_EQ(Contimg(ConvertTo(output), stage).status, 0);
  const double whole_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
  fs::remove_all(output);

  std::mt19937 random(25);
  int killed = 0, complete = 0, with_leftovers = 0;
  for (int i = 0; i < 25; ++i) {
    const double after_s = whole_s * std::uniform_real_distribution<double>(0.02, 1.1)(random);
    const ToolResult result = Contimg(ConvertTo(output), stage, fmt::format("timeout -s KILL {:.4f}", after_s));
    killed += result.status == 0 ? 0 : 1;
    with_leftovers += NamesBelow(stage).empty() ? 0 : 1;
    if (fs::exists(output)) {
      ++complete;
      const PeerResult check =
          RunPythonPeer("measurement_set_check.py", {"rows", output.string(), std::to_string(kRows)});
      EXPECT_EQ(check.status, 0) << "killed after " << after_s << " s: " << check.output;
      fs::remove_all(output);
    }
  }
  fmt::print("{} of 25 killed within {:.2f} s, {} complete, {} left staged files\n", killed, whole_s, complete,
             with_leftovers);
  EXPECT_GT(killed, 0);

  const ToolResult next = Contimg(ConvertTo(output), stage);
  EXPECT_EQ(next.status, 0) << next.err;
  EXPECT_EQ(RunPythonPeer("measurement_set_check.py", {"rows", output.string(), std::to_string(kRows)}).status, 0);
  EXPECT_EQ(NamesBelow(stage), std::vector<std::string>());
  std::vector<std::string> outputs;
  for (const auto& entry : fs::directory_iterator(out())) outputs.push_back(entry.path().filename().string());
  EXPECT_EQ(outputs, std::vector<std::string>{"x.ms"});
}

}  // namespace
}  // namespace contimg
