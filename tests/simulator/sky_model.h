// What is in the sky: points and Gaussians, steady or not, from catalogues or drawn from the counts of the radio sky.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "config/units.h"
#include "tests/simulator/variation.h"

namespace contimg::simulator {

constexpr double kReferenceHz = 1.4e9;
constexpr double kTypicalSpectralIndex = -0.7;  // median of bright sources at 1.4 GHz (Condon 1984, ApJ 287, 461)

// An elliptical Gaussian: full widths at half maximum, and the major axis from north through east.
struct Shape {
  Angle major, minor, position_angle;  // major 0: a point
  bool extended() const { return major.rad() > 0; }
};

struct Source {
  SkyDirection position;      // ICRS
  double flux_jy = 0;         // at 1.4 GHz, total intensity (each of XX and YY sees this), while Variation says 1
  double spectral_index = 0;  // S ∝ ν^α
  Shape shape = {};
  Variation variation = {};
  double FluxJy(double frequency_hz) const;  // without the variation
};

struct SkyModel {
  std::vector<Source> sources;
};

// The sources of a list (config/source_list.h, which says what is refused); those without a spectral index get
// `spectral_index`. They are points unless `with_sizes`.
SkyModel ReadCatalogue(const std::filesystem::path& path, double spectral_index, bool with_sizes = false);

// A strip of sky: all directions within `radius` of the declination circle between two right ascensions.
struct SkyStrip {
  Angle ra_first, ra_last;  // going east from first to last
  Angle dec;
  Angle radius;
};

// Unclustered point sources with the 1.4 GHz counts of Hopkins et al. 2003 (AJ 125, 465: sixth-order polynomial fit,
// 0.05 mJy to 1 Jy; used to 10 Jy), spectral indices normal with mean −0.7 and deviation 0.25.
SkyModel RandomSky(const SkyStrip& strip, double min_flux_jy, std::uint64_t seed);
// Differential counts of that fit, sources per Jy per steradian.
double SourceCountsPerJySr(double flux_jy);

// Pairs of neighbours for telling sources apart: the first of random flux (logarithmically uniform), the second with
// 0.3 to 1 of it, `min_widths` to `max_widths` full widths of the elliptical `beam` away (uniform, as is the direction
// in the beam's own metric). Places are uniform over the strip of half the radius; spectral indices are the typical
// one.
struct PairRecipe {
  int pairs = 0;
  double min_widths = 0.5, max_widths = 2;
  Shape beam;
  double min_flux_jy = 0.01, max_flux_jy = 0.2;
};
SkyModel RandomPairs(const SkyStrip& strip, const PairRecipe& recipe, std::uint64_t seed);

// Sources within `radius` of `centre`; the `max_sources` brightest after an Airy beam of `dish_diameter_m` pointed
// there, in order of right ascension.
SkyModel SelectSources(const SkyModel& sky, const SkyDirection& centre, Angle radius, std::size_t max_sources,
                       double dish_diameter_m);

}  // namespace contimg::simulator
