// How variable a source is: figures of its light curve that a point added costs nothing.
//
// Weights are w = 1/(σ² + (εĪ)²): a systematic error of a part ε of the flux, without which every bright source varies
// (Rowlinson et al. 2019, A&C 27, 111). Ī is the weighted mean of the points before. Sums run in the order of time
// about the first flux, so that squares do not cancel; adding points one by one and adding them all gives the same
// bits. Points of tiles and of transits are never mixed: their figures are kept apart.
#pragma once

#include <cstdint>
#include <vector>

namespace contimg::mosaic {

inline constexpr double kSystematicFloor = 0.01;  // ε, a part of the flux

struct FluxPoint {
  double mjd = 0;
  double flux_jy = 0;
  double error_jy = 0;  // > 0
};

// What has been added so far.
struct VariabilitySums {
  std::int64_t n = 0;
  double reference_jy = 0;  // the first flux
  double sum_w = 0;         // Σ w
  double sum_wi = 0;        // Σ w (I − reference)
  double sum_wii = 0;       // Σ w (I − reference)²
  double sum_i = 0;         // Σ (I − reference)
  double sum_ii = 0;        // Σ (I − reference)²
  double min_jy = 0, max_jy = 0;
  double vs = 0;  // the largest step from the mean of all points before it, in its error; with its sign
  double m = 0;   // that step over the mean of both, in −2…2

  // The next point in time.
  void Add(const FluxPoint& point, double floor = kSystematicFloor);
  double WeightedMean() const;  // 0 without points

  friend bool operator==(const VariabilitySums&, const VariabilitySums&) = default;
};

// Figures of the light curve whose points were added.
struct Variability {
  std::int64_t n = 0;
  double mean_jy = 0;  // weighted
  double min_jy = 0, max_jy = 0;
  // Reduced χ² of constancy, η = (Σ w I² − (Σ w I)²/Σ w)/(n − 1); 0 of one point.
  double eta = 0;
  // Modulation index, V = s/Ī with the unweighted mean and standard deviation; 0 of one point, and where the mean is
  // not above its own error, so that V would say nothing.
  double v = 0;
  // Two-epoch figures after Mooley et al. (2016, ApJ 818, 105), of one point against the mean of those before it: there
  // is one for each point and no table of pairs. Of Gaussian errors |V_s| > 4.3 has a chance of 1.7e-5 a point.
  double vs = 0, m = 0;
  // Chance of a constant source to have this η or more: Q(χ²; n − 1). 1 of one point.
  double p = 1;
};
Variability VariabilityOf(const VariabilitySums& sums);
// The same of a whole light curve, in the order of time.
Variability VariabilityOf(const std::vector<FluxPoint>& points, double floor = kSystematicFloor);

// Chance of a χ² above `chi2` with so many degrees of freedom (> 0): the regularised upper incomplete gamma function
// Q(dof/2, χ²/2), to 1e-10 of itself or so.
double ChanceOfChi2(double chi2, double degrees_of_freedom);

// The inverse-variance mean of points that hold the same flux, as the tiles of one transit.
struct MeanFlux {
  double flux_jy = 0;
  double error_jy = 0;
  double chi2 = 0;  // of the points about it, n − 1 degrees of freedom
};
MeanFlux MeanOf(const std::vector<FluxPoint>& points);  // not empty

// When the source stands in the meridian whose right ascension is `lst_deg` at `mjd`: the passage nearest to it.
double TransitMjd(double mjd, double lst_deg, double ra_deg);
// Tiles whose passages are this close are of one passage: the next is a sidereal day away.
inline constexpr double kSameTransitDays = 0.25;

}  // namespace contimg::mosaic
