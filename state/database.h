// One SQLite database: opened, checked, migrated; SQLite's errors become contimg::Error. The only way to a database.
//
// Opening sets: WAL journal, foreign keys on, busy timeout, synchronous = FULL, and migrates the schema. FULL syncs
// each commit: what one database says was committed may rest on what another committed before (a group is done when its
// products and tables are on record), so no power cut may take the earlier one back. A tile costs a handful of commits.
//
//   found on disk                          what happens
//   no file                                created with the newest schema; for reading: Error{kIo}, nothing is made
//   older schema version                   for reading: Error{kUsage} with the cure. Else copied to
//   <name>.v<old>.<stamp>.backup with SQLite's backup interface, then
//                                          migrated in one transaction; told to SetMigrationNotice's listener
//   newer schema version                   Error{kUsage} naming both versions; the file is not touched
//   another program's database             Error{kBadInput} (application id differs)
//   not a database, or damaged             Error{kBadInput}
//   locked beyond the busy timeout         Error{kBusy}
//   disk full                               Error{kResource}
//   read-only, I/O error                    Error{kIo}
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "config/error.h"

namespace SQLite {  // NOLINT(readability-identifier-naming): the library's
class Database;
class Statement;
}  // namespace SQLite

namespace contimg::state {

// The steps that bring a schema from version i to i + 1; their number is the newest version.
struct Schema {
  std::string_view name;                     // "ingest"
  std::uint32_t application_id;              // marks the file as ours and of this kind
  std::vector<std::string_view> migrations;  // SQL, several statements each
};

struct DatabaseOptions {
  double busy_timeout_s = 10;
  bool read_only = false;    // must exist and have the newest version
  bool any_version = false;  // with read_only: an older version will do, for who looks at the file and not at its rows
  // With read_only: for one look that takes no longer than a command. While nobody writes (there is no write-ahead log,
  // or an empty one) the file is read as it is: SQLite's own way would make the log and its index anew beside it, which
  // a user with read permission only cannot and a reader should not. A writer that begins meanwhile writes to its log
  // first.
  bool brief = false;

  static DatabaseOptions ForOneLook() { return {.read_only = true, .brief = true}; }
};

// Who is told, in one sentence, that a database was migrated and where its copy is; nobody by default.
void SetMigrationNotice(std::function<void(const std::string& sentence)> notice);

class Database {
 public:
  Database(const std::filesystem::path& path, const Schema& schema, const DatabaseOptions& options = {});
  ~Database();
  Database(Database&&) noexcept;
  Database& operator=(Database&&) noexcept;

  const std::filesystem::path& path() const;
  int version() const;
  SQLite::Database& handle();

  // A prepared statement, reset and without bindings, kept for the next call with the same text (a string literal).
  SQLite::Statement& Prepared(std::string_view sql);

  // Runs `body` in BEGIN IMMEDIATE … COMMIT; any exception rolls back and is rethrown, SQLite's as Error. A nested call
  // is a part of the outer transaction that is undone by itself: whoever catches its exception goes on as if it had not
  // been called.
  void Write(const std::function<void()>& body);
  // Runs `body` in a read transaction: one consistent view.
  void Read(const std::function<void()>& body);
  // Copies the database, while others use it, to `target` (which must not exist).
  void BackUp(const std::filesystem::path& target);
  // Two marks differ when anything may have been written between them, by this connection or by another process.
  struct ChangeMark {
    std::int64_t others = -1, own = -1;
    friend bool operator==(const ChangeMark&, const ChangeMark&) = default;
  };
  ChangeMark Changes();
  // PRAGMA quick_check; Error{kBadInput} with the first complaint.
  void Check();
  // Every page, index and reference between rows: integrity_check and foreign_key_check. Error{kBadInput} with the
  // first complaint. Reads the whole file.
  void CheckThoroughly();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// SQLite result code → Error (kinds as in the table above).
Error SqliteError(const std::filesystem::path& path, int extended_code, std::string_view words);

}  // namespace contimg::state
