// Mosaics as tasks of the queue. The subject of one says all: the passage, "<start>_<end>_<dec>", behind it "_v2" and
// so on when it is asked for again, before it "deep_" when the days up to this passage are to be co-added.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/product_paths.h"
#include "config/settings.h"
#include "ops/mosaics/due.h"
#include "state/group_store.h"
#include "state/product_store.h"
#include "state/task_store.h"

namespace contimg::ops {

inline constexpr std::string_view kMosaicTask = "mosaic";  // the kind
inline constexpr double kDeepLookBackDays = 30;            // days without tiles do not count, up to so many

struct MosaicSubject {
  bool deep = false;
  MosaicSpan span;
};
// Throws Error{kBadInput} for what is none.
MosaicSubject ParseMosaicSubject(std::string_view text);

// The work of a task: docs/formats/job.md. Done by ops/mosaicking/run_mosaic_task.h.
nlohmann::json DescribeMosaicTask(std::string_view subject, const Settings& settings);

// When a task was asked for (unix_s), by its trail: made, or requeued by an operator; retries are of the same order.
// Nothing for one that is not in the queue.
std::optional<double> AskedAt(state::TaskStore& tasks, std::string_view subject);

struct WantedMosaic {
  bool deep = false;
  std::string name;    // the passage, config/product_paths.h
  std::string why;     // for the trail
  double news_at = 0;  // unix_s: when something of it was last put on record
};
// Whether a task that was given up is asked for again by itself: something has come since its last attempt began, or
// since it was given up without one.
bool IsWantedAgain(const state::TaskRow& given_up, double news_at);
// A task for it, unless one is not done: waiting, at work, held, or given up with nothing new. Returns its id.
std::optional<std::string> AskForMosaic(state::TaskStore& tasks, const WantedMosaic& wanted, double now);

// What the databases tell of tiles with from ≤ mjd < to, and of a margin of a window before and behind.
MosaicFacts FactsAbout(state::ProductStore& products, state::GroupStore* groups, double from_mjd, double to_mjd,
                       double now);

// What the service is to ask for, as the databases tell now. `from_mjd`: only what has tiles since then.
struct MosaicWork {
  std::vector<WantedMosaic> wanted;
  std::vector<double> recent_mjd;  // tiles that were recorded within the last hour: more may be due soon
};
MosaicWork FindMosaicWork(const ProductPaths& paths, const MosaicSettings& settings, double from_mjd, double to_mjd,
                          double now);

}  // namespace contimg::ops
