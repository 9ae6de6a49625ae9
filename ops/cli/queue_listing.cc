#include "ops/cli/queue_listing.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <nlohmann/json.hpp>

#include "config/text.h"
#include "config/time.h"

namespace contimg::ops {
namespace {

constexpr std::size_t kFlushBytes = 1 << 18;

// Most lines need no look at their characters one by one.
bool IsPrintable(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

bool IsPlain(std::string_view text) {  // the same in JSON
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~' && c != '"' && c != '\\'; });
}

}  // namespace

QueueListing::QueueListing(Form form, std::FILE* out) : form_(form), out_(out) {
  if (form_ == Form::kTable) {
    fmt::format_to(std::back_inserter(buffer_), "{:<20} {:<20} {:>8} {:>8}  {:<21} {}\n", "group or task", "state",
                   "subbands", "attempts", "updated", "error");
  }
}

void QueueListing::Add(const state::GroupLine& line) {
  if (form_ == Form::kTable) {
    AddRow(line);
  } else {
    AddJson(line);
  }
  ++n_added_;
  if (buffer_.size() >= kFlushBytes) Flush();
}

void QueueListing::AddRow(const state::GroupLine& line) {
  const auto left = [&](std::string_view text, std::size_t width) {
    Append(text);
    for (std::size_t i = text.size(); i < width; ++i) buffer_.push_back(' ');
  };
  const auto right = [&](int number, std::size_t width) {
    const fmt::format_int text(number);
    for (std::size_t i = text.size(); i < width; ++i) buffer_.push_back(' ');
    Append({text.data(), text.size()});
  };
  left(line.id, 21);
  if (line.id.size() >= 21) buffer_.push_back(' ');
  left(line.state, 21);
  if (line.subbands_expected > 0) {
    right(line.subbands_present, 5);
    buffer_.push_back('/');
    const fmt::format_int expected(line.subbands_expected);
    left({expected.data(), expected.size()}, 2);
  } else {  // a task
    Append("       -");
  }
  right(line.attempts, 9);
  Append("  ");
  AppendTime(line.updated_at);
  if (!line.error_kind.empty() || !line.error.empty()) Append("  ");
  if (!line.error_kind.empty()) {
    Append(line.error_kind);
    Append(": ");
  }
  if (!line.error.empty()) {
    if (IsPrintable(line.error)) {
      Append(line.error);
    } else {
      Append(Printable(line.error));
    }
  }
  Append("\n");
}

void QueueListing::AddJson(const state::GroupLine& line) {
  const auto append_number = [&](int number) {
    const fmt::format_int text(number);
    Append({text.data(), text.size()});
  };
  const bool is_task = line.subbands_expected <= 0;
  Append(n_added_ == 0 ? "[\n{\"id\":" : ",\n{\"id\":");
  AppendQuoted(line.id);
  Append(",\"state\":");
  AppendQuoted(line.state);
  Append(",\"attempts\":");
  append_number(line.attempts);
  Append(",\"error_kind\":");
  if (line.error_kind.empty()) {
    Append("null");
  } else {
    AppendQuoted(line.error_kind);
  }
  Append(",\"error\":");
  if (line.error.empty()) {
    Append("null");
  } else {
    AppendQuoted(line.error);
  }
  Append(",\"subbands_present\":");
  is_task ? Append("null") : append_number(line.subbands_present);
  Append(",\"subbands_expected\":");
  is_task ? Append("null") : append_number(line.subbands_expected);
  Append(",\"updated_at\":");
  if (line.updated_at > 0) {
    AppendQuoted(UtcTime::FromUnix(line.updated_at).Stamp(3));
    Append("}");
  } else {
    Append("null}");
  }
}

// As UtcTime::Stamp writes it; rows of one day share its date.
void QueueListing::AppendTime(double unix_s) {
  if (unix_s <= 0) return Append("-");
  const auto total = static_cast<std::int64_t>(std::llround(unix_s));
  const std::int64_t day = total / 86400, second = total % 86400;
  if (day != day_ || day_text_.empty()) {
    day_ = day;
    day_text_ = UtcTime::FromUnix(static_cast<double>(day * 86400)).Date();
  }
  Append(day_text_);
  char clock[] = "T00:00:00Z";
  const auto put = [&clock](int at, std::int64_t value) {
    clock[at] = static_cast<char>('0' + value / 10);
    clock[at + 1] = static_cast<char>('0' + value % 10);
  };
  put(1, second / 3600);
  put(4, second / 60 % 60);
  put(7, second % 60);
  Append(clock);
}

void QueueListing::AppendQuoted(std::string_view text) {
  if (IsPlain(text)) {
    buffer_.push_back('"');
    Append(text);
    buffer_.push_back('"');
  } else {
    Append(nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  }
}

void QueueListing::Finish(std::int64_t n_more) {
  if (form_ == Form::kJson) {
    Append(n_added_ == 0 ? "[]\n" : "\n]\n");
  } else if (n_more > 0) {
    fmt::format_to(std::back_inserter(buffer_), "… and {} more (--limit 0 shows all)\n", n_more);
  }
  Flush();
  std::fflush(out_);
}

void QueueListing::Flush() {
  std::fwrite(buffer_.data(), 1, buffer_.size(), out_);
  buffer_.clear();
}

}  // namespace contimg::ops
