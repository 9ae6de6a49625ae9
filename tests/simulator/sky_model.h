// What is in the sky: point sources, from catalogues or drawn from the counts of the radio sky.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "config/units.h"

namespace contimg::simulator {

constexpr double kReferenceHz = 1.4e9;
constexpr double kTypicalSpectralIndex = -0.7;  // median of bright sources at 1.4 GHz (Condon 1984, ApJ 287, 461)

struct Source {
  SkyDirection position;      // ICRS
  double flux_jy = 0;         // at 1.4 GHz, total intensity (each of XX and YY sees this)
  double spectral_index = 0;  // S ∝ ν^α
  double FluxJy(double frequency_hz) const;
};

struct SkyModel {
  std::vector<Source> sources;
};

// The sources of a list (config/source_list.h, which says what is refused); those without a spectral index get
// `spectral_index`.
SkyModel ReadCatalogue(const std::filesystem::path& path, double spectral_index);

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

// Sources within `radius` of `centre`; the `max_sources` brightest after an Airy beam of `dish_diameter_m` pointed
// there, in order of right ascension.
SkyModel SelectSources(const SkyModel& sky, const SkyDirection& centre, Angle radius, std::size_t max_sources,
                       double dish_diameter_m);

}  // namespace contimg::simulator
