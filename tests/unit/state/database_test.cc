#include "state/database.h"

#include <SQLiteCpp/SQLiteCpp.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include <chrono>
#include <fstream>
#include <set>
#include <thread>
#include <vector>

#include "state/query.h"
#include "state/schema/schemas.h"
#include "tests/temporary_folder.h"
#include "tests/unit/state/temporary_database.h"

namespace contimg::state {
namespace {

namespace fs = std::filesystem;

Schema Version1() { return {"test", 77, {"CREATE TABLE a (x INTEGER NOT NULL) STRICT;"}}; }
Schema Version2() {
  Schema schema = Version1();
  schema.migrations.push_back("ALTER TABLE a ADD COLUMN y INTEGER NOT NULL DEFAULT 7; CREATE INDEX a_x ON a (x);");
  return schema;
}

template <typename Body>
Error Caught(const Body& body) {
  try {
    body();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "no error";
  return Error(ErrorKind::kBug, "", "", "");
}

std::vector<fs::path> Backups(const TemporaryDatabase& place) {
  std::vector<fs::path> found;
  for (const auto& entry : fs::directory_iterator(place.directory())) {
    if (entry.path().extension() == ".backup") found.push_back(entry.path());
  }
  return found;
}

std::int64_t Count(Database& db) {
  Query query(db, "SELECT count(*) FROM a");
  query.Next();
  return query.Integer();
}

TEST(Database, CreatesWithTheNewestSchemaAndTheChosenModes) {
  TemporaryDatabase place;
  Database db(place.path(), Version2());
  EXPECT_EQ(db.version(), 2);
  EXPECT_EQ(db.handle().execAndGet("PRAGMA journal_mode").getString(), "wal");
  EXPECT_EQ(db.handle().execAndGet("PRAGMA foreign_keys").getInt(), 1);
  EXPECT_EQ(db.handle().execAndGet("PRAGMA synchronous").getInt(), 2);  // FULL
  EXPECT_TRUE(Backups(place).empty());
  EXPECT_NO_THROW(db.Check());
}

TEST(Database, OpensEverySchemaOfTheProductTwice) {
  for (const Schema* schema : {&IngestSchema(), &CalRegistrySchema(), &ProductsSchema(), &MasterSourcesSchema()}) {
    TemporaryDatabase place;
    Database first(place.path(), *schema);
    Database second(place.path(), *schema);
    EXPECT_EQ(second.version(), static_cast<int>(schema->migrations.size())) << schema->name;
    // What one database says rests on what another has committed before: none may lose a commit at a power cut.
    EXPECT_EQ(second.handle().execAndGet("PRAGMA synchronous").getInt(), 2) << schema->name;
  }
}

TEST(Database, MigratesAfterABackupCopy) {
  TemporaryDatabase place;
  {
    Database old(place.path(), Version1());
    old.Write([&] { Query(old, "INSERT INTO a (x) VALUES (5)").Run(); });
  }
  {
    Database db(place.path(), Version2());
    EXPECT_EQ(db.version(), 2);
    Query query(db, "SELECT x, y FROM a");
    ASSERT_TRUE(query.Next());
    EXPECT_EQ(query.Integer(), 5);
    EXPECT_EQ(query.Integer(), 7);
  }
  const auto backups = Backups(place);
  ASSERT_EQ(backups.size(), 1u);
  Database copy(backups[0], Version1());  // still the old version, with its row
  EXPECT_EQ(copy.version(), 1);
  EXPECT_EQ(Count(copy), 1);
}

TEST(Database, LeavesEverythingAsItWasWhenAMigrationFails) {
  TemporaryDatabase place;
  { Database old(place.path(), Version1()); }
  Schema broken = Version2();
  broken.migrations.push_back("CREATE TABLE b (z INTEGER); SELECT nonsense FROM nowhere;");
  EXPECT_EQ(Caught([&] { Database(place.path(), broken); }).kind(), ErrorKind::kBug);
  EXPECT_EQ(Database(place.path(), Version1()).version(), 1);
}

TEST(Database, RefusesANewerVersionNamingBoth) {
  TemporaryDatabase place;
  { Database newer(place.path(), Version2()); }
  const Error error = Caught([&] { Database(place.path(), Version1()); });
  EXPECT_EQ(error.kind(), ErrorKind::kUsage);
  EXPECT_NE(error.message().find("version 2"), std::string::npos) << error.message();
  EXPECT_NE(error.message().find("up to 1"), std::string::npos);
  EXPECT_EQ(Database(place.path(), Version2()).version(), 2);
}

TEST(Database, RefusesOtherDatabases) {
  TemporaryDatabase place;
  {
    SQLite::Database foreign(place.path().string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    foreign.exec("CREATE TABLE theirs (x)");
  }
  EXPECT_EQ(Caught([&] { Database(place.path(), Version1()); }).kind(), ErrorKind::kBadInput);
  const fs::path other = place.directory() / "other.sqlite3";
  { Database ours(other, Version1()); }
  Schema different = Version1();
  different.application_id = 78;
  EXPECT_EQ(Caught([&] { Database(other, different); }).kind(), ErrorKind::kBadInput);
}

TEST(Database, NamesDamage) {
  TemporaryDatabase place;
  std::ofstream(place.path()) << std::string(8192, 'x');
  const Error error = Caught([&] { Database(place.path(), Version1()); });
  EXPECT_EQ(error.kind(), ErrorKind::kBadInput);
  EXPECT_EQ(error.subject(), place.path().string());
  // A page in the middle overwritten: found by the check or by reading, never by a crash.
  const fs::path torn = place.directory() / "torn.sqlite3";
  {
    Database db(torn, Version1());
    db.Write([&] {
      for (int i = 0; i < 5000; ++i) Query(db, "INSERT INTO a (x) VALUES (?)").Bind(i).Run();
    });
    db.handle().exec("PRAGMA wal_checkpoint(TRUNCATE)");
  }
  {
    std::fstream file(torn, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(4096 * 2);
    file << std::string(4096 * 3, '\xff');
  }
  EXPECT_EQ(Caught([&] { Database(torn, Version1()).Check(); }).kind(), ErrorKind::kBadInput);
}

TEST(Database, RefusesWhatIsNoFile) {
  for (const bool folder : {false, true}) {
    TemporaryDatabase place;
    if (folder) {
      fs::create_directory(place.path());
    } else {
      ASSERT_EQ(::mkfifo(place.path().c_str(), 0600), 0);
    }
    for (const DatabaseOptions& options : {DatabaseOptions{}, DatabaseOptions::ForOneLook()}) {
      const Error error = Caught([&] { Database db(place.path(), Version1(), options); });
      EXPECT_EQ(error.kind(), ErrorKind::kBadInput);
      EXPECT_EQ(error.message(), "is no file: expected a database");
    }
  }
}

TEST(Database, SaysBusyWhenLockedForLonger) {
  TemporaryDatabase place;
  DatabaseOptions options;
  options.busy_timeout_s = 0.05;
  Database one(place.path(), Version1(), options);
  Database two(place.path(), Version1(), options);
  one.Write([&] {
    EXPECT_EQ(Caught([&] { two.Write([] {}); }).kind(), ErrorKind::kBusy);
    EXPECT_EQ(Count(two), 0);  // readers are not held up
  });
  EXPECT_NO_THROW(two.Write([] {}));
}

TEST(Database, WaitsForAShortLock) {
  TemporaryDatabase place;
  Database one(place.path(), Version1());
  one.Write([] {});
  std::jthread holder;
  one.Write([&] {
    holder = std::jthread([&] {
      Database two(place.path(), Version1());
      two.Write([&] { Query(two, "INSERT INTO a (x) VALUES (1)").Run(); });
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  });
  holder.join();
  EXPECT_EQ(Count(one), 1);
}

TEST(Database, RollsBackAsAWhole) {
  TemporaryDatabase place;
  Database db(place.path(), Version1());
  EXPECT_THROW(db.Write([&] {
    Query(db, "INSERT INTO a (x) VALUES (1)").Run();
    db.Write([&] { Query(db, "INSERT INTO a (x) VALUES (2)").Run(); });
    Query(db, "INSERT INTO a (x) VALUES ('text')").Run();  // STRICT refuses it
  }),
               Error);
  EXPECT_EQ(Count(db), 0);
  EXPECT_NO_THROW(db.Write([&] { Query(db, "INSERT INTO a (x) VALUES (3)").Run(); }));
  EXPECT_EQ(Count(db), 1);
}

TEST(Database, APartThatIsRefusedIsUndoneByItself) {
  TemporaryDatabase place;
  Database db(place.path(), Version1());
  db.Write([&] {
    Query(db, "INSERT INTO a (x) VALUES (1)").Run();
    EXPECT_THROW(db.Write([&] {
      Query(db, "INSERT INTO a (x) VALUES (2)").Run();
      db.Write([&] { Query(db, "INSERT INTO a (x) VALUES (3)").Run(); });
      throw Error(ErrorKind::kUsage, "test", "", "refused half-way");
    }),
                 Error);
    EXPECT_EQ(Count(db), 1);
    db.Write([&] { Query(db, "INSERT INTO a (x) VALUES (4)").Run(); });
  });
  EXPECT_EQ(Count(db), 2);
}

TEST(Database, SaysIoWhenFull) {
  TemporaryDatabase place;
  Database db(place.path(), Version1());
  db.handle().exec("PRAGMA max_page_count = 8");
  const Error error = Caught([&] {
    db.Write([&] {
      for (int i = 0; i < 100000; ++i) Query(db, "INSERT INTO a (x) VALUES (?)").Bind(i).Run();
    });
  });
  EXPECT_EQ(error.kind(), ErrorKind::kResource);
  EXPECT_NE(std::string(error.what()).find("no space left on the disk ("), std::string::npos) << error.what();
  EXPECT_EQ(Count(db), 0);
}

TEST(Database, MapsSqliteCodes) {
  EXPECT_EQ(SqliteError("f", SQLITE_BUSY_SNAPSHOT, "").kind(), ErrorKind::kBusy);
  EXPECT_EQ(SqliteError("f", SQLITE_IOERR_FSYNC, "").kind(), ErrorKind::kIo);
  EXPECT_EQ(SqliteError("f", SQLITE_CANTOPEN, "").kind(), ErrorKind::kIo);
  EXPECT_EQ(SqliteError("f", SQLITE_READONLY, "").kind(), ErrorKind::kIo);
  EXPECT_EQ(SqliteError("f", SQLITE_NOMEM, "").kind(), ErrorKind::kResource);
  EXPECT_EQ(SqliteError("f", SQLITE_CORRUPT, "").kind(), ErrorKind::kBadInput);
  EXPECT_EQ(SqliteError("f", SQLITE_CONSTRAINT_CHECK, "").kind(), ErrorKind::kBug);
}

TEST(Database, OpensReadOnlyOnlyWhatIsThereAndCurrent) {
  TemporaryDatabase place;
  DatabaseOptions options;
  options.read_only = true;
  EXPECT_EQ(Caught([&] { Database(place.path(), Version1(), options); }).kind(), ErrorKind::kIo);
  { Database db(place.path(), Version1()); }
  EXPECT_EQ(Caught([&] { Database(place.path(), Version2(), options); }).kind(), ErrorKind::kUsage);
  Database db(place.path(), Version1(), options);
  EXPECT_EQ(Count(db), 0);
  EXPECT_EQ(Caught([&] { Query(db, "INSERT INTO a (x) VALUES (1)").Run(); }).kind(), ErrorKind::kIo);
  EXPECT_EQ(Caught([&] { Database(place.directory() / "no" / "x.sqlite3", Version1()); }).kind(), ErrorKind::kIo);
}

TEST(Database, BacksUpWhileInUse) {
  TemporaryDatabase place;
  Database db(place.path(), Version1());
  db.Write([&] { Query(db, "INSERT INTO a (x) VALUES (1)").Run(); });
  const fs::path copy = place.directory() / "copy.sqlite3";
  db.Write([&] {
    Query(db, "INSERT INTO a (x) VALUES (2)").Run();
    db.BackUp(copy);  // sees what is committed
  });
  Database again(copy, Version1());
  EXPECT_EQ(Count(again), 1);
  EXPECT_EQ(Caught([&] { db.BackUp(copy); }).kind(), ErrorKind::kUsage);
}

// Several processes start at once on a fresh directory: all open, one creates.
TEST(Database, IsCreatedOnceByManyAtATime) {
  // Repeated, because the moments at which one reads while another creates are short.
  for (int round = 0; round < 40; ++round) {
    TemporaryDatabase place;
    std::vector<std::jthread> threads;
    std::vector<int> versions(8);
    std::vector<std::string> errors(versions.size());
    for (std::size_t i = 0; i < versions.size(); ++i) {
      threads.emplace_back([&, i] {
        try {
          versions[i] = Database(place.path(), Version2()).version();
        } catch (const Error& error) {
          errors[i] = error.what();
        }
      });
    }
    threads.clear();
    for (std::size_t i = 0; i < versions.size(); ++i) EXPECT_EQ(versions[i], 2) << errors[i];
  }
}

std::set<std::string> NamesIn(const fs::path& folder) {
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.insert(entry.path().filename().string());
  return names;
}

// What a user with read permission only sees and leaves behind, while nobody writes and while somebody does.
TEST(Database, ReadingLeavesNothingBehindAndSeesWhatIsInTheLog) {
  const TemporaryFolder folder("db reading ?%");  // of letters that mean something in a URI
  const fs::path path = folder / "test.sqlite3";
  const Error missing = Caught([&] { Database(path, Version1(), DatabaseOptions::ForOneLook()); });
  EXPECT_EQ(missing.kind(), ErrorKind::kIo);
  EXPECT_NE(std::string(missing.what()).find("there is no such database"), std::string::npos) << missing.what();
  EXPECT_TRUE(NamesIn(folder.path()).empty());
  {
    Database writer(path, Version1());
    writer.Write([&] { writer.handle().exec("INSERT INTO a VALUES (7)"); });
    Database reader(path, Version1(), DatabaseOptions::ForOneLook());  // the row is in the log, not in the file
    EXPECT_EQ(reader.handle().execAndGet("SELECT x FROM a").getInt(), 7);
  }
  ASSERT_EQ(NamesIn(folder.path()), std::set<std::string>{"test.sqlite3"});
  fs::permissions(folder.path(), fs::perms::owner_read | fs::perms::owner_exec);
  {
    Database reader(path, Version1(), DatabaseOptions::ForOneLook());
    EXPECT_EQ(reader.handle().execAndGet("SELECT x FROM a").getInt(), 7);
    EXPECT_EQ(NamesIn(folder.path()), std::set<std::string>{"test.sqlite3"});
    EXPECT_ANY_THROW(reader.handle().exec("INSERT INTO a VALUES (8)"));
  }
  fs::permissions(folder.path(), fs::perms::owner_all);
  EXPECT_EQ(NamesIn(folder.path()), std::set<std::string>{"test.sqlite3"});
}

TEST(Database, ReadingAnOlderVersionSaysWhatBringsItUpToDate) {
  TemporaryDatabase place;
  { Database old(place.path(), Version1()); }
  const Error error = Caught([&] { Database(place.path(), Version2(), DatabaseOptions::ForOneLook()); });
  EXPECT_EQ(error.kind(), ErrorKind::kUsage);
  EXPECT_NE(std::string(error.what())
                .find("has schema version 1, and this program reads version 2: start the "
                      "contimg-stream"),
            std::string::npos)
      << error.what();
  EXPECT_EQ(Database(place.path(), Version1()).version(), 1);  // untouched
}

TEST(Database, AReaderWaitsForTheOneWhoMakesIt) {
  TemporaryDatabase place;
  std::ofstream(place.path()).close();  // as it is before its first transaction
  DatabaseOptions look = DatabaseOptions::ForOneLook();
  {
    std::thread maker([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      Database made(place.path(), Version2());
    });
    const Database reader(place.path(), Version2(), look);
    EXPECT_EQ(reader.version(), 2);
    maker.join();
  }
  fs::remove(place.path());
  std::ofstream(place.path()).close();
  look.busy_timeout_s = 0.02;
  const Error error = Caught([&] { Database(place.path(), Version2(), look); });
  EXPECT_EQ(error.kind(), ErrorKind::kIo);
  EXPECT_NE(std::string(error.what()).find("is empty: contimg-stream makes its tables"), std::string::npos)
      << error.what();
}

TEST(Database, TellsOfAMigration) {
  TemporaryDatabase place;
  std::vector<std::string> told;
  SetMigrationNotice([&](const std::string& sentence) { told.push_back(sentence); });
  { Database old(place.path(), Version1()); }
  EXPECT_TRUE(told.empty());  // made, not migrated
  { Database db(place.path(), Version2()); }
  SetMigrationNotice({});
  ASSERT_EQ(told.size(), 1U);
  EXPECT_NE(told[0].find(".sqlite3: brought from schema version 1 to 2; the old one is"), std::string::npos) << told[0];
}

}  // namespace
}  // namespace contimg::state
