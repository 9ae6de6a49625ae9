// A foreign tree finds its places: what things are, where they belong, and that no kill or failure loses one.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <map>
#include <sstream>

#include "config/time.h"
#include "config/unfinished.h"
#include "image/products/fits_image.h"
#include "ops/base/checksum.h"
#include "ops/migration/thing.h"
#include "ops/migration/tree_journal.h"
#include "ops/migration/tree_mover.h"
#include "ops/migration/tree_plan.h"
#include "ops/migration/tree_records.h"
#include "ops/migration/tree_stamp.h"
#include "state/cal_table_store.h"
#include "state/product_store.h"
#include "tests/faulty_os.h"
#include "tests/unit/ops/work_folders.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testkit::FaultyOs;

constexpr const char* kTreeStamp = "2025-10-13T13:28:03";

void Write(const fs::path& path, const std::string& text) {
  fs::create_directories(path.parent_path());
  std::ofstream(path) << text;
}

void WriteImage(const fs::path& path, const std::string& start) {
  fs::create_directories(path.parent_path());
  image::FitsHeader header;
  header.geometry.nx = header.geometry.ny = 8;
  header.geometry.cell_rad = 1e-5;
  header.unit = "Jy/beam";
  header.type = "Intensity";
  if (!start.empty()) {
    header.start_mjd_s = UtcTime::FromIso8601(start).mjd() * 86400;
    header.end_mjd_s = header.start_mjd_s + 309;
  }
  const std::vector<float> pixels(64, 1.0F);
  image::WriteFitsImage(RealOs(), path, {pixels.data(), {8, 8}}, header, {});
}

// Everything that `ls -lR` and sha256sum would tell, but for times of access.
std::map<std::string, std::string> Listing(const fs::path& root) {
  std::map<std::string, std::string> all;
  const auto add = [&](const fs::path& path) {
    struct stat status {};
    EXPECT_EQ(::lstat(path.c_str(), &status), 0) << path;
    std::ostringstream text;
    text << std::oct << status.st_mode << ' ' << std::dec << status.st_mtim.tv_sec << '.' << status.st_mtim.tv_nsec
         << ' ' << status.st_nlink << ' ';
    if (S_ISREG(status.st_mode)) text << status.st_ino << ' ' << status.st_size << ' ' << RealOs().ReadFile(path);
    if (S_ISLNK(status.st_mode)) text << fs::read_symlink(path).string();
    all[path.lexically_relative(root).string()] = text.str();
  };
  add(root);
  for (const auto& entry : fs::recursive_directory_iterator(root)) add(entry.path());
  return all;
}

// A tree of plain files and folders and a plan for it: what they are does not matter to journal and mover.
class MoverTest : public ::testing::Test {
 protected:
  void Make() {
    fs::remove_all(old_);
    fs::remove_all(paths_.roots().scratch);
    fs::remove_all(state_);
    for (const auto& directory : paths_.StandingDirectories()) fs::create_directories(directory);
    plan_ = {};
    Write(old_ / "a" / "table.dat", "first");
    Write(old_ / "a" / "sub" / "table.f0", "second");
    fs::permissions(old_ / "a" / "sub" / "table.f0", fs::perms::owner_read);
    Write(old_ / "below" / "b", "third");
    Write(old_ / "c", "fourth");
    Write(old_ / "other", "somebody's");
    const timespec times[2] = {{1700000000, 5}, {1700000000, 123456789}};
    for (const auto& entry : fs::recursive_directory_iterator(old_))
      ::utimensat(AT_FDCWD, entry.path().c_str(), times, 0);
    ::utimensat(AT_FDCWD, old_.c_str(), times, 0);
    Plan("a", paths_.CalibratorMs(kTreeStamp, CalInterval::k24Hours), "3C286_133108_+30.5");
    Plan("below/b", paths_.QaMetrics(kTreeStamp), "");
    Plan("c", paths_.Incoming(kTreeStamp, 3), "");
    before_ = Listing(old_);
  }
  // As after Make, when everything was given back.
  void Forget() { fs::remove_all(state_ / "migrations"); }
  void Plan(const std::string& name, const fs::path& to, const std::string& alias) {
    PlannedItem item;
    item.from = old_ / name;
    item.to = to;
    item.item_class = "x";
    const TreeStamp stamp = StampOf(item.from);
    item.inode = stamp.inode;
    item.fingerprint = stamp.fingerprint;
    if (!alias.empty()) item.alias = paths_.roots().output / "calibrators/by-name" / alias;
    plan_.items.push_back(std::move(item));
  }
  TreePlanRequest Request(TreeMode mode) const {
    TreePlanRequest request;
    request.from = old_;
    request.mode = mode;
    request.now_unix_s = 1.76e9;
    return request;
  }
  // As the command does: goes on with an open journal, else begins one.
  Journal Move(TreeMode mode, Os& os) {
    auto journal = FindOpenJournal(old_, state_, os);
    if (!journal) journal = BeginJournal(plan_, Request(mode), state_, os);
    RunContext context;
    context.os = &os;
    MoveItems(*journal, context, [](const JournalItem&) { return true; });
    return *journal;
  }
  void Undo(Os& os) {
    for (const fs::path& file : RealOs().List(state_ / "migrations")) {
      if (IsUnfinishedName(file)) continue;
      Journal journal = ReadJournal(file, os);
      RunContext context;
      context.os = &os;
      UndoItems(journal, context);
    }
  }
  void ExpectMoved(TreeMode mode) {
    const fs::path ms = paths_.CalibratorMs(kTreeStamp, CalInterval::k24Hours);
    EXPECT_EQ(RealOs().ReadFile(ms / "table.dat"), "first");
    EXPECT_EQ(RealOs().ReadFile(ms / "sub/table.f0"), "second");
    EXPECT_EQ(RealOs().ReadFile(paths_.QaMetrics(kTreeStamp)), "third");
    EXPECT_EQ(RealOs().ReadFile(paths_.Incoming(kTreeStamp, 3)), "fourth");
    EXPECT_EQ(RealOs().ReadFile(old_ / "other"), "somebody's");
    EXPECT_EQ(fs::exists(old_ / "c"), mode != TreeMode::kMove);
    EXPECT_EQ(fs::read_symlink(paths_.roots().output / "calibrators/by-name/3C286_133108_+30.5").string(),
              "../2025-10-13/2025-10-13T13:28:03_24h.ms");
    EXPECT_EQ(StampOf(ms).fingerprint, plan_.items[0].fingerprint) << "with its times";
    struct stat status {};
    ::stat((ms / "sub/table.f0").c_str(), &status);
    EXPECT_EQ(status.st_mode & 07777, 0400u);
    for (const fs::path& folder : {ms.parent_path(), paths_.roots().input, state_ / "migrations"}) {
      for (const fs::path& each : RealOs().List(folder)) EXPECT_FALSE(IsUnfinishedName(each)) << each;
    }
  }
  // Nothing but what was there before, apart from journals.
  void ExpectGivenBack() {
    EXPECT_EQ(Listing(old_), before_);
    for (const fs::path& root : {paths_.roots().output, paths_.roots().images, paths_.roots().input}) {
      EXPECT_THAT(FilesBelow(root), IsEmpty());
    }
    EXPECT_FALSE(fs::is_symlink(paths_.roots().output / "calibrators/by-name/3C286_133108_+30.5"));
    EXPECT_FALSE(fs::exists(paths_.roots().output / "calibrators/2025-10-13"));
  }

  // In memory where that can be: a disk takes milliseconds for each of some ten thousand folders.
  TemporaryFolder folder_{"mover", fs::is_directory("/dev/shm") ? fs::path("/dev/shm") : fs::temp_directory_path()};
  const ProductPaths paths_{RootsBelow(folder_.path())};
  const fs::path state_ = paths_.roots().state, old_ = folder_ / "old";
  TreePlan plan_;
  std::map<std::string, std::string> before_;
  FaultyOs calm_;  // without a fault, and without the time that syncs take
};

TEST_F(MoverTest, GoesThereAndBackInEachMode) {
  for (const TreeMode mode : {TreeMode::kMove, TreeMode::kLink, TreeMode::kCopy}) {
    SCOPED_TRACE(std::string(ToString(mode)));
    Make();
    const Journal journal = Move(mode, calm_);
    EXPECT_EQ(journal.Count(ItemState::kMoved), 3);
    ExpectMoved(mode);
    for (const JournalItem& item : ReadJournal(journal.file, RealOs()).items) {
      EXPECT_EQ(item.checksum, ProductChecksum(item.to)) << item.to;
    }
    Undo(calm_);
    ExpectGivenBack();
    EXPECT_FALSE(FindOpenJournal(old_, state_, RealOs()));
    Undo(calm_);
    ExpectGivenBack();
  }
}

// Killed at each call, the next run completes it; or it is taken back from there.
TEST_F(MoverTest, KilledAtAnyCallTheNextRunGoesOnOrBack) {
  for (const TreeMode mode : {TreeMode::kMove, TreeMode::kLink, TreeMode::kCopy}) {
    for (const auto fault : {FaultyOs::Fault::kKillBefore, FaultyOs::Fault::kKillAfter}) {
      int n_kills = 0;
      Make();
      for (int at = 1;; ++at) {
        SCOPED_TRACE(std::string(ToString(mode)) + " call " + std::to_string(at));
        Forget();
        const pid_t child = ::fork();
        if (child == 0) {
          FaultyOs os(fault, at);
          Move(mode, os);
          ::_exit(0);
        }
        int status = 0;
        ::waitpid(child, &status, 0);
        if (WIFEXITED(status)) break;
        ++n_kills;
        if (at % 2 == 0) {
          Move(mode, calm_);
          ExpectMoved(mode);
        }
        if (fs::exists(state_ / "migrations")) Undo(calm_);
        ExpectGivenBack();
        if (HasFailure()) return;
      }
      EXPECT_GT(n_kills, 15) << ToString(mode);
    }
  }
}

TEST_F(MoverTest, KilledWhileItIsTakenBackTheNextRunCompletesIt) {
  for (const TreeMode mode : {TreeMode::kMove, TreeMode::kLink}) {
    for (const auto fault : {FaultyOs::Fault::kKillBefore, FaultyOs::Fault::kKillAfter}) {
      int n_kills = 0;
      Make();
      for (int at = 1;; ++at) {
        SCOPED_TRACE(std::string(ToString(mode)) + " call " + std::to_string(at));
        Forget();
        Move(mode, calm_);
        const pid_t child = ::fork();
        if (child == 0) {
          FaultyOs os(fault, at);
          Undo(os);
          ::_exit(0);
        }
        int status = 0;
        ::waitpid(child, &status, 0);
        Undo(calm_);
        ExpectGivenBack();
        if (WIFEXITED(status) || HasFailure()) break;
        ++n_kills;
      }
      EXPECT_GT(n_kills, 10) << ToString(mode);
    }
  }
}

// An error at each call, of one thing or of the disk: nothing is lost, and later runs complete it.
TEST_F(MoverTest, FailingAtAnyCallNothingIsLost) {
  for (const int error : {EIO, ENOSPC}) {
    for (const TreeMode mode : {TreeMode::kMove, TreeMode::kCopy}) {
      Make();
      for (int at = 1;; ++at) {
        SCOPED_TRACE(std::string(ToString(mode)) + " call " + std::to_string(at));
        Forget();
        FaultyOs os(FaultyOs::Fault::kFailBefore, at, error);
        try {
          Move(mode, os);
        } catch (const Error& failure) {
          EXPECT_EQ(failure.kind(), error == ENOSPC ? ErrorKind::kResource : ErrorKind::kIo) << failure.what();
        }
        if (os.fault_at().empty()) break;
        SCOPED_TRACE(os.fault_at());
        if (FindOpenJournal(old_, state_, RealOs())) Move(mode, calm_);
        for (const PlannedItem& item : plan_.items) {
          EXPECT_TRUE(IsTaken(item.from) || IsTaken(item.to)) << item.from;
          const fs::path there = IsTaken(item.to) ? item.to : item.from;
          EXPECT_EQ(StampOf(there).fingerprint, item.fingerprint);
        }
        if (fs::exists(state_ / "migrations")) Undo(calm_);
        ExpectGivenBack();
        if (HasFailure()) return;
      }
    }
  }
}

TEST_F(MoverTest, WhatChangedOrIsTakenStaysWithItsReason) {
  Make();
  Write(old_ / "c", "changed since");
  Write(paths_.QaMetrics(kTreeStamp), "came meanwhile");
  const Journal journal = Move(TreeMode::kMove, calm_);
  EXPECT_EQ(journal.items[0].state, ItemState::kMoved);
  EXPECT_EQ(journal.items[1].state, ItemState::kFailed);
  EXPECT_THAT(journal.items[1].error, HasSubstr("exists already"));
  EXPECT_EQ(journal.items[2].state, ItemState::kFailed);
  EXPECT_THAT(journal.items[2].error, HasSubstr("was changed since the plan was made"));
  EXPECT_EQ(RealOs().ReadFile(paths_.QaMetrics(kTreeStamp)), "came meanwhile");
  EXPECT_EQ(RealOs().ReadFile(old_ / "below/b"), "third");
  EXPECT_EQ(RealOs().ReadFile(old_ / "c"), "changed since");
}

TEST_F(MoverTest, WhatIsNoLongerWhatWasPutThereIsNotGivenBack) {
  Make();
  Move(TreeMode::kCopy, calm_);
  Write(paths_.QaMetrics(kTreeStamp), "written anew here");  // the copy was changed
  fs::remove(old_ / "c");                                    // the copy is the last one
  fs::remove_all(paths_.CalibratorMs(kTreeStamp, CalInterval::k24Hours));
  fs::create_directory(paths_.CalibratorMs(kTreeStamp, CalInterval::k24Hours));
  Undo(calm_);
  EXPECT_EQ(RealOs().ReadFile(paths_.QaMetrics(kTreeStamp)), "written anew here");
  EXPECT_EQ(RealOs().ReadFile(old_ / "c"), "fourth") << "given back rather than removed";
  EXPECT_EQ(RealOs().ReadFile(old_ / "below/b"), "third");
  EXPECT_TRUE(fs::exists(paths_.CalibratorMs(kTreeStamp, CalInterval::k24Hours)));
}

TEST_F(MoverTest, TheCopyOfWhatWasChangedSinceStays) {
  Make();
  Move(TreeMode::kCopy, calm_);
  Write(old_ / "c", "spoilt");
  Undo(calm_);
  EXPECT_EQ(RealOs().ReadFile(paths_.Incoming(kTreeStamp, 3)), "fourth");
  EXPECT_EQ(RealOs().ReadFile(old_ / "c"), "spoilt");
}

TEST_F(MoverTest, JournalsThatAreNoneAreRefused) {
  Make();
  EXPECT_THROW(FindJournal("2025", state_, RealOs()), Error);
  const Journal journal = BeginJournal(plan_, Request(TreeMode::kMove), state_, RealOs());
  EXPECT_EQ(FindJournal(journal.file.stem(), state_, RealOs()), journal.file);
  EXPECT_EQ(ReadJournal(journal.file, RealOs()).items.size(), 3u);
  EXPECT_NE(BeginJournal(plan_, Request(TreeMode::kMove), state_, RealOs()).file, journal.file);
  const std::string text = RealOs().ReadFile(journal.file);
  std::ofstream(journal.file, std::ios::app) << "{\"did\": 1, \"sta";  // cut short
  EXPECT_EQ(ReadJournal(journal.file, RealOs()).Count(ItemState::kPlanned), 3);
  {
    Journal again = ReadJournal(journal.file, RealOs());
    JournalWriter(again, RealOs()).Set(0, ItemState::kFailed, "why");
  }
  EXPECT_EQ(ReadJournal(journal.file, RealOs()).Count(ItemState::kFailed), 1);
  for (const std::string& bad :
       {std::string(), std::string("x\n"), std::string("{\"format\": 2}\n"), std::string("[]\n"),
        text + "{\"did\": 7, \"state\": \"moved\"}\n", text + "{\"did\": 0, \"state\": \"eaten\"}\n"}) {
    Write(journal.file, bad);
    try {
      ReadJournal(journal.file, RealOs());
      ADD_FAILURE() << bad;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kBadInput) << bad;
    }
  }
}

// --- the plan

class TreePlanTest : public ::testing::Test {
 protected:
  TreePlanTest() { fs::create_directories(old_); }
  TreePlan Plan(TreeMode mode = TreeMode::kMove) {
    TreePlanRequest request;
    request.from = old_;
    request.mode = mode;
    request.now_unix_s = UtcTime::Now().unix_s() + 3600;
    return PlanTree(request, paths_, RunContext{});
  }
  std::string Left(const std::string& name) {
    for (const LeftItem& item : Plan().left) {
      if (item.from == old_ / name) return (item.trouble ? "trouble: " : "stays: ") + item.reason;
    }
    return "not left";
  }
  WorkFolders folders_;
  const ProductPaths& paths_ = folders_.paths;
  const fs::path old_ = folders_.folder / "old";
};

TEST_F(TreePlanTest, ImagesGoByTheirHeadersAndTheKindOfTheirNames) {
  WriteImage(old_ / "2025-10-13T13:28:03.image.fits", kTreeStamp);
  WriteImage(old_ / "field7-MFS-residual.fits", kTreeStamp);
  WriteImage(old_ / "2025-10-13T13:28:03.qa.fits", kTreeStamp);
  WriteImage(old_ / "2025-10-13T13:28:03.psf.fits", "2025-10-13T15:28:03");
  WriteImage(old_ / "2025-10-13T13:28:03.pb.fits", "");
  Write(old_ / "2025-10-13T13:28:03.model.fits", "SIMPLE  =");
  Write(old_ / "2025-10-13T13:28:03.dirty.fits", "");
  Write(old_ / "2025-10-13T13:28:03.pbcor.fits", "text");
  Write(old_ / "2025-10-13T13:28:03.image.pbcor.fits", "text");
  const TreePlan plan = Plan();
  ASSERT_EQ(plan.items.size(), 2u);
  EXPECT_EQ(plan.items[0].to, paths_.Image(kTreeStamp, ProductKind::kImage));
  EXPECT_EQ(plan.items[1].to, paths_.Image(kTreeStamp, ProductKind::kResidual));
  EXPECT_EQ(Left("2025-10-13T13:28:03.qa.fits"),
            "trouble: is a FITS file whose name does not say which image of a group it is (image, residual…)");
  EXPECT_EQ(Left("2025-10-13T13:28:03.psf.fits"),
            "trouble: is called 2025-10-13T13:28:03 and holds data of 2025-10-13T15:28:03");
  EXPECT_EQ(Left("2025-10-13T13:28:03.pb.fits"), "trouble: does not say when it was observed");
  EXPECT_THAT(Left("2025-10-13T13:28:03.model.fits"), HasSubstr("trouble: cannot"));
  EXPECT_EQ(Left("2025-10-13T13:28:03.dirty.fits"), "trouble: is empty");
  EXPECT_EQ(Left("2025-10-13T13:28:03.pbcor.fits"), "stays: is no product");
  EXPECT_THAT(Left("2025-10-13T13:28:03.image.pbcor.fits"), HasSubstr("trouble: is not what it is called"));
}

TEST_F(TreePlanTest, WhatBelongsInOnePlaceIsNeverChosenByChance) {
  WriteImage(old_ / "a" / "2025-10-13T13:28:03.image.fits", kTreeStamp);
  EXPECT_EQ(Plan().items.size(), 1u);
  fs::create_directories(old_ / "b");
  fs::copy(old_ / "a/2025-10-13T13:28:03.image.fits", old_ / "b/2025-10-13T13:28:03.image.fits");
  EXPECT_EQ(Plan().items.size(), 1u);
  EXPECT_THAT(Left("b/2025-10-13T13:28:03.image.fits"), HasSubstr("stays: is the same as"));
  WriteImage(old_ / "c" / "x-image.fits", "2025-10-13T13:28:03");
  std::ofstream(old_ / "c/x-image.fits", std::ios::app) << std::string(2880, '\0');
  EXPECT_EQ(Plan().items.size(), 0u);
  EXPECT_THAT(Left("a/2025-10-13T13:28:03.image.fits"), HasSubstr("trouble: and"));
  EXPECT_THAT(Left("c/x-image.fits"), HasSubstr("are not the same and belong in one place"));
}

TEST_F(TreePlanTest, WhatIsInItsPlaceIsComparedAndNeverOverwritten) {
  WriteImage(old_ / "2025-10-13T13:28:03.image.fits", kTreeStamp);
  const fs::path place = paths_.Image(kTreeStamp, ProductKind::kImage);
  fs::create_directories(place.parent_path());
  fs::copy(old_ / "2025-10-13T13:28:03.image.fits", place);
  EXPECT_THAT(Plan().items, IsEmpty());
  EXPECT_THAT(Left("2025-10-13T13:28:03.image.fits"), HasSubstr("stays: is the same as"));
  Write(place, "another");
  EXPECT_THAT(Plan().items, IsEmpty());
  EXPECT_THAT(Left("2025-10-13T13:28:03.image.fits"), HasSubstr("trouble: is not the same as"));
}

TEST_F(TreePlanTest, LinksHiddenFoldersAndOddThingsStay) {
  Write(old_ / "notes.txt", "hello");
  Write(old_ / ".2025-10-13T13:28:03.ms.part-7" / "table.dat", "x");
  fs::create_symlink("/nowhere", old_ / "2025-10-13T13:28:03.ms");
  ASSERT_EQ(::mkfifo((old_ / "pipe").c_str(), 0600), 0);
  Write(old_ / "2025-10-13T13:33:12.ms" / "table.f0", "x");
  Write(old_ / "2025-10-13T13:28:03_sb00.hdf5", "no HDF5");
  Write(old_ / "2025-10-13T13:28:03_sb01.hdf5", "\x89HDF\r\n\x1a\nand then nothing");
  Write(old_ / "2025-10-13T13:28:03.metrics.json", "[1]");
  Write(old_ / "2025-10-13T13:33:12.metrics.json", "{}");
  Write(old_ / "bad\xff.txt", "x");
  const TreePlan plan = Plan();
  ASSERT_EQ(plan.items.size(), 1u);
  EXPECT_EQ(plan.items[0].to, paths_.QaMetrics("2025-10-13T13:33:12"));
  EXPECT_EQ(Left("notes.txt"), "stays: is no product");
  EXPECT_THAT(Left(".2025-10-13T13:28:03.ms.part-7"), HasSubstr("stays: is hidden"));
  EXPECT_THAT(Left("2025-10-13T13:28:03.ms"), HasSubstr("stays: is a link"));
  EXPECT_EQ(Left("pipe"), "trouble: is neither file nor folder");
  EXPECT_THAT(Left("2025-10-13T13:33:12.ms"), HasSubstr("has no table.dat and table.info"));
  EXPECT_THAT(Left("2025-10-13T13:28:03_sb00.hdf5"), HasSubstr("trouble: is not what it is called"));
  EXPECT_THAT(Left("2025-10-13T13:28:03_sb01.hdf5"), HasSubstr("trouble: "));
  EXPECT_THAT(Left("2025-10-13T13:28:03.metrics.json"), HasSubstr("trouble: is not what it is called"));
  EXPECT_THAT(Left("bad\xff.txt"), HasSubstr("no UTF-8"));
}

TEST_F(TreePlanTest, WhatWasChangedAMomentAgoMayStillBeWritten) {
  WriteImage(old_ / "2025-10-13T13:28:03.image.fits", kTreeStamp);
  TreePlanRequest request;
  request.from = old_;
  request.now_unix_s = UtcTime::Now().unix_s() + 5;
  const TreePlan plan = PlanTree(request, paths_, RunContext{});
  EXPECT_THAT(plan.items, IsEmpty());
  ASSERT_EQ(plan.left.size(), 1u);
  EXPECT_THAT(plan.left[0].reason, HasSubstr("it may still be written"));
}

TEST_F(TreePlanTest, PlacesOfThisInstallationAreNotTakenForAFlatTree) {
  TreePlanRequest request;
  request.now_unix_s = 2e9;
  for (const fs::path& own :
       {paths_.roots().output / "science", paths_.roots().state / "", paths_.roots().images / "single" / "x"}) {
    fs::create_directories(own);
    request.from = own;
    EXPECT_THROW(PlanTree(request, paths_, RunContext{}), Error) << own;
  }
  // Above them is where a flat tree may lie: they are passed over.
  WriteImage(paths_.roots().images / "2025-10-13T13:28:03.image.fits", kTreeStamp);
  const fs::path in_place = paths_.Image("2025-10-13T13:33:12", ProductKind::kImage);
  fs::create_directories(in_place.parent_path());
  WriteImage(in_place, "2025-10-13T13:33:12");
  request.from = paths_.roots().images;
  const TreePlan plan = PlanTree(request, paths_, RunContext{});
  ASSERT_EQ(plan.items.size(), 1u);
  EXPECT_EQ(plan.items[0].to, paths_.Image(kTreeStamp, ProductKind::kImage));
  EXPECT_THAT(plan.left, IsEmpty());
}

// --- records

TEST_F(TreePlanTest, RecordsComeAndGoWithTheThings) {
  WriteImage(old_ / "2025-10-13T13:28:03.image.fits", kTreeStamp);
  WriteImage(old_ / "2025-10-13T13:33:12.psf.fits", "2025-10-13T13:33:12");  // nothing else is known of its group
  Settings settings;
  for (const bool again : {false, true}) {
    const TreePlan plan = Plan();
    ASSERT_EQ(plan.items.size(), 2u);
    TreePlanRequest request;
    request.from = old_;
    request.now_unix_s = 1.76e9;
    Journal journal = BeginJournal(plan, request, paths_.roots().state, RealOs());
    MoveItems(journal, RunContext{}, [](const JournalItem&) { return true; });
    RecordItems(journal, paths_, settings, RunContext{}, 1.76e9);
    EXPECT_FALSE(journal.open());
    EXPECT_EQ(journal.items[0].error, "");
    EXPECT_THAT(journal.items[1].error, HasSubstr("nothing else is known of its group"));
    const std::string path = paths_.Image(kTreeStamp, ProductKind::kImage).string();
    const auto row = state::ProductStore(paths_.Database(StateDatabase::kProducts)).FindByPath(path);
    ASSERT_TRUE(row) << again;
    EXPECT_EQ(row->status, "present");
    EXPECT_EQ(row->group_id, kTreeStamp);
    EXPECT_FALSE(row->checksum.empty());
    ForgetItems(journal, paths_, RunContext{}, 1.77e9);
    UndoItems(journal, RunContext{});
    EXPECT_EQ(state::ProductStore(paths_.Database(StateDatabase::kProducts)).FindByPath(path)->status, "removed");
    EXPECT_TRUE(fs::exists(old_ / "2025-10-13T13:28:03.image.fits"));
  }
}

}  // namespace
}  // namespace contimg::ops
