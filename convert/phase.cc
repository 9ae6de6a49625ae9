#include "convert/phase.h"

#include "config/parallel.h"
#include "config/units.h"
#include "convert/rotate_phase.h"

namespace contimg::convert {

namespace {

// The direction, in ITRF, that the input is phased to at `time`.
Vector3 PhaseDirection(const VisibilityBlock& block, std::size_t time, const SkyFrame& frame) {
  if (block.phase_state == PhaseState::kMeridian) {
    return frame.ItrfOfMeridian(block.site.longitude_rad, block.app_dec_rad);
  }
  // Where the writer says that its centre stood is what it used; its astronomy (diurnal aberration, UT1) does not
  // matter.
  if (!block.fringe_place.empty()) return frame.ItrfOfPlace(block.site.longitude_rad, block.fringe_place[time]);
  return frame.ItrfOfIcrs(block.phase_centre.ra_rad, block.phase_centre.dec_rad);
}

}  // namespace

PhaseCentre TileCentre(const VisibilityBlock& block, const EarthOrientationTable& orientation) {
  if (block.phase_state == PhaseState::kSidereal) return block.phase_centre;
  const UtcTime middle = UtcTime::FromMjdSeconds((block.time_mjd_s.front() + block.time_mjd_s.back()) / 2);
  const SkyFrame frame(middle, orientation.At(middle));
  return frame.IcrsOfItrf(frame.ItrfOfMeridian(block.site.longitude_rad, block.app_dec_rad));
}

PhasePlan::PhasePlan(const VisibilityBlock& block, const PhaseCentre& centre, const EarthOrientationTable& orientation)
    : centre_(centre), n_antennas_(block.antennas.size()) {
  if (block.phase_state == PhaseState::kPhased) {
    throw Error(ErrorKind::kBug, "convert", block.group_id, "the tile is already phased to a fixed centre");
  }
  // Positions relative to their mean: differences of 6e6 m vectors would cost 1e-9 m.
  Vector3 mean{};
  for (const auto& p : block.antennas.positions_itrf_m) {
    for (std::size_t i = 0; i < 3; ++i) mean[i] += p[i] / static_cast<double>(n_antennas_);
  }
  for (std::size_t t = 0; t < block.n_times(); ++t) {
    const UtcTime time = UtcTime::FromMjdSeconds(block.time_mjd_s[t]);
    const SkyFrame frame(time, orientation.At(time));
    const UvwAxes axes = AxesOfPhaseCentre(frame, centre);
    const Vector3 s0 = PhaseDirection(block, t, frame);
    const Vector3 shift{axes.w[0] - s0[0], axes.w[1] - s0[1], axes.w[2] - s0[2]};
    for (const auto& p : block.antennas.positions_itrf_m) {
      const Vector3 relative{p[0] - mean[0], p[1] - mean[1], p[2] - mean[2]};
      uvw_m_.push_back({Dot(relative, axes.u), Dot(relative, axes.v), Dot(relative, axes.w)});
      path_m_.push_back(Dot(relative, shift));
    }
  }
}

Vector3 PhasePlan::Uvw(std::size_t time, const Baseline& baseline) const {
  const Vector3& a = uvw_m_[time * n_antennas_ + static_cast<std::size_t>(baseline.antenna1)];
  const Vector3& b = uvw_m_[time * n_antennas_ + static_cast<std::size_t>(baseline.antenna2)];
  return {a[0] - b[0], a[1] - b[1], a[2] - b[2]};
}

void PhasePlan::Rotate(const VisibilityBlock& block, std::size_t time, std::size_t baseline,
                       const SpectralWindow& window, Visibility* vis) const {
  const double* path = &path_m_[time * n_antennas_];
  const double path_m = path[block.baselines[baseline].antenna2] - path[block.baselines[baseline].antenna1];
  RotateAndConjugate(reinterpret_cast<float*>(vis), window.n_channels, block.n_pols(),
                     block.frequency_hz[window.first_channel], block.channel_width_hz, -path_m / kSpeedOfLight);
}

void PhasePlan::Finish(VisibilityBlock& block) const {
  block.uvw_m.resize(block.n_times() * block.n_baselines() * 3);
  double* out = block.uvw_m.data();
  for (std::size_t t = 0; t < block.n_times(); ++t) {
    for (const Baseline& baseline : block.baselines) {
      for (const double x : Uvw(t, baseline)) *out++ = x;
    }
  }
  block.phase_centre = centre_;
  block.phase_state = PhaseState::kPhased;
}

void PhaseBlock(VisibilityBlock& block, const PhaseCentre& centre, const EarthOrientationTable& orientation,
                const RunContext& context) {
  const PhasePlan plan(block, centre, orientation);
  const std::size_t n_windows = block.windows.size();
  ParallelFor(context.threads, block.n_times() * n_windows, [&](std::size_t i) {
    context.CheckCancelled("convert");
    const SpectralWindow& window = block.windows[i % n_windows];
    for (std::size_t b = 0; b < block.n_baselines(); ++b) {
      plan.Rotate(block, i / n_windows, b, window, &block.vis_view()(i / n_windows, b, window.first_channel, 0));
    }
  });
  plan.Finish(block);
}

}  // namespace contimg::convert
