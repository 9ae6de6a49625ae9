// The in-memory tile: visibilities of one group with everything needed to calibrate and image them. C++17-clean.
//
// Axes: C order [time][baseline][channel][pol], the last index fastest. Frequencies ascend over the whole block;
// channels of one subband are contiguous (`windows`). Polarisations are in ascending CASA order of what the input
// holds: XX, YY or XX, XY, YX, YY. Every baseline has antenna1 <= antenna2 and the baseline list is the same at every
// time.
//
// A block is move-only and has one owner at a time. A stage may change it and hand it on, or read it and hand it on.
#pragma once

#include <array>
#include <complex>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "config/array_view.h"
#include "config/buffer.h"

namespace contimg {

using Visibility = std::complex<float>;

// What the visibility phases refer to, and with it the sign convention (docs/conventions.md).
enum class PhaseState {
  // As the correlator wrote them: fringes stopped to hour angle 0 and the apparent declination `app_dec_rad`, afresh
  // at the middle of each integration. V ∝ exp(+2πi ν b·(s − s0)/c) with b = antenna2 − antenna1. uvw is empty.
  kMeridian,
  // Phased by another program to the ICRS direction `phase_centre`, with the signs of kMeridian. uvw is empty.
  kSidereal,
  // Phased to `phase_centre`, with the Measurement Set's signs: uvw = −(antenna2 − antenna1) in the phase-centre
  // frame, V ∝ exp(+2πi ν (ul + vm + w(n−1))/c).
  kPhased,
};

// Which data the visibilities are; the imager and the calibrator refuse the wrong state.
enum class DataState { kRaw, kCorrected, kModel, kResidual };

enum class Polarisation : std::int8_t {
  kXX = -5,
  kYY = -6,
  kXY = -7,
  kYX = -8,
  kRR = -1,
  kLL = -2,
  kRL = -3,
  kLR = -4,
  kI = 1
};  // the numbers of AIPS and UVH5

struct AntennaTable {
  std::vector<std::string> names;                       // station names, unique
  std::vector<int> numbers;                             // the file's antenna numbers
  std::vector<std::array<double, 3>> positions_itrf_m;  // absolute, geocentric
  std::vector<double> diameters_m;
  std::size_t size() const { return names.size(); }
};

// The point whose meridian defines hour angle 0.
struct ArraySite {
  double latitude_rad = 0;   // geodetic, WGS84
  double longitude_rad = 0;  // east positive
  double height_m = 0;       // above the ellipsoid
  std::string source;        // where the numbers come from ("header", "telescope"): goes to HISTORY
};

struct Baseline {
  int antenna1 = 0;  // indices into the antenna table; antenna1 <= antenna2
  int antenna2 = 0;
  bool is_auto() const { return antenna1 == antenna2; }
};

// One subband = one spectral window of the Measurement Set.
struct SpectralWindow {
  int subband = -1;               // the correlator's number, −1 when unknown
  std::size_t first_channel = 0;  // position on the block's channel axis
  std::size_t n_channels = 0;
  std::string input_path;
};

struct PhaseCentre {
  double ra_rad = 0;  // ICRS
  double dec_rad = 0;
};

// Where the axis of the dishes stood while the data were taken; convert/tile_beam.h makes a primary beam of it.
struct Pointing {
  enum class Kind : std::int8_t {
    kUnknown,   // nothing in the data says it; `source` says why
    kDrift,     // at rest on the Earth, the sky moving through the beam
    kTracking,  // at rest on the sky
  };
  Kind kind = Kind::kUnknown;
  double meridian_rad = 0;     // drift: east longitude of the meridian on which the axis stands
  double app_dec_rad = 0;      // drift: its apparent declination
  PhaseCentre direction;       // tracking: ICRS
  bool stops_fringes = false;  // drift: fringes were stopped on the axis; otherwise at the phase centre
  std::string source;          // what said so: "the header of the files", "POINTING"
};

// A direction over the turning Earth.
struct ApparentPlace {
  double hour_angle_rad = 0;  // from the meridian of the array's site, west positive
  double dec_rad = 0;
};

class VisibilityBlock {
 public:
  VisibilityBlock() = default;
  VisibilityBlock(VisibilityBlock&&) = default;
  VisibilityBlock& operator=(VisibilityBlock&&) = default;

  std::size_t n_times() const { return time_mjd_s.size(); }
  std::size_t n_baselines() const { return baselines.size(); }
  std::size_t n_channels() const { return frequency_hz.size(); }
  std::size_t n_pols() const { return polarisations.size(); }
  std::array<std::size_t, 4> shape() const { return {n_times(), n_baselines(), n_channels(), n_pols()}; }

  // Allocates vis, flag and weight for the axes as they stand (zero, unflagged).
  void Allocate();

  ArrayView<Visibility, 4> vis_view() { return {vis.data(), shape()}; }
  ArrayView<const Visibility, 4> vis_view() const { return {vis.data(), shape()}; }
  ArrayView<std::uint8_t, 4> flag_view() { return {flag.data(), shape()}; }
  ArrayView<const std::uint8_t, 4> flag_view() const { return {flag.data(), shape()}; }
  ArrayView<float, 4> weight_view() { return {weight.data(), shape()}; }
  ArrayView<const float, 4> weight_view() const { return {weight.data(), shape()}; }
  // [time][baseline][3], metres; empty unless kPhased.
  ArrayView<const double, 3> uvw_view() const { return {uvw_m.data(), {n_times(), n_baselines(), 3}}; }

  // Axes.
  std::vector<double> time_mjd_s;     // UTC, middle of each integration, strictly ascending
  std::vector<double> integration_s;  // per time
  std::vector<Baseline> baselines;
  std::vector<double> frequency_hz;     // channel centres, strictly ascending
  double channel_width_hz = 0;          // positive; one width for the whole block
  std::vector<SpectralWindow> windows;  // ascending in frequency, covering the channel axis without gaps
  std::vector<Polarisation> polarisations;

  // Data, each [time][baseline][channel][pol].
  Buffer<Visibility> vis;
  Buffer<std::uint8_t> flag;  // 1 = bad
  Buffer<float> weight;       // relative; nsamples clamped to [0, max] straight after reading
  // [time][baseline][window], 1 = the input has no such row: its samples are flagged, weigh 0 and are counted nowhere
  // (ingest/flag_count.h). Empty: every row exists.
  std::vector<std::uint8_t> absent;

  // Geometry.
  AntennaTable antennas;
  ArraySite site;
  double app_dec_rad = 0;  // apparent declination of the correlator's phase centre; 0 when the data do not say it
  Pointing pointing;
  PhaseState phase_state = PhaseState::kMeridian;
  DataState data_state = DataState::kRaw;
  PhaseCentre phase_centre;  // when kSidereal or kPhased
  // When kSidereal: where the writer's phase centre stood at each time. Empty: at the apparent place of `phase_centre`.
  std::vector<ApparentPlace> fringe_place;
  std::vector<double> uvw_m;  // when kPhased

  // Provenance.
  std::string group_id;        // "2025-10-13T13:28:03"
  std::string telescope_name;  // as in the file: OVRO_MMA
  std::string instrument;
  std::string object_name;
  std::string set_stamp;                    // of the Measurement Set it was read from (convert/measurement_set_lock.h)
  std::string file_history;                 // the header's history of the first subband
  std::vector<std::string> extra_keywords;  // "key = value" of the first subband
};

}  // namespace contimg
