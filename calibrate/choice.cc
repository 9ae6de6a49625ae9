#include "calibrate/choice.h"

#include <cmath>

#include <fmt/format.h>

namespace contimg::calibrate {

namespace {

using Microseconds = std::int64_t;

Microseconds OfMjd(double mjd) { return static_cast<Microseconds>(std::llround(mjd * 86400e6)); }
Microseconds OfSeconds(double s) { return static_cast<Microseconds>(std::llround(s * 1e6)); }

// How a table stands to the observation, best first.
enum class Fit { kCovers, kBackward, kNear, kUnfit };

struct Candidate {
  Fit fit = Fit::kUnfit;
  Microseconds distance = 0;  // outside the window
  std::string reason;
};

std::string Seconds(Microseconds us) { return fmt::format("{:.6f} s", static_cast<double>(us) * 1e-6); }

Candidate Judge(const TableRecord& record, Microseconds t, double declination_deg, const ChoiceRule& rule) {
  if (record.status == TableStatus::kRetired) return {Fit::kUnfit, 0, "retired"};
  if (record.status == TableStatus::kFailed) return {Fit::kUnfit, 0, "failed its quality gate"};
  const Microseconds from = OfMjd(record.valid_from_mjd), to = OfMjd(record.valid_to_mjd);
  if (to <= from) return {Fit::kUnfit, 0, "has an empty window"};
  const double offset = std::abs(record.declination_deg - declination_deg);
  if (rule.max_declination_offset_deg > 0 && !(offset <= rule.max_declination_offset_deg)) {
    return {Fit::kUnfit, 0, fmt::format("solved {:.2f} deg away in declination", offset)};
  }
  if (t >= from && t < to) return {Fit::kCovers, 0, "covers the observation"};
  Candidate out;
  if (t < from) {
    out.distance = from - t;
    out.reason = "window begins " + Seconds(from - t) + " later";
    if (out.distance <= OfSeconds(rule.backward_s)) {
      out.fit = Fit::kBackward;
      out.reason += ", within the backward limit";
      return out;
    }
  } else {
    out.distance = t - to;
    out.reason = "window ended " + Seconds(t - to) + " before";
  }
  if (rule.policy == MissingPolicy::kNearest && out.distance <= OfSeconds(rule.nearest_limit_s)) out.fit = Fit::kNear;
  return out;
}

// True when candidate (a, record x) is to be preferred to (b, record y).
bool Better(const Candidate& a, const TableRecord& x, const Candidate& b, const TableRecord& y) {
  if (a.fit != b.fit) return a.fit < b.fit;
  const Microseconds x_from = OfMjd(x.valid_from_mjd), y_from = OfMjd(y.valid_from_mjd);
  if (a.fit == Fit::kCovers) {
    if (x_from != y_from) return x_from > y_from;
  } else if (a.distance != b.distance) {
    return a.distance < b.distance;
  }
  return x.id > y.id;
}

}  // namespace

Choice ChooseTables(double time_mjd, double declination_deg, const std::vector<TableRecord>& records,
                    const ChoiceRule& rule) {
  const Microseconds t = OfMjd(time_mjd);
  Choice choice;
  std::vector<Candidate> candidates;
  std::optional<std::size_t> best[3];
  for (std::size_t i = 0; i < records.size(); ++i) {
    candidates.push_back(Judge(records[i], t, declination_deg, rule));
    if (candidates[i].fit == Fit::kUnfit) continue;
    auto& leader = best[static_cast<std::size_t>(records[i].kind)];
    if (!leader || Better(candidates[i], records[i], candidates[*leader], records[*leader])) leader = i;
  }
  for (std::size_t i = 0; i < records.size(); ++i) {
    const auto& leader = best[static_cast<std::size_t>(records[i].kind)];
    TableVerdict verdict{records[i].id, leader == i, candidates[i].reason};
    if (!verdict.chosen && candidates[i].fit != Fit::kUnfit) {
      verdict.reason += fmt::format("; table {} goes before it", records[*leader].id);
    }
    choice.verdicts.push_back(std::move(verdict));
  }
  const auto take = [&](SolutionKind kind, std::optional<std::int64_t>& slot) {
    const auto& leader = best[static_cast<std::size_t>(kind)];
    if (!leader) return;
    slot = records[*leader].id;
    choice.borrowed = choice.borrowed || candidates[*leader].fit == Fit::kNear;
  };
  take(SolutionKind::kDelay, choice.delay);
  take(SolutionKind::kBandpass, choice.bandpass);
  take(SolutionKind::kGain, choice.gain);
  if (choice.bandpass && choice.gain && (choice.delay || !rule.need_delay)) {
    choice.outcome = ChoiceOutcome::kComplete;
  } else {
    choice.outcome = rule.policy == MissingPolicy::kUncalibrated ? ChoiceOutcome::kUncalibrated : ChoiceOutcome::kWait;
  }
  return choice;
}

double CoveredForSeconds(double time_mjd, SolutionKind kind, const std::vector<TableRecord>& records) {
  const Microseconds start = OfMjd(time_mjd);
  Microseconds t = start;
  for (bool moved = true; moved;) {
    moved = false;
    for (const TableRecord& record : records) {
      if (record.kind != kind || record.status != TableStatus::kActive) continue;
      const Microseconds from = OfMjd(record.valid_from_mjd), to = OfMjd(record.valid_to_mjd);
      if (from <= t && t < to) t = to, moved = true;
    }
  }
  return static_cast<double>(t - start) * 1e-6;
}

}  // namespace contimg::calibrate
