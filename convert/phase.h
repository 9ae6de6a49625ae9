// From the phase centre of the input to one ICRS centre: uvw and the rotation of the visibilities.
#pragma once

#include "config/run_context.h"
#include "convert/frames.h"
#include "ingest/visibility_block.h"

namespace contimg::convert {

// The tile's phase centre: the ICRS direction of hour angle 0 and the apparent declination at the middle of the tile
// (the mean of the first and the last integration's middle); of a tile that came phased to the sky, its own centre.
PhaseCentre TileCentre(const VisibilityBlock& block, const EarthOrientationTable& orientation);

// Everything needed to rotate and label one block, computed once: per time and antenna.
class PhasePlan {
 public:
  // `block` is kMeridian or kSidereal.
  PhasePlan(const VisibilityBlock& block, const PhaseCentre& centre, const EarthOrientationTable& orientation);

  const PhaseCentre& centre() const { return centre_; }
  // Rotates `vis`, all channels and polarisations of one baseline and window at one time, and gives them the
  // Measurement Set's sign: V ← conj(V · exp(−2πi ν b·(s1 − s0)/c)), with b = antenna2 − antenna1, s0 the direction
  // that the input is phased to (the meridian's, or where the writer's centre stood) and s1 the centre's. `block` gives
  // the axes. Thread-safe.
  void Rotate(const VisibilityBlock& block, std::size_t time, std::size_t baseline, const SpectralWindow& window,
              Visibility* vis) const;
  // Labels the block as phased: uvw, phase centre, state. Call after every row has been rotated.
  void Finish(VisibilityBlock& block) const;
  // uvw of baseline `baseline` at `time`: −(antenna2 − antenna1), metres.
  Vector3 Uvw(std::size_t time, const Baseline& baseline) const;

 private:
  PhaseCentre centre_;
  std::size_t n_antennas_ = 0;
  std::vector<Vector3> uvw_m_;  // [time][antenna], relative to the mean antenna position
  std::vector<double> path_m_;  // [time][antenna]: position · (s1 − s0)
};

// Rotates the whole block to `centre` with `context.threads` threads: kMeridian or kSidereal → kPhased.
void PhaseBlock(VisibilityBlock& block, const PhaseCentre& centre, const EarthOrientationTable& orientation,
                const RunContext& context);

}  // namespace contimg::convert
