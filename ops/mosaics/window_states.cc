#include "ops/mosaics/window_states.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "config/product_kind.h"
#include "config/text.h"
#include "config/time.h"
#include "ops/mosaics/mosaic_task.h"
#include "state/task_store.h"

namespace contimg::ops {
namespace {

using state::MosaicRow;
using state::TaskRow;
using state::WorkState;

// In the order in which they are counted.
constexpr std::array<std::pair<std::string_view, std::string_view>, 8> kSpoken{{{"made", "made"},
                                                                                {"failed", "failed"},
                                                                                {"held", "held"},
                                                                                {"making", "being made"},
                                                                                {"queued", "waits in the queue"},
                                                                                {"due", "due"},
                                                                                {"waiting", "waits for more"},
                                                                                {"alone", "of one tile"}}};

// The newest task of each passage, by the mosaic's name. Subjects begin with the time.
std::map<std::string, TaskRow> TasksOf(state::GroupStore& groups, double from_mjd, double to_mjd) {
  state::TaskQuery query;
  query.kind = kMosaicTask;
  query.subject_from = UtcTime::FromMjd(from_mjd - 1).Iso8601();
  query.subject_before = UtcTime::FromMjd(to_mjd + 1).Iso8601();
  std::map<std::string, TaskRow> tasks;
  for (TaskRow& task : state::TaskStore(groups.database()).List(query)) {  // newest first
    const MosaicSpan span = ParseMosaicSubject(task.subject).span;
    tasks.emplace(MosaicName(span.start, span.end, span.dec_deg), std::move(task));
  }
  return tasks;
}

std::pair<double, double> SpanOf(state::ProductStore& products, std::optional<double> from_mjd,
                                 std::optional<double> to_mjd) {
  if (from_mjd) return {*from_mjd, to_mjd.value_or(*from_mjd + 1)};
  if (to_mjd) return {*to_mjd - 1, *to_mjd};
  state::ProductQuery query;
  query.kind = ToString(ProductKind::kImage);
  query.limit = 1;
  const auto newest = products.List(query);
  const double end = newest.empty() ? 0 : newest.front().end_mjd;
  return {end - 1, end};
}

void Decide(const WindowWithTiles& known, const TaskRow* task, WindowState& window) {
  const bool made = known.made && known.made->version > 0;
  const auto is = [&](const char* state, std::string why) {
    window.state = state;
    window.why = std::move(why);
  };
  if (task != nullptr) {
    window.task = task->id;
    const std::string what = (made ? "its next version: " : "") + task->error;
    if (task->state == WorkState::kRunning) return is("making", "");
    if (task->state == WorkState::kReady) return is("queued", "");
    if (task->state == WorkState::kFailed) return is("queued", what);  // to be tried again
    if (task->state == WorkState::kDead && !IsWantedAgain(*task, known.news_at)) return is("failed", what);
    if (task->state == WorkState::kHeld) return is("held", what);
    if (task->state == WorkState::kCancelled) return is("held", "it was cancelled");
  }
  if (known.due) return is("due", known.why);
  if (made) return is("made", known.why);
  if (known.made && known.made->state == "failed") return is("failed", known.made->why);
  if (known.made) return is("making", "");
  is(known.tiles < 2 ? "alone" : "waiting", known.why);
}

}  // namespace

WindowsOfTime WindowStates(state::ProductStore& products, state::GroupStore* groups, const MosaicSettings& settings,
                           std::optional<double> from, std::optional<double> to, double now) {
  const auto [from_mjd, to_mjd] = SpanOf(products, from, to);
  std::vector<WindowWithTiles> known = WindowsWithTiles(FactsAbout(products, groups, from_mjd, to_mjd, now), settings);
  std::set<std::string> names;
  for (const WindowWithTiles& each : known) names.insert(each.window.name);
  // Of those whose tiles are gone from the disk there is the mosaic.
  state::MosaicQuery query;
  query.kind = "hourly";
  query.from_mjd = from_mjd;
  query.before_mjd = to_mjd;
  for (MosaicRow& row : state::MosaicStore(products.database()).List(query)) {
    if (names.count(row.name) > 0) continue;
    WindowWithTiles& each = known.emplace_back();
    each.window = WindowOf(row);
    each.made = std::move(row);
  }
  const auto tasks = groups != nullptr ? TasksOf(*groups, from_mjd, to_mjd) : std::map<std::string, TaskRow>();
  WindowsOfTime told{from_mjd, to_mjd, {}};
  std::vector<WindowState>& windows = told.windows;
  for (WindowWithTiles& each : known) {
    if (each.window.end_mjd <= from_mjd || each.window.start_mjd >= to_mjd) continue;
    const auto task = tasks.find(each.window.name);
    WindowState& window = windows.emplace_back();
    Decide(each, task != tasks.end() ? &task->second : nullptr, window);
    window.tiles = each.tiles;
    window.window = std::move(each.window);
    window.made = std::move(each.made);
  }
  std::stable_sort(windows.begin(), windows.end(),
                   [](const auto& a, const auto& b) { return a.window.name < b.window.name; });
  return told;
}

void KeepStrip(WindowsOfTime& windows, double strip_deg) {
  std::erase_if(windows.windows,
                [&](const WindowState& each) { return !state::SameStrip(each.window.strip_deg, strip_deg); });
}

std::string_view SpokenState(const WindowState& window) {
  const auto found =
      std::find_if(kSpoken.begin(), kSpoken.end(), [&](const auto& each) { return each.first == window.state; });
  return found != kSpoken.end() ? found->second : window.state;
}

std::string CountedStates(const std::vector<WindowState>& windows) {
  std::string text = Counted(static_cast<std::int64_t>(windows.size()), "window");
  const char* separator = ": ";
  for (const auto& [state, spoken] : kSpoken) {
    const auto n = std::count_if(windows.begin(), windows.end(),
                                 [&, name = state](const WindowState& window) { return window.state == name; });
    if (n == 0) continue;
    text += fmt::format("{}{} {}", separator, n, spoken);
    separator = ", ";
  }
  return text;
}

}  // namespace contimg::ops
