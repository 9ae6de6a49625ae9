#include "calibrate/choice.h"

#include <algorithm>
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
  if (record.status == TableStatus::kMissing) return {Fit::kUnfit, 0, "its files are missing"};
  if (record.status == TableStatus::kChanged) {
    return {Fit::kUnfit, 0, "its files have changed since it was registered"};
  }
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

// Indices of the usable records of one kind, best first.
std::vector<std::size_t> Ranked(SolutionKind kind, const std::vector<TableRecord>& records,
                                const std::vector<Candidate>& candidates) {
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < records.size(); ++i) {
    if (records[i].kind == kind && candidates[i].fit != Fit::kUnfit) order.push_back(i);
  }
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return Better(candidates[a], records[a], candidates[b], records[b]); });
  return order;
}

// Why `upper` (solved with other tables taken out) cannot serve with `lower`; empty when it can.
std::string Discord(const TableRecord& upper, const TableRecord& lower, const std::vector<TableRecord>& records) {
  if (!upper.rests_on.empty() &&
      std::find(upper.rests_on.begin(), upper.rests_on.end(), lower.id) == upper.rests_on.end()) {
    for (const TableRecord& record : records) {
      if (record.kind == lower.kind &&
          std::find(upper.rests_on.begin(), upper.rests_on.end(), record.id) != upper.rests_on.end()) {
        return fmt::format("solved on table {}, not {}", record.id, lower.id);
      }
    }
    return fmt::format("not solved on table {}", lower.id);
  }
  if (!upper.refant.empty() && !lower.refant.empty() && upper.refant != lower.refant) {
    return fmt::format("refers to antenna {}, table {} to {}", upper.refant, lower.id, lower.refant);
  }
  return "";
}

// True when `record` rests on one of the tables of that kind.
bool RestsOnKind(const TableRecord& record, SolutionKind kind, const std::vector<TableRecord>& records) {
  return std::any_of(records.begin(), records.end(), [&](const TableRecord& other) {
    return other.kind == kind &&
           std::find(record.rests_on.begin(), record.rests_on.end(), other.id) != record.rests_on.end();
  });
}

using Index = std::optional<std::size_t>;

// One bandpass with what goes with it.
struct TableTrio {
  Index delay, bandpass, gain;
  bool usable = false;    // the bandpass has the delays it needs
  bool complete = false;  // and there is a gain for both
  bool far = false;       // one of them is borrowed
};

}  // namespace

Choice ChooseTables(double time_mjd, double declination_deg, const std::vector<TableRecord>& records,
                    const ChoiceRule& rule) {
  const Microseconds t = OfMjd(time_mjd);
  Choice choice;
  std::vector<Candidate> candidates;
  for (const TableRecord& record : records) candidates.push_back(Judge(record, t, declination_deg, rule));
  const auto delays = Ranked(SolutionKind::kDelay, records, candidates);
  const auto bandpasses = Ranked(SolutionKind::kBandpass, records, candidates);
  const auto gains = Ranked(SolutionKind::kGain, records, candidates);
  std::vector<std::string> discord(records.size());

  std::vector<TableTrio> trios;
  for (std::size_t b : bandpasses) {
    TableTrio trio;
    trio.bandpass = b;
    for (std::size_t k : delays) {
      const std::string why = Discord(records[b], records[k], records);
      if (why.empty()) {
        trio.delay = k;
        break;
      }
    }
    for (std::size_t g : gains) {
      std::string why = Discord(records[g], records[b], records);
      if (why.empty() && trio.delay) why = Discord(records[g], records[*trio.delay], records);
      if (why.empty()) {
        trio.gain = g;
        break;
      }
      if (discord[g].empty()) discord[g] = why;
    }
    // A bandpass (or gain) that rests on delays is worthless without them.
    const bool needs_delay = rule.need_delay || RestsOnKind(records[b], SolutionKind::kDelay, records) ||
                             (trio.gain && RestsOnKind(records[*trio.gain], SolutionKind::kDelay, records));
    trio.usable = trio.delay || !needs_delay;
    trio.complete = trio.usable && trio.gain.has_value();
    if (!trio.usable) discord[b] = "the delays it needs do not serve";
    for (const Index& part : {trio.delay, trio.bandpass, trio.gain}) {
      trio.far = trio.far || (part && candidates[*part].fit == Fit::kNear);
    }
    trios.push_back(trio);
  }
  const auto find = [&](auto suits) {
    const auto at = std::find_if(trios.begin(), trios.end(), suits);
    return at == trios.end() ? nullptr : &*at;
  };
  const TableTrio* best = find([](const TableTrio& trio) { return trio.complete && !trio.far; });
  if (best == nullptr) best = find([](const TableTrio& trio) { return trio.complete; });
  TableTrio taken;
  if (best != nullptr) {
    taken = *best;
  } else {
    // Nothing whole: the best part of it.
    const TableTrio* part = find([](const TableTrio& trio) { return trio.usable; });
    if (part != nullptr) {
      taken = *part;
    } else {
      if (!delays.empty()) taken.delay = delays.front();
      if (!gains.empty()) taken.gain = gains.front();
    }
  }

  for (std::size_t i = 0; i < records.size(); ++i) {
    const Index& leader = records[i].kind == SolutionKind::kDelay      ? taken.delay
                          : records[i].kind == SolutionKind::kBandpass ? taken.bandpass
                                                                       : taken.gain;
    TableVerdict verdict{records[i].id, leader == i, candidates[i].reason};
    if (!verdict.chosen && candidates[i].fit != Fit::kUnfit) {
      if (!discord[i].empty()) verdict.reason += "; " + discord[i];
      if (leader) verdict.reason += fmt::format("; table {} goes before it", records[*leader].id);
    }
    choice.verdicts.push_back(std::move(verdict));
  }
  const auto take = [&](const Index& from, std::optional<std::int64_t>& slot) {
    if (!from) return;
    slot = records[*from].id;
    choice.borrowed = choice.borrowed || candidates[*from].fit == Fit::kNear;
  };
  take(taken.delay, choice.delay);
  take(taken.bandpass, choice.bandpass);
  take(taken.gain, choice.gain);
  if (best != nullptr) {
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
