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

// The block's antennas, their mean place and dish.
struct ArrayFacts {
  double longitude_rad = 0, diameter_m = 0;
  Vector3 up{};  // geocentric vertical, good enough for an altitude

  ArrayFacts(const VisibilityBlock& block, double diameter) : diameter_m(diameter) {
    Vector3 mean{};
    for (const auto& position : block.antennas.positions_itrf_m) {
      for (std::size_t k = 0; k < 3; ++k) mean[k] += position[k];
    }
    const double length = std::sqrt(Dot(mean, mean));
    if (length > 0) {
      for (std::size_t k = 0; k < 3; ++k) up[k] = mean[k] / length;
    }
    longitude_rad = block.site.longitude_rad != 0 ? block.site.longitude_rad : std::atan2(mean[1], mean[0]);
    if (diameter_m <= 0) {
      std::vector<double> diameters = block.antennas.diameters_m;
      std::erase_if(diameters, [](double d) { return !(d > 0); });
      if (!diameters.empty()) {
        auto middle = diameters.begin() + static_cast<std::ptrdiff_t>(diameters.size() / 2);
        std::nth_element(diameters.begin(), middle, diameters.end());
        diameter_m = *middle;
      } else {
        diameter_m = kDsa110DishDiameterM;
      }
    }
  }
};

struct Geometry {
  std::vector<ApparentSource> sources;
  std::vector<DirectionCosines> fringe_centre;
  Buffer<float> flux_jy;  // [time][source][channel]
};

Geometry Apparent(const VisibilityBlock& block, const std::vector<SkySource>& sources, const PredictOptions& options) {
  if (block.phase_state != PhaseState::kPhased) {
    throw Error(ErrorKind::kBadInput, "predict", block.group_id, "the data are not phased to one centre");
  }
  if (block.n_times() == 0 || block.n_channels() == 0) {
    throw Error(ErrorKind::kBadInput, "predict", block.group_id, "holds no data");
  }
  static const convert::EarthOrientationTable kNoOrientation;
  const auto& orientation = options.orientation != nullptr ? *options.orientation : kNoOrientation;
  const std::size_t n_times = block.n_times(), n_channels = block.n_channels(), n = sources.size();
  const ArrayFacts array(block, options.dish_diameter_m);

  const UtcTime middle = UtcTime::FromMjdSeconds(0.5 * (block.time_mjd_s.front() + block.time_mjd_s.back()));
  const SkyFrame middle_frame(middle, orientation.At(middle));
  const UvwAxes middle_axes = AxesOfPhaseCentre(middle_frame, block.phase_centre);
  // The pointing: what the header says, or (a Measurement Set has no word for it) the centre's apparent declination,
  // since tiles are phased to where the beam points at their middle.
  const double app_dec =
      block.app_dec_rad != 0 ? block.app_dec_rad : std::asin(std::clamp(middle_axes.w[2], -1.0, 1.0));

  Geometry out;
  out.sources.resize(n);
  for (std::size_t k = 0; k < n; ++k) {
    const Vector3 direction = middle_frame.ItrfOfIcrs(sources[k].ra_rad, sources[k].dec_rad);
    out.sources[k].direction = Project(direction, middle_axes);
    out.sources[k].altitude_rad = std::asin(std::clamp(Dot(direction, array.up), -1.0, 1.0));
  }
  out.fringe_centre.assign(n_times, {0, 0, 1});
  if (options.beam == BeamMode::kDrift) {
    for (std::size_t t = 0; t < n_times; ++t) {
      const UtcTime time = UtcTime::FromMjdSeconds(block.time_mjd_s[t]);
      const SkyFrame frame(time, orientation.At(time));
      out.fringe_centre[t] =
          Project(frame.ItrfOfMeridian(array.longitude_rad, app_dec), AxesOfPhaseCentre(frame, block.phase_centre));
    }
  }
  std::vector<double> spectrum(n_channels);
  out.flux_jy = Buffer<float>(n_times * n * n_channels);
  for (std::size_t k = 0; k < n; ++k) {
    for (std::size_t c = 0; c < n_channels; ++c) spectrum[c] = sources[k].FluxJy(block.frequency_hz[c]);
    double flux_sum = 0, beam_sum = 0;
    for (std::size_t t = 0; t < n_times; ++t) {
      const auto& a = out.sources[k].direction;
      const auto& p = out.fringe_centre[t];
      // The chord between two unit vectors gives the sine of the angle without losing small angles.
      const double chord = std::hypot(a[0] - p[0], a[1] - p[1], a[2] - p[2]);
      const double sine = chord >= std::sqrt(2.0) ? 1.0 : chord * std::sqrt(1 - 0.25 * chord * chord);
      float* flux = out.flux_jy.data() + (t * n + k) * n_channels;
      for (std::size_t c = 0; c < n_channels; ++c) {
        const double beam =
            options.beam == BeamMode::kNone ? 1.0 : AiryPowerBeam(sine, block.frequency_hz[c], array.diameter_m);
        flux[c] = static_cast<float>(spectrum[c] * beam);
        flux_sum += spectrum[c] * beam;
        beam_sum += beam;
      }
    }
    out.sources[k].mean_flux_jy = flux_sum / static_cast<double>(n_times * n_channels);
    out.sources[k].mean_beam = beam_sum / static_cast<double>(n_times * n_channels);
  }
  return out;
}

}  // namespace

BeamMode ParseBeamMode(std::string_view word) {
  if (word == "drift") return BeamMode::kDrift;
  if (word == "tracking") return BeamMode::kTracking;
  if (word == "none") return BeamMode::kNone;
  throw Error(ErrorKind::kUsage, "predict", std::string(word), "is no beam mode: drift, tracking or none");
}

std::vector<ApparentSource> ApparentSources(const VisibilityBlock& block, const std::vector<SkySource>& sources,
                                            const PredictOptions& options) {
  return Apparent(block, sources, options).sources;
}

Prediction Predict(const VisibilityBlock& block, const std::vector<SkySource>& sources, const PredictOptions& options,
                   int threads) {
  const Geometry geometry = Apparent(block, sources, options);
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
