// What holds for every process of integration tests.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>

#include "tests/temporary_folder.h"

namespace contimg {
namespace {

// It stages in a folder of its own: several simulate groups of the same name at the same time, and a staging folder
// belongs to one process.
class OwnStaging : public testing::Environment {
 public:
  void SetUp() override { ::setenv("CONTIMG_STAGING_DIR", folder_.path().c_str(), 0); }

 private:
  TemporaryFolder folder_{"staging"};
};

// It fails when the set-up of a suite fails. GoogleTest then reports the suite's tests as skipped, which looks as if
// all were well.
class NoSuiteWithoutSetUp : public testing::EmptyTestEventListener {
 public:
  void OnTestStart(const testing::TestInfo&) override { in_test_ = true; }
  void OnTestEnd(const testing::TestInfo&) override { in_test_ = false; }
  void OnTestPartResult(const testing::TestPartResult& result) override {
    if (!result.failed() || in_test_) return;
    std::fflush(nullptr);
    std::_Exit(1);  // GoogleTest holds its locks here
  }

 private:
  bool in_test_ = false;
};

[[maybe_unused]] const bool kReady = [] {
  testing::AddGlobalTestEnvironment(new OwnStaging);
  testing::UnitTest::GetInstance()->listeners().Append(new NoSuiteWithoutSetUp);
  return true;
}();

}  // namespace
}  // namespace contimg
