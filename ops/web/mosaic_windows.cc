#include "ops/web/mosaic_windows.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "config/text.h"
#include "config/time.h"
#include "ops/base/shell_word.h"
#include "ops/base/words.h"
#include "ops/records/mosaic_words.h"
#include "ops/web/mosaic_pages.h"
#include "ops/web/page.h"
#include "ops/web/time_chart.h"

namespace contimg::ops {
namespace {

constexpr double kMostDaysShown = 3;
constexpr std::size_t kMissingShown = 20;

// The colour of a group's state that is as far.
const char* ColourOf(const WindowState& window) {
  static const std::map<std::string, const char*> colours{
      {"made", "done"},          {"making", "running"}, {"queued", "ready"}, {"due", "ready"},
      {"waiting", "collecting"}, {"held", "held"},      {"failed", "dead"},  {"alone", "cancelled"}};
  const auto found = colours.find(window.state);
  return found == colours.end() ? "cancelled" : found->second;
}

double UnixOf(double mjd) { return UtcTime::FromMjd(mjd).unix_s(); }

std::string StateInWords(const WindowState& window) {
  std::string text(SpokenState(window));
  if (window.state == "made") text += ", grade " + window.made->grade;
  return text;
}

// Where windows overlap, a bar is the part between the middles of the overlaps: bars do not hide each other.
LaneBar BarOf(const WindowState& window, double overlap_s) {
  LaneBar bar;
  bar.from = UnixOf(window.window.start_mjd) + overlap_s / 2;
  bar.to = UnixOf(window.window.end_mjd) - overlap_s / 2;
  bar.css_class = ColourOf(window);
  bar.title = fmt::format("{} to {}, sidereal time {} to {}: {}, {} on the disk{}", StampOfMjd(window.window.start_mjd),
                          StampOfMjd(window.window.end_mjd), LstWords(window.window.lst_start_h),
                          LstWords(window.window.lst_end_h), StateInWords(window),
                          Counted(static_cast<std::int64_t>(window.tiles), "tile"),
                          window.why.empty() ? "" : "; " + window.why);
  if (window.made) bar.address = MosaicAddress(window.window.name);
  return bar;
}

// By which two consecutive windows overlap, seconds: as the nearest two do; 0 where none do.
double OverlapOf(const std::vector<const WindowState*>& windows) {
  double step = 0, length = 0;
  for (std::size_t i = 0; i + 1 < windows.size(); ++i) {
    const double next = windows[i + 1]->window.start_mjd - windows[i]->window.start_mjd;
    if (next > 0 && (step == 0 || next < step)) {
      step = next;
      length = windows[i]->window.end_mjd - windows[i]->window.start_mjd;
    }
  }
  return std::max(0.0, length - step) * kSecondsPerDay;
}

std::vector<Lane> LanesOf(const std::vector<WindowState>& windows) {
  std::map<double, std::vector<const WindowState*>> strips;
  for (const WindowState& window : windows) strips[window.window.strip_deg].push_back(&window);
  std::vector<Lane> lanes;
  for (const auto& [strip, of_strip] : strips) {
    Lane& lane = lanes.emplace_back();
    lane.name = StripWords(strip);
    lane.address = fmt::format("/mosaics?strip={:.1f}", strip);
    const auto made =
        std::count_if(of_strip.begin(), of_strip.end(), [](const auto* each) { return each->state == "made"; });
    lane.note = fmt::format("{} of {} made", made, of_strip.size());
    const double overlap_s = OverlapOf(of_strip);
    for (const WindowState* window : of_strip) lane.bars.push_back(BarOf(*window, overlap_s));
  }
  return lanes;
}

void DrawLegend(const std::vector<WindowState>& windows, Html& html) {
  std::map<std::string, const WindowState*> seen;
  for (const WindowState& window : windows) seen.emplace(window.state, &window);
  html.Add("<p class=\"legend\">");
  for (const auto& [state, window] : seen) {
    html.Add("<span><i class=\"mark {}\"></i>{}</span>", ColourOf(*window), SpokenState(*window));
  }
  html.Add("</p>\n");
}

void DrawMissing(const std::vector<WindowState>& windows, Html& html) {
  std::vector<const WindowState*> missing;
  for (const WindowState& window : windows) {
    if (window.state != "made") missing.push_back(&window);
  }
  if (missing.empty()) return;
  std::reverse(missing.begin(), missing.end());  // as the list below
  const auto urgent = [](const WindowState* window) { return window->state == "failed" || window->state == "held"; };
  std::stable_partition(missing.begin(), missing.end(), urgent);
  html.Add(
      "<div class=\"scroll\"><table class=\"rows stacked\"><thead><tr><th>without a mosaic</th><th>declination</th>"
      "<th>sidereal time</th><th>tiles</th><th></th><th>why</th></tr></thead><tbody>\n");
  for (std::size_t i = 0; i < std::min(missing.size(), kMissingShown); ++i) {
    const WindowState& window = *missing[i];
    const std::string times =
        StampOfMjd(window.window.start_mjd) + " to " + StampOfMjd(window.window.end_mjd).substr(sizeof "2025-10-13");
    html.Add(
        "<tr><td>{}</td><td data-name=\"declination\">{}</td><td data-name=\"sidereal time\">{}–{}</td><td "
        "data-name=\"tiles\">{}</td><td><span class=\"badge {}\">{}</span></td><td class=\"why\">{}{}</td></tr>\n",
        window.made ? MakeHtml("<a class=\"id\" href=\"{}\">{}</a>", MosaicAddress(window.window.name), times)
                    : MakeHtml("{}", times),
        StripWords(window.window.strip_deg), LstWords(window.window.lst_start_h), LstWords(window.window.lst_end_h),
        window.tiles, ColourOf(window), SpokenState(window), window.why,
        urgent(&window) && !window.task.empty() ? CommandLine("contimg queue requeue " + ShellWord(window.task))
                                                : Html());
  }
  html.Add("</tbody></table></div>\n");
  if (missing.size() > kMissingShown) {
    html.Add("<p class=\"twin\">{} of {} without a mosaic.</p>\n", kMissingShown, missing.size());
  }
}

}  // namespace

void DrawMosaicWindows(PipelineView& view, std::optional<double> strip_deg, std::optional<double> from_mjd,
                       std::optional<double> before_mjd, Html& html) {
  if (from_mjd && before_mjd) from_mjd = std::max(*from_mjd, *before_mjd - kMostDaysShown);
  WindowsOfTime told = view.MosaicWindows(from_mjd, before_mjd);
  if (strip_deg) KeepStrip(told, *strip_deg);
  if (told.windows.empty()) return;
  TimeAxis axis;
  axis.from = UnixOf(told.from_mjd);
  axis.to = UnixOf(told.to_mjd);
  axis.now = view.Now();
  const auto day = [&](const char* words, const char* relation, double from) {
    const std::string strip = strip_deg ? fmt::format("&strip={:.1f}", *strip_deg) : std::string();
    html.Add("<a href=\"/mosaics?from={}&before={}{}\" rel=\"{}\">{}</a>", UtcTime::FromMjd(from).Iso8601(),
             UtcTime::FromMjd(from + 1).Iso8601(), strip, relation, words);
  };
  html.Add(
      "<section class=\"wide\" aria-labelledby=\"windows\"><div class=\"head\"><h2 id=\"windows\">Windows of "
      "sidereal time</h2><nav class=\"spans\" aria-label=\"Days\">");
  day("‹ day before", "prev", told.from_mjd - 1);
  if (from_mjd || before_mjd) day("day after ›", "next", told.to_mjd);
  html.Add("</nav></div><p class=\"lead\">{}.</p>{}", CountedStates(told.windows),
           DrawLanes(axis, LanesOf(told.windows), "Windows of sidereal time by strip"));
  DrawLegend(told.windows, html);
  DrawMissing(told.windows, html);
  html.Add("</section>\n");
}

}  // namespace contimg::ops
