// Time on one scale: UTC, as seconds of Modified Julian Date. C++17-clean.
//
// A double holds MJD seconds (about 5.3e9) to better than 1 µs, so a moment is one number; all astronomy that needs
// more (Earth rotation) starts from the two-part Julian Dates made here.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace contimg {

constexpr double kSecondsPerHour = 3600.0;
constexpr double kSecondsPerDay = 86400.0;
constexpr double kMjdOfJd = 2400000.5;
constexpr double kMjdOfUnixEpoch = 40587.0;

// A moment in UTC. Comparable; differences are in seconds. Leap seconds: the MJD day always has 86400 s here, as in
// Measurement Sets, so a moment inside a leap second is not representable.
class UtcTime {
 public:
  UtcTime() = default;
  static UtcTime FromMjdSeconds(double s) { return UtcTime(s); }
  static UtcTime FromMjd(double days) { return UtcTime(days * kSecondsPerDay); }
  static UtcTime FromJd(double days) { return UtcTime((days - kMjdOfJd) * kSecondsPerDay); }
  static UtcTime FromUnix(double s) { return UtcTime(s + kMjdOfUnixEpoch * kSecondsPerDay); }
  // "2025-10-13T13:28:03" with optional ".fff" and "Z". Throws Error{kBadInput} on anything else.
  static UtcTime FromIso8601(std::string_view text);
  // A time that a person gave (an option, a parameter of a request), in UTC: "2025-10-13T13:28:03" (also with a blank
  // for the T, without seconds, with a fraction, with a Z), a day "2025-10-13" (its midnight), or one of the words
  // "now", "today", "yesterday" (midnights of the days about `now`). Throws Error{kUsage} that names `what` and these
  // forms.
  static UtcTime FromPerson(std::string_view what, std::string_view text, UtcTime now);
  static UtcTime FromPerson(std::string_view what, std::string_view text) { return FromPerson(what, text, Now()); }
  // The system's clock.
  static UtcTime Now();

  double mjd_s() const { return mjd_s_; }
  double mjd() const { return mjd_s_ / kSecondsPerDay; }
  double unix_s() const { return mjd_s_ - kMjdOfUnixEpoch * kSecondsPerDay; }
  // "2025-10-13T13:28:03", rounded to the nearest second, or with `decimals` digits of a second.
  std::string Iso8601(int decimals = 0) const;
  // The same with a Z behind it: how a time is shown to people and written into JSON.
  std::string Stamp(int decimals = 0) const { return Iso8601(decimals) + "Z"; }
  // "2025-10-13": the day of Iso8601().
  std::string Date() const { return Iso8601().substr(0, 10); }

  friend bool operator==(UtcTime a, UtcTime b) { return a.mjd_s_ == b.mjd_s_; }
  friend bool operator!=(UtcTime a, UtcTime b) { return a.mjd_s_ != b.mjd_s_; }
  friend bool operator<(UtcTime a, UtcTime b) { return a.mjd_s_ < b.mjd_s_; }
  friend bool operator>(UtcTime a, UtcTime b) { return a.mjd_s_ > b.mjd_s_; }
  friend bool operator<=(UtcTime a, UtcTime b) { return a.mjd_s_ <= b.mjd_s_; }
  friend bool operator>=(UtcTime a, UtcTime b) { return a.mjd_s_ >= b.mjd_s_; }
  friend UtcTime operator+(UtcTime t, double seconds) { return UtcTime(t.mjd_s_ + seconds); }
  friend UtcTime operator-(UtcTime t, double seconds) { return UtcTime(t.mjd_s_ - seconds); }
  friend double operator-(UtcTime a, UtcTime b) { return a.mjd_s_ - b.mjd_s_; }

 private:
  explicit UtcTime(double mjd_s) : mjd_s_(mjd_s) {}
  double mjd_s_ = 0;
};

}  // namespace contimg
