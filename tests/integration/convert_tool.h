// Runs `contimg` as a user does, on a small simulated group, in folders of its own.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "tests/integration/python_peer.h"
#include "tests/temporary_folder.h"

namespace contimg {

struct ToolResult {
  int status = -1;
  std::string out, err;
};

inline std::string FileText(const std::filesystem::path& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

// Every name below `folder`, hidden ones included.
inline std::vector<std::string> NamesBelow(const std::filesystem::path& folder) {
  std::vector<std::string> names;
  if (!std::filesystem::exists(folder)) return names;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
    names.push_back(entry.path().string());
  return names;
}

// Shared development data, or an empty path.
inline std::filesystem::path SharedData(const std::string& name) {
  const char* root = std::getenv("CONTIMG_TEST_DATA");
  const std::filesystem::path folder =
      (root != nullptr ? std::filesystem::path(root) : std::filesystem::path(CONTIMG_SOURCE_DIR) / "../shared/data") /
      name;
  return std::filesystem::exists(folder) ? folder : std::filesystem::path();
}

inline std::vector<std::filesystem::path> SubbandFiles(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == ".hdf5") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

// The truth of the tile that was simulated into `folder`.
inline std::filesystem::path TruthIn(const std::filesystem::path& folder) {
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().filename().string().rfind("truth_", 0) == 0) return entry.path();
  }
  return {};
}

inline std::string Words(const std::vector<std::filesystem::path>& paths) {
  std::string words;
  for (const auto& path : paths) words += " " + Quoted(path.string());
  return words;
}

// A folder with in/ (a copy of a simulated group), out/ and staging/, removed at the end.
class ConvertTest : public ::testing::Test {
 protected:
  static constexpr int kRows = 55 * 4 * 16;  // baselines with autocorrelations, integrations, windows

  static void SetUpTestSuite() {
    pool_folder_.emplace("pool");
    pool_ = pool_folder_->path();
    const PeerResult result = RunCommand(
        fmt::format("{}/contimg simulate --out {} --truth {}/truth --antennas 10 --integrations 4 --channels 8 --quiet",
                    CONTIMG_BIN_DIR, Quoted(pool_.string()), Quoted(pool_.string())));
    ASSERT_EQ(result.status, 0) << result.output;
    ASSERT_EQ(SubbandFiles(pool_).size(), 16u);
  }
  static void TearDownTestSuite() { pool_folder_.reset(); }

  void SetUp() override {
    for (const char* name : {"in", "out", "staging"}) std::filesystem::create_directories(root_ / name);
    for (const auto& file : SubbandFiles(pool_)) std::filesystem::copy_file(file, root_ / "in" / file.filename());
  }

  std::filesystem::path out() const { return root_ / "out"; }
  std::filesystem::path staging() const { return root_ / "staging"; }
  std::vector<std::filesystem::path> files() const { return SubbandFiles(root_ / "in"); }

  // `before`: a wrapper such as "timeout …".
  ToolResult Contimg(const std::string& words, const std::filesystem::path& staging_dir,
                     const std::string& before = "") {
    const PeerResult run = RunCommand(fmt::format(
        "{{ env CONTIMG_STAGING_DIR={} {} {}/contimg {} > {} 2> {}; }}", Quoted(staging_dir.string()), before,
        CONTIMG_BIN_DIR, words, Quoted((root_ / "stdout").string()), Quoted((root_ / "stderr").string())));
    return {run.status, FileText(root_ / "stdout"), FileText(root_ / "stderr")};
  }
  ToolResult Contimg(const std::string& words) { return Contimg(words, staging()); }
  ToolResult Convert(const std::string& more = "") {
    return Contimg("convert" + Words(files()) + " --out " + Quoted((out() / "x.ms").string()) + " " + more);
  }

  void ExpectNothingLeft() const {
    EXPECT_EQ(NamesBelow(out()), std::vector<std::string>());
    EXPECT_EQ(NamesBelow(staging()), std::vector<std::string>());
  }

  inline static std::optional<TemporaryFolder> pool_folder_;
  inline static std::filesystem::path pool_;
  TemporaryFolder folder_{"convert"};
  const std::filesystem::path root_ = folder_.path();
};

}  // namespace contimg
