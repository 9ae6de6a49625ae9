#include "ops/web/time_chart.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "config/time.h"

namespace contimg::ops {
namespace {

struct Tick {
  double at = 0;
  std::string label;
  bool day = false;
  bool minor = false;  // its label goes first when there is little room
};

std::vector<Tick> Ticks(const TimeAxis& axis) {
  static constexpr std::array<double, 10> kSteps{300,      600,       1800,  3600,      3 * 3600,
                                                 6 * 3600, 12 * 3600, 86400, 2 * 86400, 5 * 86400};
  double step = kSteps.back();
  for (const double candidate : kSteps) {
    if ((axis.to - axis.from) / candidate <= 10) {
      step = candidate;
      break;
    }
  }
  std::vector<Tick> ticks;
  const double first = std::ceil(axis.from / step) * step;
  for (double at = first; at < axis.to; at += step) {
    const double percent = axis.Percent(at);
    if (percent < 1.5 || percent > 98.5) continue;
    const std::string stamp = UtcTime::FromUnix(at).Iso8601();
    const bool day = std::fmod(at, kSecondsPerDay) == 0;
    ticks.push_back({at, day ? stamp.substr(0, 10) : stamp.substr(11, 5), day,
                     static_cast<long>(std::llround((at - first) / step)) % 2 == 1});
  }
  return ticks;
}

void DrawBar(const TimeAxis& axis, const LaneBar& bar, Html& html) {
  const double left = std::max(0.0, axis.Percent(bar.from)), right = std::min(100.0, axis.Percent(bar.to));
  if (!(right > left)) return;
  const Html shape = MakeHtml(
      "<rect class=\"bar {}\" x=\"{:.3f}%\" width=\"{:.3f}%\" y=\"2\" height=\"16\" fill-opacity=\"{:.2f}\"><title>{}"
      "</title></rect>",
      bar.css_class, left, right - left, std::clamp(bar.strength, 0.15, 1.0), bar.title);
  // Hundreds of them: reached with the pointer here, and with the keyboard through the lists.
  if (bar.address.empty()) {
    html.Append(shape);
  } else {
    html.Add("<a href=\"{}\" tabindex=\"-1\">{}</a>", bar.address, shape);
  }
}

}  // namespace

Html DrawLanes(const TimeAxis& axis, const std::vector<Lane>& lanes, const std::string& label) {
  const std::vector<Tick> ticks = Ticks(axis);
  Html grid;
  for (const Tick& tick : ticks) {
    grid.Add("<line class=\"{}\" x1=\"{:.3f}%\" x2=\"{:.3f}%\" y1=\"0\" y2=\"20\"/>", tick.day ? "tick day" : "tick",
             axis.Percent(tick.at), axis.Percent(tick.at));
  }
  Html now;
  if (axis.now > axis.from && axis.now < axis.to) {
    now.Add("<line class=\"now\" x1=\"{:.3f}%\" x2=\"{:.3f}%\" y1=\"0\" y2=\"20\"/>", axis.Percent(axis.now),
            axis.Percent(axis.now));
  }
  Html html;
  html.Add("<div class=\"lanes\" role=\"group\" aria-label=\"{}\">\n", label);
  for (const Lane& lane : lanes) {
    html.Add("<div class=\"lane\"><div class=\"lane-name\">");
    if (!lane.css_class.empty()) html.Add("<i class=\"mark {}\"></i>", lane.css_class);
    if (lane.address.empty()) {
      html.Add("<span>{}</span>", lane.name);
    } else {
      html.Add("<a href=\"{}\">{}</a>", lane.address, lane.name);
    }
    html.Add(
        "<span class=\"note\">{}</span></div><svg class=\"track\" height=\"20\" role=\"img\" aria-label=\"{}: {} "
        "{}\">{}",
        lane.note, lane.name, lane.bars.size(), lane.bars.size() == 1 ? "entry" : "entries", grid);
    for (const LaneBar& bar : lane.bars) DrawBar(axis, bar, html);
    html.Add("{}</svg></div>\n", now);
  }
  html.Add(
      "<div class=\"lane axis\" aria-hidden=\"true\"><div class=\"lane-name\">UTC</div><svg class=\"track\" "
      "height=\"20\">");
  for (const Tick& tick : ticks) {
    html.Add("<text class=\"{}{}\" x=\"{:.3f}%\" y=\"14\">{}</text>", tick.day ? "day" : "hour",
             tick.minor ? " minor" : "", axis.Percent(tick.at), tick.label);
  }
  html.Add("</svg></div>\n<p class=\"covers\">{}</p>\n</div>\n", AxisCaption(axis));
  return html;
}

std::string AxisCaption(const TimeAxis& axis) {
  const std::string from = UtcTime::FromUnix(axis.from).Iso8601(), to = UtcTime::FromUnix(axis.to).Iso8601();
  const bool one_day = from.substr(0, 10) == to.substr(0, 10);
  return fmt::format("{} {} to {}{} UTC", from.substr(0, 10), from.substr(11, 5), one_day ? "" : to.substr(0, 10) + " ",
                     to.substr(11, 5));
}

TimeAxis ChooseAxis(double hours, double newest_data, double now) {
  const double span = hours * kSecondsPerHour;
  TimeAxis axis;
  const bool recent = newest_data <= 0 || (newest_data > now - span && newest_data < now + span);
  axis.to = (recent ? std::max(now, newest_data) : newest_data) + 0.08 * span;
  axis.from = axis.to - 1.08 * span;
  axis.now = recent ? now : 0;
  return axis;
}

}  // namespace contimg::ops
