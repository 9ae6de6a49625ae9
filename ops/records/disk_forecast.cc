#include "ops/records/disk_forecast.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <nlohmann/json.hpp>

#include "config/time.h"

namespace contimg::ops {
namespace {

constexpr std::int64_t kKeptHours = 168, kLastHours = 24, kLeastHours = 12;
constexpr double kOtherDisk = 0.01;  // of the size
constexpr double kCleanupOfDisk = 0.01, kCleanupScatters = 5;
constexpr double kOverdue = 1.5;          // of the longest pause between cleanups
constexpr double kConfidence = 1.645;     // standard deviations: 95 %, one-sided
constexpr double kScatterOfMad = 1.4826;  // of Gaussian noise

std::int64_t HourOf(double unix_s) { return static_cast<std::int64_t>(std::floor(unix_s / kSecondsPerHour)); }

struct Point {
  double t_s, bytes;
};

double Median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  if (values.size() % 2 == 1) return *middle;
  return (*middle + *std::max_element(values.begin(), middle)) / 2;
}

// Bytes a second; nothing unless it is certain that it is negative.
std::optional<double> Fall(const std::vector<Point>& points) {
  std::vector<double> slopes;
  for (std::size_t i = 0; i < points.size(); ++i) {
    for (std::size_t j = i + 1; j < points.size(); ++j) {
      slopes.push_back((points[j].bytes - points[i].bytes) / (points[j].t_s - points[i].t_s));
    }
  }
  const auto n = static_cast<double>(points.size()), n_slopes = static_cast<double>(slopes.size());
  const double spread = kConfidence * std::sqrt(n * (n - 1) * (2 * n + 5) / 18);
  const double bound = std::ceil((n_slopes + spread) / 2);  // counted from 1
  if (slopes.empty() || bound >= n_slopes + 1) return std::nullopt;
  const auto at = slopes.begin() + static_cast<std::ptrdiff_t>(bound) - 1;
  std::nth_element(slopes.begin(), at, slopes.end());
  if (*at >= 0) return std::nullopt;
  return Median(std::move(slopes));
}

// The hours, and what cleanup did in them.
struct Teeth {
  std::vector<Point> without_steps;
  std::vector<Point> low;       // the last before each cleanup
  std::vector<double> cleaned;  // when each began to be seen
};

Teeth FindTeeth(const std::vector<Point>& points, double size_bytes) {
  std::vector<double> changes;
  for (std::size_t i = 1; i < points.size(); ++i) changes.push_back(points[i].bytes - points[i - 1].bytes);
  const double usual = Median(changes);
  std::vector<double> deviations;
  for (const double change : changes) deviations.push_back(std::abs(change - usual));
  const double step =
      std::max(kCleanupOfDisk * size_bytes, usual + kCleanupScatters * kScatterOfMad * Median(deviations));
  Teeth teeth;
  teeth.without_steps.push_back(points.front());
  double cleaned_bytes = 0;
  bool rising = false;
  for (std::size_t i = 1; i < points.size(); ++i) {
    if (changes[i - 1] > step) {
      cleaned_bytes += changes[i - 1] - std::min(usual, 0.0);
      if (!rising) {
        teeth.low.push_back(points[i - 1]);
        teeth.cleaned.push_back(points[i].t_s);
      }
    }
    rising = changes[i - 1] > step;
    teeth.without_steps.push_back({points[i].t_s, points[i].bytes - cleaned_bytes});
  }
  return teeth;
}

bool CleanupRecurs(const Teeth& teeth, double now) {
  if (teeth.cleaned.size() < 2) return false;
  double longest = 0;
  for (std::size_t i = 1; i < teeth.cleaned.size(); ++i) {
    longest = std::max(longest, teeth.cleaned[i] - teeth.cleaned[i - 1]);
  }
  return now - teeth.cleaned.back() <= kOverdue * longest;
}

}  // namespace

DiskHistory::DiskHistory(const std::filesystem::path& state_directory) : file_(state_directory / "disk_history.json") {
  try {
    if (!Exists(file_)) return;
    const auto json = nlohmann::json::parse(RealOs().ReadFile(file_));
    std::vector<DiskHour> hours;
    for (const auto& each : json.at("hours")) {
      hours.push_back({each.at(0).get<std::int64_t>(), each.at(1).get<double>()});
    }
    size_bytes_ = json.at("size_bytes").get<double>();
    std::sort(hours.begin(), hours.end(), [](const DiskHour& a, const DiskHour& b) { return a.hour < b.hour; });
    hours_ = std::move(hours);
  } catch (const std::exception&) {
    size_bytes_ = 0;  // damaged: it begins anew
  }
}

void DiskHistory::Add(double unix_s, const DiskSpace& space) {
  const auto size = static_cast<double>(space.total_bytes), free = static_cast<double>(space.free_bytes);
  if (std::abs(size - size_bytes_) > kOtherDisk * size) hours_.clear();
  size_bytes_ = size;
  const std::int64_t hour = HourOf(unix_s);
  std::erase_if(hours_, [&](const DiskHour& each) { return each.hour <= hour - kKeptHours || each.hour > hour; });
  if (hours_.empty() || hours_.back().hour < hour) hours_.push_back({hour, free});
  hours_.back().least_free_bytes = std::min(hours_.back().least_free_bytes, free);
}

void DiskHistory::Save(Os& os) const {
  auto hours = nlohmann::json::array();
  for (const DiskHour& each : hours_) hours.push_back({each.hour, std::llround(each.least_free_bytes)});
  const nlohmann::json json{{"size_bytes", std::llround(size_bytes_)}, {"hours", std::move(hours)}};
  WriteFileAtomically(os, file_, json.dump() + "\n");
}

std::optional<double> SecondsToCritical(const DiskHistory& history, double free_bytes, double critical_bytes,
                                        double now_unix_s) {
  const std::int64_t hour = HourOf(now_unix_s);
  std::vector<Point> points;
  for (const DiskHour& each : history.hours()) {
    if (each.hour <= hour - kKeptHours || each.hour > hour) continue;
    points.push_back({static_cast<double>(each.hour) * kSecondsPerHour, each.least_free_bytes});
  }
  if (points.size() < kLeastHours || points.back().t_s < now_unix_s - 2 * kSecondsPerHour) return std::nullopt;
  const Teeth teeth = FindTeeth(points, history.size_bytes());
  if (CleanupRecurs(teeth, now_unix_s)) {
    const auto fall = Fall(teeth.low);
    if (!fall) return std::nullopt;
    std::vector<double> at_0;
    for (const Point& each : teeth.low) at_0.push_back(each.bytes - *fall * each.t_s);
    return std::max(0.0, (Median(std::move(at_0)) + *fall * now_unix_s - critical_bytes) / -*fall);
  }
  const std::vector<Point>& all = teeth.without_steps;
  const auto of_last = std::find_if(all.begin(), all.end(), [&](const Point& each) {
    return each.t_s > now_unix_s - static_cast<double>(kLastHours) * kSecondsPerHour;
  });
  std::optional<double> fall = Fall(all);
  if (all.end() - of_last >= kLeastHours) {
    const auto last = Fall({of_last, all.end()});
    if (last && (!fall || *last < *fall)) fall = last;
  }
  if (!fall) return std::nullopt;
  return std::max(0.0, (free_bytes - critical_bytes) / -*fall);
}

}  // namespace contimg::ops
