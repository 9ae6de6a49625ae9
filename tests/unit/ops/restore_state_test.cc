// Putting a backup of the state back: whole or not at all, whatever lies there and whoever is killed.
#include "ops/upkeep/restore_state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "config/unfinished.h"
#include "ops/job/tree_marker.h"
#include "state/group_store.h"
#include "state/maintenance_store.h"
#include "state/product_store.h"
#include "tests/faulty_os.h"
#include "tests/unit/ops/group_records.h"
#include "tests/unit/ops/work_folders.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::ThrowsMessage;
using testkit::FaultyOs;

constexpr const char* kOld = "2025-10-13T13:28:03";
constexpr const char* kNew = "2025-10-13T13:33:12";

class RestoreStateTest : public ::testing::Test {
 protected:
  RestoreStateTest() {
    AddGroup(ingest_, kOld);
    state::ProductStore(paths_.Database(StateDatabase::kProducts));
    WriteFileAtomically(RealOs(), StateIdentityFile(state_), "{\"identity\": \"x\"}\n");
    BackupRequest backup = BackupOf(Settings{}, paths_);
    backup.name = BackupName("2025-10-14T03:00:00");
    request_ = {MakeBackup(backup, RunContext{}).folder, state_, {}, "2025-10-14T120000Z"};
  }
  // A state that went on after the backup, with a log that was not written back.
  void GoOn() {
    AddGroup(ingest_, kNew);
    std::ofstream(ingest_.string() + "-wal") << "a log of another database";
    std::ofstream(ingest_.string() + "-shm") << "its index";
  }
  void Restore(Os& os) {
    RunContext context;
    context.os = &os;
    RestoreState(request_, PlanRestore(request_, os), context);
  }
  void ExpectRestored() {
    EXPECT_TRUE(HasGroup(ingest_, kOld));
    EXPECT_FALSE(HasGroup(ingest_, kNew));
    EXPECT_FALSE(UnfinishedRestore(state_, RealOs()));
    EXPECT_NO_THROW(RequireNoUnfinishedRestore(state_, RealOs()));
    for (const fs::path& each : RealOs().List(state_)) EXPECT_FALSE(IsUnfinishedName(each)) << each;
  }

  WorkFolders folders_;
  const ProductPaths& paths_ = folders_.paths;
  const fs::path state_ = paths_.roots().state, ingest_ = paths_.Database(StateDatabase::kIngest);
  RestoreStateRequest request_;
};

TEST_F(RestoreStateTest, PutsBackWhatTheBackupHasAndKeepsWhatWasThere) {
  AddGroup(ingest_, kNew);
  state::MaintenanceStore(paths_.Database(StateDatabase::kOperations));
  const RestorePlan plan = PlanRestore(request_, RealOs());
  EXPECT_TRUE(HasGroup(ingest_, kNew)) << "a plan changes nothing";
  EXPECT_THAT(plan.left, ElementsAre("operations.sqlite3"));
  Restore(RealOs());
  ExpectRestored();
  const fs::path aside = ingest_.string() + ".before-2025-10-14T120000Z";
  EXPECT_TRUE(HasGroup(aside, kNew));
  EXPECT_TRUE(fs::exists(paths_.Database(StateDatabase::kOperations)));
}

TEST_F(RestoreStateTest, ALogOfAnotherDatabaseIsNotTakenForItsOwn) {
  GoOn();
  Restore(RealOs());
  ExpectRestored();
  EXPECT_EQ(RealOs().ReadFile(ingest_.string() + ".before-2025-10-14T120000Z-wal"), "a log of another database");
}

TEST_F(RestoreStateTest, OneDatabaseAlone) {
  AddGroup(ingest_, kNew);
  const auto products = RealOs().Status(paths_.Database(StateDatabase::kProducts));
  request_.databases = {"ingest"};
  Restore(RealOs());
  ExpectRestored();
  EXPECT_EQ(RealOs().Status(paths_.Database(StateDatabase::kProducts)).inode, products.inode);
  request_.databases = {"ingres"};
  try {
    PlanRestore(request_, RealOs());
    FAIL() << "must be refused";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    EXPECT_THAT(error.what(), HasSubstr("has no database 'ingres': it has products, ingest"));
  }
}

TEST_F(RestoreStateTest, IntoAnEmptyPlaceWithTheIdentityOfItsTrees) {
  const fs::path elsewhere = folders_.folder / "elsewhere";
  fs::rename(request_.folder, elsewhere);
  fs::remove_all(state_);
  request_.folder = elsewhere;
  Restore(RealOs());
  ExpectRestored();
  EXPECT_EQ(RealOs().ReadFile(StateIdentityFile(state_)), "{\"identity\": \"x\"}\n");
}

TEST_F(RestoreStateTest, ADamagedBackupChangesNothing) {
  GoOn();
  const fs::path copy = request_.folder / "ingest.sqlite3";
  std::string content = RealOs().ReadFile(copy);
  content[content.size() / 2] = static_cast<char>(content[content.size() / 2] ^ 1);
  std::ofstream(copy, std::ios::binary) << content;
  try {
    PlanRestore(request_, RealOs());
    FAIL() << "must be refused";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kBadInput);
    EXPECT_THAT(error.what(), HasSubstr("was changed since it was made"));
  }
  EXPECT_TRUE(fs::exists(ingest_.string() + "-wal"));
}

TEST_F(RestoreStateTest, FindsBackupsByNameDayAndPlace) {
  BackupRequest backup = BackupOf(Settings{}, paths_);
  for (const char* stamp : {"2025-10-14T04:00:00", "2025-10-15T03:00:00"}) {
    backup.name = BackupName(stamp);
    MakeBackup(backup, RunContext{});
  }
  const fs::path at = backup.directory;
  const auto name = [&](const char* which) { return FindBackup(at, which, RealOs()).filename().string(); };
  EXPECT_EQ(name("latest"), "2025-10-15T030000Z");
  EXPECT_EQ(name("2025-10-14"), "2025-10-14T040000Z");
  EXPECT_EQ(name("2025-10-14T030000Z"), "2025-10-14T030000Z");
  EXPECT_EQ(FindBackup(at, "/mnt/x", RealOs()), "/mnt/x");
  EXPECT_THROW(name("2025-10-16"), Error);
  EXPECT_THROW(name("2025"), Error);
  // One that was made while the clock was ahead: which is the latest?
  const fs::path later = at / "2125-10-15T030000Z";
  fs::copy(at / "2025-10-15T030000Z", later);
  nlohmann::json manifest = nlohmann::json::parse(std::ifstream(later / "backup.json"));
  manifest["made_at"] = 4.9e9;
  std::ofstream(later / "backup.json") << manifest;
  EXPECT_THAT([&] { name("latest"); }, ThrowsMessage<Error>(HasSubstr("is of a time to come")));
  EXPECT_EQ(name("2125-10-15"), "2125-10-15T030000Z") << "who names it, gets it";
}

// Killed at each of its calls, or failing there: either nothing has changed, or the next run completes it.
TEST_F(RestoreStateTest, KilledOrFailedAtAnyStepTheNextRunCompletesIt) {
  const fs::path before = folders_.folder / "before";
  GoOn();
  fs::copy(state_, before, fs::copy_options::recursive);
  for (const auto fault : {FaultyOs::Fault::kKillBefore, FaultyOs::Fault::kKillAfter, FaultyOs::Fault::kFailBefore}) {
    int n_faults = 0, n_decided = 0;
    for (int at = 1;; ++at) {
      SCOPED_TRACE("call " + std::to_string(at));
      fs::remove_all(state_);
      fs::copy(before, state_, fs::copy_options::recursive);
      const pid_t child = ::fork();
      if (child == 0) {
        FaultyOs os(fault, at, ENOSPC);
        try {
          Restore(os);
        } catch (const Error&) {
          ::_exit(1);
        }
        ::_exit(os.fault_at().empty() ? 0 : 2);
      }
      int status = 0;
      ::waitpid(child, &status, 0);
      if (WIFEXITED(status) && WEXITSTATUS(status) == 0) break;
      ++n_faults;
      if (UnfinishedRestore(state_, RealOs())) {
        ++n_decided;
        EXPECT_THROW(RequireNoUnfinishedRestore(state_, RealOs()), Error);
        if (at % 2 == 0) {  // somebody looked meanwhile
          std::ofstream(ingest_.string() + "-wal");
          std::ofstream(ingest_.string() + "-shm");
        }
        FinishRestore(state_, RealOs());
        ExpectRestored();
        EXPECT_THAT(FinishRestore(state_, RealOs()), IsEmpty());
      } else if (fs::exists(ingest_.string() + "-wal")) {
        EXPECT_EQ(RealOs().ReadFile(ingest_.string() + "-wal"), "a log of another database") << "nothing has changed";
        Restore(RealOs());
        ExpectRestored();
      } else {
        ExpectRestored();
      }
    }
    EXPECT_GT(n_faults, 8);
    EXPECT_GT(n_decided, 4);
  }
}

}  // namespace
}  // namespace contimg::ops
