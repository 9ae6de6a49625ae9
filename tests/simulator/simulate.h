// The simulator's front door: a sky, an array, its faults and one group of files.
//
// It shares facts with the product (config/telescope.h) and no arithmetic: apparent places, beam, geometry, noise and
// the direct sum are its own. Used by `contimg simulate` and, in process, by tests:
//
//   GroupSpec spec;                      // ten antennas, four integrations, 16 × 8 channels: about 50 ms
//   spec.out_dir = dir; spec.n_integrations = 4; spec.n_channels = 8;
//   SimulateGroup({{Source{FieldCentre(array, spec), 5.0, 0.0}}}, Dsa110Array(10), {}, spec);
//
// Physics, for each baseline b = antenna 2 − antenna 1, integration and channel:
//   V = Σ S(ν) B(ν, t) · smear_time · smear_bandwidth · exp(+2πi ν b·(s − s0)/c)
// s and s0 are apparent (geocentric) directions in the ITRF at the middle of the integration, s0 the point at hour
// angle 0 of the header's longitude and the apparent declination, anew for each integration. B is the Airy power beam
// that stands at s0 while the sky drifts. Within an integration the correlator follows the sky-fixed point c that is at
// s0 in its middle, so time smearing is the sinc of the change of phase of b·(s − c) across it; bandwidth smearing is
// sinc(Δν τ). Extended sources are Gaussians; S(ν) goes with time as variation.h says, from integration to integration.
// XX = YY = I before gains and noise.
//   V_observed = conj(g1) g2 (V + interference + noise)
// Autocorrelations hold the flux in the beam plus the SEFD, with real noise. A dead antenna has noise only.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "config/time.h"
#include "tests/simulator/array_config.h"
#include "tests/simulator/corruptions.h"
#include "tests/simulator/emitter_sum.h"
#include "tests/simulator/sky_model.h"

namespace contimg::simulator {

constexpr double kSiderealDayS = 86164.0905;  // mean, in seconds of UT1: the same sidereal time the day after

struct GroupSpec {
  UtcTime start = UtcTime::FromIso8601("2025-10-13T13:28:03");  // of the first integration; names the files
  double app_dec_rad = 0.28099801;                              // apparent declination of the pointing: 16.1°
  int n_integrations = kDsa110IntegrationsPerFile;
  int n_channels = kDsa110ChannelsPerSubband;  // per subband; divides 384, so fewer channels are wider ones
  int n_subbands = kDsa110Subbands;            // from the top of the band
  bool primary_beam = true;                    // false: the response is 1 everywhere

  std::filesystem::path out_dir;    // must exist
  bool write_truth = true;          // truth_<stamp>.json
  std::filesystem::path truth_dir;  // empty: out_dir
  bool write_mask = false;          // rfimask_<stamp>.hdf5 beside the truth (uvh5_writer.h)
  double mask_threshold = 1.0;      // mask where |interference| exceeds so many σ of the noise (Jy when noise-free)
  std::vector<int> missing_subbands;
  double stamp_jitter_s = 0;  // file-name stamps of the subbands scatter by up to so much
  bool publish = true;        // false: leave the files under their _incomplete names for Publish()

  std::uint64_t seed = 1;  // of the noise; also of the gains unless gain_seed is set
  std::uint64_t gain_seed = 0;
  int threads = 1;
  std::function<void(double fraction)> progress;  // called from any thread, one at a time
};

struct SubbandFile {
  int subband = 0;
  std::filesystem::path incomplete;  // the name while it is written
  std::filesystem::path path;        // the final name
};

struct GroupResult {
  std::string stamp;  // "2025-10-13T13:28:03"
  std::vector<SubbandFile> files;
  std::filesystem::path truth_path, mask_path;  // empty when not written
  SkyDirection field_centre;                    // ICRS
  // Per source: its flux density at 1.4 GHz, mean over the tile weighted by the beam that it drifts through, which is
  // what an image has of a source that varies; NaN of one that the beam does not reach.
  std::vector<double> seen_jy;
};

// Writes one group. Deterministic: the same arguments give the same bytes for any number of threads. Throws
// Error{kUsage} when a file exists already or the specification makes no sense and Error{kIo} when writing fails; the
// unfinished files are removed then.
GroupResult SimulateGroup(const SkyModel& sky, const ArrayConfig& array, const Corruptions& corruptions,
                          const GroupSpec& spec);

// Gives a finished file its final name.
void Publish(const SubbandFile& file);

// Length of the group's data, seconds; the next tile of a drift starts so much later.
double GroupSeconds(const GroupSpec& spec);
// Middle of the integration, Julian Date (UTC), as the files state it.
double IntegrationJd(const GroupSpec& spec, int integration);
// Middle of the tile.
UtcTime MiddleOf(const GroupSpec& spec);
// The ICRS direction of hour angle 0 and the apparent declination at the middle of the tile.
SkyDirection FieldCentre(const ArrayConfig& array, const GroupSpec& spec);
// The subband's channels as the file orders them (descending).
ChannelBlock SubbandChannels(int subband, int n_channels);
// Noise of one visibility: standard deviation of the real and of the imaginary part, Jy.
double VisibilitySigmaJy(double sefd_jy, double channel_width_hz, double integration_s);

}  // namespace contimg::simulator
