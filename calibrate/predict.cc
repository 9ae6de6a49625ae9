#include "calibrate/predict.h"

#include <algorithm>
#include <cmath>

#include "config/error.h"
#include "config/telescope.h"
#include "config/units.h"

namespace contimg::calibrate {

namespace {

using convert::Dot;
using convert::SkyFrame;
using convert::UvwAxes;
using convert::Vector3;

DirectionCosines Project(const Vector3& direction, const UvwAxes& axes) {
  return {Dot(direction, axes.u), Dot(direction, axes.v), Dot(direction, axes.w)};
}

// The geocentric vertical of the mean antenna: good enough for an altitude.
Vector3 UpOf(const VisibilityBlock& block) {
  Vector3 up{};
  for (const auto& position : block.antennas.positions_itrf_m) {
    for (std::size_t k = 0; k < 3; ++k) up[k] += position[k];
  }
  const double length = std::sqrt(Dot(up, up));
  if (length > 0) {
    for (double& x : up) x /= length;
  }
  return up;
}

struct Geometry {
  std::vector<ApparentSource> sources;
  std::vector<DirectionCosines> axis;           // of the beam, per time
  std::vector<DirectionCosines> fringe_centre;  // per time
  Buffer<float> flux_jy;                        // [time][source][channel]
};

// The sine of the angle between two unit vectors, from their chord: small angles are not lost.
double SineBetween(const DirectionCosines& a, const DirectionCosines& p) {
  const double chord = std::hypot(a[0] - p[0], a[1] - p[1], a[2] - p[2]);
  return chord >= std::sqrt(2.0) ? 1.0 : chord * std::sqrt(1 - 0.25 * chord * chord);
}

// The beam's mean power over times and channels at the phase centre.
double MeanBeamAtCentre(const VisibilityBlock& block, const std::vector<DirectionCosines>& axis, double diameter_m) {
  double sum = 0;
  for (const DirectionCosines& p : axis) {
    const double sine = SineBetween({0, 0, 1}, p);
    for (const double frequency : block.frequency_hz) sum += AiryPowerBeam(sine, frequency, diameter_m);
  }
  return sum / static_cast<double>(axis.size() * block.n_channels());
}

Geometry Apparent(const VisibilityBlock& block, const std::vector<SkySource>& sources, const PredictOptions& options) {
  if (block.phase_state != PhaseState::kPhased) {
    throw Error(ErrorKind::kBadInput, "predict", block.group_id, "the data are not phased to one centre");
  }
  if (block.n_times() == 0 || block.n_channels() == 0) {
    throw Error(ErrorKind::kBadInput, "predict", block.group_id, "holds no data");
  }
  static const convert::EarthOrientationTable no_orientation;
  const auto& orientation = options.orientation != nullptr ? *options.orientation : no_orientation;
  const std::size_t n_times = block.n_times(), n_channels = block.n_channels(), n = sources.size();
  const Vector3 up = UpOf(block);
  const convert::TileBeam& beam = options.beam;

  const UtcTime middle = UtcTime::FromMjdSeconds(0.5 * (block.time_mjd_s.front() + block.time_mjd_s.back()));
  const SkyFrame middle_frame(middle, orientation.At(middle));
  const UvwAxes middle_axes = AxesOfPhaseCentre(middle_frame, block.phase_centre);
  Geometry out;
  out.sources.resize(n);
  for (std::size_t k = 0; k < n; ++k) {
    const Vector3 direction = middle_frame.ItrfOfIcrs(sources[k].ra_rad, sources[k].dec_rad);
    out.sources[k].direction = Project(direction, middle_axes);
    out.sources[k].altitude_rad = std::asin(std::clamp(Dot(direction, up), -1.0, 1.0));
  }
  out.axis.assign(n_times, {0, 0, 1});
  const PhaseCentre& tracked = beam.pointing.direction;
  const bool centred = beam.mode == BeamMode::kTracking && tracked.ra_rad == block.phase_centre.ra_rad &&
                       tracked.dec_rad == block.phase_centre.dec_rad;
  if (beam.mode != BeamMode::kNone && !centred) {
    for (std::size_t t = 0; t < n_times; ++t) {
      const UtcTime time = UtcTime::FromMjdSeconds(block.time_mjd_s[t]);
      const SkyFrame frame(time, orientation.At(time));
      out.axis[t] = Project(BeamAxis(beam, frame), AxesOfPhaseCentre(frame, block.phase_centre));
    }
  }
  const bool on_axis = beam.mode == BeamMode::kDrift && beam.pointing.stops_fringes;
  out.fringe_centre = on_axis ? out.axis : std::vector<DirectionCosines>(n_times, {0, 0, 1});
  std::vector<double> spectrum(n_channels);
  out.flux_jy = Buffer<float>(n_times * n * n_channels);
  for (std::size_t k = 0; k < n; ++k) {
    for (std::size_t c = 0; c < n_channels; ++c) spectrum[c] = sources[k].FluxJy(block.frequency_hz[c]);
    double flux_sum = 0, beam_sum = 0;
    for (std::size_t t = 0; t < n_times; ++t) {
      const double sine = SineBetween(out.sources[k].direction, out.axis[t]);
      float* flux = out.flux_jy.data() + (t * n + k) * n_channels;
      for (std::size_t c = 0; c < n_channels; ++c) {
        const double power =
            beam.mode == BeamMode::kNone ? 1.0 : AiryPowerBeam(sine, block.frequency_hz[c], beam.dish_diameter_m);
        flux[c] = static_cast<float>(spectrum[c] * power);
        flux_sum += spectrum[c] * power;
        beam_sum += power;
      }
    }
    out.sources[k].mean_flux_jy = flux_sum / static_cast<double>(n_times * n_channels);
    out.sources[k].mean_beam = beam_sum / static_cast<double>(n_times * n_channels);
  }
  return out;
}

}  // namespace

std::vector<ApparentSource> ApparentSources(const VisibilityBlock& block, const std::vector<SkySource>& sources,
                                            const PredictOptions& options) {
  return Apparent(block, sources, options).sources;
}

double Prediction::ApparentJy() const {
  double sum = 0;
  for (const ApparentSource& source : sources) sum += source.mean_flux_jy;
  return sum;
}

Prediction Predict(const VisibilityBlock& block, const std::vector<SkySource>& sources, const PredictOptions& options,
                   int threads) {
  const Geometry geometry = Apparent(block, sources, options);
  if (options.beam.mode != BeamMode::kNone) {
    const double mean_beam = MeanBeamAtCentre(block, geometry.axis, options.beam.dish_diameter_m);
    CheckResponseAtCentre(options.beam, mean_beam, 1, options.least_beam, "predict", block.group_id);
  }
  Prediction out;
  out.sources = geometry.sources;
  out.shape = {block.n_times(), block.n_baselines(), block.n_channels()};
  out.model = Buffer<Visibility>(out.shape[0] * out.shape[1] * out.shape[2]);
  PredictInput input;
  input.uvw_m = block.uvw_view();
  input.time_mjd_s = block.time_mjd_s;
  input.integration_s = block.integration_s;
  input.frequency_hz = block.frequency_hz;
  input.channel_width_hz = block.channel_width_hz;
  input.declination_rad = block.app_dec_rad != 0 ? block.app_dec_rad : block.phase_centre.dec_rad;
  for (const ApparentSource& source : geometry.sources) input.components.push_back(source.direction);
  input.fringe_centre = geometry.fringe_centre;
  input.flux_jy = {geometry.flux_jy.data(), {out.shape[0], sources.size(), out.shape[2]}};
  input.smearing = options.smearing;
  PredictVisibilities(input, {out.model.data(), out.shape}, threads);
  return out;
}

}  // namespace contimg::calibrate
