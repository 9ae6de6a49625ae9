#include "image/image_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <system_error>
#include <utility>

#include "config/error.h"
#include "config/parallel.h"
#include "config/units.h"
#include "image/operator/uv_plan.h"
#include "image/plane/beam_algebra.h"
#include "image/plane/sky_coordinates.h"
#include "image/plane/stage_name.h"

namespace contimg::image {
namespace {}  // namespace

void CheckImageSettings(const ImageSettings& settings) {
  ParseScales(settings.scales_px);
  PlainGeometry(settings);
  AskedBeam(settings);
  if (settings.max_uv_lambda > 0 && settings.min_uv_lambda >= settings.max_uv_lambda) {
    throw Error(ErrorKind::kUsage, kStage, "image.min_uv_lambda",
                fmt::format("is {}, which leaves no baseline below image.max_uv_lambda ({})", settings.min_uv_lambda,
                            settings.max_uv_lambda));
  }
  for (const auto& [key, file] :
       {std::pair{"image.mask_file", settings.mask_file}, {"image.catalogue_file", settings.catalogue_file}}) {
    std::error_code error;
    if (!file.empty() && !std::filesystem::exists(file, error)) {
      throw Error(ErrorKind::kUsage, kStage, key, "there is no file " + file);
    }
  }
}

std::vector<double> ParseScales(const std::string& text) {
  std::vector<double> scales;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find(',', at), text.size());
    double value = 0;
    const auto [stop, error] = std::from_chars(text.data() + at, text.data() + end, value);
    if (error != std::errc() || stop != text.data() + end || !(value >= 0 && value <= 1000) ||
        (!scales.empty() && value <= scales.back())) {
      throw Error(ErrorKind::kUsage, kStage, "image.scales_px",
                  "expected ascending numbers of pixels separated by commas, found '" + text + "'");
    }
    scales.push_back(value);
    at = end + 1;
  }
  return scales;
}

WeightSettings WeightingOf(const ImageSettings& settings) {
  WeightSettings w;
  w.mode = settings.weight == "natural"   ? WeightMode::kNatural
           : settings.weight == "uniform" ? WeightMode::kUniform
                                          : WeightMode::kBriggs;
  w.robust = settings.robust;
  w.min_uv_lambda = settings.min_uv_lambda;
  if (settings.max_uv_lambda > 0) w.max_uv_lambda = settings.max_uv_lambda;
  w.taper_fwhm_rad = Angle::Arcsec(settings.taper_arcsec).rad();
  return w;
}

CleanSettings CleaningOf(const ImageSettings& settings, const GaussianBeam& beam, double cell_rad) {
  CleanSettings c;
  c.max_iterations = static_cast<std::size_t>(settings.max_iterations);
  c.max_major_cycles = static_cast<std::size_t>(settings.max_major_cycles);
  c.gain = settings.gain;
  c.major_gain = settings.major_gain;
  c.threshold_jy = settings.threshold_jy;
  c.auto_mask = settings.auto_mask;
  c.auto_threshold = settings.auto_threshold;
  c.allow_negative = settings.negative;
  c.local_rms = settings.local_rms;
  c.local_rms_window_beams = settings.local_rms_window;
  c.beam_fwhm_px = std::sqrt(beam.major_rad * beam.minor_rad) / cell_rad;
  c.scales_px = ParseScales(settings.scales_px);
  return c;
}

std::optional<GaussianBeam> AskedBeam(const ImageSettings& settings) {
  if (settings.restore_beam.empty()) return std::nullopt;
  const GaussianBeam beam = ParseBeam("image.restore_beam", settings.restore_beam);
  const double minor_arcsec = Angle::Radians(beam.minor_rad).arcsec();
  if (minor_arcsec < settings.cell_arcsec) {
    throw Error(ErrorKind::kUsage, kStage, "image.restore_beam",
                fmt::format("expected a beam wider than a pixel of {:g} arcsec, found a minor axis of {:g} arcsec",
                            settings.cell_arcsec, minor_arcsec));
  }
  return beam;
}

GaussianBeam RestoringBeam(const ImageSettings& settings, const GaussianBeam& of_psf, Reporter& reporter) {
  const auto asked = AskedBeam(settings);
  if (asked && !BeamBetween(of_psf, *asked)) {
    reporter.Warn(kStage, fmt::format("the restoring beam of {} is narrower than that of the PSF, {}: what CLEAN left "
                                      "stays as wide as the PSF",
                                      BeamWords(*asked), BeamWords(of_psf)));
  }
  return asked.value_or(of_psf);
}

ImageGeometry PlainGeometry(const ImageSettings& settings) {
  if (settings.size % 2 != 0) {
    throw Error(ErrorKind::kUsage, kStage, "image.size",
                fmt::format("expected an even number, found {}", settings.size));
  }
  ImageGeometry g;
  g.nx = g.ny = static_cast<std::size_t>(settings.size);
  g.cell_rad = Angle::Arcsec(settings.cell_arcsec).rad();
  const double corner = static_cast<double>(g.nx) / 2 * g.cell_rad;
  if (2 * corner * corner >= 1) {
    throw Error(ErrorKind::kUsage, kStage, "image.size",
                fmt::format("a field of {:.1f} degrees reaches beyond the horizon: fewer or smaller pixels are needed",
                            Angle::Radians(static_cast<double>(g.nx) * g.cell_rad).deg()));
  }
  return g;
}

ImageGeometry SlantGeometry(const VisibilityBlock& block, const ImageGeometry& plain) {
  ImageGeometry slant = plain;
  const SlantFit fit = FitSlant(block, plain);
  slant.slant_a = fit.a;
  slant.slant_b = fit.b;
  const double corner = static_cast<double>(plain.nx) / 2 * plain.cell_rad;
  const double depth = -NMinusOne(corner, corner) / plain.cell_rad;
  const auto grown = [&](std::size_t n, double slope) {
    const auto margin = slope == 0 ? std::size_t{0} : static_cast<std::size_t>(std::ceil(std::abs(slope) * depth)) + 9;
    return (n + 2 * margin + 15) / 16 * 16;
  };
  if (fit.a == 0 && fit.b == 0) return slant;
  slant.nx = grown(plain.nx, fit.a);
  slant.ny = grown(plain.ny, fit.b);
  return slant;
}

void CheckCells(const VisibilityBlock& block, const ImageSettings& settings) {
  double longest_m = 0;
  const auto flag = block.flag_view();
  const auto used = [&](std::size_t t, std::size_t b) {
    const std::uint8_t* row = &flag(t, b, 0, 0);
    return std::find(row, row + block.n_channels() * block.n_pols(), std::uint8_t{0}) !=
           row + block.n_channels() * block.n_pols();
  };
  std::size_t n_used = 0;
  for (std::size_t b = 0; b < block.n_baselines(); ++b) {
    if (block.baselines[b].is_auto()) continue;
    bool seen = false;
    for (std::size_t t = 0; t < block.n_times(); ++t) {
      const double length = std::hypot(block.uvw_view()(t, b, 0), block.uvw_view()(t, b, 1));
      if ((seen && length <= longest_m) || !used(t, b)) continue;
      seen = true;
      longest_m = std::max(longest_m, length);
    }
    n_used += seen ? 1 : 0;
  }
  double longest = longest_m * block.frequency_hz.back() / kSpeedOfLight;
  if (settings.max_uv_lambda > 0) longest = std::min(longest, settings.max_uv_lambda);
  // Of such data no pixels make an image: said where rows and weights are looked at.
  if (n_used < 2 || !(longest > 0) || !std::isfinite(longest)) return;
  const Angle fringe = Angle::Radians(1 / longest), cell = Angle::Arcsec(settings.cell_arcsec);
  const double field_rad = static_cast<double>(settings.size) * cell.rad();
  const SmallAngleUnit unit = UnitFor(fringe), cell_unit = UnitFor(cell);
  if (cell.rad() > fringe.rad()) {
    throw Error(ErrorKind::kUsage, kStage, "image.cell_arcsec",
                fmt::format("pixels of {:.4g} {} cannot show the fringes of {:.3g} {} that the longest baseline "
                            "({:.3g} wavelengths) makes: set it to about {:.2g} {} (--cell), or use shorter baselines "
                            "(--maxuv)",
                            cell_unit.Of(cell), cell_unit.name, unit.Of(fringe), unit.name, longest,
                            unit.Of(0.25 * fringe), unit.name));
  }
  if (fringe.rad() > field_rad) {
    throw Error(ErrorKind::kUsage, kStage, "image.cell_arcsec",
                fmt::format("the longest baseline ({:.3g} wavelengths) has fringes of {:.3g} arcsec and the field is "
                            "{:.3g} arcsec wide: set larger pixels, about {:.2g} arcsec (--cell)",
                            longest, fringe.arcsec(), Angle::Radians(field_rad).arcsec(), 0.25 * fringe.arcsec()));
  }
}

void CheckFinite(ArrayView<const float, 2> image, const char* what, const std::string& subject, int threads) {
  const std::size_t nx = image.shape(1);
  ParallelFor(threads, image.shape(0), [&](std::size_t y) {
    const float* row = &image(y, 0);
    if (std::all_of(row, row + nx, [](float value) { return std::isfinite(value); })) return;
    throw Error(ErrorKind::kBadInput, kStage, subject,
                fmt::format("the {} has pixels that are not finite: visibilities or weights are absurdly large, or "
                            "CLEAN ran away (image.gain, image.major_gain)",
                            what));
  });
}

std::size_t CheckMemory(const ImageGeometry& slant, const ImageSettings& settings, const MemoryRoom& room) {
  std::size_t planes = 9;
  if (!settings.scales_px.empty()) planes += 4 + 4 * ParseScales(settings.scales_px).size();
  // Per band a dirty image, a residual, a restored image and a primary beam; two models.
  if (settings.spectral_channels > 1) planes += 2 + 4 * static_cast<std::size_t>(settings.spectral_channels);
  const std::size_t needed = planes * slant.nx * slant.ny * sizeof(float);
  if (needed > room.bytes) {
    throw Error(
        ErrorKind::kResource, kStage, "image.size",
        fmt::format("{} by {} pixels need {} for images alone and {} are available {}: make the image smaller or give "
                    "it more memory",
                    slant.nx, slant.ny, BytesInWords(needed), BytesInWords(room.bytes), room.bound));
  }
  return std::max<std::size_t>(1, room.bytes - needed);  // 0 would be no limit
}

}  // namespace contimg::image
