// Where an image has the sky against where a catalogue has it: shift, rotation and scale of the whole image.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

namespace contimg::image {

// One source in both. Offsets from the image's centre in the plane of projection, radians, east and north.
struct PlaceInBoth {
  double east_rad = 0, north_rad = 0;                // of the catalogue
  double offset_east_rad = 0, offset_north_rad = 0;  // measured − catalogue
  double snr = 0;                                    // a place errs by the beam over this (Condon 1997, PASP 109, 166)
};

struct Astrometry {
  std::size_t places = 0;                          // that tell it, those far off left out
  double shift_east_rad = 0, shift_north_rad = 0;  // of the image's centre
  double shift_error_rad = 0;                      // 1 σ, of either
  double rotation_rad = 0;                         // of the image, from north through east
  double scale = 1;                                // distances in the image over those of the catalogue
  double turn_error = 0;                           // 1 σ, of rotation_rad and of scale
};

// Weighted least squares of four numbers, offset = shift + (scale − 1) p + rotation · (p turned by 90 degrees), with
// weights snr² (at most those of an SNR of 100: beyond it catalogues err more than images). What is more than four
// robust standard deviations off is left out, three times over. Errors are from the scatter about the solution.
// Nothing for fewer than five places or places that all lie at one point.
std::optional<Astrometry> SolveAstrometry(const std::vector<PlaceInBoth>& places);

}  // namespace contimg::image
