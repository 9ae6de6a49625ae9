#include "calibrate/nvss.h"

#include <fitsio.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "config/error.h"
#include "config/units.h"

namespace contimg::calibrate {

namespace {

constexpr double kCleanBeamArcsec = 45;
constexpr double kVlaLatitude = 0.5948;   // rad
constexpr double kFluxScaleError = 0.03;  // of the VLA's calibration
constexpr double kRaBiasArcsec = -0.025, kDecBiasArcsec = 0.113;
constexpr double kAxisError = 0.02;     // of the beam: how well the beam's own size is known
constexpr double kSignificance = 2.33;  // standard deviations: 98 % confidence

// South of −10.125° and north of +77.994° the VLA was in its DnC configuration, elsewhere in D.
bool ObservedInDnC(double dec_deg) { return dec_deg <= -10.125 || dec_deg >= 77.994; }
double CleanBiasJy(double dec_deg) { return ObservedInDnC(dec_deg) ? 3e-4 : 2e-4; }

struct Ellipse {
  double major = 0, minor = 0, angle = 0;  // arcsec, arcsec, rad; major may be the shorter one
  // Full width of the Gaussian's projection on a direction.
  double Width(double direction) const {
    return std::hypot(major * std::cos(direction - angle), minor * std::sin(direction - angle));
  }
};

// What a point source looks like: cleaned down to 1 mJy with a round beam of 45 arcsec, the rest has the wider dirty
// beam, which is elongated by the projection of the array.
Ellipse PointResponse(double dec_deg, double peak_jy) {
  const double dec = Angle::Degrees(dec_deg).rad();
  double zenith_angle = dec - kVlaLatitude, angle = 0;
  double minor = 0, area = 0;  // of the dirty beam in units of the clean one
  if (ObservedInDnC(dec_deg)) {
    minor = 51 / kCleanBeamArcsec;
    area = 1.405 + 0.065 / std::cos(zenith_angle);
  } else {
    minor = 54 / kCleanBeamArcsec;
    if (dec > 0.437220 && dec <= 0.768818) {  // about the zenith, observed away from the meridian
      zenith_angle = 0.471;
      angle = std::acos(-1.0) / 2;
    }
    area = 0.91 + 0.61 / std::cos(zenith_angle);
  }
  const double major = area / minor;
  const double cleaned = 1e3 * peak_jy - 1;  // mJy
  const auto width = [&](double dirty) {
    return kCleanBeamArcsec * std::sqrt((cleaned + dirty * dirty * dirty) / (cleaned + dirty));
  };
  return {width(major), width(minor), angle};
}

// The Gaussian that widens `beam` to `fit`; squares below zero come out as 0.
Ellipse Deconvolve(const Ellipse& fit, const Ellipse& beam) {
  // Second moments along north, along east and between: they add in a convolution.
  const auto moments = [](const Ellipse& e, double sign, double(&sum)[3]) {
    const double c = std::cos(e.angle), s = std::sin(e.angle), major = e.major * e.major, minor = e.minor * e.minor;
    sum[0] += sign * (major * c * c + minor * s * s);
    sum[1] += sign * (major * s * s + minor * c * c);
    sum[2] += sign * (major - minor) * c * s;
  };
  double m[3] = {};
  moments(fit, 1, m);
  moments(beam, -1, m);
  const double mean = (m[0] + m[1]) / 2, half = (m[0] - m[1]) / 2, radius = std::hypot(half, m[2]);
  return {std::sqrt(std::max(0.0, mean + radius)), std::sqrt(std::max(0.0, mean - radius)), std::atan2(m[2], half) / 2};
}

}  // namespace

CatalogueSource CorrectNvssFit(const NvssFit& fit) {
  const Ellipse beam = PointResponse(fit.dec_deg, fit.peak_jy);
  const Ellipse seen{std::max(fit.major_arcsec, beam.major), std::max(fit.minor_arcsec, beam.minor),
                     Angle::Degrees(fit.position_angle_deg).rad()};
  const double major_ratio = seen.major / beam.major, minor_ratio = seen.minor / beam.minor;
  const double clean_bias = CleanBiasJy(fit.dec_deg);

  // Square of the signal-to-noise ratio that counts for a parameter: noise is correlated over the beam.
  const auto snr2 = [&](double major_power, double minor_power) {
    const double snr = fit.peak_jy / fit.rms_jy;
    return seen.major * seen.minor / (4 * beam.major * beam.major) *
           std::pow(1 + 1 / (major_ratio * major_ratio), major_power) *
           std::pow(1 + 1 / (minor_ratio * minor_ratio), minor_power) * snr * snr;
  };
  const double amplitude_snr2 = snr2(1.5, 1.5);
  const double major_error =
      std::sqrt(2 * seen.major * seen.major / snr2(2.5, 0.5) + kAxisError * kAxisError * beam.major * beam.major);
  const double minor_error =
      std::sqrt(2 * seen.minor * seen.minor / snr2(0.5, 2.5) + kAxisError * kAxisError * beam.minor * beam.minor);

  // CLEAN takes away a little of every source; noise lifts the peak of what is found.
  const double peak = fit.peak_jy + clean_bias - fit.rms_jy * fit.rms_jy / fit.peak_jy;

  const double along = seen.angle, across = seen.angle + std::acos(-1.0) / 2;
  const bool major_resolved = seen.major - kSignificance * major_error > beam.Width(along);
  const bool minor_resolved = seen.minor - kSignificance * minor_error > beam.Width(across);

  CatalogueSource source;
  source.dec_deg = fit.dec_deg + kDecBiasArcsec / 3600;
  source.ra_deg = fit.ra_deg + kRaBiasArcsec / 3600 / std::cos(Angle::Degrees(fit.dec_deg).rad());
  source.ra_deg = WrapPositive(Angle::Degrees(source.ra_deg)).deg();

  if (!(peak > 0)) return source;  // all noise: a position without a flux density
  // Of an axis that is not resolved noise makes half of the excess: the geometric mean of taking and leaving it.
  const double major_factor = major_resolved ? major_ratio : std::sqrt(major_ratio);
  const double minor_factor = minor_resolved ? minor_ratio : std::sqrt(minor_ratio);
  source.flux_jy = peak * major_factor * minor_factor;

  const auto square = [](double x) { return x * x; };
  const double scale2 = square(kFluxScaleError);
  if (major_resolved && minor_resolved) {
    const double peak2 = 2 / amplitude_snr2 + scale2 + square(clean_bias / peak);
    const double sizes2 = square(major_error / seen.major) + square(minor_error / seen.minor);
    source.flux_error_jy = source.flux_jy * std::sqrt(peak2 + sizes2 / (major_ratio * minor_ratio));
  } else if (major_resolved || minor_resolved) {
    const double base = peak * (major_resolved ? minor_factor : major_factor);
    const double base2 = 1.5 / amplitude_snr2 + scale2 + square(clean_bias / base);
    const double size2 = major_resolved ? square(major_error / seen.major) / major_ratio
                                        : square(minor_error / seen.minor) / minor_ratio;
    source.flux_error_jy = source.flux_jy * std::sqrt(base2 + size2);
  } else {
    source.flux_error_jy =
        source.flux_jy * std::sqrt(1 / amplitude_snr2 + scale2 + square(clean_bias / source.flux_jy));
  }

  if (major_resolved || minor_resolved) {
    const Ellipse size = Deconvolve(seen, beam);
    source.major_arcsec = major_resolved ? size.major : 0;
    source.minor_arcsec = minor_resolved ? size.minor : 0;
    source.position_angle_deg = Angle::Radians(size.angle).deg();
    if (!major_resolved) {
      // The one axis that is resolved becomes the major one.
      std::swap(source.major_arcsec, source.minor_arcsec);
      source.position_angle_deg += source.position_angle_deg > 0 ? -90 : 90;
    }
  }
  return source;
}

std::vector<NvssFit> ReadNvssTable(const std::filesystem::path& path) {
  const auto fail = [&](ErrorKind kind, const std::string& message) {
    throw Error(kind, "catalog", path.string(), message);
  };
  struct File {
    ~File() {
      int status = 0;
      if (handle != nullptr) fits_close_file(handle, &status);
      fits_clear_errmsg();
    }
    fitsfile* handle = nullptr;
  } file;
  int status = 0;
  const auto check = [&](const std::string& doing) {
    if (status == 0) return;
    char text[FLEN_STATUS] = "";
    fits_get_errstatus(status, text);
    fail(ErrorKind::kBadInput, doing + ": " + text);
  };
  // The disk file of exactly this name: cfitsio would read meaning into brackets and protocols.
  if (fits_open_diskfile(&file.handle, path.c_str(), READONLY, &status) != 0) {
    check("is no FITS file that can be opened");
  }

  static constexpr const char* kColumns[] = {"RA(2000)", "DEC(2000)", "PEAK INT", "MAJOR AX",
                                             "MINOR AX", "POSANGLE",  "I RMS"};
  constexpr std::size_t kN = std::size(kColumns);
  int n_units = 0;
  fits_get_num_hdus(file.handle, &n_units, &status);
  check("its units cannot be counted");
  std::string missing;
  int column[kN] = {};
  bool found = false;
  for (int unit = 1; unit <= n_units && !found; ++unit) {
    int type = 0;
    fits_movabs_hdu(file.handle, unit, &type, &status);
    check(fmt::format("unit {} cannot be read", unit));
    if (type != BINARY_TBL) continue;
    found = true;
    for (std::size_t i = 0; i < kN && found; ++i) {
      int none = 0;
      // Column names hold parentheses and blanks: compared as they are, without cfitsio's wild cards.
      char name[FLEN_VALUE];
      std::snprintf(name, sizeof name, "%s", kColumns[i]);
      fits_get_colnum(file.handle, CASEINSEN, name, &column[i], &none);
      fits_clear_errmsg();
      if (none == 0) continue;
      found = false;
      missing = kColumns[i];
    }
  }
  if (!found) {
    fail(ErrorKind::kBadInput, missing.empty()
                                   ? "holds no binary table"
                                   : fmt::format("holds no table with the column '{}' of the NVSS catalogue", missing));
  }

  LONGLONG n_rows = 0;
  fits_get_num_rowsll(file.handle, &n_rows, &status);
  check("its rows cannot be counted");
  std::vector<NvssFit> fits(static_cast<std::size_t>(n_rows));
  constexpr LONGLONG kChunk = 32768;
  std::vector<double> values[kN];
  for (LONGLONG first = 0; first < n_rows; first += kChunk) {
    const LONGLONG n = std::min(kChunk, n_rows - first);
    for (std::size_t i = 0; i < kN; ++i) {
      values[i].resize(static_cast<std::size_t>(n));
      double null = std::nan("");
      int any_null = 0;  // cfitsio writes it without a look whether it may
      fits_read_col(file.handle, TDOUBLE, column[i], first + 1, 1, n, &null, values[i].data(), &any_null, &status);
      check(fmt::format("column '{}' cannot be read in rows {} to {}", kColumns[i], first + 1, first + n));
    }
    for (std::size_t r = 0; r < static_cast<std::size_t>(n); ++r) {
      const auto row = first + static_cast<LONGLONG>(r) + 1;
      for (std::size_t i = 0; i < kN; ++i) {
        if (!std::isfinite(values[i][r])) {
          fail(ErrorKind::kBadInput, fmt::format("row {} has no number in the column '{}'", row, kColumns[i]));
        }
      }
      const double degree = 3600;
      const NvssFit fit{values[0][r],          values[1][r], values[2][r], values[3][r] * degree,
                        values[4][r] * degree, values[5][r], values[6][r]};
      if (!(fit.peak_jy > 0 && fit.rms_jy > 0 && fit.major_arcsec > 0 && fit.minor_arcsec > 0)) {
        fail(ErrorKind::kBadInput,
             fmt::format("row {} is no source of the NVSS: peak {} Jy, noise {} Jy, {} by {} arcsec", row, fit.peak_jy,
                         fit.rms_jy, fit.major_arcsec, fit.minor_arcsec));
      }
      fits[static_cast<std::size_t>(first) + r] = fit;
    }
  }
  return fits;
}

}  // namespace contimg::calibrate
