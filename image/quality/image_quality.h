// Quality of an image: figures, gates and a grade.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "config/array_view.h"
#include "image/clean/clean.h"
#include "image/plane/beam_fit.h"
#include "image/plane/image_statistics.h"
#include "image/products/fits_image.h"
#include "image/quality/astrometry.h"
#include "image/quality/quality_gates.h"
#include "image/response/source_catalogue.h"

namespace contimg {
struct ImageSettings;
}

namespace contimg::image {

// A catalogue source found in the image.
struct CatalogueMatch {
  double x = 0, y = 0;         // pixel of the fitted peak
  double expected_jy = 0;      // catalogue flux × primary beam × smearing
  double measured_jy = 0;      // peak, Jy/beam
  double offset_east_rad = 0;  // measured − catalogue
  double offset_north_rad = 0;
};

// The highest pixel within `reach` pixels of a place, refined by the quadratic through the logarithms of it and its
// neighbours: exact for a Gaussian, however few pixels it has and however it is turned. Where a neighbour is not
// positive (noise), by the quadratic of the values. Sets x, y and measured_jy (−∞ when no pixel is finite) alone.
CatalogueMatch FindPeak(ArrayView<const float, 2> image, const PixelPosition& at, double reach);

// How well the image agrees with the catalogue. Matched are sources brighter than `min_snr` times the local noise where
// the primary beam exceeds 0.3, without a catalogue neighbour of a fifth of their flux within two beams.
struct CatalogueComparison {
  std::size_t expected = 0;  // sources that qualify
  std::vector<CatalogueMatch> matches;
  double flux_ratio_median = 0;
  double flux_ratio_scatter = 0;  // 1.4826 × MAD
  double offset_median_rad = 0;   // of the lengths
  double offset_east_median_rad = 0, offset_north_median_rad = 0;
  std::optional<Astrometry> astrometry;  // nothing: too few sources
};
struct ComparisonInput {
  ArrayView<const float, 2> image;  // restored, attenuated by the beam, plain SIN
  ArrayView<const float, 2> pb;
  ArrayView<const float, 2> smear;
  const FitsHeader* header = nullptr;  // geometry, centre, beam
  const CoarseMap* noise = nullptr;
  double min_snr = 10;
  double max_noise_jy =
      0;  // higher local noise is an error of the image and hides no source from the count; 0: no limit
};
CatalogueComparison CompareWithCatalogue(const ComparisonInput& input, const std::vector<CatalogueSource>& sources);

struct ImageQuality {
  double rms_jy = 0;  // MAD-based, of the residual
  double local_rms_min_jy = 0;
  double local_rms_max_jy = 0;
  double peak_jy = 0;           // of the restored image
  double dynamic_range = 0;     // peak / rms
  double negative_ratio = 0;    // |deepest negative| / peak of the restored image
  double bowl_ratio = 0;        // |mean residual within three beams of the peak| / rms, when negative
  double residual_peak_jy = 0;  // the largest of either sign
  GaussianBeam beam;            // zero when none was fitted
  double beam_pixels = 0;       // its short axis
  std::optional<PsfShape> psf;
  double pb_max = 0;  // highest primary beam in the image
  ImageMoments residual;
  double thermal_jy = 0;     // expected from the scatter of the visibilities; 0: not known
  std::string thermal_from;  // what told it: "channels", "integrations", "hands"; empty: nothing
  double rms_over_thermal = 0;
  // Mean square of the residual over that of the dirty image, the thermal noise taken out of both: the part of the side
  // lobes that the model does not explain. Absent when the dirty image is hardly more than noise.
  std::optional<double> sidelobes_left;
  std::optional<double> outlier_power;  // see TileSummary; absent: not known
  std::optional<CleanStop> clean_stop;  // absent: not deconvolved
  double flagged_fraction = 0;
  std::optional<CatalogueComparison> catalogue;
  CoarseMap local_rms;
  std::vector<QualityGate> gates;
  std::string grade;                 // the worst of the gates'
  std::vector<std::string> reasons;  // see Reasons(); empty for grade A
};

struct QualityInput {
  ArrayView<const float, 2> image, residual, pb, smear;
  const FitsHeader* header = nullptr;  // of the restored image
  double thermal_jy = 0;
  std::string thermal_from;
  std::optional<double> outlier_power;
  std::optional<PsfShape> psf;
  double dirty_rms_jy = 0;  // root mean square of the dirty image; 0: not known
  double flagged_fraction = 0;
  std::optional<CleanStop> clean_stop;                      // absent: gates that judge CLEAN do not apply
  const std::vector<CatalogueSource>* catalogue = nullptr;  // null: none
};
ImageQuality AssessImage(const QualityInput& input, const ImageSettings& settings, int threads);

// The figures as JSON (units in the names).
nlohmann::json ToJson(const ImageQuality& quality);

}  // namespace contimg::image
