// Databases come from another directory: ours whole, those of another program row by row.
#include <SQLiteCpp/SQLiteCpp.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>
#include <fstream>

#include "config/unfinished.h"
#include "ops/base/link_target.h"
#include "ops/job/tree_marker.h"
#include "ops/migration/foreign_state.h"
#include "ops/migration/own_state.h"
#include "state/cal_table_store.h"
#include "state/group_store.h"
#include "state/product_store.h"
#include "state/raw_database.h"
#include "tests/faulty_os.h"
#include "tests/unit/ops/group_records.h"
#include "tests/unit/ops/work_folders.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testkit::FaultyOs;

constexpr const char* kMigratedTile = "2025-10-13T13:28:03";
constexpr const char* kNextTile = "2025-10-13T13:33:12";
constexpr const char* kMoment = "2025-10-14T120000Z";

// --- ours

class OwnStateTest : public ::testing::Test {
 protected:
  void Make() {
    fs::remove_all(from_);
    fs::remove_all(state_);
    fs::create_directories(from_);
    fs::create_directories(state_);
    AddGroup(from_ / "ingest.sqlite3", kMigratedTile);
    state::ProductStore(from_ / "products.sqlite3");
    WriteFileAtomically(RealOs(), StateIdentityFile(from_), "{\"identity\": \"x\"}\n");
    fs::permissions(from_ / "products.sqlite3", fs::perms::owner_read | fs::perms::owner_write);
    std::ofstream(from_ / "notes.txt") << "stays";
  }
  void Take(Os& os) {
    RunContext context;
    context.os = &os;
    if (OwnStateWaits(from_, state_, os)) TakeOwnState(from_, state_, kMoment, context);
  }
  void ExpectTaken() {
    EXPECT_TRUE(HasGroup(state_ / "ingest.sqlite3", kMigratedTile));
    for (const char* file : {"ingest.sqlite3", "products.sqlite3"}) {
      EXPECT_EQ(LinkTarget(from_ / file), state_ / file);
      EXPECT_FALSE(LinkTarget(state_ / file));
      EXPECT_TRUE(fs::exists(from_ / (std::string(file) + ".moved-" + kMoment)));
    }
    EXPECT_TRUE(HasGroup(from_ / ("ingest.sqlite3.moved-" + std::string(kMoment)), kMigratedTile))
        << "nothing is removed";
    struct stat status {};
    ::stat((state_ / "products.sqlite3").c_str(), &status);
    EXPECT_EQ(status.st_mode & 07777, 0600u);
    EXPECT_EQ(RealOs().ReadFile(StateIdentityFile(state_)), "{\"identity\": \"x\"}\n");
    EXPECT_TRUE(fs::exists(from_ / "notes.txt"));
    EXPECT_FALSE(OwnStateWaits(from_, state_, RealOs()));
    for (const fs::path& each : FilesBelow(state_)) EXPECT_FALSE(IsUnfinishedName(each)) << each;
    EXPECT_FALSE(fs::exists(state_ / "migrations" / kMoment));
  }

  // In memory where that can be: a disk takes milliseconds for each commit.
  TemporaryFolder folder_{"own-state", fs::is_directory("/dev/shm") ? fs::path("/dev/shm") : fs::temp_directory_path()};
  const fs::path from_ = folder_ / "old", state_ = folder_ / "new";
};

TEST_F(OwnStateTest, GoesThereWithItsLogAndLeavesLinks) {
  Make();
  state::GroupStore open(from_ / "ingest.sqlite3");  // its log is not written back while it is open
  AddGroup(from_ / "ingest.sqlite3", kNextTile);
  ASSERT_GT(fs::file_size(from_ / "ingest.sqlite3-wal"), 0u);
  Take(RealOs());
  EXPECT_TRUE(HasGroup(state_ / "ingest.sqlite3", kNextTile));
  ExpectTaken();
  EXPECT_TRUE(HasGroup(from_ / "ingest.sqlite3", kNextTile)) << "by the link";
}

TEST_F(OwnStateTest, WhatIsThereIsNotReplaced) {
  Make();
  AddGroup(state_ / "ingest.sqlite3", kNextTile);
  try {
    FindOwnState(from_, state_, RealOs());
    FAIL() << "must be refused";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    EXPECT_THAT(error.what(), HasSubstr("is there already"));
  }
  EXPECT_TRUE(HasGroup(state_ / "ingest.sqlite3", kNextTile));
}

TEST_F(OwnStateTest, DamagedNothingChanges) {
  Make();
  fs::resize_file(from_ / "ingest.sqlite3", fs::file_size(from_ / "ingest.sqlite3") / 2);
  fs::remove(from_ / "ingest.sqlite3-wal");
  EXPECT_THROW(Take(RealOs()), Error);
  EXPECT_FALSE(fs::exists(state_ / "products.sqlite3"));
  EXPECT_FALSE(LinkTarget(from_ / "products.sqlite3"));
}

TEST_F(OwnStateTest, OfANewerVersionOrAnotherProgramIsRefusedBeforeAnythingIsDone) {
  Make();
  for (const auto& [pragma, kind] :
       {std::pair("user_version = 99", ErrorKind::kUsage), std::pair("application_id = 7", ErrorKind::kBadInput)}) {
    SQLite::Database(from_ / "products.sqlite3", SQLite::OPEN_READWRITE).exec(std::string("PRAGMA ") + pragma);
    try {
      FindOwnState(from_, state_, RealOs());
      ADD_FAILURE() << "taken: " << pragma;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), kind) << error.what();
      EXPECT_EQ(error.subject(), (from_ / "products.sqlite3").string());
    }
  }
}

TEST_F(OwnStateTest, KilledOrFailedAtAnyCallTheNextRunCompletesIt) {
  for (const auto fault : {FaultyOs::Fault::kKillBefore, FaultyOs::Fault::kKillAfter, FaultyOs::Fault::kFailBefore}) {
    int n_faults = 0;
    for (int at = 1;; ++at) {
      SCOPED_TRACE("call " + std::to_string(at));
      Make();
      const pid_t child = ::fork();
      if (child == 0) {
        FaultyOs os(fault, at, ENOSPC);
        try {
          Take(os);
        } catch (const Error&) {
          ::_exit(1);
        }
        ::_exit(os.fault_at().empty() ? 0 : 2);
      }
      int status = 0;
      ::waitpid(child, &status, 0);
      if (WIFEXITED(status) && WEXITSTATUS(status) == 0) break;
      ++n_faults;
      FaultyOs calm;
      Take(calm);
      ExpectTaken();
      if (HasFailure()) return;
    }
    EXPECT_GT(n_faults, 30);
  }
}

// --- those of another program

class ForeignStateTest : public ::testing::Test {
 protected:
  ForeignStateTest() {
    fs::create_directories(from_ / "catalogs");
    SQLite::Database queue((from_ / "ingest.sqlite3").string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    queue.exec(
        R"sql(CREATE TABLE ingest_queue (group_id TEXT PRIMARY KEY, state TEXT, received_at REAL, last_update REAL,
        expected_subbands INTEGER, retry_count INTEGER, error TEXT);
        INSERT INTO ingest_queue VALUES ('2025-10-13T13:28:03', 'completed', 1760362100, 1760362400, 16, 1, NULL),
          ('2025-10-13T13:33:12', 'failed', 1760362400, 1760362500, 16, 3, 'no tables'),
          ('2025-10-13T13:38:21', 'collecting', 1760362700, 1760362700, 16, 0, NULL),
          ('2025-10-13T13:43:30', 'completed', 1760362900, 1760362900, 16, 0, NULL),
          ('tuesday', 'completed', 1, 1, 16, 0, NULL))sql");
    SQLite::Database registry((from_ / "cal_registry.sqlite3").string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    registry.exec(R"sql(CREATE TABLE caltables (id INTEGER PRIMARY KEY, path TEXT, status TEXT, notes TEXT);
        INSERT INTO caltables VALUES (1, '/old/2025-10-13T13:28:03_24h.bpcal', 'retired', 'bad day'),
          (2, '/old/2025-10-13T13:28:03_24h.gpcal', 'active', NULL))sql");
    SQLite::Database products((from_ / "catalogs/products.db").string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    products.exec(
        fmt::format(R"sql(CREATE TABLE images (path TEXT, ms_path TEXT, created_at REAL, type TEXT, noise_jy REAL);
        INSERT INTO images VALUES ('/old/2025-10-13T13:28:03.image.fits', '/old/x.ms', 1760362400, 'image', 0.002),
          ('/old/gone.fits', '/old/2025-10-13T13:28:03.ms', 1760362400, 'pbcor', 0.002),
          ('{}', '', 1, 'image', 0), ('/old/odd.fits', '', 1, 'painting', 0), (NULL, '', 1, 'image', 0))sql",
                    (from_ / "2025-10-13T13:28:03.psf.fits").string()));
    std::ofstream(from_ / "2025-10-13T13:28:03.psf.fits") << "not migrated yet";
    // What a migration of the tree has put on record.
    state::ProductStore ours(paths_.Database(StateDatabase::kProducts));
    state::ProductRow image;
    image.kind = "image";
    image.group_id = kMigratedTile;
    image.path = paths_.Image(kMigratedTile, ProductKind::kImage).string();
    image_ = ours.Save(image, 1);
    state::CalTableStore tables(paths_.Database(StateDatabase::kCalRegistry));
    state::CalTableRow table;
    table.kind = "BP";
    table.interval = "24h";
    table.valid_from_mjd = 60961;
    table.valid_to_mjd = 60962;
    table.path = paths_.CalTable(kMigratedTile, CalInterval::k24Hours, CalKind::kBandpass).string();
    table_ = tables.Register(table, 1);
  }
  std::vector<ForeignTable> Take(bool apply) {
    return TakeForeignState(FindForeignDatabases(from_, RealOs()), paths_, apply, RunContext{}, 1.77e9);
  }
  static std::string Words(const std::vector<ForeignTable>& all) {
    std::string text;
    for (const ForeignTable& each : all) {
      text += fmt::format("{} {}/{}/{} ", each.table, each.rows, each.taken, each.troubles.size());
    }
    return text;
  }
  WorkFolders folders_;
  const ProductPaths& paths_ = folders_.paths;
  const fs::path from_ = folders_.folder / "old";
  std::int64_t image_ = 0, table_ = 0;
};

TEST_F(ForeignStateTest, RowsBecomeRecordsOnce) {
  constexpr const char* kAll = "images 5/2/3 caltables 2/1/0 ingest_queue 5/2/1 ";
  EXPECT_EQ(Words(Take(false)), kAll);
  EXPECT_FALSE(fs::exists(paths_.Database(StateDatabase::kIngest))) << "a look makes nothing";
  const std::vector<ForeignTable> done = Take(true);
  EXPECT_EQ(Words(done), kAll);
  EXPECT_THAT(done[0].troubles,
              ElementsAre(HasSubstr("migrate the tree first"), HasSubstr("'painting'"), HasSubstr("names no path")));
  EXPECT_THAT(done[2].troubles, ElementsAre(HasSubstr("tuesday: is no time")));
  state::ProductStore products(paths_.Database(StateDatabase::kProducts));
  const auto image = products.Find(image_);
  ASSERT_TRUE(image && image->job_id);
  const auto job = products.FindJob(*image->job_id);
  EXPECT_EQ(job->kind, "migrated");
  EXPECT_EQ(job->finished_at, 1760362400);
  EXPECT_THAT(job->report_json, HasSubstr("0.002"));
  EXPECT_THAT(job->job_json, HasSubstr("products.db"));
  const auto gone = products.FindByPath("/old/gone.fits");
  ASSERT_TRUE(gone);
  EXPECT_EQ(gone->kind + " " + gone->status + " " + gone->group_id, "image.pbcor removed 2025-10-13T13:28:03");
  const auto table = state::CalTableStore(paths_.Database(StateDatabase::kCalRegistry)).Find(table_);
  EXPECT_EQ(table->status + ", " + table->reason, "retired, migrated: it was retired there, bad day");
  state::GroupStore groups(paths_.Database(StateDatabase::kIngest));
  EXPECT_EQ(groups.Find(kMigratedTile)->state, state::GroupState::kDone);
  EXPECT_EQ(groups.Find(kMigratedTile)->first_file_at, 1760362100);
  EXPECT_EQ(groups.Find(kNextTile)->state, state::GroupState::kCancelled);
  EXPECT_EQ(groups.Find(kNextTile)->error, "migrated: no tables");
  EXPECT_FALSE(groups.Find("2025-10-13T13:38:21")) << "its input makes it anew";
  EXPECT_FALSE(groups.Find("2025-10-13T13:43:30")) << "nothing of it is known";
  EXPECT_EQ(groups.Events(kMigratedTile).back().actor, "migrated");
  EXPECT_EQ(Words(Take(true)), "images 5/0/3 caltables 2/0/0 ingest_queue 5/0/1 ");
}

TEST_F(ForeignStateTest, OtherFilesAreNotTakenForDatabasesOfAPipeline) {
  std::ofstream(from_ / "empty.sqlite3");
  SQLite::Database((from_ / "browser.sqlite3").string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE)
      .exec("CREATE TABLE bookmarks (url TEXT)");
  AddGroup(from_ / "ours.sqlite3", kMigratedTile);
  EXPECT_EQ(FindForeignDatabases(from_, RealOs()).size(), 3u);
  std::ofstream(from_ / "damaged.db") << std::string(4096, 'x');
  EXPECT_THROW(FindForeignDatabases(from_, RealOs()), Error);
}

TEST_F(ForeignStateTest, ARawDatabaseIsReadWithItsLogAndNotWritten) {
  SQLite::Database writer((from_ / "ingest.sqlite3").string(), SQLite::OPEN_READWRITE);
  writer.exec("PRAGMA journal_mode = WAL; INSERT INTO ingest_queue (group_id) VALUES ('2025-10-14T00:00:00')");
  state::RawDatabase reader(from_ / "ingest.sqlite3");
  int n = 0;
  reader.ForEach("ingest_queue", [&](const state::RawRow& row) {
    ++n;
    EXPECT_EQ(row.count("group_id"), 1u);
    EXPECT_EQ(row.count("state"), row.at("group_id") == "2025-10-14T00:00:00" ? 0u : 1u) << "NULL is left out";
  });
  EXPECT_EQ(n, 6);
  EXPECT_EQ(state::NumberOf({{"a", "1.5"}, {"b", "x"}}, {"b"}), 0);
  EXPECT_EQ(state::NumberOf({{"a", "1.5"}, {"b", "x"}}, {"a"}), 1.5);
  EXPECT_EQ(state::ValueOf({{"a", ""}, {"b", "x"}}, {"a", "b"}), "x");
}

}  // namespace
}  // namespace contimg::ops
