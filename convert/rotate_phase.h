// The inner loop of phase rotation, SIMD with run-time dispatch.
#pragma once

#include <cstddef>

namespace contimg::convert {

// vis: [n_channels][n_pols] complex as interleaved floats, rotated in place:
//   vis[k] ← conj(vis[k] · exp(2πi · turns(k))),  turns(k) = (frequency_hz + k · width_hz) · delay_s
// Phases are formed in double precision and enter as float32: error < 2e-7 of the amplitude.
void RotateAndConjugate(float* vis, std::size_t n_channels, std::size_t n_pols, double frequency_hz, double width_hz,
                        double delay_s);

}  // namespace contimg::convert
