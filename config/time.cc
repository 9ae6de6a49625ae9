#include "config/time.h"

#include <fmt/format.h>

#include <cctype>
#include <chrono>
#include <cmath>

#include "config/error.h"

namespace contimg {
namespace {

// Days from civil and back (proleptic Gregorian calendar), after H. Hinnant, "chrono-Compatible Low-Level Date
// Algorithms"; day 0 is 1970-01-01.
std::int64_t DaysFromCivil(std::int64_t year, unsigned month, unsigned day) {
  year -= month <= 2 ? 1 : 0;
  const std::int64_t era = (year >= 0 ? year : year - 399) / 400;
  const auto year_of_era = static_cast<unsigned>(year - era * 400);
  const unsigned day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
  const unsigned day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  return era * 146097 + static_cast<std::int64_t>(day_of_era) - 719468;
}

struct Civil {
  std::int64_t year;
  unsigned month;
  unsigned day;
};

Civil CivilFromDays(std::int64_t days) {
  days += 719468;
  const std::int64_t era = (days >= 0 ? days : days - 146096) / 146097;
  const auto day_of_era = static_cast<unsigned>(days - era * 146097);
  const unsigned year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  const unsigned day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const unsigned mp = (5 * day_of_year + 2) / 153;
  const unsigned month = mp < 10 ? mp + 3 : mp - 9;
  return {static_cast<std::int64_t>(year_of_era) + era * 400 + (month <= 2 ? 1 : 0), month,
          day_of_year - (153 * mp + 2) / 5 + 1};
}

unsigned DaysInMonth(std::int64_t year, unsigned month) {
  constexpr unsigned kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  return month == 2 && leap ? 29 : kDays[month - 1];
}

// Two or four digits at `at`; −1 when they are not digits.
int Digits(std::string_view text, std::size_t at, std::size_t count) {
  int value = 0;
  for (std::size_t i = at; i < at + count; ++i) {
    if (i >= text.size() || !std::isdigit(static_cast<unsigned char>(text[i]))) return -1;
    value = value * 10 + (text[i] - '0');
  }
  return value;
}

}  // namespace

UtcTime UtcTime::FromIso8601(std::string_view text) {
  const auto fail = [&] {
    return Error(ErrorKind::kBadInput, "config", std::string(text), "is not a time like 2025-10-13T13:28:03");
  };
  std::string_view body = text;
  if (!body.empty() && body.back() == 'Z') body.remove_suffix(1);
  if (body.size() < 19 || body[4] != '-' || body[7] != '-' || body[10] != 'T' || body[13] != ':' || body[16] != ':') {
    throw fail();
  }
  const int year = Digits(body, 0, 4), month = Digits(body, 5, 2), day = Digits(body, 8, 2);
  const int hour = Digits(body, 11, 2), minute = Digits(body, 14, 2), second = Digits(body, 17, 2);
  if (year < 0 || month < 1 || month > 12 || day < 1 || hour < 0 || hour > 23 || minute < 0 || minute > 59 ||
      second < 0 || second > 59 || static_cast<unsigned>(day) > DaysInMonth(year, static_cast<unsigned>(month))) {
    throw fail();
  }
  double fraction = 0;
  if (body.size() > 19) {
    if (body[19] != '.' || body.size() == 20) throw fail();
    double place = 0.1;
    for (std::size_t i = 20; i < body.size(); ++i, place /= 10) {
      if (!std::isdigit(static_cast<unsigned char>(body[i]))) throw fail();
      fraction += (body[i] - '0') * place;
    }
  }
  const std::int64_t days = DaysFromCivil(year, static_cast<unsigned>(month), static_cast<unsigned>(day));
  return FromUnix(static_cast<double>(days * 86400 + std::int64_t{hour} * 3600 + std::int64_t{minute} * 60 + second)) +
         fraction;
}

UtcTime UtcTime::FromPerson(std::string_view what, std::string_view text, UtcTime now) {
  if (text == "now") return now;
  const double midnight = std::floor(now.mjd());
  if (text == "today") return FromMjd(midnight);
  if (text == "yesterday") return FromMjd(midnight - 1);
  std::string form(text);
  if (form.size() > 10 && form[10] == ' ') form[10] = 'T';
  if (form.size() == 10) form += "T00:00:00";
  if (form.size() == 16 || (form.size() == 17 && form.back() == 'Z')) form.insert(16, ":00");
  try {
    return FromIso8601(form);
  } catch (const Error&) {
    throw Error(ErrorKind::kUsage, "config", std::string(what),
                fmt::format("expected a time (UTC) like 2025-10-13T13:28:03, a day like 2025-10-13, or one of now, "
                            "today, yesterday; found '{}'",
                            text));
  }
}

UtcTime UtcTime::Now() {
  const auto since_epoch = std::chrono::system_clock::now().time_since_epoch();
  return FromUnix(std::chrono::duration<double>(since_epoch).count());
}

std::string UtcTime::Iso8601(int decimals) const {
  const double scale = std::pow(10.0, decimals);
  // Work in whole ticks so that rounding carries into minutes, hours and days.
  const double whole = std::floor(unix_s());
  const auto ticks = static_cast<std::int64_t>(std::llround((unix_s() - whole) * scale));
  const auto tick_per_s = static_cast<std::int64_t>(std::llround(scale));
  const std::int64_t total = static_cast<std::int64_t>(whole) + ticks / tick_per_s;
  const std::int64_t rest = ticks % tick_per_s;
  std::int64_t days = total / 86400, second = total % 86400;
  if (second < 0) {
    second += 86400;
    --days;
  }
  const Civil civil = CivilFromDays(days);
  std::string text = fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", civil.year, civil.month, civil.day,
                                 second / 3600, second / 60 % 60, second % 60);
  if (decimals > 0) text += fmt::format(".{:0{}}", rest, decimals);
  return text;
}

}  // namespace contimg
