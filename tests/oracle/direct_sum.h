// The imaging equation written out: direct Fourier sums and imaging weights in double precision, one term at a time.
#pragma once

#include <complex>
#include <cstddef>
#include <vector>

namespace contimg::oracle {

// Samples with weight at (u, v, w) in wavelengths.
struct DirectSample {
  double u = 0;
  double v = 0;
  double w = 0;
  std::complex<double> vis;
  double weight = 0;
};

// Σ weight · Re(vis · exp(−2πi(u l + v m + w(n − 1)))) / Σ weight at direction cosines (l, m).
double DirectDirty(const std::vector<DirectSample>& samples, double l, double m);

// Σ flux_s · exp(+2πi(u l_s + v m_s + w(n_s − 1))) of point sources.
struct DirectSource {
  double l = 0;
  double m = 0;
  double flux = 0;
};
std::complex<double> DirectVisibility(const std::vector<DirectSource>& sources, double u, double v, double w);

// Density weights, replacing `weight` (the natural one) of each sample: cells of 1/field_u by 1/field_v wavelengths.
// robust = −infinity: uniform.
void DirectDensityWeights(std::vector<DirectSample>& samples, double field_u, double field_v, double robust);

}  // namespace contimg::oracle
