// Evaluation of solution sets on a block's grid, and the checks that they belong to it.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <map>
#include <optional>
#include <set>

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

// The cells that a channel of the block takes its gain from; both the same where one is enough.
struct ChannelCells {
  std::size_t below = kNone, above = kNone;  // kNone: no solution covers the frequency
  double share = 0;                          // of `above`
  std::size_t window = 0;                    // both lie in it
  bool covered() const { return below != kNone; }
};

// Cells of a bandpass at a frequency inside a window: the channel there, or the two around it when the data have other
// channels than the table.
ChannelCells BandpassCells(const SolutionWindow& window, std::size_t first, double frequency_hz) {
  constexpr double kSameChannel = 0.02;  // of its width
  const auto& axis = window.frequency_hz;
  const double half = 0.5 * window.channel_width_hz;
  auto next = std::lower_bound(axis.begin(), axis.end(), frequency_hz);
  if (next == axis.end() || (next != axis.begin() && frequency_hz - *(next - 1) <= *next - frequency_hz)) --next;
  const double away = frequency_hz - *next;
  if (std::abs(away) > half) return {};  // between channels that are apart
  const std::size_t nearest = first + static_cast<std::size_t>(next - axis.begin());
  ChannelCells cells{nearest, nearest, 0, 0};
  if (std::abs(away) <= kSameChannel * window.channel_width_hz) return cells;
  const auto other = away > 0 ? next + 1 : next - 1;
  if ((away < 0 && next == axis.begin()) || other == axis.end()) return cells;  // beyond the middle of the last one
  const double share = away / (*other - *next);
  if (away > 0) return {nearest, nearest + 1, share, 0};
  return {nearest - 1, nearest, 1 - share, 0};
}

std::vector<ChannelCells> MatchCells(const VisibilityBlock& block, const SolutionSet& solutions) {
  std::vector<ChannelCells> match(block.n_channels());
  if (solutions.one_window_for_all) {
    std::fill(match.begin(), match.end(), ChannelCells{0, 0, 0, 0});
    return match;
  }
  for (std::size_t c = 0; c < match.size(); ++c) {
    const double f = block.frequency_hz[c];
    std::size_t first = 0;
    for (std::size_t w = 0; w < solutions.windows.size() && !match[c].covered(); ++w) {
      const SolutionWindow& window = solutions.windows[w];
      const double half = 0.5 * window.channel_width_hz;
      const auto& axis = window.frequency_hz;
      if (!axis.empty() && f >= axis.front() - half && f <= axis.back() + half) {
        match[c] = solutions.kind == SolutionKind::kBandpass ? BandpassCells(window, first, f) : ChannelCells{w, w};
        match[c].window = w;
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
  friend bool operator==(const TimeWeight& a, const TimeWeight& b) {
    return a.before == b.before && a.after == b.after && a.share == b.share;
  }
};

// Of one window's solutions; those of the ends hold beyond them.
TimeWeight FindInterval(const SolutionSet& solutions, std::size_t window, double time, Interpolation interpolation) {
  std::size_t before = kNone, after = kNone;
  for (std::size_t k = 0; k < solutions.intervals.size() && after == kNone; ++k) {
    const double middle = solutions.SolutionTime(k, window);
    if (middle <= time) before = k;
    if (middle > time) after = k;
  }
  if (before == kNone && after == kNone) return {};
  if (before == kNone) return {after, after, 0};
  if (after == kNone) return {before, before, 0};
  const double t0 = solutions.SolutionTime(before, window), t1 = solutions.SolutionTime(after, window);
  const double share = (time - t0) / (t1 - t0);
  if (interpolation == Interpolation::kLinear) return {before, after, share};
  const std::size_t nearest = share <= 0.5 ? before : after;
  return {nearest, nearest, 0};
}

// What every window of a table sees at one time; a single entry where all see the same.
std::vector<TimeWeight> FindIntervals(const ApplyTable& table, double time) {
  const SolutionSet& s = *table.solutions;
  std::vector<TimeWeight> weights(s.window_time_mjd_s.empty() ? 1 : s.windows.size());
  for (std::size_t w = 0; w < weights.size(); ++w) weights[w] = FindInterval(s, w, time, table.interpolation);
  return weights;
}

// Amplitude and phase between two gains, the short way round.
Complex Between(Complex first, Complex second, double share) {
  const double amplitude = (1 - share) * std::abs(first) + share * std::abs(second);
  const double turn = std::arg(second * std::conj(first));
  return std::polar(amplitude, std::arg(first) + share * turn);
}

std::optional<Complex> ValueAt(const SolutionSet& s, const TimeWeight& when, std::size_t antenna, std::size_t cell,
                               std::size_t receptor) {
  const std::size_t i = s.Index(when.before, antenna, cell, receptor);
  const std::size_t j = s.Index(when.after, antenna, cell, receptor);
  const bool first = s.usable(i), second = s.usable(j);
  const bool alone = when.before == when.after || (s.foreign && when.share == 0);
  if (alone) return first ? std::optional(s.value[i]) : std::nullopt;
  if (!first || !second) {
    if (s.foreign || (!first && !second)) return std::nullopt;
    return first ? s.value[i] : s.value[j];
  }
  if (s.kind == SolutionKind::kDelay) return (1 - when.share) * s.value[i] + when.share * s.value[j];
  return Between(s.value[i], s.value[j], when.share);
}

// The gain of an antenna and receptor at a channel; none without a usable solution.
std::optional<Complex> GainAt(const SolutionSet& s, const TimeWeight& when, std::size_t antenna,
                              const ChannelCells& cells, std::size_t receptor) {
  const std::optional<Complex> below = ValueAt(s, when, antenna, cells.below, receptor);
  if (cells.above == cells.below || !below) return below;
  const std::optional<Complex> above = ValueAt(s, when, antenna, cells.above, receptor);
  if (!above) return std::nullopt;
  return Between(*below, *above, cells.share);
}

Error Misfit(const ApplyTable& table, const std::string& message) {
  return Error(ErrorKind::kBadInput, "apply", table.path, message);
}

void CheckAntennas(const VisibilityBlock& block, const ApplyTable& table, double tolerance_m) {
  const SolutionSet& s = *table.solutions;
  const auto match = MatchAntennas(block, s);
  const auto used = AntennasInUse(block);
  std::set<std::string> names, twice;
  for (const SolutionAntenna& antenna : s.antennas) {
    if (!names.insert(antenna.name).second) twice.insert(antenna.name);
  }
  std::array<double, 3> shift{};
  std::size_t n = 0;
  for (std::size_t a = 0; a < match.size(); ++a) {
    if (!used[a]) continue;
    if (match[a] == kNone) throw Misfit(table, "has no antenna '" + block.antennas.names[a] + "' that the data hold");
    if (twice.count(block.antennas.names[a]) > 0) {
      throw Misfit(table, "names two antennas '" + block.antennas.names[a] + "': which one the data mean is not known");
    }
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

bool MeansAllWindows(const SolutionSet& s, std::size_t data_windows) {
  return s.foreign && s.kind != SolutionKind::kBandpass && !s.one_window_for_all && s.windows.size() == 1 &&
         data_windows > 1;
}

void CheckTables(const VisibilityBlock& block, const std::vector<ApplyTable>& tables, const ApplyChecks& checks) {
  std::map<std::string, const ApplyTable*> of_kind;
  const ApplyTable* with_reference = nullptr;
  for (const ApplyTable& table : tables) {
    const SolutionSet& s = *table.solutions;
    const std::string kind = s.polarisation_independent ? "T" : std::string(ToString(s.kind));
    const ApplyTable*& same = of_kind[kind];
    if (same != nullptr) {
      throw Misfit(table, "is the second table of kind " + kind + " beside " + same->path +
                              ": apply one of them, or make one of both");
    }
    same = &table;
    if (s.intervals.empty() || s.size() == 0) throw Misfit(table, "holds no solutions");
    if (std::count(s.flag.begin(), s.flag.end(), kFlagged) == static_cast<std::ptrdiff_t>(s.flag.size())) {
      throw Misfit(table, "holds no usable solution: every value is flagged, zero or not a number");
    }
    CheckAntennas(block, table, checks.max_position_offset_m);
    const auto cells = MatchCells(block, s);
    if (std::none_of(cells.begin(), cells.end(), [](const ChannelCells& c) { return c.covered(); })) {
      throw Misfit(table, "has no frequency in common with the data");
    }
    if (MeansAllWindows(s, block.windows.size())) {
      throw Misfit(table,
                   "has solutions in one spectral window of several: solved over all of them (combine='spw'), "
                   "it is applied with --combined-spw; else the other windows want solutions too");
    }
    const double offset_deg = std::abs(s.field_dec_rad - block.phase_centre.dec_rad) * 180 / kPi;
    if (checks.max_declination_offset_deg > 0 && offset_deg > checks.max_declination_offset_deg) {
      throw Misfit(table, "was solved " + std::to_string(offset_deg) + " deg away in declination, the limit is " +
                              std::to_string(checks.max_declination_offset_deg) +
                              " deg (calibrate.max_declination_offset_deg, 0: none)");
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
  std::vector<std::vector<std::vector<TimeWeight>>> classes;  // [class][table][window, or one for all]
  for (double time : block.time_mjd_s) {
    std::vector<std::vector<TimeWeight>> weights;
    weights.reserve(tables.size());
    for (const ApplyTable& table : tables) weights.push_back(FindIntervals(table, time));
    const auto found = std::find(classes.begin(), classes.end(), weights);
    cube.class_of_time.push_back(static_cast<std::size_t>(found - classes.begin()));
    if (found == classes.end()) classes.push_back(std::move(weights));
  }
  cube.n_classes = classes.size();
  cube.value = Buffer<std::complex<float>>(cube.n_classes * cube.n_antennas * cube.n_receptors * cube.n_channels);
  std::fill(cube.value.begin(), cube.value.end(), std::complex<float>(1));

  const auto used = AntennasInUse(block);
  const bool one_hand = ParallelHands(block).size() < 2;
  for (std::size_t k = 0; k < tables.size(); ++k) {
    const SolutionSet& s = *tables[k].solutions;
    const auto antennas = MatchAntennas(block, s);
    const auto cells = MatchCells(block, s);
    // One value a cell: T Jones, or a table solved on the one parallel hand that the data have.
    const bool same_for_both = s.n_receptors == 1 && (s.polarisation_independent || one_hand);
    for (std::size_t which = 0; which < cube.n_classes; ++which) {
      const std::vector<TimeWeight>& when = classes[which][k];
      for (std::size_t a = 0; a < cube.n_antennas; ++a) {
        for (std::size_t r = 0; r < cube.n_receptors; ++r) {
          std::complex<float>* out = cube.At(which, a, r);
          const std::size_t receptor = same_for_both ? 0 : r;
          if (!used[a] || antennas[a] == kNone || receptor >= s.n_receptors) {
            std::fill(out, out + cube.n_channels, std::complex<float>(0));
            continue;
          }
          std::size_t last_cell = kNone;
          std::optional<Complex> value;
          for (std::size_t c = 0; c < cube.n_channels; ++c) {
            if (!cells[c].covered()) {
              out[c] = 0;
              continue;
            }
            const std::size_t window = cells[c].window;
            const bool one = cells[c].below == cells[c].above;
            if (!one || cells[c].below != last_cell) {
              last_cell = one ? cells[c].below : kNone;
              value = GainAt(s, when[when.size() == 1 ? 0 : window], antennas[a], cells[c], receptor);
            }
            Complex gain = value.value_or(0);
            if (s.kind == SolutionKind::kDelay && value) {
              const double turns = 1e-9 * value->real() * (block.frequency_hz[c] - s.windows[window].reference_hz);
              gain = std::polar(1.0, 2 * kPi * turns);
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

std::string DescribeUncovered(const VisibilityBlock& block, const SolutionSet& solutions) {
  const auto cells = MatchCells(block, solutions);
  std::string missing;
  std::size_t n = 0;
  for (const SpectralWindow& window : block.windows) {
    const auto first = cells.begin() + static_cast<std::ptrdiff_t>(window.first_channel);
    if (std::any_of(first, first + static_cast<std::ptrdiff_t>(window.n_channels),
                    [](const ChannelCells& c) { return c.covered(); })) {
      continue;
    }
    if (++n > 4) continue;
    const double low = block.frequency_hz[window.first_channel];
    const double high = block.frequency_hz[window.first_channel + window.n_channels - 1];
    missing += fmt::format("{}{:.3f} to {:.3f} MHz", n > 1 ? ", " : "", low / 1e6, high / 1e6);
  }
  if (n == 0) return "";
  return fmt::format("has no solutions for {} of the {} spectral windows of the data ({}{}), which are flagged", n,
                     block.windows.size(), missing, n > 4 ? ", …" : "");
}

}  // namespace contimg::calibrate
