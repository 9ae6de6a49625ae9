// A prepared statement in use: bound, stepped, and reset when it goes out of scope, so that no read transaction
// lingers. Internal to state/.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "state/database.h"

namespace contimg::state {

// Bytes to bind as a BLOB; not copied before the statement runs.
struct Blob {
  std::string_view bytes;
};

class Query {
 public:
  // `sql` is prepared once per database and text. One Query per text may be alive at a time.
  Query(Database& database, std::string_view sql) : path_(database.path()), statement_(database.Prepared(sql)) {}
  ~Query() { statement_.tryReset(); }
  Query(const Query&) = delete;
  Query& operator=(const Query&) = delete;

  // Binds the next parameters, in order.
  template <typename... Values>
  Query& Bind(const Values&... values) {
    Wrap([&] { (BindOne(values), ...); });
    return *this;
  }
  // The next row; false at the end.
  bool Next() {
    column_ = 0;
    return Wrap([&] { return statement_.executeStep(); });
  }
  // Runs a statement without rows; returns the number of rows changed.
  int Run() {
    return Wrap([&] { return statement_.exec(); });
  }

  // The only column of all rows that are left.
  std::vector<std::string> Texts() {
    std::vector<std::string> texts;
    while (Next()) texts.push_back(Text());
    return texts;
  }
  std::vector<std::int64_t> Integers() {
    std::vector<std::int64_t> numbers;
    while (Next()) numbers.push_back(Integer());
    return numbers;
  }

  // The columns of the present row, in order.
  std::string Text() {
    return Wrap([&] { return statement_.getColumn(column_++).getString(); });
  }
  // The same without a copy; valid until the next row.
  std::string_view View() {
    return Wrap([&] {
      const SQLite::Column column = statement_.getColumn(column_++);
      const char* text = column.getText();
      return std::string_view(text, static_cast<std::size_t>(column.getBytes()));
    });
  }
  // The bytes of a BLOB, none for NULL; valid until the next row.
  std::string_view Bytes() {
    return Wrap([&] {
      const SQLite::Column column = statement_.getColumn(column_++);
      return std::string_view(static_cast<const char*>(column.getBlob()), static_cast<std::size_t>(column.getBytes()));
    });
  }
  std::int64_t Integer() {
    return Wrap([&] { return statement_.getColumn(column_++).getInt64(); });
  }
  int Int() { return static_cast<int>(Integer()); }
  double Number() {
    return Wrap([&] { return statement_.getColumn(column_++).getDouble(); });
  }
  bool Flag() { return Integer() != 0; }
  std::optional<std::string> OptionalText() {
    if (Skipped()) return std::nullopt;
    return Text();
  }
  std::optional<double> OptionalNumber() {
    if (Skipped()) return std::nullopt;
    return Number();
  }
  std::optional<std::int64_t> OptionalInteger() {
    if (Skipped()) return std::nullopt;
    return Integer();
  }

 private:
  template <typename Body>
  auto Wrap(const Body& body) -> decltype(body()) {
    try {
      return body();
    } catch (const SQLite::Exception& error) {
      throw SqliteError(path_, error.getExtendedErrorCode(), error.what());
    }
  }
  bool Skipped() {
    if (!Wrap([&] { return statement_.isColumnNull(column_); })) return false;
    ++column_;
    return true;
  }

  void BindOne(const std::string& value) { statement_.bind(++parameter_, value); }
  void BindOne(std::string_view value) { statement_.bind(++parameter_, std::string(value)); }
  void BindOne(const char* value) { statement_.bind(++parameter_, value); }
  void BindOne(const Blob& value) {
    statement_.bind(++parameter_, static_cast<const void*>(value.bytes.data()), static_cast<int>(value.bytes.size()));
  }
  void BindOne(double value) { statement_.bind(++parameter_, value); }
  void BindOne(int value) { statement_.bind(++parameter_, value); }
  void BindOne(std::int64_t value) { statement_.bind(++parameter_, value); }
  void BindOne(bool value) { statement_.bind(++parameter_, value ? 1 : 0); }
  template <typename T>
  void BindOne(const std::optional<T>& value) {
    if (value) {
      BindOne(*value);
    } else {
      statement_.bind(++parameter_);  // NULL
    }
  }

  const std::filesystem::path& path_;
  SQLite::Statement& statement_;
  int parameter_ = 0;
  int column_ = 0;
};

}  // namespace contimg::state
