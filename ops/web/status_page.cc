#include "ops/web/status_page.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "calibrate/sky_model.h"
#include "config/product_paths.h"
#include "config/robust_statistics.h"
#include "config/telescope.h"
#include "config/time.h"
#include "ops/base/shell_word.h"
#include "ops/base/words.h"
#include "ops/web/figures.h"
#include "ops/web/needs_a_hand.h"
#include "ops/web/page.h"
#include "ops/web/tile_quality.h"
#include "ops/web/time_chart.h"

namespace contimg::ops {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;
using state::GroupRow;
using state::GroupState;

// The longest that a group's mark stands for: a tile, and the second to which stamps are rounded.
constexpr double kTileS = static_cast<int>(kDsa110IntegrationsPerFile * kDsa110IntegrationS) + 1;
constexpr std::size_t kPicturesShown = 12;
constexpr int kMarksShown = 3000;

struct Span {
  const char* word;
  const char* name;
  double hours;
  int bin_characters;  // of ids; 0: one mark a group
  double bin_s;
};
constexpr std::array<Span, 5> kSpans{{{"1h", "1 hour", 1, 0, 0},
                                      {"6h", "6 hours", 6, 0, 0},
                                      {"24h", "24 hours", 24, 0, 0},
                                      {"7d", "7 days", 7 * 24, 13, 3600},
                                      {"30d", "30 days", 30 * 24, 13, 3600}}};
constexpr const Span& kDay = kSpans[2];

// The span that was asked for; without a wish the smallest that shows all groups of the last day of data.
const Span& ChosenSpan(const HttpRequest& request, PipelineView& view, double newest) {
  const auto word = request.query.find("span");
  if (word != request.query.end()) {
    for (const Span& span : kSpans) {
      if (word->second == span.word) return span;
    }
    throw Error(ErrorKind::kUsage, "http", "span",
                fmt::format("expected 1h, 6h, 24h, 7d or 30d and found '{}'", word->second));
  }
  if (request.query.count("end") > 0 || newest <= 0) return kDay;
  try {
    const TimeAxis day = ChooseAxis(kDay.hours, newest, view.Now());
    state::GroupQuery oldest;
    oldest.id_from = UtcTime::FromUnix(day.from).Iso8601();
    oldest.newest_first = false;
    oldest.limit = 1;
    for (const GroupRow& row : view.Groups(oldest)) {
      const double start = StartOfId(row.id);
      for (const Span& span : kSpans) {
        if (start > 0 && start >= ChooseAxis(span.hours, newest, view.Now()).from) return span;
      }
    }
  } catch (const Error&) {
    // The parts of the page say what is wrong with the database.
  }
  return kDay;
}

// Lanes of the timeline: states that mean the same to an onlooker share one.
struct LaneOfStates {
  const char* name;
  const char* css_class;
  std::vector<GroupState> states;
  bool always;  // also when it is empty
};
const std::vector<LaneOfStates>& LanesOfStates() {
  static const std::vector<LaneOfStates> lanes{
      {"collecting", "collecting", {GroupState::kCollecting}, false},
      {"waiting", "ready", {GroupState::kReady}, false},
      {"running", "running", {GroupState::kRunning}, true},
      {"awaiting calibration", "awaiting_calibration", {GroupState::kAwaitingCalibration}, false},
      {"done", "done", {GroupState::kDone}, true},
      {"failed", "dead", {GroupState::kFailed, GroupState::kDead}, true},
      {"set aside", "held", {GroupState::kHeld, GroupState::kCancelled}, false},
  };
  return lanes;
}

std::string StatesQuery(const std::vector<GroupState>& states) {
  std::string words;
  for (const GroupState state : states) words += (words.empty() ? "" : ",") + std::string(ToString(state));
  return "?state=" + words;
}

double NewestData(PipelineView& view) {
  state::GroupQuery query;
  query.limit = 20;  // ids that are no timestamps may come first
  for (const GroupRow& row : view.Groups(query)) {
    if (const double start = StartOfId(row.id); start > 0) return start + kTileS;
  }
  return 0;
}

// --- the parts of the page -----------------------------------------------------------------------------------------

void DrawHealth(const HealthLine& health, const nlohmann::ordered_json& status, Html& html) {
  static constexpr std::array<const char*, 4> kClasses{"unknown", "good", "warning", "bad"};
  html.Add("<section class=\"health {}\" aria-label=\"Health\"><h1><i></i>{}</h1><p>{}</p>",
           kClasses[static_cast<std::size_t>(health.health)], health.verdict, health.detail);
  if (!health.findings.empty()) {
    html.Add("<ul>");
    for (const HealthFinding& finding : health.findings) {
      html.Add("<li class=\"{}\"><p>{}{}</p>", ToString(finding.severity), finding.sentence,
               finding.since > 0 ? MakeHtml(" <small>since {}</small>", TimeTag(finding.since)) : Html());
      if (!finding.cure.empty()) html.Add("{}", CommandLine(finding.cure));
      html.Add("</li>");
    }
    html.Add("</ul>");
  }
  if (const auto words = WordAt(json(status), {"calibration", "goes_on"}))
    html.Add("<p class=\"problem\">{}</p>", *words);
  html.Add("</section>\n");
}

std::string MarkTitle(const state::GroupMark& mark) {
  std::string title = fmt::format("{}: {}, {} of {} subbands", mark.id, StateWords(mark.state), mark.subbands_present,
                                  mark.subbands_expected);
  if (mark.state == GroupState::kDone && mark.finished_at > mark.started_at) {
    title += ", in " + Duration(mark.finished_at - mark.started_at);
  }
  return title;
}

std::vector<LaneBar> GroupBars(const std::vector<state::GroupMark>& marks, const LaneOfStates& lane) {
  std::vector<LaneBar> bars;
  for (std::size_t i = 0; i < marks.size(); ++i) {
    const state::GroupMark& mark = marks[i];
    if (std::find(lane.states.begin(), lane.states.end(), mark.state) == lane.states.end()) continue;
    const double start = StartOfId(mark.id);
    if (!(start > 0)) continue;
    double length = kTileS;
    if (i + 1 < marks.size()) {
      const double next = StartOfId(marks[i + 1].id);
      if (next > start) length = std::clamp(next - start, 20.0, kTileS);
    }
    bars.push_back(
        {start, start + length, std::string(ToString(mark.state)), MarkTitle(mark), GroupAddress(mark.id), 1});
  }
  return bars;
}

std::vector<LaneBar> CountBars(const std::vector<state::GroupBin>& bins, const LaneOfStates& lane, double bin_s) {
  std::map<std::pair<double, GroupState>, std::int64_t> counts;
  std::int64_t most = 1;
  for (const state::GroupBin& bin : bins) {
    if (std::find(lane.states.begin(), lane.states.end(), bin.state) == lane.states.end()) continue;
    const double start = StartOfId(bin.bin + std::string(":00:00"));
    if (start > 0) most = std::max(most, counts[{start, bin.state}] += bin.count);
  }
  std::vector<LaneBar> bars;
  for (const auto& [key, count] : counts) {
    const auto& [start, state] = key;
    const std::string from = UtcTime::FromUnix(start).Iso8601(), before = UtcTime::FromUnix(start + bin_s).Iso8601();
    bars.push_back({start, start + bin_s, std::string(ToString(state)),
                    fmt::format("{} to {}: {} {}", Stamp(start), before.substr(11, 5), count, StateWords(state)),
                    fmt::format("/groups?state={}&from={}&before={}", ToString(state), from, before),
                    0.35 + 0.65 * static_cast<double>(count) / static_cast<double>(most)});
  }
  return bars;
}

void DrawSpanLinks(const Span& chosen, const TimeAxis& axis, bool fixed_end, Html& html) {
  html.Add("<nav class=\"spans\" aria-label=\"Time range\">");
  const double span_s = chosen.hours * kSecondsPerHour;
  const auto stamp = [&](double at) { return UtcTime::FromUnix(at).Iso8601(); };
  // Steps of a whole span; another span keeps the end of the axis.
  html.Add("<a href=\"/?span={}&amp;end={}\" aria-label=\"earlier\">‹</a>", chosen.word,
           stamp(axis.from + 0.08 * span_s));
  const std::string end = fixed_end ? "&end=" + stamp(axis.to) : "";
  for (const Span& span : kSpans) {
    html.Append(span.word == std::string_view(chosen.word)
                    ? MakeHtml("<a href=\"/?span={}{}\" aria-current=\"true\">{}</a>", span.word, end, span.name)
                    : MakeHtml("<a href=\"/?span={}{}\">{}</a>", span.word, end, span.name));
  }
  if (fixed_end) {
    html.Add("<a href=\"/?span={}&amp;end={}\" aria-label=\"later\">›</a><a href=\"/?span={}\">newest</a>", chosen.word,
             stamp(axis.to + 0.92 * span_s), chosen.word);
  }
  html.Add("</nav>");
}

// Groups that were done within the axis: how many, how fast.
std::string ThroughputSentence(const std::vector<state::GroupMark>& marks) {
  std::vector<double> seconds;
  for (const state::GroupMark& mark : marks) {
    if (mark.state == GroupState::kDone && mark.finished_at > mark.started_at && mark.started_at > 0) {
      seconds.push_back(mark.finished_at - mark.started_at);
    }
  }
  if (seconds.empty()) return "";
  return fmt::format("a tile takes {} (median of {})", Duration(Median(seconds)),
                     Count(static_cast<std::int64_t>(seconds.size())));
}

void DrawTimeline(PipelineView& view, const Span& span, const TimeAxis& axis, bool fixed_end, Html& html) {
  const std::string from = UtcTime::FromUnix(axis.from).Iso8601(), before = UtcTime::FromUnix(axis.to).Iso8601();
  std::vector<state::GroupMark> marks;
  std::vector<state::GroupBin> bins;
  if (span.bin_characters == 0) {
    marks = view.Marks(from, before, kMarksShown);
  } else {
    bins = view.Bins(from, before, span.bin_characters);
  }
  std::map<GroupState, std::int64_t> counts;
  for (const state::GroupMark& mark : marks) ++counts[mark.state];
  for (const state::GroupBin& bin : bins) counts[bin.state] += bin.count;
  std::vector<Lane> lanes;
  for (const LaneOfStates& states : LanesOfStates()) {
    Lane lane;
    lane.name = states.name;
    lane.css_class = states.css_class;
    std::int64_t count = 0;
    for (const GroupState state : states.states) count += counts[state];
    if (count == 0 && !states.always) continue;
    lane.note = Count(count);
    lane.address = "/groups" + StatesQuery(states.states);
    lane.bars = span.bin_characters == 0 ? GroupBars(marks, states) : CountBars(bins, states, span.bin_s);
    lanes.push_back(std::move(lane));
  }
  html.Add(
      "<section class=\"wide\" aria-labelledby=\"groups\"><div class=\"head\"><h2 id=\"groups\">Groups</h2><p>{}</p>",
      ThroughputSentence(marks));
  DrawSpanLinks(span, axis, fixed_end, html);
  html.Add("</div>{}</section>\n", DrawLanes(axis, lanes, "Groups over time by state"));
}

std::string ValidityNote(const std::vector<const state::CalTableRow*>& tables, double reference) {
  double valid_to = 0, latest = 0;
  for (const state::CalTableRow* table : tables) {
    if (table->status != "active") continue;
    const double from = UtcTime::FromMjd(table->valid_from_mjd).unix_s(),
                 to = UtcTime::FromMjd(table->valid_to_mjd).unix_s();
    latest = std::max(latest, to);
    if (from <= reference && reference < to) valid_to = std::max(valid_to, to);
  }
  if (valid_to > 0) return Duration(valid_to - reference) + " left";
  if (latest == 0) return "none active";
  return latest <= reference ? "ended " + Ago(reference - latest) : "none now";
}

void DrawCalibration(PipelineView& view, const TimeAxis& axis, double reference, Html& html) {
  state::CalTableQuery query;
  query.from_mjd = UtcTime::FromUnix(axis.from).mjd();
  query.before_mjd = UtcTime::FromUnix(axis.to).mjd();
  const std::vector<state::CalTableRow> tables = view.Tables(query);
  struct Family {
    const char *kind, *interval, *name;
  };
  static constexpr std::array<Family, 4> kFamilies{{{"K", "24h", "delays K"},
                                                    {"BP", "24h", "bandpass B"},
                                                    {"G", "24h", "gains G, daily"},
                                                    {"G", "1h", "gains G, hourly"}}};
  std::vector<Lane> lanes;
  for (const Family& family : kFamilies) {
    Lane lane;
    lane.name = family.name;
    std::vector<const state::CalTableRow*> rows;
    for (const state::CalTableRow& table : tables) {
      if (table.kind == family.kind && table.interval == family.interval) rows.push_back(&table);
    }
    for (const state::CalTableRow* table : rows) {
      LaneBar bar;
      bar.from = UtcTime::FromMjd(table->valid_from_mjd).unix_s();
      bar.to = UtcTime::FromMjd(table->valid_to_mjd).unix_s();
      bar.css_class = "table " + table->status;
      bar.title = fmt::format("{} of {}, {}, {} to {}{}{}", table->kind, table->source_group, table->status,
                              StampOfMjd(table->valid_from_mjd), StampOfMjd(table->valid_to_mjd),
                              table->model.empty() ? "" : ", model " + table->model,
                              table->reason.empty() ? "" : ": " + table->reason);
      if (!table->source_group.empty()) bar.address = GroupAddress(table->source_group);
      lane.bars.push_back(std::move(bar));
    }
    lane.note = ValidityNote(rows, reference);
    lanes.push_back(std::move(lane));
  }
  html.Add("<section class=\"validity\" aria-labelledby=\"calibration\"><h2 id=\"calibration\">Calibration</h2>{}",
           DrawLanes(axis, lanes, "Validity of calibration tables over time"));
  html.Add(
      "<p class=\"legend\"><span><i class=\"mark active\"></i>active</span><span><i class=\"mark "
      "retired\"></i>retired</span>"
      "<span><i class=\"mark failed-table\"></i>refused by the quality gate</span></p></section>\n");
}

void DrawPictures(PipelineView& view, Html& html) {
  html.Add(
      "<section class=\"images\" aria-labelledby=\"images\"><div class=\"head\"><h2 id=\"images\">Latest "
      "images</h2></div>");
  state::ProductQuery query;
  query.kind = ToString(ProductKind::kQaPicture);
  query.limit = static_cast<int>(kPicturesShown);
  const std::vector<state::ProductRow> pictures = view.Products(query);
  if (pictures.empty()) {
    html.Add(
        "<p class=\"empty\">No image yet. The first one appears here when a group has been calibrated and "
        "imaged.</p></section>\n");
    return;
  }
  html.Add("<ul class=\"cards\">\n");
  for (const state::ProductRow& picture : pictures) {
    state::ProductQuery siblings;
    siblings.group_id = picture.group_id;
    const TileQuality quality = QualityOf(view.Products(siblings));
    const std::string address =
        picture.status == "present" ? PictureAddress("/thumbnails/", view, picture) : std::string();
    html.Add("<li class=\"card\"><a href=\"{}\">", GroupAddress(picture.group_id));
    if (address.empty()) {
      html.Add("<span class=\"nopicture\">picture {}</span>",
               picture.status == "present" ? "elsewhere" : picture.status);
    } else {
      html.Add("<img src=\"{}\" alt=\"Sky of {}\" width=\"400\" height=\"400\" loading=\"lazy\" decoding=\"async\">",
               address, picture.group_id);
    }
    html.Add("<span class=\"when\">{}</span></a>{}<dl>", picture.group_id, GradeBadge(quality.grade));
    if (const auto row = view.FindGroup(picture.group_id); row && IsUncalibrated(view, *row)) {
      html.Add("<div><dt>calibration</dt><dd>none</dd></div>");
    }
    if (quality.rms_jy) html.Add("<div><dt>rms</dt><dd>{}</dd></div>", Flux(*quality.rms_jy));
    if (quality.rms_over_thermal) {
      html.Add("<div><dt>× thermal</dt><dd>{:.2f}</dd></div>", *quality.rms_over_thermal);
    }
    if (quality.dynamic_range) html.Add("<div><dt>dynamic range</dt><dd>{:.0f}</dd></div>", *quality.dynamic_range);
    if (quality.flux_ratio && quality.matched.value_or(0) > 0) {
      html.Add("<div><dt>flux / catalogue</dt><dd>{:.3f}</dd></div>", *quality.flux_ratio);
    }
    html.Add("</dl></li>\n");
  }
  html.Add("</ul></section>\n");
}

void DrawRunning(const ordered_json& status, Html& html) {
  html.Add("<section class=\"work\" aria-labelledby=\"running\"><h2 id=\"running\">At work</h2>");
  const auto jobs = status.find("jobs");
  if (jobs == status.end() || !jobs->is_array() || jobs->empty()) {
    html.Add("<p class=\"empty\">No worker is running.</p></section>\n");
    return;
  }
  for (const json job : *jobs) {
    const auto group = WordAt(job, {"group"});
    const std::string name = group ? *group : WordAt(job, {"job"}).value_or("?");
    const double fraction = std::clamp(FigureAt(job, {"fraction"}).value_or(0), 0.0, 1.0);
    const std::string stage = WordAt(job, {"stage"}).value_or("");
    html.Add(
        "<div class=\"job\">{}<span>{}</span><progress max=\"1\" value=\"{:.3f}\" aria-label=\"progress of {}\">{:.0f} "
        "%"
        "</progress><small>{}, {}</small></div>\n",
        group ? GroupLink(name) : MakeHtml("<b>{}</b>", name), stage.empty() ? "starting" : stage, fraction, name,
        100 * fraction, Duration(FigureAt(job, {"running_s"}).value_or(0)),
        Bytes(FigureAt(job, {"memory_bytes"}).value_or(0)));
  }
  html.Add("</section>\n");
}

void DrawDisks(const ordered_json& status, Html& html) {
  html.Add("<section class=\"disks\" aria-labelledby=\"disk\"><h2 id=\"disk\">Disk</h2>");
  const json document = status;
  for (const char* name : {"scratch", "state", "staging"}) {
    const auto free = FigureAt(document, {"disks", name, "free_bytes"}),
               total = FigureAt(document, {"disks", name, "total_bytes"});
    if (!free || !total || *total <= 0) continue;
    const double used = std::clamp(1 - *free / *total, 0.0, 1.0);
    html.Add(
        "<div class=\"disk\"><span>{}</span><meter min=\"0\" max=\"1\" low=\"0.85\" high=\"0.95\" optimum=\"0\" "
        "value=\"{:.4f}\">"
        "{:.0f} % used</meter><small>{} free of {}</small></div>\n",
        name, used, 100 * used, Bytes(*free), Bytes(*total));
  }
  if (const auto found = document.find("directories");
      found != document.end() && found->is_object() && !found->empty()) {
    html.Add(
        "<table class=\"rows\"><thead><tr><th>directory</th><th>size</th><th>growth a day</th></tr></thead><tbody>");
    for (const auto& [name, size] : found->items()) {
      const double growth = FigureAt(size, {"growth_bytes_per_s"}).value_or(0) * kSecondsPerDay;
      const auto bytes = FigureAt(size, {"bytes"});
      html.Add("<tr><td>{}</td><td>{}</td><td>{}</td></tr>", name,
               bytes ? Bytes(*bytes) : std::string("being measured"),
               std::abs(growth) < 1e6 ? std::string("–") : Bytes(growth));
    }
    html.Add("</tbody></table>");
  }
  html.Add("</section>\n");
}

// A small tile about a flux standard: bright enough to be solved on at once, so that what follows is an image.
std::string SimulateCommand(const std::string& incoming) {
  const calibrate::FluxStandard& source = *calibrate::FindFluxStandard("3C286");
  const std::string place = fmt::format("{:.4f},{:.4f}", source.ra_deg, source.dec_deg);
  return fmt::format("contimg simulate --out {} --antennas 20 --channels 8 --transit {} --source {},15",
                     ShellWord(incoming), place, place);
}

void DrawNothingYet(PipelineView& view, Html& html) {
  const std::string incoming = view.paths().roots().input.string();
  html.Add(
      "<section class=\"wide welcome\"><h2>Waiting for the first files</h2><p>Subband files that appear in "
      "<code>{}</code>, "
      "named like <code>2025-10-13T13:28:03_sb00.hdf5</code>, are grouped and processed. To see it work without a "
      "telescope:</p>{}</section>\n",
      incoming, CommandLine(SimulateCommand(incoming)));
}

}  // namespace

HttpResponse StatusPage(const HttpRequest& request, PipelineView& view) {
  const auto status = view.Status();
  Page page;
  page.current = "/";
  page.refreshes = true;
  const HealthLine health = DescribeHealth(*status, view.Now());
  page.title = health.verdict;
  DrawHealth(health, *status, page.body);

  double newest = 0;
  DrawSection(page.body, [&](Html&) { newest = NewestData(view); });
  const Span& span = ChosenSpan(request, view, newest);
  TimeAxis axis = ChooseAxis(span.hours, newest, view.Now());
  const auto end = request.query.find("end");
  if (end != request.query.end()) {
    const double shift = UtcTime::FromPerson("end", end->second).unix_s() - axis.to;
    axis.from += shift;
    axis.to += shift;
    axis.now = view.Now();
  }
  const double reference =
      axis.now > axis.from && axis.now < axis.to ? axis.now : std::min(axis.to, std::max(newest, axis.from));

  page.body.Add("<div class=\"columns\"><div class=\"main\">\n");
  state::GroupQuery any;
  any.limit = 1;
  DrawSection(page.body, [&](Html& html) {
    if (view.Groups(any).empty()) DrawNothingYet(view, html);
  });
  DrawSection(page.body, [&](Html& html) { DrawTimeline(view, span, axis, end != request.query.end(), html); });
  DrawSection(page.body, [&](Html& html) { DrawCalibration(view, axis, reference, html); });
  DrawSection(page.body, [&](Html& html) { DrawPictures(view, html); });
  page.body.Add("</div><div class=\"side\">\n");
  DrawSection(page.body, [&](Html& html) { DrawRunning(*status, html); });
  DrawSection(page.body, [&](Html& html) { DrawNeedsAHand(view, *status, html); });
  DrawSection(page.body, [&](Html& html) { DrawDisks(*status, html); });
  page.body.Add("</div></div>\n");
  return RenderPage(page, view);
}

}  // namespace contimg::ops
