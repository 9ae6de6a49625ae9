#include "ops/daemon/mosaic_watch.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>
#include <vector>

#include "config/product_kind.h"
#include "config/time.h"
#include "ops/base/log.h"
#include "ops/mosaics/mosaic_task.h"

namespace contimg::ops {
namespace {

constexpr double kLookEveryS = 60, kRememberS = 7200, kFirstLookDays = 3, kAboutDays = 0.05;

}  // namespace

// What one stay in the background is asked for, and what it found.
struct MosaicWatch::Look {
  MosaicSettings settings;
  bool first = false;                            // also of what was recorded before the start
  std::vector<std::pair<double, double>> spans;  // MJD
  double unix_s = 0;
  MosaicWork work;

  void Run(const ProductPaths& paths) {
    if (first) {
      const auto newest = state::ProductStore(paths.Database(StateDatabase::kProducts)).NewestData();
      const auto image = newest.find(std::string(ToString(ProductKind::kImage)));
      if (image != newest.end()) spans = {{image->second - kFirstLookDays, image->second + 1}};
    }
    for (const auto& [from, to] : spans) {
      MosaicWork some = FindMosaicWork(paths, settings, from, to, unix_s);
      std::move(some.wanted.begin(), some.wanted.end(), std::back_inserter(work.wanted));
      work.recent_mjd.insert(work.recent_mjd.end(), some.recent_mjd.begin(), some.recent_mjd.end());
    }
  }
};

void MosaicWatch::Add(const std::string& group) {
  if (!settings_.mosaic.enabled) return;
  try {
    since_[UtcTime::FromIso8601(group).mjd()] = clock_.Steady();
    hurry_ = true;
  } catch (const Error&) {
    // A name that tells no time: the look by the clock finds what it has.
  }
}

void MosaicWatch::Tick() {
  const double steady = clock_.Steady();
  if (!settings_.mosaic.enabled || !idle() || (!hurry_ && steady < next_)) return;
  hurry_ = false;
  next_ = steady + kLookEveryS;
  const auto look = std::make_shared<Look>();
  look->settings = settings_.mosaic;
  look->unix_s = clock_.Unix();
  look->first = first_;
  std::erase_if(since_, [&](const auto& each) { return each.second < steady - kRememberS; });
  for (const auto& [mjd, at] : since_) {
    if (!look->spans.empty() && mjd - kAboutDays <= look->spans.back().second) {
      look->spans.back().second = std::max(look->spans.back().second, mjd + kAboutDays);
    } else {
      look->spans.emplace_back(mjd - kAboutDays, mjd + kAboutDays);
    }
  }
  background_.Run([look, paths = paths_] { look->Run(paths); },
                  [this, look](const std::exception_ptr& failure) { Ended(*look, failure); });
}

void MosaicWatch::Ended(const Look& look, const std::exception_ptr& failure) {
  if (failure) {
    try {
      std::rethrow_exception(failure);
    } catch (const std::exception& error) {
      LogNowAndThen(LogLevel::kWarning, fmt::format("mosaics that are due cannot be told now: {}", error.what()));
    }
    return;
  }
  first_ = false;
  for (const double mjd : look.work.recent_mjd) since_.emplace(mjd, clock_.Steady());
  if (look.work.wanted.empty()) return;
  writes_.Add("mosaics that are due", [work = look.work, now = clock_.Unix()](state::GroupStore& store) {
    state::TaskStore tasks(store.database());
    for (const WantedMosaic& each : work.wanted) AskForMosaic(tasks, each, now);
  });
}

}  // namespace contimg::ops
