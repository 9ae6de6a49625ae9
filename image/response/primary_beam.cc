#include "image/response/primary_beam.h"

#include <fitsio.h>

#include <algorithm>
#include <cmath>

#include "config/error.h"
#include "config/os.h"
#include "config/telescope.h"
#include "config/time.h"
#include "image/plane/lattice_map.h"
#include "image/plane/sky_coordinates.h"

namespace contimg::image {
namespace {

// The weighted mean of the beam over one integration's channels as a function of sin θ: a table, read by cubic
// interpolation.
class RadialProfile {
 public:
  static constexpr std::size_t kNodes = 2048;

  RadialProfile(const BeamModel& model, const std::vector<double>& frequency_hz, const std::vector<double>& weight,
                double max_sin_theta)
      : step_(max_sin_theta / (kNodes - 4)), values_(kNodes) {
    for (std::size_t i = 0; i < kNodes; ++i) {
      // Node 1 is the axis; the beam is even.
      const double s = std::abs(static_cast<double>(i) - 1) * step_;
      double sum = 0;
      for (std::size_t k = 0; k < weight.size(); ++k) sum += weight[k] * model.Power(s, frequency_hz[k]);
      values_[i] = sum;
    }
  }

  double At(double sin_theta) const {
    const double position = sin_theta / step_;
    const auto i = std::min(static_cast<std::size_t>(position), kNodes - 4);
    const double t = std::min(position - static_cast<double>(i), 1.0), t2 = t * t, t3 = t2 * t;
    const double* v = values_.data() + i;
    return 0.5 * ((-t3 + 2 * t2 - t) * v[0] + (3 * t3 - 5 * t2 + 2) * v[1] + (-3 * t3 + 4 * t2 + t) * v[2] +
                  (t3 - t2) * v[3]);
  }

 private:
  double step_;
  std::vector<double> values_;
};

// Channels in groups narrow enough that the beam is linear in frequency inside each.
constexpr std::size_t kGroups = 32;

struct Grouped {
  std::vector<double> frequency_hz, weight;
};

Grouped GroupChannels(const std::vector<double>& frequency_hz, ArrayView<const double, 1> weight) {
  const std::size_t n = frequency_hz.size(), groups = std::min(n, kGroups);
  Grouped result;
  for (std::size_t g = 0; g < groups; ++g) {
    double sum = 0, moment = 0;
    for (std::size_t k = g * n / groups; k < (g + 1) * n / groups; ++k) {
      sum += weight[k];
      moment += weight[k] * frequency_hz[k];
    }
    if (sum <= 0) continue;
    result.weight.push_back(sum);
    result.frequency_hz.push_back(moment / sum);
  }
  return result;
}

}  // namespace

double SinSeparation(const DirectionCosines& axis, double l, double m, double n) {
  // |a × b| of the unit vectors.
  const double an = 1 + axis.n_minus_1;
  const double x = axis.m * n - an * m, y = an * l - axis.l * n, z = axis.l * m - axis.m * l;
  return std::sqrt(x * x + y * y + z * z);
}

BeamModel BeamModel::Airy(double diameter_m) {
  if (!(diameter_m > 0)) {
    throw Error(ErrorKind::kBadInput, "image", "telescope.dish_diameter_m",
                "the beam model needs a positive dish diameter; neither the data nor the settings give one");
  }
  BeamModel model;
  model.diameter_m_ = diameter_m;
  return model;
}

BeamModel BeamModel::FromFile(const std::filesystem::path& path) {
  int status = 0;
  fitsfile* file = nullptr;
  fits_open_table(&file, path.c_str(), READONLY, &status);
  if (status != 0) {
    fits_clear_errmsg();
    throw Error(Exists(path) ? ErrorKind::kBadInput : ErrorKind::kIo, "image", path.string(),
                "cannot open the beam's FITS table");
  }
  BeamModel model;
  long rows = 0;
  int radius_column = 0, voltage_column = 0;
  char radius_name[] = "RADIUS", voltage_name[] = "VOLTAGE";
  fits_get_num_rows(file, &rows, &status);
  fits_get_colnum(file, CASEINSEN, radius_name, &radius_column, &status);
  fits_get_colnum(file, CASEINSEN, voltage_name, &voltage_column, &status);
  fits_read_key(file, TDOUBLE, "REFFREQ", &model.reference_hz_, nullptr, &status);
  std::vector<double> radius(static_cast<std::size_t>(std::max(rows, 0L)));
  model.voltage_.resize(radius.size());
  fits_read_col(file, TDOUBLE, radius_column, 1, 1, rows, nullptr, radius.data(), nullptr, &status);
  fits_read_col(file, TDOUBLE, voltage_column, 1, 1, rows, nullptr, model.voltage_.data(), nullptr, &status);
  int closing = 0;
  fits_close_file(file, &closing);
  fits_clear_errmsg();
  for (double r : radius) model.sin_theta_.push_back(std::sin(Angle::Degrees(r).rad()));
  const bool good = status == 0 && rows >= 2 && model.reference_hz_ > 0 && radius.front() == 0 &&
                    std::is_sorted(radius.begin(), radius.end()) && radius.back() <= 90 &&
                    std::abs(model.voltage_.front() - 1) < 1e-3;
  if (!good) {
    throw Error(
        ErrorKind::kBadInput, "image", path.string(),
        "expected columns RADIUS (ascending from 0 deg) and VOLTAGE (1 at radius 0) and a keyword REFFREQ in Hz");
  }
  return model;
}

double BeamModel::Power(double sin_theta, double frequency_hz) const {
  if (diameter_m_ > 0) return AiryPowerBeam(sin_theta, frequency_hz, diameter_m_);
  const double s = sin_theta * frequency_hz / reference_hz_;
  if (s >= sin_theta_.back()) return 0;
  const auto upper = std::upper_bound(sin_theta_.begin(), sin_theta_.end(), s);
  const auto i = static_cast<std::size_t>(upper - sin_theta_.begin()) - 1;
  const double t = (s - sin_theta_[i]) / (sin_theta_[i + 1] - sin_theta_[i]);
  const double voltage = voltage_[i] * (1 - t) + voltage_[i + 1] * t;
  return voltage * voltage;
}

double BeamModel::Fwhm(double frequency_hz) const {
  double low = 0, high = 1;
  // The first crossing of one half, bracketed by doubling from a ten-thousandth of a radian.
  for (double s = 1e-4; s < 1; s *= 1.05) {
    if (Power(s, frequency_hz) < 0.5) {
      high = s;
      break;
    }
    low = s;
  }
  for (int i = 0; i < 60; ++i) {
    const double middle = (low + high) / 2;
    (Power(middle, frequency_hz) < 0.5 ? high : low) = middle;
  }
  return 2 * std::asin(low);
}

std::vector<DirectionCosines> BeamTrack(const VisibilityBlock& block, const convert::TileBeam& beam,
                                        const convert::EarthOrientationTable& orientation) {
  std::vector<DirectionCosines> track(block.n_times());
  const auto about_centre = [&](const PhaseCentre& at) {
    const auto cosines =
        CosinesOfDirection(block.phase_centre, {Angle::Radians(at.ra_rad), Angle::Radians(at.dec_rad)});
    if (!cosines) {
      throw Error(ErrorKind::kBadInput, "image", block.group_id,
                  "the beam points more than 90 degrees from the phase centre, to " + convert::PlaceOf(beam.pointing) +
                      " (" + beam.pointing.source + "); set telescope.beam to what the dishes did, or to none");
    }
    return *cosines;
  };
  if (beam.mode == BeamMode::kTracking) {
    const PhaseCentre& at = beam.pointing.direction;
    const bool centred = at.ra_rad == block.phase_centre.ra_rad && at.dec_rad == block.phase_centre.dec_rad;
    if (!centred) std::fill(track.begin(), track.end(), about_centre(at));
  } else if (beam.mode == BeamMode::kDrift && !track.empty()) {
    const UtcTime middle = UtcTime::FromMjdSeconds((block.time_mjd_s.front() + block.time_mjd_s.back()) / 2);
    const convert::Vector3 axis = BeamAxis(beam, convert::SkyFrame(middle, orientation.At(middle)));
    for (std::size_t t = 0; t < track.size(); ++t) {
      const UtcTime time = UtcTime::FromMjdSeconds(block.time_mjd_s[t]);
      track[t] = about_centre(convert::SkyFrame(time, orientation.At(time)).IcrsOfItrf(axis));
    }
  }
  return track;
}

void PrimaryBeamMap(const BeamModel& model, const BeamAverage& average, const ImageGeometry& plain,
                    ArrayView<float, 2> image, int threads) {
  double total = 0;
  for (double w : average.weights) total += w;
  if (average.mode == BeamMode::kNone || !(total > 0)) {
    std::fill(image.begin(), image.end(), 1.0F);
    return;
  }
  // Integrations with one direction (tracking) share a profile.
  const bool moving = average.mode == BeamMode::kDrift;
  const std::size_t n_times = average.weights.shape(0), n_channels = average.weights.shape(1);
  std::vector<RadialProfile> profiles;
  std::vector<DirectionCosines> axes;
  std::vector<double> sum(n_channels, 0.0);
  for (std::size_t t = 0; t < n_times; ++t) {
    for (std::size_t k = 0; k < n_channels; ++k) sum[k] += average.weights(t, k) / total;
    if (!moving && t + 1 < n_times) continue;
    const Grouped grouped = GroupChannels(average.frequency_hz, ArrayView<const double, 1>(sum.data(), {n_channels}));
    if (!grouped.weight.empty()) {
      profiles.emplace_back(model, grouped.frequency_hz, grouped.weight, 1.0);
      axes.push_back(average.track[t]);
    }
    std::fill(sum.begin(), sum.end(), 0.0);
  }
  const double fwhm_px = model.Fwhm(average.frequency_hz.back()) / plain.cell_rad;
  const auto step = static_cast<std::size_t>(std::clamp(fwhm_px / 60, 1.0, 64.0));
  FillFromLattice(
      plain, step,
      [&](double l, double m) {
        const double n = 1 + NMinusOne(l, m);
        double response = 0;
        for (std::size_t t = 0; t < profiles.size(); ++t) response += profiles[t].At(SinSeparation(axes[t], l, m, n));
        return response;
      },
      image, threads);
}

}  // namespace contimg::image
