// Quality gates: figures of an image against limits, each with words, unit and direction, and the grade they give.
// docs/imaging.md has the distributions of good and spoiled tiles from which the limits were chosen.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace contimg {
struct ImageSettings;
}

namespace contimg::image {

struct ImageQuality;

enum class GateBound { kAtMost, kAtLeast };
std::string_view Sign(GateBound bound);  // "≤", "≥" (UTF-8)

// One figure against its limit (settings image.gate_*). Grade: "A" holds; "B", "C", "F" misses it by a factor of up to
// 1.5, up to 3, more. A gate of a state ("CLEAN reached its level": 0 or 1) has one grade for its miss.
struct QualityGate {
  std::string name;   // key in metrics.json: "rms_over_thermal"
  std::string title;  // the same for people: "rms / thermal noise"
  std::string unit;   // of value and limit: "Jy/beam", "pixels", …; "" for ratios, fractions and states
  GateBound bound = GateBound::kAtMost;
  double value = 0;
  double limit = 0;
  bool passed = true;
  std::string grade = "A";
  std::string explanation;  // one sentence without a full stop: what the figure says; when missed, what that means
};

// "rms / thermal noise 3.2 (≤ 1.5)"; with a unit "peak 0.02 Jy/beam (≥ 0.1)".
std::string Describe(const QualityGate& gate);

// The gates that apply to an image of these figures, in the order in which people read them.
std::vector<QualityGate> JudgeImage(const ImageQuality& quality, const ImageSettings& settings);

// The worst grade of the gates, and why: one sentence for each missed gate, the worst first ("C: rms / thermal noise
// 3.2 (≤ 1.5): …"). "A" and nothing when all hold.
std::string WorstGrade(const std::vector<QualityGate>& gates);
std::vector<std::string> Reasons(const std::vector<QualityGate>& gates);

// {name, title, unit, bound: "at_most" or "at_least", value, limit, passed, grade, explanation}
nlohmann::json ToJson(const QualityGate& gate);

}  // namespace contimg::image
