// How `contimg queue list` writes groups: a table for people or one JSON array for scripts, row by row and fast (a year
// of groups is a hundred thousand of them).
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

#include "state/group_store.h"

namespace contimg::ops {

class QueueListing {
 public:
  enum class Form { kTable, kJson };
  // Writes to `out`, which must outlive it. Finish must be called; nothing is written by the destructor.
  QueueListing(Form form, std::FILE* out);

  void Add(const state::GroupLine& line);
  // `n_more` groups were left out: said below a table.
  void Finish(std::int64_t n_more = 0);
  std::int64_t n_added() const { return n_added_; }

 private:
  void AddRow(const state::GroupLine& line);
  void AddJson(const state::GroupLine& line);
  void AppendTime(double unix_s);
  void AppendQuoted(std::string_view text);
  void Append(std::string_view text) { buffer_.append(text.data(), text.data() + text.size()); }
  void Flush();

  Form form_;
  std::FILE* out_;
  fmt::memory_buffer buffer_;
  std::int64_t n_added_ = 0;
  std::int64_t day_ = 0;  // of day_text_, in days since 1970
  std::string day_text_;
};

}  // namespace contimg::ops
