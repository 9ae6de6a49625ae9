#include "calibrate/solutions.h"

#include "config/robust_statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace contimg::calibrate {

namespace {

using Complex = std::complex<double>;

// Unit phase that turns the solutions at (interval, cell, receptor) so that they agree with those at the other place in
// the weighted mean over common antennas; 1 when they have none in common.
Complex AligningPhase(const SolutionSet& s, std::size_t interval, std::size_t cell, std::size_t from_interval,
                      std::size_t from_cell, std::size_t receptor) {
  Complex sum = 0;
  for (std::size_t a = 0; a < s.antennas.size(); ++a) {
    const std::size_t here = s.Index(interval, a, cell, receptor);
    const std::size_t there = s.Index(from_interval, a, from_cell, receptor);
    if (!s.usable(here) || !s.usable(there)) continue;
    const Complex product = s.value[there] * std::conj(s.value[here]);
    const double size = std::abs(product);
    if (size > 0) sum += product / size;
  }
  const double size = std::abs(sum);
  return size > 0 ? sum / size : Complex(1);
}

void Rotate(SolutionSet& s, std::size_t interval, std::size_t cell, std::size_t receptor, Complex phase) {
  for (std::size_t a = 0; a < s.antennas.size(); ++a) {
    const std::size_t i = s.Index(interval, a, cell, receptor);
    if (s.usable(i)) s.value[i] *= phase;
  }
}

void RereferenceDelays(SolutionSet& s, int antenna) {
  for (std::size_t t = 0; t < s.intervals.size(); ++t) {
    for (std::size_t c = 0; c < s.n_cells(); ++c) {
      for (std::size_t r = 0; r < s.n_receptors; ++r) {
        const std::size_t ref = s.Index(t, static_cast<std::size_t>(antenna), c, r);
        if (!s.usable(ref)) continue;
        const Complex delay = s.value[ref];
        for (std::size_t a = 0; a < s.antennas.size(); ++a) {
          const std::size_t i = s.Index(t, a, c, r);
          if (s.usable(i)) s.value[i] -= delay;
        }
      }
    }
  }
}

}  // namespace

std::optional<SolutionKind> ParseSolutionKind(std::string_view word) {
  for (const SolutionKind kind : kSolutionKinds) {
    if (word == ToString(kind)) return kind;
  }
  return std::nullopt;
}

std::size_t SolutionSet::n_channels() const {
  std::size_t n = 0;
  for (const SolutionWindow& window : windows) n += window.frequency_hz.size();
  return n;
}

std::size_t SolutionSet::n_cells() const { return kind == SolutionKind::kBandpass ? n_channels() : windows.size(); }

void SolutionSet::Allocate() {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  value.assign(size(), Complex(nan, nan));
  error.assign(size(), std::numeric_limits<float>::quiet_NaN());
  snr.assign(size(), 0.0F);
  flag.assign(size(), kFlagged);
  normalisation.clear();
}

FlagSummary SummariseFlags(const SolutionSet& s) {
  FlagSummary summary;
  summary.receptors_per_antenna = s.n_receptors;
  summary.receptors = s.antennas.size() * s.n_receptors;
  const std::size_t per_receptor = s.intervals.size() * s.n_cells();
  std::size_t flagged = 0;
  std::size_t flagged_living = 0;
  for (std::size_t a = 0; a < s.antennas.size(); ++a) {
    std::size_t dead_here = 0;
    for (std::size_t r = 0; r < s.n_receptors; ++r) {
      std::size_t n = 0;
      for (std::size_t t = 0; t < s.intervals.size(); ++t) {
        for (std::size_t c = 0; c < s.n_cells(); ++c) n += s.usable(s.Index(t, a, c, r)) ? 0 : 1;
      }
      flagged += n;
      if (n == per_receptor) {
        ++dead_here;
      } else {
        flagged_living += n;
      }
    }
    summary.dead_receptors += dead_here;
    if (dead_here == s.n_receptors) ++summary.dead_antennas;
  }
  const std::size_t living = summary.receptors - summary.dead_receptors;
  if (s.size() > 0) summary.raw_fraction = static_cast<double>(flagged) / static_cast<double>(s.size());
  if (living * per_receptor > 0) {
    summary.effective_fraction = static_cast<double>(flagged_living) / static_cast<double>(living * per_receptor);
  }
  return summary;
}

std::vector<AntennaFlags> FlagsByAntenna(const SolutionSet& s) {
  const auto share = [](std::size_t flagged, std::size_t total) {
    return total > 0 ? static_cast<double>(flagged) / static_cast<double>(total) : 1.0;
  };
  std::vector<AntennaFlags> list;
  for (std::size_t a = 0; a < s.antennas.size(); ++a) {
    AntennaFlags& flags = list.emplace_back();
    flags.antenna = s.antennas[a].name;
    std::vector<std::size_t> by_receptor(s.n_receptors, 0);
    std::size_t first = 0;
    for (const SolutionWindow& window : s.windows) {
      const std::size_t n = s.kind == SolutionKind::kBandpass ? window.frequency_hz.size() : 1;
      std::size_t flagged = 0;
      for (std::size_t t = 0; t < s.intervals.size(); ++t) {
        for (std::size_t c = first; c < first + n; ++c) {
          for (std::size_t r = 0; r < s.n_receptors; ++r) {
            if (s.usable(s.Index(t, a, c, r))) continue;
            ++flagged;
            ++by_receptor[r];
          }
        }
      }
      flags.by_window.push_back(share(flagged, s.intervals.size() * n * s.n_receptors));
      first += n;
    }
    for (const std::size_t flagged : by_receptor) {
      flags.by_receptor.push_back(share(flagged, s.intervals.size() * s.n_cells()));
    }
  }
  return list;
}

double MiddleOf(const SolutionSet& s) {
  const SolutionInterval &first = s.intervals.front(), &last = s.intervals.back();
  return 0.5 * ((first.time_mjd_s - 0.5 * first.length_s) + (last.time_mjd_s + 0.5 * last.length_s));
}

void Rereference(SolutionSet& s, int antenna) {
  s.reference_antenna = antenna;
  if (antenna < 0) return;
  if (s.kind == SolutionKind::kDelay) {
    RereferenceDelays(s, antenna);
    return;
  }
  const std::size_t n_cells = s.n_cells();
  const std::size_t n_places = s.intervals.size() * n_cells;  // place = interval * n_cells + cell
  for (std::size_t r = 0; r < s.n_receptors; ++r) {
    std::vector<std::uint8_t> referenced(n_places, 0);
    for (std::size_t place = 0; place < n_places; ++place) {
      const std::size_t i = s.Index(place / n_cells, static_cast<std::size_t>(antenna), place % n_cells, r);
      const double size = s.usable(i) ? std::abs(s.value[i]) : 0;
      if (!(size > 0)) continue;
      Rotate(s, place / n_cells, place % n_cells, r, std::conj(s.value[i]) / size);
      s.value[i] = std::abs(s.value[i]);
      referenced[place] = 1;
    }
    // Outwards from what is referenced, in order of the axis: each unreferenced place follows a neighbour that is done.
    const auto spread = [&](std::size_t place, std::size_t neighbour) {
      if (referenced[place] || !referenced[neighbour]) return;
      Rotate(s, place / n_cells, place % n_cells, r,
             AligningPhase(s, place / n_cells, place % n_cells, neighbour / n_cells, neighbour % n_cells, r));
      referenced[place] = 1;
    };
    for (std::size_t t = 0; t < s.intervals.size(); ++t) {
      for (std::size_t c = 1; c < n_cells; ++c) spread(t * n_cells + c, t * n_cells + c - 1);
      for (std::size_t c = n_cells; c-- > 1;) spread(t * n_cells + c - 1, t * n_cells + c);
    }
    for (std::size_t c = 0; c < n_cells; ++c) {
      for (std::size_t t = 1; t < s.intervals.size(); ++t) spread(t * n_cells + c, (t - 1) * n_cells + c);
      for (std::size_t t = s.intervals.size(); t-- > 1;) spread((t - 1) * n_cells + c, t * n_cells + c);
    }
  }
}

int ChooseReference(const SolutionSet& s, const std::vector<std::string>& preferred) {
  const std::size_t n_antennas = s.antennas.size();
  const std::size_t n_places = s.intervals.size() * s.n_cells() * s.n_receptors;
  std::vector<std::size_t> count(n_antennas, 0);
  std::vector<float> median(n_antennas, 0);
  std::vector<std::uint8_t> any(n_places, 0);
  for (std::size_t a = 0; a < n_antennas; ++a) {
    std::vector<float> snrs;
    for (std::size_t t = 0; t < s.intervals.size(); ++t) {
      for (std::size_t c = 0; c < s.n_cells(); ++c) {
        for (std::size_t r = 0; r < s.n_receptors; ++r) {
          const std::size_t i = s.Index(t, a, c, r);
          if (!s.usable(i)) continue;
          any[(t * s.n_cells() + c) * s.n_receptors + r] = 1;
          snrs.push_back(s.snr[i]);
        }
      }
    }
    count[a] = snrs.size();
    median[a] = TakeMedian(snrs);
  }
  const std::size_t reachable = static_cast<std::size_t>(std::accumulate(any.begin(), any.end(), std::size_t{0}));
  for (const std::string& name : preferred) {
    for (std::size_t a = 0; a < n_antennas; ++a) {
      if (s.antennas[a].name == name && count[a] > 0 && 2 * count[a] >= reachable) return static_cast<int>(a);
    }
  }
  int best = -1;
  for (std::size_t a = 0; a < n_antennas; ++a) {
    if (count[a] == 0) continue;
    const auto b = static_cast<std::size_t>(best);
    if (best < 0 || count[a] > count[b] || (count[a] == count[b] && median[a] > median[b])) best = static_cast<int>(a);
  }
  return best;
}

}  // namespace contimg::calibrate
