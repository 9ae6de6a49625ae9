// Backups: whole or not there, checked, pruned with care; and the task that makes them.
#include "ops/upkeep/backup.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <SQLiteCpp/SQLiteCpp.h>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>

#include "config/time.h"
#include "config/unfinished.h"
#include "ops/base/checksum.h"
#include "ops/job/task_job.h"
#include "ops/upkeep/task_kinds.h"
#include "state/cal_table_store.h"
#include "state/group_store.h"
#include "state/maintenance_store.h"
#include "state/product_store.h"
#include "state/schema/schemas.h"
#include "tests/faulty_os.h"
#include "tests/unit/ops/work_folders.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using testkit::FaultyOs;

class BackupTest : public ::testing::Test {
 protected:
  BackupTest() {
    state::GroupStore groups(paths_.Database(StateDatabase::kIngest));
    state::GroupRow row;
    row.id = "2025-10-13T13:28:03";
    groups.Create(row, "test", 1);
    state::ProductStore(paths_.Database(StateDatabase::kProducts));
    state::CalTableStore(paths_.Database(StateDatabase::kCalRegistry));
    state::MaintenanceStore(paths_.Database(StateDatabase::kOperations));
    WriteFileAtomically(RealOs(), paths_.roots().state / "identity.json", "{}\n");
    Settings settings;
    settings.image.size = 4096;
    request_ = BackupOf(settings, paths_);
    request_.name = BackupName("2025-10-14T03:00:00");
  }
  RunContext With(Os& os) {
    RunContext context;
    context.os = &os;
    return context;
  }
  std::vector<std::string> Names() {
    std::vector<std::string> names;
    for (const fs::path& each : RealOs().List(request_.directory)) names.push_back(each.filename().string());
    return names;
  }

  WorkFolders folders_;
  const ProductPaths& paths_ = folders_.paths;
  BackupRequest request_;
};

TEST_F(BackupTest, HoldsWhatTheDatabasesHeldWhileTheyAreInUse) {
  state::GroupStore groups(paths_.Database(StateDatabase::kIngest));
  Backup made;
  groups.database().Write([&] {  // a writer in the middle of a transaction
    state::GroupRow row;
    row.id = "2025-10-13T13:33:12";
    groups.Create(row, "test", 2);
    made = MakeBackup(request_, RunContext{});
  });
  EXPECT_THAT(Names(), ElementsAre("2025-10-14T030000Z"));
  // No catalogue was imported: four of five. What refers to others comes before what it refers to.
  ASSERT_EQ(made.databases.size(), 4u);
  EXPECT_EQ(made.databases[0].file, "cal_registry.sqlite3");
  EXPECT_EQ(made.databases[1].file, "products.sqlite3");
  EXPECT_EQ(made.databases[2].file, "operations.sqlite3");
  EXPECT_EQ(made.databases[3].file, "ingest.sqlite3");
  state::GroupStore copy(made.folder / "ingest.sqlite3", state::DatabaseOptions::ForOneLook());
  EXPECT_TRUE(copy.Find("2025-10-13T13:28:03"));
  EXPECT_FALSE(copy.Find("2025-10-13T13:33:12"));
  EXPECT_EQ(VerifyBackup(made.folder, RealOs()).bytes(), made.bytes());
  EXPECT_THAT(ListBackups(request_.directory, RealOs()), ::testing::SizeIs(1));
}

// What others say of it: sha256sum of its sums, the shell of its settings.
TEST_F(BackupTest, IsCheckedAndReadByOthers) {
  const Settings defaults;
  Settings settings;
  settings.paths.scratch_dir = "/stage/a b's \"$HOME\" `x` \\ ü";
  settings.ingest.deadline_s = 300;
  request_.texts[0].second = EnvironmentFileOf(settings);
  const Backup made = MakeBackup(request_, RunContext{});
  const std::string folder = made.folder.string();
  EXPECT_EQ(
      std::system(
          ("cd " + folder + " && test $(wc -l < SHA256SUMS) = 7 && sha256sum --quiet --strict -c SHA256SUMS").c_str()),
      0);
  EXPECT_EQ(RealOs().ReadFile(made.folder / "identity.json"), "{}\n");
  EXPECT_EQ(std::system(("(. " + folder +
                         "/contimg.env; printf '%s|%s' \"$CONTIMG_SCRATCH_DIR\" "
                         "\"$CONTIMG_INGEST_DEADLINE_S\") > " +
                         folder + "/../said")
                            .c_str()),
            0);
  EXPECT_EQ(RealOs().ReadFile(made.folder.parent_path() / "said"), settings.paths.scratch_dir + "|300");
  EXPECT_THAT(EnvironmentFileOf(defaults), ::testing::Not(HasSubstr("=")));
}

// Backups of the program's last version, and of its next.
TEST_F(BackupTest, OfAnotherVersion) {
  const Backup made = MakeBackup(request_, RunContext{});
  const fs::path manifest = made.folder / "backup.json";
  auto parsed = nlohmann::json::parse(RealOs().ReadFile(manifest));
  parsed["format"] = 3;
  std::ofstream(manifest) << parsed.dump();
  try {
    VerifyBackup(made.folder, RealOs());
    FAIL() << "must be refused";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    EXPECT_THAT(error.what(), HasSubstr("use a newer contimg"));
  }
  parsed["format"] = 2;
  for (const auto& [name, wrong] :
       {std::pair("databases", nlohmann::json::array()), std::pair("databases", nlohmann::json()),
        std::pair("format", nlohmann::json(1000000000000)), std::pair("format", nlohmann::json(2.5))}) {
    auto other = parsed;
    other[name] = wrong;
    std::ofstream(manifest) << other.dump();
    EXPECT_THAT([&] { VerifyBackup(made.folder, RealOs()); }, ::testing::ThrowsMessage<Error>(HasSubstr("is damaged")))
        << name << wrong;
  }
  parsed["format"] = 1;
  parsed.erase("files");
  for (auto& each : parsed["databases"]) {
    each["xxh64"] = ProductChecksum(made.folder / each["file"].get<std::string>());
    each.erase("sha256");
  }
  std::ofstream(manifest) << parsed.dump();
  fs::remove(made.folder / "SHA256SUMS");
  EXPECT_EQ(VerifyBackup(made.folder, RealOs()).databases.size(), 4u);
}

// A copy of before an upgrade is no worse for it.
TEST_F(BackupTest, OfOlderSchemasIsWhole) {
  const fs::path file = paths_.Database(StateDatabase::kOperations);
  fs::remove(file);
  {
    state::Schema old = state::ProductsSchema();
    fs::remove(paths_.Database(StateDatabase::kProducts));
    old.migrations.pop_back();
    state::Database(paths_.Database(StateDatabase::kProducts), old);
  }
  const Backup made = MakeBackup(request_, RunContext{});
  EXPECT_EQ(made.databases[1].version, static_cast<int>(state::ProductsSchema().migrations.size()) - 1);
  EXPECT_NO_THROW(VerifyBackup(made.folder, RealOs()));
}

TEST_F(BackupTest, FindsEveryChangeOfItsOtherFiles) {
  const Backup made = MakeBackup(request_, RunContext{});
  for (const char* name : {"contimg.env", "identity.json", "backup.json", "SHA256SUMS"}) {
    const std::string content = RealOs().ReadFile(made.folder / name);
    std::string changed = content;
    changed[0] = static_cast<char>(changed[0] ^ 1);
    std::ofstream(made.folder / name, std::ios::binary) << changed;
    EXPECT_THROW(VerifyBackup(made.folder, RealOs()), Error) << name;
    fs::remove(made.folder / name);
    EXPECT_THROW(VerifyBackup(made.folder, RealOs()), Error) << name;
    std::ofstream(made.folder / name, std::ios::binary) << content;
    EXPECT_NO_THROW(VerifyBackup(made.folder, RealOs())) << name;
  }
}

TEST_F(BackupTest, OfADamagedDatabaseThereIsNone) {
  {
    std::fstream file(paths_.Database(StateDatabase::kProducts), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(4096);
    file << std::string(4096, 'x');
  }
  try {
    MakeBackup(request_, RunContext{});
    FAIL() << "must be refused";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kBadInput);
    EXPECT_THAT(error.what(), HasSubstr("products.sqlite3"));
  }
  EXPECT_TRUE(Names().empty());
}

TEST_F(BackupTest, IntoADirectoryThatIsNotThereIsRefused) {
  request_.directory = folders_.folder.path() / "not mounted" / "backups";
  try {
    MakeBackup(request_, RunContext{});
    FAIL() << "must be refused";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kIo);
    EXPECT_THAT(error.what(), HasSubstr("mount its disk or make it (backup.dir)"));
  }
  EXPECT_FALSE(fs::exists(request_.directory));
}

TEST_F(BackupTest, FindsEveryChangeOfACopy) {
  const Backup made = MakeBackup(request_, RunContext{});
  const fs::path copy = made.folder / "ingest.sqlite3";
  const std::string content = RealOs().ReadFile(copy);
  for (const std::size_t at : {std::size_t{100}, content.size() / 2, content.size() - 1}) {
    std::string changed = content;
    changed[at] = static_cast<char>(changed[at] ^ 1);
    std::ofstream(copy, std::ios::binary) << changed;
    EXPECT_THROW(VerifyBackup(made.folder, RealOs()), Error) << at;
  }
  std::ofstream(copy, std::ios::binary) << content.substr(0, content.size() - 4096);
  EXPECT_THROW(VerifyBackup(made.folder, RealOs()), Error);
  fs::remove(copy);
  EXPECT_THROW(VerifyBackup(made.folder, RealOs()), Error);
  // One that is there already is not taken for good because of its name.
  EXPECT_THROW(MakeBackup(request_, RunContext{}), Error);
}

// Killed or failed at each of its calls: no name of a backup without a whole one behind it, and the next attempt is
// fine.
TEST_F(BackupTest, KilledOrFailedAtAnyStepLeavesNoHalfBackup) {
  for (const auto fault : {FaultyOs::Fault::kKillBefore, FaultyOs::Fault::kKillAfter, FaultyOs::Fault::kFailBefore}) {
    int n_faults = 0;
    for (int at = 1;; ++at) {
      SCOPED_TRACE("call " + std::to_string(at));
      const pid_t child = ::fork();
      if (child == 0) {
        FaultyOs os(fault, at, ENOSPC);
        try {
          MakeBackup(request_, With(os));
        } catch (const Error&) {
          ::_exit(1);
        }
        ::_exit(os.fault_at().empty() ? 0 : 2);  // some failures are none of its business
      }
      int status = 0;
      ::waitpid(child, &status, 0);
      const std::vector<Backup> found = ListBackups(request_.directory, RealOs());
      for (const std::string& name : Names()) {
        if (!IsUnfinishedName(name)) {
          EXPECT_EQ(found.size(), 1u) << name;
        }
      }
      for (const Backup& backup : found) EXPECT_NO_THROW(VerifyBackup(backup.folder, RealOs()));
      if (WIFEXITED(status) && WEXITSTATUS(status) == 0) break;
      ++n_faults;
      EXPECT_NO_THROW(MakeBackup(request_, RunContext{}));
      EXPECT_THAT(Names(), ElementsAre(request_.name)) << "leftovers";
      fs::remove_all(request_.directory / request_.name);
    }
    EXPECT_GT(n_faults, 6);
    fs::remove_all(request_.directory / request_.name);
  }
}

TEST_F(BackupTest, OldOnesGoAndTheNewestThreeStay) {
  for (const char* stamp : {"2025-10-01T03:00:00", "2025-10-02T03:00:00", "2025-10-03T03:00:00", "2025-10-04T03:00:00",
                            "2025-10-05T03:00:00"}) {
    request_.name = BackupName(stamp);
    MakeBackup(request_, RunContext{});
  }
  const double now = UtcTime::Now().unix_s();
  EXPECT_THAT(PruneBackups(request_.directory, 14, now, RealOs()), IsEmpty());
  EXPECT_THAT(PruneBackups(request_.directory, 0, now + 1e9, RealOs()), IsEmpty());
  // Thirty years later, or a clock that thinks so.
  EXPECT_THAT(PruneBackups(request_.directory, 14, now + 1e9, RealOs()), SizeIs(2));
  std::vector<std::string> names = Names();
  std::sort(names.begin(), names.end());
  EXPECT_THAT(names, ElementsAre("2025-10-03T030000Z", "2025-10-04T030000Z", "2025-10-05T030000Z"));
}

TEST_F(BackupTest, IsAskedForByTheClock) {
  state::TaskStore tasks(paths_.Database(StateDatabase::kIngest));
  Settings settings;
  settings.integrity.every_h = settings.photometry.normalise_every_h = 0;  // the other kinds
  const double day = 86400;
  EXPECT_TRUE(CreateDueTasks(tasks, settings, 1000).empty());  // the queue is younger than a day
  const auto first = CreateDueTasks(tasks, settings, 2 * day);
  ASSERT_EQ(first.size(), 1u);
  EXPECT_EQ(first[0], "backup/1970-01-03T00:00:00");
  EXPECT_TRUE(CreateDueTasks(tasks, settings, 9 * day).empty()) << "one is still open";
  state::TransitionDetails details;
  details.actor = "test";
  tasks.Transition(first[0], state::WorkState::kHeld, details, 9 * day);
  EXPECT_TRUE(CreateDueTasks(tasks, settings, 9 * day).empty());
  tasks.Transition(first[0], state::WorkState::kReady, details, 9 * day);
  ASSERT_TRUE(tasks.TakeNext("test", state::QueueOrder::kOldest, 10, 9 * day));
  details.error_kind = ErrorKind::kIo;
  tasks.Transition(first[0], state::WorkState::kDead, details, 9 * day);
  EXPECT_EQ(CreateDueTasks(tasks, settings, 9 * day).size(), 1u) << "one that was given up does not end them";
  settings.backup.every_h = 0;
  EXPECT_TRUE(CreateDueTasks(tasks, settings, 99 * day).empty());
}

TEST_F(BackupTest, AClockThatWasAheadKeepsNothingWaiting) {
  state::TaskStore tasks(paths_.Database(StateDatabase::kIngest));
  Settings settings;
  settings.integrity.every_h = settings.photometry.normalise_every_h = 0;
  const double day = 86400, ahead = 3650 * day;
  const auto work = [&](double now) {
    const auto made = CreateDueTasks(tasks, settings, now);
    for (const std::string& id : made) {
      ASSERT_TRUE(tasks.TakeNext("test", state::QueueOrder::kOldest, 10, now));
      state::TransitionDetails details;
      details.actor = "test";
      tasks.Transition(id, state::WorkState::kDone, details, now);
    }
    EXPECT_EQ(made.size(), 1u) << now / day;
  };
  work(ahead);
  work(5 * day);
  EXPECT_TRUE(CreateDueTasks(tasks, settings, 5.5 * day).empty());
  work(6 * day);
}

// The whole way of a worker: job file in, report and progress out.
TEST_F(BackupTest, IsDoneByAWorkerProcess) {
  state::TaskStore tasks(paths_.Database(StateDatabase::kIngest));
  const state::TaskRow row = tasks.Create("backup", "2025-10-14T03:00:00", "test", "", 1);
  const fs::path folder = paths_.TaskJob(row.kind, row.subject);
  fs::create_directories(folder);
  TaskJob job;
  job.job = JobId::Parse(row.id);
  job.attempt = 3;
  job.work = FindTaskKind("backup").describe(row, Settings{}, paths_);
  EXPECT_EQ(ParseTaskJob(ToJson(job), "x").work, job.work);
  EXPECT_TRUE(IsTaskJob(ToJson(job)));
  EXPECT_FALSE(IsTaskJob(ToJson(Job{})));
  WriteFileAtomically(RealOs(), JobFile(folder), ToJson(job).dump());
  const pid_t child = ::fork();
  if (child == 0) ::_exit(RunTaskWorker(JobFile(folder), RealOs()));
  int status = 0;
  ::waitpid(child, &status, 0);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
  const JobReport report = ParseJobReport(ReadJsonFile(ReportFile(folder)), "report");
  EXPECT_TRUE(report.ok);
  EXPECT_EQ(report.job, row.id);
  EXPECT_EQ(report.group, "");
  EXPECT_EQ(report.attempt, 3);
  ASSERT_EQ(report.stages.size(), 1u);
  EXPECT_THAT(report.stages[0].figures.value("summary", ""), HasSubstr("4 databases"));
  const auto runs = state::MaintenanceStore(paths_.Database(StateDatabase::kOperations)).List("backup", 0);
  ASSERT_EQ(runs.size(), 1u);
  EXPECT_EQ(runs[0].outcome, state::RunOutcome::kOk);
  EXPECT_EQ(runs[0].actor, "daemon");
  EXPECT_THAT(RealOs().ReadFile(folder / "progress.jsonl"), HasSubstr("backup"));
  EXPECT_THROW(FindTaskKind("release"), Error);
}

}  // namespace
}  // namespace contimg::ops
