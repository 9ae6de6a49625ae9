// What every page shares: head, navigation, the colours of states, links.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "ops/http/http_server.h"
#include "ops/records/cure.h"
#include "ops/records/health.h"
#include "ops/records/pipeline_view.h"
#include "ops/web/html.h"
#include "state/group_store.h"

namespace contimg::ops {

enum class Health { kUnknown, kGood, kWarning, kBad };

// The daemon in one line, from its status document.
struct HealthLine {
  Health health = Health::kUnknown;
  std::string verdict;                  // "All is well", "Needs a hand", "Not working"
  std::string detail;                   // what it is doing
  std::vector<HealthFinding> findings;  // what is wrong, the worst first
};
HealthLine DescribeHealth(const nlohmann::ordered_json& status, double now);

struct Page {
  std::string title;       // before " · contimg"
  std::string current;     // address of the navigation's entry to be marked; empty: none
  bool refreshes = false;  // the page renews itself: by script every few seconds, without one twice a minute
  Html body;
};
HttpResponse RenderPage(const Page& page, const PipelineView& view, int status = 200);

// Runs `draw`; a database that cannot be read becomes a note in its place and the rest of the page appears.
template <class Draw>
void DrawSection(Html& html, const Draw& draw) {
  Html section;
  try {
    draw(section);
  } catch (const std::exception& error) {
    html.Add("<p class=\"problem\">This part cannot be shown: {}</p>\n", error.what());
    return;
  }
  html.Append(section);
}

// Whether the products of a done group are of uncalibrated data, by the record of what was applied.
bool IsUncalibrated(PipelineView& view, const state::GroupRow& row);
std::string GroupAddress(std::string_view id);  // "/groups/2025-10-13T13:28:03"
Html GroupLink(std::string_view id);
Html StateBadge(state::GroupState state);
std::string StateWords(state::GroupState state);  // "awaiting calibration"
Html TimeTag(double unix_s);                      // with the full stamp
Html CommandLine(const std::string& command);     // a shell command to copy

// What an operator does about a group, with the commands to copy; nothing where nothing needs doing.
Html CureHtml(const Cure& cure);
// Unix_s of the stamp that an id is; 0 when it is none.
double StartOfId(std::string_view id);

}  // namespace contimg::ops
