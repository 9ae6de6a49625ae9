// Imaging weights: natural, uniform and Briggs, uv range and taper, per channel; flags and weights honoured.
//
// A Stokes I sample is (XX + YY)/2 (or (RR + LL)/2, or I itself). Its natural weight is the inverse of its variance,
// 4/(1/w_XX + 1/w_YY) for weights that are inverse variances; zero when a hand is flagged, not finite or has no
// positive weight. Density weights use a uv grid of cells of one over the field of view (1/(n·cell)), each sample
// counted once (v ≥ 0 half plane):
//     uniform  w/W(cell)        Briggs  w/(1 + W(cell) f²),  f² = (5·10^−robust)² / (ΣW²/ΣW)
// (Briggs 1995, dissertation, chapter 3; the definitions WSClean uses, so that results compare one to one).
#pragma once

namespace contimg::image {

enum class WeightMode { kNatural, kUniform, kBriggs };

struct WeightSettings {
  WeightMode mode = WeightMode::kBriggs;
  double robust = 0.5;       // Briggs only: −2 (uniform) … 2 (natural)
  double min_uv_lambda = 0;  // samples with sqrt(u² + v²) below or above are left out
  double max_uv_lambda = 1e300;
  double density_padding = 1.2;  // WSClean's default -padding
  double taper_fwhm_rad = 0;     // Gaussian taper of this FWHM in the image; 0: none
  // Also use a sample of which one hand only is good, as if the source were unpolarised; its weight is that hand's.
  bool accept_single_hand = false;
};

}  // namespace contimg::image
