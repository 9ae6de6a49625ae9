#pragma once

namespace contimg::image {

// A source whose spectral index could be told.
struct SpectralIndex {
  double ra_deg = 0, dec_deg = 0;
  double flux_jy = 0;  // apparent: attenuated by the primary beam
  double index = 0;    // of the sky: the beam's own run with frequency is taken out
  double error = 0;
};

}  // namespace contimg::image
