#include "tests/simulator/sky_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "config/error.h"
#include "config/source_list.h"
#include "tests/simulator/airy_beam.h"
#include "tests/simulator/noise.h"

namespace contimg::simulator {

double Source::FluxJy(double frequency_hz) const {
  return flux_jy * std::pow(frequency_hz / kReferenceHz, spectral_index);
}

SkyModel ReadCatalogue(const std::filesystem::path& path, double spectral_index, bool with_sizes) {
  SkyModel sky;
  for (const ListedSource& listed : ReadSourceList(path)) {
    Source source;
    source.position = {Angle::Degrees(listed.ra_deg), Angle::Degrees(listed.dec_deg)};
    source.flux_jy = listed.flux_jy;
    source.spectral_index = listed.spectral_index.value_or(spectral_index);
    if (with_sizes) {
      source.shape = {Angle::Arcsec(listed.major_arcsec), Angle::Arcsec(listed.minor_arcsec),
                      Angle::Degrees(listed.position_angle_deg)};
    }
    sky.sources.push_back(source);
  }
  return sky;
}

double SourceCountsPerJySr(double flux_jy) {
  // log10 of the counts relative to Euclidean (S^-2.5, Jy^1.5 sr^-1) as a polynomial in log10(S / mJy).
  constexpr double kFit[] = {0.859, 0.508, 0.376, -0.049, -0.121, 0.057, -0.008};
  const double x = std::log10(flux_jy * 1e3);
  double log_counts = 0;
  for (int i = 6; i >= 0; --i) log_counts = log_counts * x + kFit[i];
  return std::pow(10.0, log_counts) * std::pow(flux_jy, -2.5);
}

SkyModel RandomSky(const SkyStrip& strip, double min_flux_jy, std::uint64_t seed) {
  constexpr double kMaxFluxJy = 10.0;
  constexpr int kBins = 2000;  // logarithmic in flux
  if (!(min_flux_jy >= 5e-5 && min_flux_jy < kMaxFluxJy)) {
    throw Error(ErrorKind::kUsage, "simulate", "",
                fmt::format("the random sky's faintest source must have 0.05 mJy to 10 Jy, found {} Jy", min_flux_jy));
  }
  std::vector<double> cumulative(kBins + 1, 0.0);
  const double bin = std::log(kMaxFluxJy / min_flux_jy) / kBins;
  for (int i = 0; i < kBins; ++i) {
    const double flux = min_flux_jy * std::exp((i + 0.5) * bin);
    cumulative[static_cast<std::size_t>(i) + 1] =
        cumulative[static_cast<std::size_t>(i)] + SourceCountsPerJySr(flux) * flux * bin;
  }
  const double dec_low = std::max(-kPi / 2, strip.dec.rad() - strip.radius.rad());
  const double dec_high = std::min(kPi / 2, strip.dec.rad() + strip.radius.rad());
  // Wide enough in right ascension for the circle around either end, all around near a pole.
  const double cos_far = std::min(std::cos(dec_low), std::cos(dec_high));
  double margin = kPi;
  if (std::sin(strip.radius.rad()) < cos_far) margin = std::asin(std::sin(strip.radius.rad()) / cos_far);
  const double ra_span = std::min(2 * kPi, WrapPositive(strip.ra_last - strip.ra_first).rad() + 2 * margin);
  const double area_sr = ra_span * (std::sin(dec_high) - std::sin(dec_low));

  Random random(MixSeed({seed, 0x5C7}));
  const double expected = cumulative.back() * area_sr;
  const auto count =
      static_cast<std::size_t>(std::max(0.0, std::round(expected + std::sqrt(expected) * random.Normal())));
  SkyModel sky;
  sky.sources.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    Source source;
    const double ra = strip.ra_first.rad() - margin + ra_span * random.Uniform();
    const double dec = std::asin(random.Uniform(std::sin(dec_low), std::sin(dec_high)));
    source.position = {WrapPositive(Angle::Radians(ra)), Angle::Radians(dec)};
    const double target = random.Uniform() * cumulative.back();
    const auto above = std::upper_bound(cumulative.begin(), cumulative.end(), target);
    const double step = static_cast<double>(above - cumulative.begin()) - random.Uniform();
    source.flux_jy = min_flux_jy * std::exp(step * bin);
    source.spectral_index = kTypicalSpectralIndex + 0.25 * random.Normal();
    sky.sources.push_back(source);
  }
  return sky;
}

SkyModel RandomPairs(const SkyStrip& strip, const PairRecipe& recipe, std::uint64_t seed) {
  Random random(MixSeed({seed, 0x9A12}));
  const double ra_span = WrapPositive(strip.ra_last - strip.ra_first).rad();
  const double half = strip.radius.rad() / 2, cos_dec = std::cos(strip.dec.rad());
  SkyModel sky;
  for (int i = 0; i < recipe.pairs; ++i) {
    Source first;
    const double dec = std::clamp(strip.dec.rad() + random.Uniform(-half, half), -kPi / 2, kPi / 2);
    const double ra = strip.ra_first.rad() + ra_span * random.Uniform() + random.Uniform(-half, half) / cos_dec;
    first.position = {WrapPositive(Angle::Radians(ra)), Angle::Radians(dec)};
    first.flux_jy = recipe.min_flux_jy * std::pow(recipe.max_flux_jy / recipe.min_flux_jy, random.Uniform());
    first.spectral_index = kTypicalSpectralIndex;
    Source second = first;
    second.flux_jy *= random.Uniform(0.3, 1);
    const double away = random.Uniform(recipe.min_widths, recipe.max_widths), turn = random.Uniform(0, 2 * kPi);
    const double along = away * std::cos(turn) * recipe.beam.major.rad(),
                 across = away * std::sin(turn) * recipe.beam.minor.rad();
    const double pa = recipe.beam.position_angle.rad();
    const double east = along * std::sin(pa) + across * std::cos(pa),
                 north = along * std::cos(pa) - across * std::sin(pa);
    second.position = {WrapPositive(Angle::Radians(ra + east / std::cos(dec))), Angle::Radians(dec + north)};
    sky.sources.push_back(first);
    sky.sources.push_back(second);
  }
  return sky;
}

SkyModel SelectSources(const SkyModel& sky, const SkyDirection& centre, Angle radius, std::size_t max_sources,
                       double dish_diameter_m) {
  struct Ranked {
    double apparent;
    Source source;
  };
  std::vector<Ranked> near;
  for (const Source& source : sky.sources) {
    const Angle distance = Separation(source.position, centre);
    if (radius < distance) continue;
    near.push_back({source.flux_jy * AiryPower(std::sin(distance.rad()), kReferenceHz, dish_diameter_m), source});
  }
  std::sort(near.begin(), near.end(), [](const Ranked& a, const Ranked& b) { return a.apparent > b.apparent; });
  if (near.size() > max_sources) near.resize(max_sources);
  std::sort(near.begin(), near.end(),
            [](const Ranked& a, const Ranked& b) { return a.source.position.ra < b.source.position.ra; });
  SkyModel selected;
  for (const Ranked& ranked : near) selected.sources.push_back(ranked.source);
  return selected;
}

}  // namespace contimg::simulator
