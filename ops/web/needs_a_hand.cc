#include "ops/web/needs_a_hand.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <map>

#include "config/text.h"
#include "ops/base/words.h"
#include "ops/web/figures.h"
#include "ops/web/page.h"

namespace contimg::ops {
namespace {

using state::GroupRow;
using state::GroupState;

constexpr int kLookedAt = 500;           // groups of each state
constexpr std::size_t kCausesShown = 6;  // of each state
constexpr std::size_t kNamesShown = 8;   // of each cause

// The message without what differs from group to group: words with a digit or a slash in them.
std::string Signature(const GroupRow& row) {
  std::string signature = row.error_kind ? std::string(ToString(*row.error_kind)) : "";
  for (std::size_t at = 0; at < row.error.size();) {
    const std::size_t end = std::min(row.error.find(' ', at), row.error.size());
    const std::string_view word = std::string_view(row.error).substr(at, end - at);
    const bool varies =
        std::any_of(word.begin(), word.end(), [](char c) { return c == '/' || (c >= '0' && c <= '9'); });
    signature += varies ? " #" : " " + std::string(word);
    at = end + 1;
  }
  return signature;
}

void DrawCause(const SharedCause& cause, double now, Html& html) {
  const GroupRow& newest = cause.groups.front();
  const std::size_t n = cause.groups.size();
  html.Add("<li><p>");
  if (newest.error_kind) html.Add("<span class=\"kind\">{}</span> ", ToString(*newest.error_kind));
  if (n > 1) html.Add("<b>{} groups:</b> ", n);
  html.Add("{}</p><p class=\"struck\">", newest.error);
  for (std::size_t i = 0; i < std::min(n, kNamesShown); ++i) html.Add("{} ", GroupLink(cause.groups[i].id));
  if (n > kNamesShown) html.Add("and {} more", n - kNamesShown);
  html.Add("</p><small>{}", Counted(newest.attempts, "attempt"));
  if (newest.updated_at > 0) html.Add(", {}{}", n > 1 ? "the newest " : "", Ago(now - newest.updated_at));
  if (newest.state == GroupState::kFailed && newest.next_attempt_at > now) {
    html.Add("; tried again {}", Ago(now - newest.next_attempt_at));
  }
  html.Add("</small>{}</li>\n", CureHtml(n > 1 ? CureOfMany(newest) : CureOf(newest)));
}

void DrawTasks(const std::vector<state::TaskRow>& tasks, double now, Html& html) {
  html.Add("<h3>{}</h3>\n<ul>\n",
           Count(static_cast<std::int64_t>(tasks.size())) + (tasks.size() == 1 ? " task" : " tasks"));
  for (std::size_t i = 0; i < std::min(tasks.size(), kCausesShown); ++i) {
    const state::TaskRow& task = tasks[i];
    html.Add("<li><p>{}", StateBadge(task.state));
    if (task.error_kind) html.Add("<span class=\"kind\">{}</span> ", ToString(*task.error_kind));
    html.Add("<b>{}</b> {}</p><small>{}, {}</small>{}</li>\n", task.id, task.error, Counted(task.attempts, "attempt"),
             Ago(now - task.updated_at), CureHtml(CureOf(task)));
  }
  html.Add("</ul>");
}

}  // namespace

std::vector<SharedCause> ByCause(const std::vector<GroupRow>& groups) {
  std::vector<SharedCause> causes;
  std::map<std::string, std::size_t> known;
  for (const GroupRow& row : groups) {
    const auto [at, is_new] = known.try_emplace(Signature(row), causes.size());
    if (is_new) causes.emplace_back();
    causes[at->second].groups.push_back(row);
  }
  return causes;
}

void DrawNeedsAHand(PipelineView& view, const nlohmann::ordered_json& status, Html& html) {
  const nlohmann::json document = status;
  html.Add("<section class=\"failures\" aria-labelledby=\"failures\"><h2 id=\"failures\">Needs a hand</h2>");
  bool any = false;
  static constexpr std::array<GroupState, 4> kStates{GroupState::kDead, GroupState::kFailed, GroupState::kHeld,
                                                     GroupState::kAwaitingCalibration};
  for (const GroupState state : kStates) {
    state::GroupQuery query;
    query.states = {state};
    query.limit = kLookedAt;
    const std::vector<GroupRow> rows = view.Groups(query);
    if (rows.empty()) continue;
    any = true;
    const double counted = FigureAt(document, {"groups", std::string(ToString(state)).c_str()}).value_or(0);
    const auto total = std::max(static_cast<std::int64_t>(counted), static_cast<std::int64_t>(rows.size()));
    html.Add("<h3>{}<a href=\"/groups?state={}\">{}</a></h3>\n<ul>\n", StateBadge(state), ToString(state),
             Count(total) + (total == 1 ? " group" : " groups"));
    const std::vector<SharedCause> causes = ByCause(rows);
    for (std::size_t i = 0; i < std::min(causes.size(), kCausesShown); ++i) DrawCause(causes[i], view.Now(), html);
    html.Add("</ul>");
    if (causes.size() > kCausesShown || total > kLookedAt) {
      html.Add("<p><a href=\"/groups?state={}\">all {}</a></p>", ToString(state), Count(total));
    }
  }
  if (const std::vector<state::TaskRow> tasks = view.TroubledTasks(); !tasks.empty()) {
    any = true;
    DrawTasks(tasks, view.Now(), html);
  }
  if (!any) html.Add("<p class=\"empty\">Nothing failed, nothing is held.</p>");
  html.Add("</section>\n");
}

}  // namespace contimg::ops
