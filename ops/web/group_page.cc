#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "config/time.h"
#include "ops/base/job_stages.h"
#include "ops/base/shell_word.h"
#include "ops/base/words.h"
#include "ops/web/figures.h"
#include "ops/web/group_pages.h"
#include "ops/web/group_sources.h"
#include "ops/web/lineage_tree.h"
#include "ops/web/map_page.h"
#include "ops/web/mosaic_pages.h"
#include "ops/web/page.h"
#include "ops/web/product_table.h"
#include "ops/web/quality_section.h"
#include "ops/web/tile_quality.h"

namespace contimg::ops {
namespace {

using nlohmann::json;
using state::GroupRow;
using state::GroupState;

constexpr int kEventsShown = 300;

std::string Sentence(const GroupRow& row, double now) {
  std::string text;
  if (row.data_start_mjd > 0 && row.data_end_mjd > row.data_start_mjd) {
    text = fmt::format("Data from {} to {} UTC. ", StampOfMjd(row.data_start_mjd),
                       StampOfMjd(row.data_end_mjd).substr(11));
  }
  const double took = row.finished_at - row.started_at;
  if (row.state == GroupState::kDone && row.started_at > 0 && took > 0) {
    text += fmt::format("Done {} in {}", Ago(now - row.finished_at), Duration(took));
    const double sky = (row.data_end_mjd - row.data_start_mjd) * kSecondsPerDay;
    if (row.data_start_mjd > 0 && sky > 0) text += fmt::format(", {:.1f} times as fast as the sky", sky / took);
    text += ". ";
  } else if (row.state == GroupState::kRunning) {
    text += fmt::format("Running for {}: {}, {:.0f} %. ", Duration(now - row.started_at),
                        row.stage.empty() ? "starting" : row.stage, 100 * row.progress);
  } else if (row.state == GroupState::kFailed && row.next_attempt_at > 0) {
    text += fmt::format("Tried again {}. ", Ago(now - row.next_attempt_at));
  }
  text += fmt::format("{} of {} subbands, {} {}.", row.subbands_present, row.subbands_expected, row.attempts,
                      row.attempts == 1 ? "attempt" : "attempts");
  return text;
}

void DrawNeighbours(PipelineView& view, const GroupRow& row, Html& html) {
  state::GroupQuery earlier, later;
  earlier.id_before = row.id;
  earlier.limit = 1;
  later.id_from = row.id;
  later.newest_first = false;
  later.limit = 2;
  html.Add("<nav class=\"spans\" aria-label=\"Neighbouring groups\">");
  for (const GroupRow& other : view.Groups(earlier)) {
    html.Add("<a href=\"{}\" rel=\"prev\">‹ earlier</a>", GroupAddress(other.id));
  }
  for (const GroupRow& other : view.Groups(later)) {
    if (other.id != row.id) html.Add("<a href=\"{}\" rel=\"next\">later ›</a>", GroupAddress(other.id));
  }
  html.Add("</nav>");
}

// Where the last output of a group that was given up lies, and how its job is repeated by hand.
void DrawLog(PipelineView& view, const GroupRow& row, Html& html) {
  if (row.state != GroupState::kDead || !IsTimestamp(row.id)) return;
  std::error_code ignored;
  const std::filesystem::path log = view.paths().FailedLog(row.id);
  if (std::filesystem::exists(log, ignored)) {
    html.Add("<p class=\"cure\">Its log:</p>{}", CommandLine("cat " + ShellWord(log.string())));
  }
  const std::filesystem::path job = view.paths().Jobs(row.id) / "job.json";
  if (std::filesystem::exists(job, ignored)) {
    html.Add("<p class=\"cure\">To repeat its job by hand:</p>{}",
             CommandLine("contimg worker " + ShellWord(job.string())));
  }
}

void DrawCause(PipelineView& view, const GroupRow& row, Html& html) {
  const Html cure = CureHtml(CureOf(row));
  if (row.error.empty() && cure.empty()) return;
  html.Add("<section class=\"wide cause {}\" aria-label=\"Cause\">", ToString(row.state));
  if (!row.error.empty()) {
    html.Add("<p>{}{}</p>",
             row.error_kind ? MakeHtml("<span class=\"kind\">{}</span> ", ToString(*row.error_kind)) : Html(),
             row.error);
  }
  html.Append(cure);
  DrawLog(view, row, html);
  html.Add("</section>\n");
}

void DrawPicture(const PipelineView& view, const TileQuality& quality, const GroupRow& row, Html& html) {
  if (!quality.picture) return;
  const std::string address = PictureAddress("/images/", view, *quality.picture);
  if (address.empty()) return;
  html.Add(
      // On a phone the sky alone, which can be read there; the figures are on the page as text.
      "<section class=\"wide picture\" aria-label=\"Picture\"><a href=\"{}\"><picture><source media=\"(max-width: "
      "40rem)\" srcset=\"{}\"><img src=\"{}\" "
      "alt=\"Quick look of {}: sky, point-spread function, uv coverage, flags and quality\"></picture></a></section>\n",
      address, PictureAddress("/thumbnails/", view, *quality.picture), address, row.id);
}

// Seconds per stage: numbers by name, or objects with "seconds".
void DrawStages(const GroupRow& row, Html& html) {
  const json timings = json::parse(row.timings_json, nullptr, false);
  if (!timings.is_structured() || timings.empty()) return;
  std::vector<std::pair<std::string, double>> stages;
  double total = 0;
  const auto add = [&](const std::string& name, const json& value) {
    double seconds = NAN;
    if (value.is_number()) seconds = value.get<double>();
    if (const auto inside = FigureAt(value, {"seconds"})) seconds = *inside;
    if (!std::isfinite(seconds) || seconds < 0) return;
    stages.emplace_back(name, seconds);
    total += seconds;
  };
  if (timings.is_object()) {
    for (const auto& [name, value] : timings.items()) add(name, value);
  } else {
    for (const json& value : timings) add(WordAt(value, {"name"}).value_or("?"), value);
  }
  if (stages.empty() || total <= 0) return;
  // JSON objects come sorted by name; the stages go in the order of the work, unknown ones last.
  std::stable_sort(stages.begin(), stages.end(),
                   [](const auto& a, const auto& b) { return StageRank(a.first) < StageRank(b.first); });
  html.Add("<section aria-labelledby=\"stages\"><h2 id=\"stages\">Stages</h2><table class=\"rows stages\"><tbody>\n");
  for (const auto& [name, seconds] : stages) {
    html.Add(
        "<tr><th scope=\"row\">{}</th><td>{}</td><td class=\"share\"><svg height=\"10\" aria-hidden=\"true\">"
        "<rect width=\"{:.2f}%\" height=\"10\" rx=\"2\"/></svg></td></tr>\n",
        name, Duration(seconds), 100 * seconds / total);
  }
  html.Add("<tr class=\"sum\"><th scope=\"row\">all</th><td>{}</td><td></td></tr></tbody></table></section>\n",
           Duration(total));
}

void DrawCalibration(PipelineView& view, const GroupRow& row, Html& html) {
  const std::vector<state::CalChoiceRow> choices = view.Choices(row.id);
  if (choices.empty()) return;
  html.Add(
      "<section aria-labelledby=\"calibration\"><h2 id=\"calibration\">Calibration</h2><div class=\"scroll\">"
      "<table class=\"rows stacked\"><thead><tr><th>kind</th><th>table</th><th>solved "
      "on</th><th>why</th></tr></thead><tbody>\n");
  for (std::size_t first = 0, end = 0; first < choices.size(); first = end) {
    const state::CalChoiceRow& choice = choices[first];
    std::optional<state::CalTableRow> table;
    if (choice.table_id) table = view.FindTable(*choice.table_id);
    // What holds for several kinds is said once.
    std::string kinds = choice.kind;
    for (end = first + 1;
         end < choices.size() && choices[end].table_id == choice.table_id && choices[end].reason == choice.reason;
         ++end) {
      kinds += ", " + choices[end].kind;
    }
    Html source;
    if (table) source = GroupLink(table->source_group);
    html.Add("<tr><td>{}</td><td>{}</td><td>{}</td><td class=\"why\">{}</td></tr>\n", kinds,
             table ? std::filesystem::path(table->path).filename().string() : std::string("none"), source,
             choice.reason);
  }
  html.Add("</tbody></table></div></section>\n");
}

void DrawFiles(PipelineView& view, const GroupRow& row, Html& html) {
  const std::vector<state::SubbandFileRow> files = view.Files(row.id);
  std::set<int> present;
  for (const state::SubbandFileRow& file : files) {
    if (file.status == "present") present.insert(file.subband);
  }
  html.Add(
      "<section aria-labelledby=\"subbands\"><h2 id=\"subbands\">Subbands</h2><ol class=\"subbands\" "
      "aria-label=\"Subbands that "
      "are there\">");
  int n = std::clamp(row.subbands_expected, 0, 100);
  if (!present.empty()) n = std::max(n, std::min(*present.rbegin() + 1, 100));
  for (int subband = 0; subband < n; ++subband) {
    const bool here = present.count(subband) > 0;
    html.Add("<li class=\"{}\"><span>{:02}</span><span class=\"unseen\"> {}</span></li>", here ? "here" : "missing",
             subband, here ? "present" : "missing");
  }
  html.Add("</ol>");
  if (!files.empty()) {
    html.Add(
        "<details id=\"files\"><summary>{} files</summary><div class=\"scroll\"><table "
        "class=\"rows stacked\"><thead><tr><th>subband</th>"
        "<th>status</th><th>size</th><th>seen</th><th>path</th></tr></thead><tbody>\n",
        files.size());
    for (const state::SubbandFileRow& file : files) {
      html.Add("<tr><td>{:02}</td><td>{}</td><td>{}</td><td>{}</td><td class=\"path\">{}</td></tr>\n", file.subband,
               file.status, Bytes(static_cast<double>(file.size_bytes)), TimeTag(file.seen_at), file.path);
    }
    html.Add("</tbody></table></div></details>");
  }
  html.Add("</section>\n");
}

// A job's folder is there until its group is done; afterwards its record serves, by way of a product of it.
std::string RepeatCommand(PipelineView& view, const GroupRow& row, const state::JobRow& job, bool newest) {
  if (row.state == GroupState::kRunning || !IsTimestamp(row.id)) return "";
  std::error_code ignored;
  if (row.state != GroupState::kDone) {
    const auto file = view.paths().Jobs(row.id) / "job.json";
    return newest && std::filesystem::exists(file, ignored) ? job.command : std::string();
  }
  state::ProductQuery query;
  query.group_id = row.id;
  for (const state::ProductRow& product : view.Products(query)) {
    if (product.job_id == job.id && product.kind == ToString(ProductKind::kImage))
      return fmt::format("contimg products reproduce {}", product.id);
  }
  return "";
}

void DrawJobs(PipelineView& view, const GroupRow& row, Html& html) {
  const std::vector<state::JobRow> jobs = view.Jobs(row.id);
  if (jobs.empty()) return;
  html.Add("<section class=\"wide\" aria-labelledby=\"jobs\"><h2 id=\"jobs\">Jobs</h2>");
  const state::JobRow* newest = &jobs.front();
  for (const state::JobRow& job : jobs) {
    if (job.id > newest->id) newest = &job;
  }
  for (const state::JobRow& job : jobs) {
    const bool ended = job.finished_at > job.started_at && job.started_at > 0;
    html.Add("<article class=\"jobrow\"><h3>{} {} <span class=\"kind\">{}</span></h3><p>{}{}{}{}</p>", job.kind, job.id,
             job.outcome.empty() ? "running" : job.outcome, TimeTag(job.started_at),
             ended ? ", " + Duration(job.finished_at - job.started_at) : std::string(),
             job.peak_memory_bytes > 0 ? ", at most " + Bytes(static_cast<double>(job.peak_memory_bytes)) + " of memory"
                                       : std::string(),
             fmt::format(", version {} on {}", job.program_version, job.host));
    if (!job.error.empty()) html.Add("<p class=\"problem\">{}</p>", job.error);
    const std::string command = RepeatCommand(view, row, job, &job == newest);
    if (!command.empty()) html.Add("<p class=\"cure\">To repeat it:</p>{}", CommandLine(command));
    const json report = json::parse(job.report_json, nullptr, false),
               settings = json::parse(job.settings_json, nullptr, false);
    if (report.is_structured() && !report.empty()) {
      html.Add("<details id=\"report-{}\"><summary>Report</summary>{}</details>", job.id, FigureTable(report));
    }
    if (settings.is_structured() && !settings.empty()) {
      html.Add("<details id=\"settings-{}\"><summary>Settings, hash {}</summary>{}</details>", job.id,
               job.settings_hash, FigureTable(settings));
    }
    html.Add("</article>\n");
  }
  html.Add("</section>\n");
}

void DrawEvents(PipelineView& view, const GroupRow& row, Html& html) {
  const std::vector<state::EventRow> events = view.Events(row.id, kEventsShown);
  html.Add(
      "<section class=\"wide\" aria-labelledby=\"events\"><h2 id=\"events\">Events</h2><div class=\"scroll\"><table "
      "class=\"rows stacked events\">"
      "<thead><tr><th>time</th><th>event</th><th>by</th><th>detail</th></tr></thead><tbody>\n");
  for (auto event = events.rbegin(); event != events.rend(); ++event) {
    const std::string what = event->to_state.empty()     ? event->kind
                             : event->from_state.empty() ? "→ " + event->to_state
                                                         : event->from_state + " → " + event->to_state;
    html.Add("<tr class=\"{}\"><td>{}</td><td>{}</td><td>{}</td><td class=\"cause\">{}</td></tr>\n",
             event->kind == "state" ? "state" : "other", TimeTag(event->at), what, event->actor, event->detail);
  }
  html.Add("</tbody></table></div>");
  if (events.size() == kEventsShown) {
    html.Add("<p>The newest {}. All: {}</p>", kEventsShown,
             CommandLine("contimg queue show --events 0 " + ShellWord(row.id)));
  }
  html.Add("</section>\n");
}

}  // namespace

HttpResponse GroupPage(const HttpRequest& request, PipelineView& view) {
  Page page;
  page.title = request.tail;
  const std::optional<GroupRow> row = view.FindGroup(request.tail);
  if (!row) {
    page.body.Add(
        "<h1>No such group</h1><p>There is no group <code>{}</code>. <a href=\"/groups\">All groups</a></p>\n",
        request.tail);
    return RenderPage(page, view, 404);
  }
  page.refreshes = row->state != GroupState::kDone && row->state != GroupState::kCancelled;
  Html& html = page.body;
  html.Add("<div class=\"head\"><h1 class=\"id\">{}</h1>{}", row->id, StateBadge(row->state));
  DrawSection(html, [&](Html& part) {
    if (IsUncalibrated(view, *row)) part.Add("<span class=\"kind\">uncalibrated</span>");
  });
  DrawSection(html, [&](Html& part) { DrawNeighbours(view, *row, part); });
  html.Add("</div>\n<p class=\"lead\">{}</p>\n", Sentence(*row, view.Now()));
  DrawSection(html, [&](Html& part) {
    const Html map = MapLink(view, row->id);
    if (!map.empty()) part.Add("<p class=\"lead\">{}</p>\n", map);
  });
  DrawCause(view, *row, html);
  std::vector<state::ProductRow> products;
  DrawSection(html, [&](Html&) {
    state::ProductQuery query;
    query.group_id = row->id;
    query.newest_first = false;
    products = view.Products(query);
  });
  const TileQuality quality = QualityOf(products);
  DrawPicture(view, quality, *row, html);
  DrawSection(html, [&](Html& part) { part.Append(DrawGroupSources(view, row->id, products, quality.picture)); });
  html.Add("<div class=\"flow\">\n");
  DrawQuality(quality, html);
  DrawStages(*row, html);
  DrawSection(html, [&](Html& part) { DrawCalibration(view, *row, part); });
  DrawSection(html, [&](Html& part) { DrawFiles(view, *row, part); });
  DrawSection(html, [&](Html& part) { DrawMosaicsOfGroup(view, row->id, part); });
  html.Add("</div>\n");
  DrawSection(html, [&](Html& part) {
    const Html tree = DrawLineage(view, products);
    if (!tree.empty()) {
      part.Add("<section class=\"wide\" aria-labelledby=\"lineage\"><h2 id=\"lineage\">Lineage</h2>{}</section>\n",
               tree);
    }
  });
  DrawSection(html, [&](Html& part) { DrawProducts(view, products, part); });
  DrawSection(html, [&](Html& part) { DrawJobs(view, *row, part); });
  DrawSection(html, [&](Html& part) { DrawEvents(view, *row, part); });
  html.Add("<p class=\"twin\"><a href=\"/api/v1/groups/{}\">this page as JSON</a></p>\n", UrlPart(row->id));
  return RenderPage(page, view);
}

}  // namespace contimg::ops
