#include "ops/records/reconciler.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <SQLiteCpp/SQLiteCpp.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "config/time.h"
#include "ops/records/failed_set.h"
#include "state/mosaic_store.h"
#include "tests/faulty_os.h"
#include "tests/unit/ops/work_folders.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;
using state::GroupState;

constexpr const char* kGroup = "2025-10-13T13:28:03";
constexpr double kNow = 1760362083;

class ReconcilerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    groups_ = std::make_unique<state::GroupStore>(paths_.Database(StateDatabase::kIngest));
    products_ = std::make_unique<state::ProductStore>(paths_.Database(StateDatabase::kProducts));
    reconciler_ = std::make_unique<Reconciler>(paths_, *groups_);
  }

  void AddGroup(GroupState state, const std::string& id = kGroup) {
    state::GroupRow row;
    row.id = id;
    row.state = state;
    row.data_start_mjd = 60961.56;
    row.data_end_mjd = 60961.57;
    row.subbands_expected = 1;
    state::SubbandFileRow file;
    file.group_id = id;
    file.path = paths_.Incoming(id, 0).string();
    groups_->AddFiles(row, {file}, "watcher", kNow);
  }
  fs::path MakeMs(const std::string& id = kGroup) {
    const fs::path path = paths_.ScienceMs(id);
    fs::create_directories(path / "ANTENNA");
    std::ofstream(path / "table.dat") << "12345";
    std::ofstream(path / "ANTENNA" / "table.dat") << "123";
    return path;
  }
  std::int64_t Record(const fs::path& path, const std::string& kind, const std::string& status = "present") {
    state::ProductRow row;
    row.kind = kind;
    row.path = path.string();
    row.group_id = kGroup;
    row.status = status;
    return products_->Save(row, kNow);
  }
  Reconciler::Figures Round() {
    reconciler_->Begin();
    int n_steps = 0;
    while (!reconciler_->Step(0, kNow + 5)) {
      if (++n_steps > 10000) ADD_FAILURE() << "does not end";
    }
    return reconciler_->figures();
  }
  int CountEvents(const std::string& words, const std::string& group = kGroup) {
    const auto events = groups_->Events(group);
    return static_cast<int>(std::count_if(events.begin(), events.end(), [&](const state::EventRow& e) {
      return e.kind == "product" && e.detail.find(words) != std::string::npos;
    }));
  }
  std::string Status(std::int64_t id) { return products_->Find(id)->status; }

  WorkFolders folders_;
  const ProductPaths& paths_ = folders_.paths;
  std::unique_ptr<state::GroupStore> groups_;
  std::unique_ptr<state::ProductStore> products_;
  std::unique_ptr<Reconciler> reconciler_;
};

// A cleanup lets a set go after its record was read and before the disk is looked at.
TEST_F(ReconcilerTest, WhatIsLetGoMeanwhileIsNotMissing) {
  class Cleanup : public testkit::FaultyOs {
   public:
    std::function<void()> meanwhile;
    std::vector<Path> List(const Path& directory) override {
      if (meanwhile) std::exchange(meanwhile, nullptr)();
      return FaultyOs::List(directory);
    }
  } os;
  AddGroup(GroupState::kDone);
  const fs::path path = MakeMs();
  const std::int64_t id = Record(path, "science_ms");
  os.meanwhile = [&] {
    fs::remove_all(path);
    products_->SetStatus(id, "removed", "", kNow);
  };
  reconciler_ = std::make_unique<Reconciler>(paths_, *groups_, os);
  Round();
  EXPECT_EQ(Status(id), "removed");
}

TEST_F(ReconcilerTest, ChangesNothingWhereRecordsAndDiskAgree) {
  AddGroup(GroupState::kDone);
  const auto id = Record(MakeMs(), "science_ms");
  const auto figures = Round();
  EXPECT_EQ(figures.n_records, 1);
  EXPECT_EQ(figures.n_entries, 1);
  EXPECT_EQ(figures.n_lost + figures.n_found + figures.n_adopted + figures.n_strange, 0);
  EXPECT_EQ(Status(id), "present");
  EXPECT_EQ(CountEvents(""), 0);
}

// Each look at the disk fails in turn: that round has to be gone on with, and nothing is taken for gone.
TEST_F(ReconcilerTest, ALookThatFailsSaysNothingOfTheProducts) {
  AddGroup(GroupState::kDone);
  const auto id = Record(MakeMs(), "science_ms");
  AddGroup(GroupState::kDone, "2025-10-13T13:33:12");
  const fs::path unrecorded = MakeMs("2025-10-13T13:33:12");
  bool came = true;
  for (int n = 1; came && n < 100; ++n) {
    contimg::testkit::FaultyOs os;
    reconciler_ = std::make_unique<Reconciler>(paths_, *groups_, os);
    os.FailReads(n);
    reconciler_->Begin();
    for (int step = 0; step < 1000; ++step) {
      try {
        if (reconciler_->Step(0, kNow + 5)) break;
      } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::kIo) << os.read_fault_at();
      }
    }
    came = !os.read_fault_at().empty();
    EXPECT_FALSE(reconciler_->active()) << os.read_fault_at();
    EXPECT_EQ(Status(id), "present") << os.read_fault_at();
    const auto adopted = products_->FindByPath(unrecorded.string());
    ASSERT_TRUE(adopted) << os.read_fault_at();
    EXPECT_EQ(adopted->size_bytes, 8) << os.read_fault_at();
    SQLite::Database(paths_.Database(StateDatabase::kProducts).string(), SQLite::OPEN_READWRITE)
        .exec("DELETE FROM products WHERE id = " + std::to_string(adopted->id));
  }
  EXPECT_FALSE(came);
  EXPECT_EQ(CountEvents("missing"), 0);
}

TEST_F(ReconcilerTest, MarksWhatIsGoneAndWhatCameBackOnceEach) {
  AddGroup(GroupState::kDone);
  const fs::path ms = MakeMs();
  const auto id = Record(ms, "science_ms");
  fs::rename(ms, folders_.folder / "elsewhere");
  EXPECT_EQ(Round().n_lost, 1);
  EXPECT_EQ(Status(id), "missing");
  EXPECT_EQ(reconciler_->n_missing(), 1);
  EXPECT_EQ(CountEvents("is missing (`contimg queue requeue 2025-10-13T13:28:03`"), 1);
  EXPECT_EQ(Round().n_lost, 0);
  EXPECT_EQ(CountEvents("is missing"), 1);
  fs::rename(folders_.folder / "elsewhere", ms);
  EXPECT_EQ(Round().n_found, 1);
  EXPECT_EQ(Status(id), "present");
  EXPECT_EQ(reconciler_->n_missing(), 0);
  EXPECT_EQ(CountEvents("is there again"), 1);
}

TEST_F(ReconcilerTest, NamesWhatMakesAMosaicAgain) {
  for (const char* kind : {"hourly", "deep"}) {
    state::MosaicRow row;
    row.name = kind[0] == 'd' ? "2025-10-13T13:30:37_2025-10-23T12:53:10_+16.1"
                              : "2025-10-13T13:28:03_2025-10-13T14:30:46_+16.1";
    row.kind = kind;
    row.strip_deg = 16.1;
    row.lst_start_h = 7;
    row.lst_end_h = 8.25;
    state::MosaicStore(products_->database()).Open(row, kNow);
    state::ProductRow image;
    image.kind = "mosaic";
    image.path = (paths_.roots().images / "mosaics" / (row.name + ".image.fits")).string();
    image.group_id = row.name;
    products_->Save(image, kNow);
  }
  EXPECT_EQ(Round().n_lost, 2);
  const std::string hourly = "2025-10-13T13:28:03_2025-10-13T14:30:46_+16.1";
  EXPECT_EQ(CountEvents("(`contimg queue requeue mosaic/" + hourly + "` makes", hourly), 1);
  EXPECT_EQ(CountEvents("(`contimg mosaic --state --lst 7.00000,8.25000 --strip 16.1` makes",
                        "2025-10-13T13:30:37_2025-10-23T12:53:10_+16.1"),
            1);
}

// The cure of "1 product missing on disk" is seen at once, not at the next round a day later.
TEST_F(ReconcilerTest, WhatWasMissingIsFoundBetweenRounds) {
  AddGroup(GroupState::kDone);
  const fs::path ms = MakeMs();
  const auto id = Record(ms, "science_ms");
  fs::rename(ms, ms.string() + ".aside");
  Round();
  EXPECT_EQ(reconciler_->n_missing(), 1);
  reconciler_->LookForMissing(kNow);
  EXPECT_EQ(reconciler_->n_missing(), 1);  // still gone
  fs::rename(ms.string() + ".aside", ms);
  reconciler_->LookForMissing(kNow);
  EXPECT_EQ(reconciler_->n_missing(), 0);
  EXPECT_EQ(Status(id), "present");
  EXPECT_EQ(CountEvents("is there again"), 1);
}

TEST_F(ReconcilerTest, ExpectsNothingOfArchivedAndRemovedProducts) {
  AddGroup(GroupState::kDone);
  const auto archived = Record(paths_.ScienceMs(kGroup), "science_ms", "archived");
  const auto removed = Record(paths_.QaPicture(kGroup), "qa_picture", "removed");
  EXPECT_EQ(Round().n_lost, 0);
  EXPECT_EQ(Status(archived), "archived");
  EXPECT_EQ(Status(removed), "removed");
}

TEST_F(ReconcilerTest, InputFilesThatAreGoneAreNotedWithoutAlarm) {
  AddGroup(GroupState::kDone);
  Record(MakeMs(), "science_ms");
  const auto input = Record(paths_.Incoming(kGroup, 0), "uvh5");
  EXPECT_EQ(Round().n_lost, 0);
  EXPECT_EQ(Status(input), "missing");
  EXPECT_EQ(reconciler_->n_missing(), 0);
  EXPECT_EQ(CountEvents("1 of its input files are gone"), 1);
}

TEST_F(ReconcilerTest, RecordsProductsThatNobodyRecordedWithTheirParents) {
  AddGroup(GroupState::kDone);
  const auto input = Record(paths_.Incoming(kGroup, 0), "uvh5");
  std::ofstream(paths_.Incoming(kGroup, 0)) << "x";
  const fs::path ms = MakeMs();
  fs::create_directories(paths_.Image(kGroup, ProductKind::kPbcor).parent_path());
  std::ofstream(paths_.Image(kGroup, ProductKind::kPbcor)) << "SIMPLE";
  EXPECT_EQ(Round().n_adopted, 2);
  const auto row = products_->FindByPath(ms.string());
  ASSERT_TRUE(row);
  EXPECT_EQ(row->kind, "science_ms");
  EXPECT_EQ(row->group_id, kGroup);
  EXPECT_EQ(row->size_bytes, 8);
  EXPECT_EQ(row->start_mjd, 60961.56);
  EXPECT_FALSE(row->job_id);
  ASSERT_EQ(products_->Parents(row->id).size(), 1u);
  EXPECT_EQ(products_->Parents(row->id)[0].id, input);
  EXPECT_EQ(products_->FindByPath(paths_.Image(kGroup, ProductKind::kPbcor).string())->kind, "image.pbcor");
  EXPECT_EQ(CountEvents("has one now"), 2);
  EXPECT_EQ(Round().n_adopted, 0);
}

TEST_F(ReconcilerTest, RecordsEveryKindOfImageThatNobodyRecorded) {
  AddGroup(GroupState::kDone);
  MakeMs();
  std::map<std::string, std::string> expected;
  fs::create_directories(paths_.Image(kGroup, ProductKind::kImage).parent_path());
  for (const ProductKind kind : AllProductKinds()) {
    if (!IsImage(kind)) continue;
    for (const ImageFormat format : {ImageFormat::kFits, ImageFormat::kFitsCompressed}) {
      const fs::path path = paths_.Image(kGroup, kind, format, kind == ProductKind::kBand ? 3 : 0);
      std::ofstream(path) << "SIMPLE";
      expected[path.string()] = ToString(kind);
    }
  }
  Round();
  for (const auto& [path, kind] : expected) {
    const auto row = products_->FindByPath(path);
    ASSERT_TRUE(row) << path;
    EXPECT_EQ(row->kind, kind) << path;
  }
}

TEST_F(ReconcilerTest, LeavesWhatAGroupInWorkHasMadeToItsWorker) {
  AddGroup(GroupState::kReady);
  const fs::path ms = MakeMs();
  const fs::path unfinished = ms.parent_path() / ("." + ms.filename().string() + ".part-1");
  fs::create_directories(unfinished);
  EXPECT_EQ(Round().n_adopted, 0);
  EXPECT_FALSE(products_->FindByPath(ms.string()));
}

TEST_F(ReconcilerTest, NamesProductsOfNoKnownGroupAndLeavesThemAlone) {
  const fs::path ms = MakeMs("2020-01-01T00:00:00");
  EXPECT_EQ(Round().n_strange, 1);
  EXPECT_TRUE(fs::exists(ms));
  EXPECT_FALSE(products_->FindByPath(ms.string()));
}

TEST_F(ReconcilerTest, FinishedGroupsWithoutAnythingAreRecordedAsMissing) {
  AddGroup(GroupState::kDone);
  AddGroup(GroupState::kDead, "2025-10-13T13:33:12");
  EXPECT_EQ(Round().n_lost, 1);
  EXPECT_EQ(products_->FindByPath(paths_.ScienceMs(kGroup).string())->status, "missing");
  EXPECT_EQ(CountEvents("never recorded"), 1);
  EXPECT_EQ(Round().n_lost, 0);
}

TEST_F(ReconcilerTest, WalksThroughMoreThanOnePage) {
  for (int i = 0; i < 1203; ++i) {
    Record(folders_.folder / ("p" + std::to_string(i)), "image", i % 2 == 0 ? "present" : "removed");
  }
  for (int i = 0; i < 1203; ++i) {
    AddGroup(GroupState::kCancelled, (UtcTime::FromIso8601(kGroup) + 309.0 * i).Iso8601());
  }
  const auto figures = Round();
  EXPECT_EQ(figures.n_records, 1203);
  EXPECT_EQ(figures.n_lost, 602);
}

// ---- what groups that were given up leave behind

TEST_F(ReconcilerTest, TheSetOfAGroupThatWasGivenUpIsKeptForALook) {
  AddGroup(GroupState::kDead);
  const fs::path ms = MakeMs(), kept = paths_.FailedMs(kGroup);
  EXPECT_EQ(Round().n_adopted, 1);
  EXPECT_FALSE(fs::exists(ms));
  EXPECT_TRUE(fs::exists(kept / "ANTENNA" / "table.dat"));
  EXPECT_FALSE(products_->FindByPath(ms.string()));
  const auto row = products_->FindByPath(kept.string());
  ASSERT_TRUE(row);
  EXPECT_EQ(row->status, "present");
  EXPECT_EQ(row->kind, "science_ms");
  EXPECT_EQ(row->group_id, kGroup);
  EXPECT_EQ(row->size_bytes, 8);
  ASSERT_EQ(products_->Parents(row->id).size(), 1u);
  EXPECT_EQ(products_->Parents(row->id)[0].path, paths_.Incoming(kGroup, 0).string());
  EXPECT_EQ(CountEvents("is kept as " + kept.string()), 1);
  const auto again = Round();
  EXPECT_EQ(again.n_adopted + again.n_lost + again.n_strange, 0);
  // Whoever has looked removes it, and nothing is missed.
  fs::remove_all(kept);
  EXPECT_EQ(Round().n_lost, 0);
  EXPECT_EQ(Status(row->id), "removed");
  EXPECT_EQ(reconciler_->n_missing(), 0);
}

TEST_F(ReconcilerTest, AProductOnRecordIsNoLeftover) {
  AddGroup(GroupState::kDead);
  const fs::path ms = MakeMs();
  const auto id = Record(ms, "science_ms");  // waited for its calibration, in vain
  EXPECT_EQ(Round().n_adopted, 0);
  EXPECT_TRUE(fs::exists(ms));
  EXPECT_EQ(Status(id), "present");
  EXPECT_FALSE(fs::exists(paths_.FailedMs(kGroup)));
}

TEST_F(ReconcilerTest, ALeftoverTakesThePlaceOfOneOfAnEarlierLife) {
  AddGroup(GroupState::kDead);
  MakeMs();
  Round();
  const fs::path kept = paths_.FailedMs(kGroup);
  const auto before = products_->FindByPath(kept.string());
  ASSERT_TRUE(before);
  products_->SetFirstChecksum(before->id, "0123456789abcdef", kNow);
  std::ofstream(MakeMs() / "more") << "1234";
  Round();
  EXPECT_TRUE(fs::exists(kept / "more"));
  const auto row = products_->FindByPath(kept.string());
  EXPECT_EQ(row->id, before->id);
  EXPECT_EQ(row->size_bytes, 12);
  EXPECT_EQ(row->checksum, "") << "of what was there before";
  EXPECT_EQ(row->status, "present");
}

// One that cannot be moved is a product where it is, as before.
TEST_F(ReconcilerTest, ALeftoverThatCannotBeMovedIsRecordedWhereItIs) {
  AddGroup(GroupState::kDead);
  const fs::path ms = MakeMs();
  fs::remove_all(paths_.roots().output / "failed");
  std::ofstream(paths_.roots().output / "failed") << "in the way";
  EXPECT_EQ(Round().n_adopted, 1);
  EXPECT_TRUE(fs::exists(ms));
  EXPECT_EQ(products_->FindByPath(ms.string())->status, "present");
  Round();
  EXPECT_EQ(reconciler_->n_missing(), 0);
}

// Ended before and after each call that changes something, and between the databases: the next round completes it.
TEST_F(ReconcilerTest, KilledWhileALeftoverIsKeptTheNextRoundCompletesIt) {
  using contimg::testkit::FaultyOs;
  AddGroup(GroupState::kDead);
  bool came = true;
  int n_kills = 0;
  for (int at = 1; came && at < 50; ++at) {
    for (const FaultyOs::Fault fault : {FaultyOs::Fault::kKillBefore, FaultyOs::Fault::kKillAfter}) {
      MakeMs();
      const pid_t child = ::fork();
      ASSERT_GE(child, 0);
      if (child == 0) {
        FaultyOs os(fault, at);
        state::GroupStore groups(paths_.Database(StateDatabase::kIngest));
        state::ProductStore products(paths_.Database(StateDatabase::kProducts));
        KeepFailedSet(kGroup, paths_, groups, products, os, "runner", kNow);
        ::_exit(0);
      }
      int status = 0;
      ::waitpid(child, &status, 0);
      came = WIFSIGNALED(status);
      n_kills += came ? 1 : 0;
      reconciler_ = std::make_unique<Reconciler>(paths_, *groups_);
      Round();
      EXPECT_FALSE(fs::exists(paths_.ScienceMs(kGroup))) << at;
      EXPECT_TRUE(fs::exists(paths_.FailedMs(kGroup) / "ANTENNA" / "table.dat")) << at;
      const auto row = products_->FindByPath(paths_.FailedMs(kGroup).string());
      ASSERT_TRUE(row) << at;
      EXPECT_EQ(row->status, "present") << at;
      EXPECT_EQ(row->size_bytes, 8) << at;
      EXPECT_FALSE(products_->FindByPath(paths_.ScienceMs(kGroup).string())) << at;
      EXPECT_EQ(reconciler_->n_missing(), 0) << at;
    }
  }
  EXPECT_GT(n_kills, 6);
}

TEST_F(ReconcilerTest, ADirectoryThatCannotBeReadSaysNothing) {
  AddGroup(GroupState::kDone);
  const fs::path ms = MakeMs();
  const auto id = Record(ms, "science_ms");
  fs::remove_all(ms.parent_path());
  fs::create_symlink(ms.parent_path(), ms.parent_path());  // points to itself: not even root can list it
  reconciler_->Begin();
  EXPECT_THROW(reconciler_->Step(0, kNow), Error);
  EXPECT_EQ(Status(id), "present");
}

}  // namespace
}  // namespace contimg::ops
