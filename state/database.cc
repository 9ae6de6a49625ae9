#include "state/database.h"

#include <SQLiteCpp/Backup.h>
#include <SQLiteCpp/SQLiteCpp.h>
#include <fmt/format.h>
#include <sqlite3.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <system_error>
#include <thread>
#include <tuple>
#include <utility>

#include "config/os.h"
#include "config/time.h"
#include "state/immutable_uri.h"
#include "state/stage_name.h"

namespace contimg::state {
namespace {

namespace fs = std::filesystem;

template <typename Body>
auto Guard(const fs::path& path, const Body& body) {
  try {
    return body();
  } catch (const SQLite::Exception& error) {
    throw SqliteError(path, error.getExtendedErrorCode(), error.what());
  }
}

std::function<void(const std::string&)>& MigrationNotice() {
  static std::function<void(const std::string&)> notice;
  return notice;
}

std::int64_t Pragma(SQLite::Database& db, const char* name) {
  return db.execAndGet(fmt::format("PRAGMA {}", name)).getInt64();
}

// What keeps this user from the database, or from its log beside it; nothing: it is something else.
std::optional<Error> Forbidden(const fs::path& path) {
  const fs::path folder = path.parent_path().empty() ? fs::path(".") : path.parent_path();
  for (const auto& [each, mode, words] :
       {std::tuple(path, R_OK, "the database cannot be read"), std::tuple(path, W_OK, "the database cannot be written"),
        std::tuple(folder, W_OK, "the database cannot be written")}) {
    if (::access(each.c_str(), mode) != 0 && errno != ENOENT) return SystemError(kStage, path.string(), words, errno);
  }
  return std::nullopt;
}

}  // namespace

Error SqliteError(const fs::path& path, int extended_code, std::string_view words) {
  ErrorKind kind = ErrorKind::kBug;
  std::string what = "an SQL statement failed";
  switch (extended_code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      kind = ErrorKind::kBusy;
      what = "the database is locked by another process";
      break;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_FORMAT:
      kind = ErrorKind::kBadInput;
      what = "the database file is damaged or is no SQLite database";
      break;
    case SQLITE_FULL:
      return SystemError(kStage, path.string(), "the database cannot be written", ENOSPC);
    case SQLITE_IOERR:
      kind = ErrorKind::kIo;
      what = "reading or writing the database failed";
      break;
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
      if (const auto why = Forbidden(path)) return *why;
      kind = ErrorKind::kIo;
      what =
          (extended_code & 0xff) == SQLITE_CANTOPEN ? "the database cannot be opened" : "the database is not writable";
      break;
    case SQLITE_NOMEM:
      kind = ErrorKind::kResource;
      what = "memory for the database ran out";
      break;
    case SQLITE_CONSTRAINT:
      what = "a row breaks a rule of the schema";
      break;
    default:
      break;
  }
  return Error(kind, kStage, path.string(), fmt::format("{} ({}, SQLite code {})", what, words, extended_code));
}

void SetMigrationNotice(std::function<void(const std::string& sentence)> notice) {
  MigrationNotice() = std::move(notice);
}

struct Database::Impl {
  Impl(fs::path file, const Schema& wanted, const DatabaseOptions& wanted_options)
      : path(std::move(file)), schema(wanted), options(wanted_options) {}

  void Open() {
    if (options.read_only) {
      RequireReadable();
    } else {
      const fs::path parent = path.parent_path().empty() ? fs::path(".") : path.parent_path();
      std::error_code error;
      if (!fs::is_directory(parent, error)) {
        throw Error(ErrorKind::kIo, kStage, path.string(),
                    error && error != std::errc::no_such_file_or_directory
                        ? "the directory of the database cannot be looked into: " + error.message()
                        : std::string("the directory of the database does not exist"));
      }
    }
    RequireFile();
    Guard(path, [&] {
      const auto open = [&] {
        const bool as_it_is = options.read_only && options.brief && !HasLog(path);
        const int flags = as_it_is            ? SQLite::OPEN_READONLY | SQLite::OPEN_URI
                          : options.read_only ? SQLite::OPEN_READONLY
                                              : SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE;
        db = std::make_unique<SQLite::Database>(as_it_is ? ImmutableUri(path) : path.string(), flags,
                                                static_cast<int>(options.busy_timeout_s * 1000));
        CheckIdentity();
      };
      open();
      if (options.read_only && !options.any_version && empty) WaitUntilMade(open);
      if (!options.read_only) {
        UseWriteAheadLog();
        db->exec("PRAGMA synchronous = FULL");
        if (version < Newest()) Migrate();
      }
      db->exec("PRAGMA foreign_keys = ON");
    });
  }

  // Another process is making it just now: the file is there before its tables.
  void WaitUntilMade(const std::function<void()>& open) {
    constexpr double kLongestS = 2;
    const double limit_s = std::min(options.busy_timeout_s, kLongestS);
    const auto until = std::chrono::steady_clock::now() + std::chrono::duration<double>(limit_s);
    while (empty) {
      if (std::chrono::steady_clock::now() > until) {
        throw Error(ErrorKind::kIo, kStage, path.string(),
                    "is empty: contimg-stream makes its tables when it first starts (does it run?)");
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      open();
    }
  }

  // Of a pipe, opening would never end.
  void RequireFile() const {
    std::error_code error;
    const fs::file_type type = fs::status(path, error).type();
    if (error || type == fs::file_type::not_found || type == fs::file_type::regular) return;
    throw Error(ErrorKind::kBadInput, kStage, path.string(), "is no file: expected a database");
  }

  void RequireReadable() const {
    if (::access(path.c_str(), R_OK) == 0) return;
    const int error_number = errno;
    if (error_number == ENOENT || error_number == ENOTDIR) {
      throw Error(
          ErrorKind::kIo, kStage, path.string(),
          "there is no such database: contimg-stream makes it when it first starts (is CONTIMG_STATE_DIR right?)");
    }
    throw SystemError(kStage, path.string(), "the database cannot be read", error_number);
  }

  int Newest() const { return static_cast<int>(schema.migrations.size()); }

  // Reads the version and refuses what is not ours. The answers must belong together: another process may be creating
  // the database between two of these statements, so they are read in one transaction (the migration's, when one is
  // open).
  void CheckIdentity() {
    const bool alone = sqlite3_get_autocommit(db->getHandle()) != 0;
    if (alone) db->exec("BEGIN");
    try {
      JudgeIdentity();
      if (alone) db->exec("COMMIT");
    } catch (...) {
      if (alone) RollBack();
      throw;
    }
  }

  void JudgeIdentity() {
    version = static_cast<int>(Pragma(*db, "user_version"));
    const auto application = static_cast<std::uint32_t>(Pragma(*db, "application_id"));
    empty = version == 0 && db->execAndGet("SELECT count(*) FROM sqlite_schema").getInt64() == 0;
    if (application != schema.application_id && !(application == 0 && empty)) {
      throw Error(
          ErrorKind::kBadInput, kStage, path.string(),
          fmt::format("expected a contimg database '{}', found another program's or another kind", schema.name));
    }
    if (version > Newest()) {
      throw Error(ErrorKind::kUsage, kStage, path.string(),
                  fmt::format("has schema version {}, and this program knows versions up to {}: use a newer contimg",
                              version, Newest()));
    }
    if (options.read_only && !options.any_version && version < Newest() && !empty) {
      throw Error(
          ErrorKind::kUsage, kStage, path.string(),
          fmt::format("has schema version {}, and this program reads version {}: start the contimg-stream of this "
                      "version once, it brings the database up to date and keeps a copy",
                      version, Newest()));
    }
  }

  // Switching a file to WAL needs it alone for a moment and does not wait by itself.
  void UseWriteAheadLog() {
    const auto until = std::chrono::steady_clock::now() + std::chrono::duration<double>(options.busy_timeout_s);
    for (;;) {
      try {
        const std::string mode = db->execAndGet("PRAGMA journal_mode = WAL").getString();
        if (mode != "wal") {
          throw Error(ErrorKind::kIo, kStage, path.string(),
                      fmt::format("the file system does not support a write-ahead log (journal mode is '{}')", mode));
        }
        return;
      } catch (const SQLite::Exception& error) {
        if (error.getErrorCode() != SQLITE_BUSY || std::chrono::steady_clock::now() > until) throw;
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
      }
    }
  }

  void Migrate() {
    std::string copy;
    int before = 0;
    db->exec("BEGIN IMMEDIATE");
    try {
      CheckIdentity();  // again, now that nobody else can migrate
      before = version;
      if (version > 0 && version < Newest()) copy = KeepCopy();
      for (int step = version; step < Newest(); ++step) {
        db->exec(std::string(schema.migrations[static_cast<std::size_t>(step)]));
      }
      db->exec(fmt::format("PRAGMA application_id = {}", schema.application_id));
      db->exec(fmt::format("PRAGMA user_version = {}", Newest()));
      db->exec("COMMIT");
    } catch (...) {
      RollBack();
      throw;
    }
    version = Newest();
    if (copy.empty() || !MigrationNotice()) return;
    MigrationNotice()(fmt::format("{}: brought from schema version {} to {}; the old one is {}", path.string(), before,
                                  version, copy));
  }

  // The copy is read through a connection of its own: SQLite does not copy from one with an open write transaction.
  std::string KeepCopy() {
    std::string stamp = UtcTime::Now().Iso8601();
    stamp.erase(std::remove_if(stamp.begin(), stamp.end(), [](char c) { return c == ':' || c == '-'; }), stamp.end());
    SQLite::Database source(path.string(), SQLite::OPEN_READONLY, static_cast<int>(options.busy_timeout_s * 1000));
    std::string copy = fmt::format("{}.v{}.{}.backup", path.string(), version, stamp);
    CopyTo(source, copy);
    return copy;
  }

  void CopyTo(SQLite::Database& source, const fs::path& target) {
    if (Exists(target)) throw Error(ErrorKind::kUsage, kStage, target.string(), "exists already");
    try {
      Guard(target, [&] {
        SQLite::Database copy(target.string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
        SQLite::Backup backup(copy, source);
        const auto until = std::chrono::steady_clock::now() + std::chrono::duration<double>(options.busy_timeout_s);
        // In one go, so that writers cannot make it start over; what is busy is tried again.
        for (;;) {
          const int status = backup.executeStep(-1);
          if (status == SQLITE_DONE) break;
          if (std::chrono::steady_clock::now() > until) throw SqliteError(target, status, "copying");
          std::this_thread::sleep_for(std::chrono::milliseconds(5));
        }
      });
    } catch (...) {
      std::error_code ignored;
      fs::remove(target, ignored);
      throw;
    }
  }

  void RollBack() noexcept {
    // SQLite has rolled back by itself after some errors (disk full, I/O); then there is nothing to do.
    if (sqlite3_get_autocommit(db->getHandle()) == 0) {
      sqlite3_exec(db->getHandle(), "ROLLBACK", nullptr, nullptr, nullptr);
    }
  }

  // A part of the transaction that is under way, undone by itself when it throws.
  void InSavepoint(const std::function<void()>& body) {
    const auto run = [&](const char* sql) { Guard(path, [&] { db->exec(sql); }); };
    if (sqlite3_get_autocommit(db->getHandle()) != 0) {
      throw Error(ErrorKind::kIo, kStage, path.string(), "the transaction was given up after an earlier error");
    }
    run("SAVEPOINT part");
    ++depth;
    try {
      Guard(path, body);
      run("RELEASE part");
    } catch (...) {
      --depth;
      // After some errors (disk full, I/O) SQLite has rolled back everything by itself.
      if (sqlite3_get_autocommit(db->getHandle()) == 0) {
        sqlite3_exec(db->getHandle(), "ROLLBACK TO part; RELEASE part", nullptr, nullptr, nullptr);
      }
      throw;
    }
    --depth;
  }

  void InTransaction(const char* begin, const std::function<void()>& body) {
    if (depth > 0) return InSavepoint(body);
    Guard(path, [&] { db->exec(begin); });
    ++depth;
    try {
      Guard(path, body);
      Guard(path, [&] { db->exec("COMMIT"); });
    } catch (...) {
      --depth;
      RollBack();
      throw;
    }
    --depth;
  }

  fs::path path;
  Schema schema;
  DatabaseOptions options;
  int version = 0;
  bool empty = false;  // there is nothing in it
  int depth = 0;
  std::unique_ptr<SQLite::Database> db;
  std::map<std::string, std::unique_ptr<SQLite::Statement>, std::less<>> statements;  // destroyed before `db`
};

Database::Database(const fs::path& path, const Schema& schema, const DatabaseOptions& options)
    : impl_(std::make_unique<Impl>(path, schema, options)) {
  impl_->Open();
}
Database::~Database() = default;
Database::Database(Database&&) noexcept = default;
Database& Database::operator=(Database&&) noexcept = default;

const fs::path& Database::path() const { return impl_->path; }
int Database::version() const { return impl_->version; }
SQLite::Database& Database::handle() { return *impl_->db; }

SQLite::Statement& Database::Prepared(std::string_view sql) {
  auto found = impl_->statements.find(sql);
  if (found == impl_->statements.end()) {
    auto statement =
        Guard(impl_->path, [&] { return std::make_unique<SQLite::Statement>(*impl_->db, std::string(sql)); });
    found = impl_->statements.emplace(std::string(sql), std::move(statement)).first;
  }
  found->second->tryReset();
  found->second->clearBindings();
  return *found->second;
}

void Database::Write(const std::function<void()>& body) { impl_->InTransaction("BEGIN IMMEDIATE", body); }
void Database::Read(const std::function<void()>& body) {
  if (impl_->depth > 0) return body();
  impl_->InTransaction("BEGIN", body);
}

void Database::BackUp(const fs::path& target) {
  Guard(impl_->path, [&] {
    SQLite::Database source(impl_->path.string(), SQLite::OPEN_READONLY,
                            static_cast<int>(impl_->options.busy_timeout_s * 1000));
    impl_->CopyTo(source, target);
  });
}

Database::ChangeMark Database::Changes() {
  return Guard(impl_->path, [&] {
    return ChangeMark{Pragma(*impl_->db, "data_version"), sqlite3_total_changes64(impl_->db->getHandle())};
  });
}

void Database::Check() {
  const std::string answer =
      Guard(impl_->path, [&] { return impl_->db->execAndGet("PRAGMA quick_check(1)").getString(); });
  if (answer != "ok") {
    throw Error(ErrorKind::kBadInput, kStage, impl_->path.string(), "the database is damaged: " + answer);
  }
}

void Database::CheckThoroughly() {
  Guard(impl_->path, [&] {
    std::string complaint = impl_->db->execAndGet("PRAGMA integrity_check(1)").getString();
    if (complaint == "ok") {
      SQLite::Statement references(*impl_->db, "PRAGMA foreign_key_check");
      if (!references.executeStep()) return;
      complaint = fmt::format("a row of {} refers to one of {} that is not there", references.getColumn(0).getString(),
                              references.getColumn(2).getString());
    }
    throw Error(ErrorKind::kBadInput, kStage, impl_->path.string(), "the database is damaged: " + complaint);
  });
}

}  // namespace contimg::state
