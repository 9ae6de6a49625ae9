// Evaluation of solution sets on a block's grid, and the checks that they belong to it.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <map>

#include "calibrate/apply.h"
#include "config/error.h"
#include "config/units.h"

namespace contimg::calibrate {

namespace {

using Complex = std::complex<double>;

constexpr std::size_t kNone = static_cast<std::size_t>(-1);

std::vector<std::uint8_t> AntennasInUse(const VisibilityBlock& block) {
  std::vector<std::uint8_t> used(block.antennas.size(), 0);
  for (const Baseline& baseline : block.baselines) {
    used[static_cast<std::size_t>(baseline.antenna1)] = 1;
    used[static_cast<std::size_t>(baseline.antenna2)] = 1;
  }
  return used;
}

// Table position of each antenna of the block, kNone where the table lacks it.
std::vector<std::size_t> MatchAntennas(const VisibilityBlock& block, const SolutionSet& solutions) {
  std::map<std::string, std::size_t> position;
  for (std::size_t a = 0; a < solutions.antennas.size(); ++a) position[solutions.antennas[a].name] = a;
  std::vector<std::size_t> match(block.antennas.size(), kNone);
  for (std::size_t a = 0; a < match.size(); ++a) {
    const auto found = position.find(block.antennas.names[a]);
    if (found != position.end()) match[a] = found->second;
  }
  return match;
}

// Cell of each channel of the block, kNone where no solution covers its frequency.
std::vector<std::size_t> MatchCells(const VisibilityBlock& block, const SolutionSet& solutions) {
  std::vector<std::size_t> match(block.n_channels(), kNone);
  for (std::size_t c = 0; c < match.size(); ++c) {
    const double f = block.frequency_hz[c];
    std::size_t first = 0;
    for (std::size_t w = 0; w < solutions.windows.size(); ++w) {
      const SolutionWindow& window = solutions.windows[w];
      const double half = 0.5 * window.channel_width_hz;
      const auto& axis = window.frequency_hz;
      if (!axis.empty() && f >= axis.front() - half && f <= axis.back() + half) {
        if (solutions.kind != SolutionKind::kBandpass) {
          match[c] = w;
          break;
        }
        auto next = std::lower_bound(axis.begin(), axis.end(), f);
        if (next == axis.end() || (next != axis.begin() && f - *(next - 1) <= *next - f)) --next;
        if (std::abs(*next - f) <= half) {
          match[c] = first + static_cast<std::size_t>(next - axis.begin());
          break;
        }
      }
      first += axis.size();
    }
  }
  return match;
}

// The two intervals around a time and the share of the later one.
struct TimeWeight {
  std::size_t before = 0, after = 0;
  double share = 0;
};

TimeWeight FindInterval(const SolutionSet& solutions, double time, Interpolation interpolation) {
  const auto& intervals = solutions.intervals;
  std::size_t after = 0;
  while (after < intervals.size() && intervals[after].time_mjd_s <= time) ++after;
  if (after == 0) return {0, 0, 0};
  if (after == intervals.size()) return {after - 1, after - 1, 0};
  const double t0 = intervals[after - 1].time_mjd_s, t1 = intervals[after].time_mjd_s;
  const double share = (time - t0) / (t1 - t0);
  if (interpolation == Interpolation::kLinear) return {after - 1, after, share};
  const std::size_t nearest = share <= 0.5 ? after - 1 : after;
  return {nearest, nearest, 0};
}

Complex ValueAt(const SolutionSet& s, const TimeWeight& when, std::size_t antenna, std::size_t cell,
                std::size_t receptor) {
  const std::size_t i = s.Index(when.before, antenna, cell, receptor);
  const std::size_t j = s.Index(when.after, antenna, cell, receptor);
  const bool first = s.usable(i), second = s.usable(j);
  if (when.before == when.after || !second) return first ? s.value[i] : 0;
  if (!first) return s.value[j];
  if (s.kind == SolutionKind::kDelay) return (1 - when.share) * s.value[i] + when.share * s.value[j];
  const double amplitude = (1 - when.share) * std::abs(s.value[i]) + when.share * std::abs(s.value[j]);
  const double turn = std::arg(s.value[j] * std::conj(s.value[i]));  // the short way round
  return std::polar(amplitude, std::arg(s.value[i]) + when.share * turn);
}

Error Misfit(const ApplyTable& table, const std::string& message) {
  return Error(ErrorKind::kBadInput, "apply", table.path, message);
}

void CheckAntennas(const VisibilityBlock& block, const ApplyTable& table, double tolerance_m) {
  const SolutionSet& s = *table.solutions;
  const auto match = MatchAntennas(block, s);
  const auto used = AntennasInUse(block);
  std::array<double, 3> shift{};
  std::size_t n = 0;
  for (std::size_t a = 0; a < match.size(); ++a) {
    if (!used[a]) continue;
    if (match[a] == kNone) throw Misfit(table, "has no antenna '" + block.antennas.names[a] + "' that the data hold");
    for (std::size_t k = 0; k < 3; ++k) {
      shift[k] += s.antennas[match[a]].position_itrf_m[k] - block.antennas.positions_itrf_m[a][k];
    }
    ++n;
  }
  if (n == 0 || tolerance_m <= 0) return;
  // The whole array may be shifted (sources differ in the site's height); its shape may not.
  for (double& v : shift) v /= static_cast<double>(n);
  for (std::size_t a = 0; a < match.size(); ++a) {
    if (!used[a]) continue;
    double square = 0;
    for (std::size_t k = 0; k < 3; ++k) {
      const double d = s.antennas[match[a]].position_itrf_m[k] - block.antennas.positions_itrf_m[a][k] - shift[k];
      square += d * d;
    }
    if (std::sqrt(square) > tolerance_m) {
      throw Misfit(table, "is of another antenna layout: antenna '" + block.antennas.names[a] + "' stands " +
                              std::to_string(std::sqrt(square)) + " m from its place in the data");
    }
  }
}

}  // namespace

void CheckTables(const VisibilityBlock& block, const std::vector<ApplyTable>& tables, const ApplyChecks& checks) {
  std::array<const ApplyTable*, 3> of_kind{};
  const ApplyTable* with_reference = nullptr;
  for (const ApplyTable& table : tables) {
    const SolutionSet& s = *table.solutions;
    const ApplyTable*& same = of_kind[static_cast<std::size_t>(s.kind)];
    if (same != nullptr) {
      throw Misfit(table, "is the second table of kind " + std::string(ToString(s.kind)) + " beside " + same->path);
    }
    same = &table;
    if (s.intervals.empty() || s.size() == 0) throw Misfit(table, "holds no solutions");
    if (std::count(s.flag.begin(), s.flag.end(), kFlagged) == static_cast<std::ptrdiff_t>(s.flag.size())) {
      throw Misfit(table, "holds no usable solution: every value is flagged, zero or not a number");
    }
    CheckAntennas(block, table, checks.max_position_offset_m);
    const auto cells = MatchCells(block, s);
    if (std::all_of(cells.begin(), cells.end(), [](std::size_t c) { return c == kNone; })) {
      throw Misfit(table, "has no frequency in common with the data");
    }
    const double offset_deg = std::abs(s.field_dec_rad - block.phase_centre.dec_rad) * 180 / kPi;
    if (checks.max_declination_offset_deg > 0 && offset_deg > checks.max_declination_offset_deg) {
      throw Misfit(table, "was solved " + std::to_string(offset_deg) + " deg away in declination, the limit is " +
                              std::to_string(checks.max_declination_offset_deg) + " deg");
    }
    // Delays are free by a constant that B takes up, so only B and G must share their reference.
    if (checks.same_reference && s.kind != SolutionKind::kDelay && s.reference_antenna >= 0) {
      if (with_reference != nullptr) {
        const SolutionSet& other = *with_reference->solutions;
        const auto& here = s.antennas[static_cast<std::size_t>(s.reference_antenna)].name;
        const auto& there = other.antennas[static_cast<std::size_t>(other.reference_antenna)].name;
        if (here != there) {
          throw Misfit(table, "has reference antenna '" + here + "' but " + with_reference->path + " has '" + there +
                                  "': re-reference one of them");
        }
      }
      with_reference = &table;
    }
  }
}

GainCube EvaluateGains(const VisibilityBlock& block, const std::vector<ApplyTable>& tables) {
  GainCube cube;
  cube.n_antennas = block.antennas.size();
  cube.n_receptors = 2;
  cube.n_channels = block.n_channels();
  // Integrations that see the same intervals of every table share one set of gains.
  std::vector<std::vector<TimeWeight>> classes;
  for (double time : block.time_mjd_s) {
    std::vector<TimeWeight> weights;
    weights.reserve(tables.size());
    for (const ApplyTable& table : tables) {
      weights.push_back(FindInterval(*table.solutions, time, table.interpolation));
    }
    const auto same = [&](const std::vector<TimeWeight>& other) {
      return std::equal(other.begin(), other.end(), weights.begin(), [](const TimeWeight& a, const TimeWeight& b) {
        return a.before == b.before && a.after == b.after && a.share == b.share;
      });
    };
    const auto found = std::find_if(classes.begin(), classes.end(), same);
    cube.class_of_time.push_back(static_cast<std::size_t>(found - classes.begin()));
    if (found == classes.end()) classes.push_back(std::move(weights));
  }
  cube.n_classes = classes.size();
  cube.value = Buffer<std::complex<float>>(cube.n_classes * cube.n_antennas * cube.n_receptors * cube.n_channels);
  std::fill(cube.value.begin(), cube.value.end(), std::complex<float>(1));

  const auto used = AntennasInUse(block);
  for (std::size_t k = 0; k < tables.size(); ++k) {
    const SolutionSet& s = *tables[k].solutions;
    const auto antennas = MatchAntennas(block, s);
    const auto cells = MatchCells(block, s);
    for (std::size_t which = 0; which < cube.n_classes; ++which) {
      for (std::size_t a = 0; a < cube.n_antennas; ++a) {
        for (std::size_t r = 0; r < cube.n_receptors; ++r) {
          std::complex<float>* out = cube.At(which, a, r);
          if (!used[a] || antennas[a] == kNone || r >= s.n_receptors) {
            std::fill(out, out + cube.n_channels, std::complex<float>(0));
            continue;
          }
          std::size_t last_cell = kNone;
          Complex value = 0;
          for (std::size_t c = 0; c < cube.n_channels; ++c) {
            if (cells[c] == kNone) {
              out[c] = 0;
              continue;
            }
            if (cells[c] != last_cell) {
              last_cell = cells[c];
              value = ValueAt(s, classes[which][k], antennas[a], last_cell, r);
            }
            Complex gain = value;
            if (s.kind == SolutionKind::kDelay) {
              const bool usable = s.usable(s.Index(classes[which][k].before, antennas[a], last_cell, r)) ||
                                  s.usable(s.Index(classes[which][k].after, antennas[a], last_cell, r));
              const double turns = 1e-9 * value.real() * (block.frequency_hz[c] - s.windows[last_cell].reference_hz);
              gain = usable ? std::polar(1.0, 2 * kPi * turns) : Complex(0);
            }
            const Complex product = gain * Complex(out[c]);
            out[c] = std::isfinite(std::norm(product)) ? std::complex<float>(product) : std::complex<float>(0);
          }
        }
      }
    }
  }
  return cube;
}

}  // namespace contimg::calibrate
