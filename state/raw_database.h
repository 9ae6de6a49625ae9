// A database read as it is, whosever it is: nothing is written, and none is made. Its tables are told by their names,
// and its rows come as text: versions of one program differ in their columns.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace SQLite {  // NOLINT(readability-identifier-naming): the library's
class Database;
}  // namespace SQLite

namespace contimg::state {

using RawRow = std::map<std::string, std::string>;  // column → its value as text; none where it is NULL

class RawDatabase {
 public:
  // Errors as state/database.h says. While a log lies beside it (its program runs, or was killed) SQLite makes an index
  // of the log there.
  explicit RawDatabase(const std::filesystem::path& path);
  ~RawDatabase();

  // By which SQLite marks files of programs that ask for it; 0: of none.
  std::uint32_t application_id() const { return application_id_; }
  const std::set<std::string>& tables() const { return tables_; }
  // Of one of tables(), in the order of its definition.
  std::vector<std::string> Columns(const std::string& table);
  // Every row of it, in the order they lie in.
  void ForEach(const std::string& table, const std::function<void(const RawRow&)>& take);

 private:
  void Require(const std::string& table) const;

  std::filesystem::path path_;
  std::unique_ptr<SQLite::Database> db_;
  std::uint32_t application_id_ = 0;
  std::set<std::string> tables_;
};

// The value of the first of these columns that the row has; empty: it has none.
std::string ValueOf(const RawRow& row, std::initializer_list<const char*> columns);
// The same as a number; 0: none, or no number.
double NumberOf(const RawRow& row, std::initializer_list<const char*> columns);

}  // namespace contimg::state
