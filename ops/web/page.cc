#include "ops/web/page.h"

#include <algorithm>
#include <array>

#include "config/product_paths.h"
#include "config/time.h"
#include "ops/base/version.h"
#include "ops/base/words.h"
#include "ops/web/assets.h"

namespace contimg::ops {
namespace {

using nlohmann::ordered_json;

template <class T>
T ValueAt(const ordered_json& object, const char* name, T otherwise) {
  const auto found = object.find(name);
  if (found == object.end()) return otherwise;
  try {
    return found->get<T>();
  } catch (const nlohmann::json::exception&) {
    return otherwise;
  }
}

ordered_json ObjectAt(const ordered_json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_object() ? *found : ordered_json::object();
}

const char* HealthClass(Health health) {
  switch (health) {
    case Health::kGood:
      return "good";
    case Health::kWarning:
      return "warning";
    case Health::kBad:
      return "bad";
    case Health::kUnknown:
      break;
  }
  return "unknown";
}

}  // namespace

HealthLine DescribeHealth(const ordered_json& status, double now) {
  HealthLine line;
  if (status.empty()) return {Health::kUnknown, "Starting", "", {}};
  line.findings = FindingsOf(status);
  const bool ready = ValueAt(status, "ready", false);
  const bool red = !line.findings.empty() && line.findings.front().severity == HealthSeverity::kRed;
  const std::string words = ValueAt(status, "verdict", std::string());
  if (red || (!ready && words.empty())) {
    line.health = Health::kBad;
  } else if (!ready || !line.findings.empty()) {
    line.health = Health::kWarning;
  } else {
    line.health = Health::kGood;
  }
  static constexpr std::array<const char*, 4> kWords{"Starting", "All is well", "Needs a look", "Not working"};
  line.verdict = words.empty() ? kWords[static_cast<std::size_t>(line.health)] : words;

  const ordered_json groups = ObjectAt(status, "groups");
  const auto count = [&](const char* state) { return ValueAt<std::int64_t>(groups, state, 0); };
  std::vector<std::string> parts;
  if (count("collecting") > 0) parts.push_back(fmt::format("{} collecting", Count(count("collecting"))));
  parts.push_back(fmt::format("{} running", Count(count("running"))));
  parts.push_back(fmt::format("{} waiting", Count(count("ready") + count("failed"))));
  if (count("awaiting_calibration") > 0) {
    parts.push_back(fmt::format("{} awaiting calibration", Count(count("awaiting_calibration"))));
  }
  parts.push_back(fmt::format("{} done", Count(count("done"))));
  const std::string last = ValueAt(ObjectAt(status, "incoming"), "last_file_at", std::string());
  if (!last.empty()) {
    try {
      parts.push_back(fmt::format("newest file {}", Ago(now - UtcTime::FromIso8601(last).unix_s())));
    } catch (const Error&) {
      // Not a time: the page goes on without it.
    }
  }
  line.detail = fmt::format("{}", fmt::join(parts, ", "));
  return line;
}

HttpResponse RenderPage(const Page& page, const PipelineView& view, int status) {
  const HealthLine health = DescribeHealth(*view.Status(), view.Now());
  const char* health_class = HealthClass(health.health);
  Html html;
  html.Add("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n<title>{} · contimg</title>\n",
           page.title);
  html.Add(
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta name=\"color-scheme\" content=\"light dark\">\n"
      "<link rel=\"icon\" type=\"image/svg+xml\" href=\"/static/{}.svg\">\n"
      "<link rel=\"stylesheet\" href=\"/static/page.css?v={}\">\n<script src=\"/static/page.js?v={}\" "
      "defer></script>\n",
      health_class, AssetVersion(), AssetVersion());
  if (page.refreshes) html.Add("<noscript><meta http-equiv=\"refresh\" content=\"30\"></noscript>\n");
  html.Add("</head>\n<body data-refresh-s=\"{}\">\n<a class=\"skip\" href=\"#main\">Skip to the content</a>\n",
           page.refreshes ? 10 : 0);
  html.Add("<header><a class=\"brand\" href=\"/\">contimg</a><nav aria-label=\"Pages\">");
  const auto entry = [&](const char* address, const char* name) {
    html.Append(page.current == address ? MakeHtml("<a href=\"{}\" aria-current=\"page\">{}</a>", address, name)
                                        : MakeHtml("<a href=\"{}\">{}</a>", address, name));
  };
  entry("/", "Status");
  entry("/groups", "Groups");
  entry("/sources", "Sources");
  entry("/mosaics", "Mosaics");
  html.Add(
      "</nav><a class=\"light {}\" href=\"/\" title=\"{}\"><i></i><span>{}</span></a>"
      "<time class=\"clock\" datetime=\"{}Z\">{} <abbr title=\"Coordinated Universal "
      "Time\">UTC</abbr></time></header>\n"
      "<main id=\"main\">\n{}</main>\n",
      health_class, health.detail, health.verdict, UtcTime::FromUnix(view.Now()).Iso8601(), Stamp(view.Now()),
      page.body);
  html.Add(
      "<footer><span>contimg {}</span><a href=\"/api/v1/status\">status as JSON</a><a href=\"/metrics\">metrics</a>"
      "</footer>\n</body></html>\n",
      kVersion);
  HttpResponse response;
  response.status = status;
  response.content_type = "text/html; charset=utf-8";
  response.body = html.str();
  response.headers = {{"Content-Security-Policy",
                       "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
                       "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"},
                      {"Referrer-Policy", "same-origin"}};
  return response;
}

bool IsUncalibrated(PipelineView& view, const state::GroupRow& row) {
  if (row.state != state::GroupState::kDone) return false;
  const std::vector<state::CalChoiceRow> choices = view.Choices(row.id);
  return !choices.empty() &&
         std::none_of(choices.begin(), choices.end(), [](const auto& choice) { return choice.table_id.has_value(); });
}

std::string GroupAddress(std::string_view id) { return "/groups/" + UrlPart(id); }

Html GroupLink(std::string_view id) { return MakeHtml("<a class=\"id\" href=\"{}\">{}</a>", GroupAddress(id), id); }

std::string StateWords(state::GroupState state) {
  std::string words(ToString(state));
  std::replace(words.begin(), words.end(), '_', ' ');
  return words;
}

Html StateBadge(state::GroupState state) {
  return MakeHtml("<span class=\"badge {}\">{}</span>", ToString(state), StateWords(state));
}

Html TimeTag(double unix_s) {
  if (!(unix_s > 0)) return MakeHtml("–");
  return MakeHtml("<time datetime=\"{}Z\">{}</time>", UtcTime::FromUnix(unix_s).Iso8601(), Stamp(unix_s));
}

Html CommandLine(const std::string& command) {
  return MakeHtml("<span class=\"command\"><code>{}</code></span>", command);
}

Html CureHtml(const Cure& cure) {
  Html html;
  if (cure.sentence.empty()) return html;
  html.Add("<p class=\"cure\">{}</p>", cure.sentence);
  for (const std::string& command : cure.commands) html.Add("{}", CommandLine(command));
  return html;
}

double StartOfId(std::string_view id) { return IsTimestamp(id) ? UtcTime::FromIso8601(id).unix_s() : 0; }

}  // namespace contimg::ops
