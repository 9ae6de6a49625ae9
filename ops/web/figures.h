// Figures that stages report as JSON, as tables: every one of them, whatever a later version adds.
#pragma once

#include <initializer_list>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "ops/web/html.h"

namespace contimg::ops {

// A name as people write it and a value with its unit, both told by the name's end: "rms_jy", 0.00041 → "rms",
// "0.41 mJy". Names without a known end stay as they are.
struct NamedFigure {
  std::string name, value;
};
NamedFigure DescribeFigure(const std::string& name, double value);

// "rms_over_thermal" → "rms over thermal".
std::string Spoken(std::string name);

// All of a JSON value: objects as rows (nested ones under a heading), arrays of objects as tables of their own.
Html FigureTable(const nlohmann::json& figures);

// The number at a path of names; nothing when there is none.
std::optional<double> FigureAt(const nlohmann::json& figures, std::initializer_list<const char*> path);
std::optional<std::string> WordAt(const nlohmann::json& figures, std::initializer_list<const char*> path);

}  // namespace contimg::ops
