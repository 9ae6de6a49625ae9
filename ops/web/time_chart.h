// Lanes over one time axis, drawn as SVG inside HTML: what the status page shows of groups and calibration tables.
// Horizontal positions are percentages, so a chart fits any width without a script.
#pragma once

#include <string>
#include <vector>

#include "ops/web/html.h"

namespace contimg::ops {

// What the axis covers, unix_s.
struct TimeAxis {
  double from = 0, to = 0;
  double now = 0;  // a line there; 0: none

  double Percent(double unix_s) const { return 100 * (unix_s - from) / (to - from); }
};

struct LaneBar {
  double from = 0, to = 0;  // unix_s; cut at the axis' ends, left out beyond them
  std::string css_class;    // colour: the words of AllGroupStates() and "active", "retired"
  std::string title;        // shown on hovering
  std::string address;      // of a link; empty: none
  double strength = 1;      // 0…1: opacity, for counts
};

struct Lane {
  std::string name;
  std::string note;       // beside the name
  std::string css_class;  // colour of the lane's mark beside the name; empty: no mark
  std::string address;    // of a link on the name; empty: none
  std::vector<LaneBar> bars;
};

// `label` names the chart for those who do not see it. Below it stands what the axis covers, with the year.
Html DrawLanes(const TimeAxis& axis, const std::vector<Lane>& lanes, const std::string& label);

// "2025-10-13 13:10 to 14:15 UTC": with the date of the end only where it differs.
std::string AxisCaption(const TimeAxis& axis);

// The axis for `hours` of data that end with the newest group: at the present while data are recent, at the end of the
// data when they are old (then without a line for the present).
TimeAxis ChooseAxis(double hours, double newest_data, double now);

}  // namespace contimg::ops
