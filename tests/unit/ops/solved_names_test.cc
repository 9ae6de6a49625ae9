// The names under which a solved Measurement Set is also known.
#include "ops/worker/solved_names.h"

#include <gtest/gtest.h>

#include <fstream>

#include "config/unfinished.h"
#include "ops/base/link_target.h"
#include "ops/migration/doctor.h"
#include "ops/records/reconciler.h"
#include "state/group_store.h"
#include "tests/unit/ops/work_folders.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;
constexpr const char* kSolvedTile = "2025-10-13T13:28:03";

class SolvedNamesTest : public ::testing::Test {
 protected:
  SolvedNamesTest() {
    fs::create_directories(paths_.ScienceMs(kSolvedTile));
    std::ofstream(paths_.ScienceMs(kSolvedTile) / "table.dat") << "data";
  }
  SolvedSet Solved(const std::string& model, CalInterval interval = CalInterval::k24Hours) const {
    return {paths_.ScienceMs(kSolvedTile), paths_.CalTablePrefix(kSolvedTile, interval), model, 30.509};
  }
  WorkFolders folders_;
  const ProductPaths& paths_ = folders_.paths;
  const fs::path daily_ = paths_.CalibratorMs(kSolvedTile, CalInterval::k24Hours);
};

TEST_F(SolvedNamesTest, LinksLeadToTheSetFromItsTablesAndFromItsCalibrator) {
  NameSolvedSet(Solved("calibrator:3C286"), RealOs());
  EXPECT_EQ(LinkTarget(daily_), "../../science/2025-10-13/2025-10-13T13:28:03.ms");
  const fs::path name = paths_.roots().output / "calibrators/by-name/3C286_132803_+30.5";
  EXPECT_EQ(LinkTarget(name), "../2025-10-13/2025-10-13T13:28:03_24h.ms");
  EXPECT_EQ(RealOs().ReadFile(name / "table.dat"), "data");
  NameSolvedSet(Solved("calibrator:3C286"), RealOs());  // solved again
  NameSolvedSet(Solved("field", CalInterval::k1Hour), RealOs());
  EXPECT_EQ(RealOs().ReadFile(paths_.CalibratorMs(kSolvedTile, CalInterval::k1Hour) / "table.dat"), "data");
  EXPECT_EQ(RealOs().List(paths_.roots().output / "calibrators/by-name").size(), 1u) << "a field has no name";
  for (const fs::path& each : RealOs().List(daily_.parent_path())) EXPECT_FALSE(IsUnfinishedName(each)) << each;
  EXPECT_EQ(CalibratorLinks(paths_, RealOs()).size(), 3u);
}

TEST_F(SolvedNamesTest, WhatIsNoLinkStays) {
  fs::create_directories(daily_);
  std::ofstream(daily_ / "table.dat") << "a set of its own";
  NameSolvedSet(Solved("field"), RealOs());
  EXPECT_EQ(RealOs().ReadFile(daily_ / "table.dat"), "a set of its own");
}

TEST_F(SolvedNamesTest, NamesAreNames) {
  EXPECT_EQ(CalibratorName(Solved("calibrator:J 0834/555\n")), "J_0834_555__132803_+30.5");
  SolvedSet south = Solved("calibrator:X");
  south.dec_deg = -5.04;
  EXPECT_EQ(CalibratorName(south), "X_132803_-05.0");
  south.prefix = "x";
  EXPECT_EQ(CalibratorName(south), "");
}

// The records know the set once.
TEST_F(SolvedNamesTest, ALinkIsNoProductOfItsOwn) {
  NameSolvedSet(Solved("field"), RealOs());
  state::GroupStore groups(paths_.Database(StateDatabase::kIngest));
  state::GroupRow row;
  row.id = kSolvedTile;
  row.state = state::GroupState::kDone;
  groups.Create(row, "test", 1);
  Reconciler reconciler(paths_, groups);
  reconciler.Begin();
  while (!reconciler.Step(1, 2)) {
  }
  EXPECT_EQ(reconciler.figures().n_adopted, 1);
  state::ProductStore products(paths_.Database(StateDatabase::kProducts));
  EXPECT_TRUE(products.FindByPath(paths_.ScienceMs(kSolvedTile).string()));
  EXPECT_FALSE(products.FindByPath(daily_.string()));
}

}  // namespace
}  // namespace contimg::ops
