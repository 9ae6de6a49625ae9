// Calibration solutions: what the solvers make, the tables hold and apply uses. C++17-clean.
//
// Convention: V_pq = g_p · M_pq · conj(g_q) with V the observed and M the model visibility, per receptor. A delay τ is
// the gain exp(2πi τ (ν − reference of the spectral window)), τ in nanoseconds, as in CASA's K Jones tables.
//
// Values lie in C order [interval][antenna][cell][receptor]. A cell is a channel for B and a spectral window for K and
// G. Antennas are those of the antenna table, also the ones without data; a value that was not found is flagged and
// NaN, never 1.
#pragma once

#include <array>
#include <complex>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/product_paths.h"

namespace contimg::calibrate {

using SolutionKind = CalKind;  // K, B, G Jones; its words are config's, as the names of tables are
// All of them, in the order in which they are solved and applied.
inline constexpr SolutionKind kSolutionKinds[] = {SolutionKind::kDelay, SolutionKind::kBandpass, SolutionKind::kGain};

// The kind of that word; nothing for another one.
std::optional<SolutionKind> ParseSolutionKind(std::string_view word);

// One spectral window of the data that were solved.
struct SolutionWindow {
  std::vector<double> frequency_hz;  // channel centres, ascending
  double channel_width_hz = 0;       // positive
  double reference_hz = 0;           // zero phase of a delay
};

struct SolutionInterval {
  double time_mjd_s = 0;  // middle, UTC
  double length_s = 0;    // 0: unknown, as in all tables of CASA
};

struct SolutionAntenna {
  std::string name;
  std::array<double, 3> position_itrf_m{};
  double diameter_m = 0;
};

enum SolutionFlag : std::uint8_t {
  kSolved = 0,
  kFlagged = 1,       // no data, too few baselines, low SNR or no convergence: do not use
  kInterpolated = 2,  // a bandpass gap of a few channels that was filled from its neighbours: usable, no own data
};

struct SolutionSet {
  SolutionKind kind = SolutionKind::kGain;
  std::vector<SolutionAntenna> antennas;
  std::vector<SolutionWindow> windows;      // ascending in frequency
  std::vector<SolutionInterval> intervals;  // ascending in time
  std::size_t n_receptors = 2;              // parallel hands: X and Y
  int reference_antenna = -1;               // index; −1 unknown
  double field_ra_rad = 0;                  // ICRS direction the data were phased to
  double field_dec_rad = 0;
  std::string field_name;
  std::string source_ms;  // name of the Measurement Set
  std::string telescope_name;
  std::vector<std::string> history;  // provenance, one sentence a line

  // [interval][antenna][cell][receptor]. Delays: real part, nanoseconds.
  std::vector<std::complex<double>> value;
  std::vector<float> error;        // standard error of one real component (radians times amplitude for phase); ns for K
  std::vector<float> snr;          // |value| / error; for K the SNR of the fringe
  std::vector<std::uint8_t> flag;  // SolutionFlag

  // ---- Tables of other programs (docs/formats/calibration-tables.md) ----
  bool foreign = false;                   // CASA's rule for gaps: between two solutions, both must be usable
  bool polarisation_independent = false;  // T Jones: the one receptor's value holds for both
  std::size_t windows_described = 0;      // spectral windows of the subtable, with and without solutions
  // Middle of each window's own solution, [interval][window], NaN where the window has none. Empty: all windows have
  // the time of the interval.
  std::vector<double> window_time_mjd_s;
  // The one window's values hold at every frequency: solved over all windows, written for one (CASA's combine='spw').
  bool one_window_for_all = false;

  // Time of a window's solution in an interval, NaN where it has none.
  double SolutionTime(std::size_t interval, std::size_t window) const {
    return window_time_mjd_s.empty() ? intervals[interval].time_mjd_s
                                     : window_time_mjd_s[interval * windows.size() + window];
  }

  // Bandpass: the amplitude taken out per [antenna][receptor] (the root mean square over the unflagged band); else
  // empty.
  std::vector<double> normalisation;

  std::size_t n_cells() const;
  std::size_t size() const { return intervals.size() * antennas.size() * n_cells() * n_receptors; }
  std::size_t Index(std::size_t interval, std::size_t antenna, std::size_t cell, std::size_t receptor) const {
    return ((interval * antennas.size() + antenna) * n_cells() + cell) * n_receptors + receptor;
  }
  bool usable(std::size_t index) const { return flag[index] != kFlagged; }
  // Sizes the arrays for the axes as they stand: everything NaN and flagged.
  void Allocate();
  std::size_t n_channels() const;  // over all windows
};

// Flagged share of a solution set, aware of receptors: a receptor without one usable value is dead and counts apart.
struct FlagSummary {
  std::size_t receptors = 0;       // antenna-receptors in the table
  std::size_t dead_receptors = 0;  // without any usable value
  std::size_t dead_antennas = 0;   // all receptors dead
  std::size_t receptors_per_antenna = 2;
  double raw_fraction = 1;        // of all values
  double effective_fraction = 1;  // of the values of living receptors; 1 when none lives
};
FlagSummary SummariseFlags(const SolutionSet& solutions);

// Flagged shares of the solutions of one antenna of the table; 1 where it has no data.
struct AntennaFlags {
  std::string antenna;
  std::vector<double> by_window, by_receptor;
};
std::vector<AntennaFlags> FlagsByAntenna(const SolutionSet& solutions);  // in the order of `antennas`

// Middle of the solved stretch, MJD seconds UTC.
double MiddleOf(const SolutionSet& solutions);

// Multiplies every solution of an interval, cell and receptor by the phase that makes `antenna`'s value real and
// positive. Where that antenna is flagged the phase comes from the nearest cell or interval that was referenced,
// by continuity of the weighted mean phase over the common antennas. K: subtracts the antenna's delay.
// Errors are left as they are: they describe each antenna alone.
void Rereference(SolutionSet& solutions, int antenna);

// The antenna to refer phases to: the first of `preferred` (names) with a usable value in at least half of the cells
// that any antenna has; else the antenna with the most usable values, ties by the larger median SNR, then by the
// smaller index. −1 when nothing is usable.
int ChooseReference(const SolutionSet& solutions, const std::vector<std::string>& preferred);

}  // namespace contimg::calibrate
