// Slow changes and noise of a series, taken out of it.
#pragma once

#include <string_view>
#include <vector>

namespace contimg::mosaic {

// The Savitzky-Golay baseline (Savitzky & Golay 1964, Anal. Chem. 36, 1627) of values at rising times that need not be
// even: at each point the polynomial of degree `order` through the `window` points about it, by least squares on the
// true times; at the ends the polynomial of the first and last window. On even times it is
// scipy.signal.savgol_filter(mode="interp"). `window` is odd, above `order` and not above the number of points, else
// Error{kBug}.
std::vector<double> SavitzkyGolay(const std::vector<double>& times, const std::vector<double>& values, int window,
                                  int order);

// Orthonormal wavelets of Daubechies: haar (db1), db2, db4. Throws Error{kUsage} for others.
struct Wavelet {
  std::vector<double> low;  // the scaling filter of reconstruction, sum √2
};
Wavelet WaveletCalled(std::string_view name);

// One level of the periodised transform of an even number of values, and back: pywt.dwt and pywt.idwt with
// mode="periodization".
struct WaveletLevel {
  std::vector<double> approximation, detail;  // half as many each
};
WaveletLevel TransformOnce(const std::vector<double>& values, const Wavelet& wavelet);
std::vector<double> TransformBack(const WaveletLevel& level, const Wavelet& wavelet);

// Donoho & Johnstone (1994, Biometrika 81, 425): details of `levels` levels shrunk by the universal threshold
// σ √(2 ln n), σ from the median of the finest details' sizes. The number of values is a multiple of 2^levels, else
// Error{kBug}.
std::vector<double> DenoiseEven(const std::vector<double>& values, const Wavelet& wavelet, int levels);
// The same of values at rising times that need not be even: brought to an even grid of at least as many points, and the
// result read at the times.
std::vector<double> Denoise(const std::vector<double>& times, const std::vector<double>& values, const Wavelet& wavelet,
                            int levels);

}  // namespace contimg::mosaic
