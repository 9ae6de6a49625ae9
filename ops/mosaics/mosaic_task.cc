#include "ops/mosaics/mosaic_task.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <map>
#include <utility>

#include "config/error.h"
#include "config/time.h"
#include "state/group_store.h"

namespace contimg::ops {
namespace {

using nlohmann::json;
using state::WorkState;

constexpr std::string_view kDeepPrefix = "deep_", kVersionMark = "_v";
constexpr int kMostVersions = 1000;
constexpr double kWindowMarginDays = 0.6;  // the longest window is half a day

double MjdOf(const std::string& stamp) { return UtcTime::FromIso8601(stamp).mjd(); }

}  // namespace

MosaicSubject ParseMosaicSubject(std::string_view text) {
  MosaicSubject subject;
  std::string_view rest = text;
  if (rest.substr(0, kDeepPrefix.size()) == kDeepPrefix) {
    subject.deep = true;
    rest.remove_prefix(kDeepPrefix.size());
  }
  if (const std::size_t mark = rest.rfind(kVersionMark); mark != std::string_view::npos) {
    const std::string_view digits = rest.substr(mark + kVersionMark.size());
    if (!digits.empty() && std::all_of(digits.begin(), digits.end(), [](unsigned char c) { return std::isdigit(c); })) {
      rest = rest.substr(0, mark);
    }
  }
  auto span = ParseMosaicName(rest);
  if (!span) {
    throw Error(ErrorKind::kBadInput, "mosaic", std::string(text),
                "is no mosaic: expected START_END_DEC, as 2025-10-13T13:28:03_2025-10-13T14:30:46_+16.1");
  }
  subject.span = std::move(*span);
  return subject;
}

json DescribeMosaicTask(std::string_view subject, const Settings& settings) {
  return {{"subject", subject}, {"settings", AsOverrides(settings)}};
}

std::optional<double> AskedAt(state::TaskStore& tasks, std::string_view subject) {
  std::optional<double> at;
  for (const state::EventRow& event : tasks.Events(fmt::format("{}/{}", kMosaicTask, subject))) {
    const bool retry =
        event.from_state == ToString(WorkState::kRunning) || event.from_state == ToString(WorkState::kFailed);
    if (event.to_state == ToString(WorkState::kReady) && !retry) at = event.at;
  }
  return at;
}

bool IsWantedAgain(const state::TaskRow& given_up, double news_at) {
  if (given_up.state != WorkState::kDead) return false;
  // What comes during an attempt it may have seen or not.
  const bool at_work = given_up.finished_at >= given_up.updated_at;
  return news_at > (at_work ? given_up.started_at : given_up.updated_at);
}

std::optional<std::string> AskForMosaic(state::TaskStore& tasks, const WantedMosaic& wanted, double now) {
  const std::string stem = wanted.deep ? std::string(kDeepPrefix) + wanted.name : wanted.name;
  for (int version = 1; version < kMostVersions; ++version) {
    const std::string subject = version == 1 ? stem : fmt::format("{}{}{}", stem, kVersionMark, version);
    const auto known = tasks.Find(fmt::format("{}/{}", kMosaicTask, subject));
    if (!known) return tasks.Create(kMosaicTask, subject, "daemon", wanted.why, now).id;
    if (IsWantedAgain(*known, wanted.news_at)) {
      state::TransitionDetails details;
      details.actor = "daemon";
      details.detail = "something of it came since it was given up: " + wanted.why;
      details.reset_attempts = true;
      tasks.Transition(known->id, WorkState::kReady, details, now);
      return known->id;
    }
    if (known->state != WorkState::kDone || wanted.deep) return std::nullopt;  // a day's passage is co-added once
  }
  return std::nullopt;
}

MosaicFacts FactsAbout(state::ProductStore& products, state::GroupStore* groups, double from_mjd, double to_mjd,
                       double now) {
  MosaicFacts facts;
  facts.now = now;
  facts.tiles = TilesOnRecord(products, from_mjd - kWindowMarginDays, to_mjd + kWindowMarginDays);
  if (facts.tiles.empty()) return facts;
  state::GroupQuery query;
  query.states = {WorkState::kCollecting, WorkState::kReady, WorkState::kRunning, WorkState::kFailed};
  for (const state::GroupRow& row : groups ? groups->List(query) : std::vector<state::GroupRow>()) {
    if (row.data_start_mjd <= 0 && !IsTimestamp(row.id)) continue;
    const double start = row.data_start_mjd > 0 ? row.data_start_mjd : MjdOf(row.id);
    const double end = row.data_end_mjd > 0 ? row.data_end_mjd : start + kTileS / kSecondsPerDay;
    facts.on_the_way_mjd.push_back((start + end) / 2);
  }
  state::MosaicStore store(products.database());
  state::MosaicQuery made;
  made.kind = "hourly";
  made.from_mjd = facts.tiles.front().mjd - kWindowMarginDays;
  made.before_mjd = facts.tiles.back().mjd + kWindowMarginDays;
  for (state::MosaicRow& row : store.List(made)) {
    auto tiles = store.Tiles(row.id);
    facts.made.emplace_back(std::move(row), std::move(tiles));
  }
  return facts;
}

MosaicWork FindMosaicWork(const ProductPaths& paths, const MosaicSettings& settings, double from_mjd, double to_mjd,
                          double now) {
  MosaicWork found;
  state::ProductStore products(paths.Database(StateDatabase::kProducts));
  state::GroupStore groups(paths.Database(StateDatabase::kIngest));
  const MosaicFacts facts = FactsAbout(products, &groups, from_mjd, to_mjd, now);
  for (const TileOnRecord& tile : facts.tiles) {
    const bool asked = tile.mjd >= from_mjd && tile.mjd < to_mjd;
    if (asked && tile.recorded_at > now - kSecondsPerHour) found.recent_mjd.push_back(tile.mjd);
  }
  for (DueMosaic& due : DueMosaics(facts, settings)) {
    // Of the margin others know better what is on the way.
    if (due.window.end_mjd >= from_mjd && due.window.start_mjd <= to_mjd) {
      found.wanted.push_back({false, due.window.name, std::move(due.why), due.news_at});
    }
  }
  if (settings.deep_days == 0) return found;
  state::MosaicStore store(products.database());
  std::vector<const state::MosaicRow*> newest;   // of each window
  for (const auto& [row, tiles] : facts.made) {  // newest first
    if (row.state == "open") continue;
    const bool known = std::any_of(newest.begin(), newest.end(), [&row = row](const state::MosaicRow* other) {
      return state::SameWindow(row.strip_deg, row.lst_start_h, other->strip_deg, other->lst_start_h);
    });
    if (!known) newest.push_back(&row);
  }
  for (const state::MosaicRow* row : newest) {
    state::MosaicQuery same;
    same.kind = "hourly";
    same.strip_deg = row->strip_deg;
    same.lst_start_h = row->lst_start_h;
    same.from_mjd = row->start_mjd - static_cast<double>(settings.deep_days) - kDeepLookBackDays;
    std::vector<state::MosaicRow> passages = store.List(same);  // newest first
    // Tiles of an hour of which no mosaic could be made may do for one of many.
    std::erase_if(passages, [](const state::MosaicRow& passage) { return passage.state == "open"; });
    const bool any_made = std::any_of(passages.begin(), passages.end(),
                                      [](const state::MosaicRow& passage) { return passage.state == "closed"; });
    if (any_made && passages.size() >= 2 && passages.front().name == row->name) {
      found.wanted.push_back({true, row->name, "another day went through its window", row->updated_at});
    }
  }
  return found;
}

}  // namespace contimg::ops
