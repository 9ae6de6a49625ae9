#include "state/raw_database.h"

#include <SQLiteCpp/SQLiteCpp.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "config/error.h"
#include "state/database.h"
#include "state/immutable_uri.h"

namespace contimg::state {
namespace {

constexpr int kBusyTimeoutMs = 10000;

std::string Quoted(const std::string& name) {
  std::string quoted = "\"";
  for (const char c : name) quoted += c == '"' ? std::string(2, c) : std::string(1, c);
  return quoted + '"';
}

}  // namespace

RawDatabase::RawDatabase(const std::filesystem::path& path) : path_(path) {
  if (::access(path.c_str(), R_OK) != 0) {
    throw SystemError("state", path.string(), "the database cannot be read", errno);
  }
  try {
    const bool as_it_is = !HasLog(path);
    db_ = std::make_unique<SQLite::Database>(
        as_it_is ? ImmutableUri(path) : path.string(),
        as_it_is ? SQLite::OPEN_READONLY | SQLite::OPEN_URI : SQLite::OPEN_READONLY, kBusyTimeoutMs);
    application_id_ = static_cast<std::uint32_t>(db_->execAndGet("PRAGMA application_id").getInt64());
    SQLite::Statement query(*db_, "SELECT name FROM sqlite_schema WHERE type = 'table'");
    while (query.executeStep()) tables_.insert(query.getColumn(0).getString());
  } catch (const SQLite::Exception& error) {
    throw SqliteError(path, error.getExtendedErrorCode(), error.what());
  }
}

RawDatabase::~RawDatabase() = default;

void RawDatabase::Require(const std::string& table) const {
  if (tables_.count(table) == 0) throw Error(ErrorKind::kBug, "state", path_.string(), "has no table " + table);
}

std::vector<std::string> RawDatabase::Columns(const std::string& table) {
  Require(table);
  try {
    const SQLite::Statement query(*db_, "SELECT * FROM " + Quoted(table));
    std::vector<std::string> names;
    for (int i = 0; i < query.getColumnCount(); ++i) names.emplace_back(query.getColumnName(i));
    return names;
  } catch (const SQLite::Exception& error) {
    throw SqliteError(path_, error.getExtendedErrorCode(), error.what());
  }
}

void RawDatabase::ForEach(const std::string& table, const std::function<void(const RawRow&)>& take) {
  Require(table);
  try {
    SQLite::Statement query(*db_, "SELECT * FROM " + Quoted(table));
    RawRow row;
    while (query.executeStep()) {
      row.clear();
      for (int i = 0; i < query.getColumnCount(); ++i) {
        const SQLite::Column column = query.getColumn(i);
        if (!column.isNull()) row[column.getName()] = column.getString();
      }
      take(row);
    }
  } catch (const SQLite::Exception& error) {
    throw SqliteError(path_, error.getExtendedErrorCode(), error.what());
  }
}

std::string ValueOf(const RawRow& row, std::initializer_list<const char*> columns) {
  for (const char* column : columns) {
    if (const auto found = row.find(column); found != row.end() && !found->second.empty()) return found->second;
  }
  return "";
}

double NumberOf(const RawRow& row, std::initializer_list<const char*> columns) {
  const std::string text = ValueOf(row, columns);
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  return !text.empty() && *end == '\0' ? value : 0;
}

}  // namespace contimg::state
