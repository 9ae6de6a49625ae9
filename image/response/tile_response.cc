#include "image/response/tile_response.h"

#include <algorithm>
#include <cmath>

#include "config/buffer.h"
#include "image/plane/sky_coordinates.h"
#include "image/response/smearing.h"

namespace contimg::image {
namespace {

// Sources beyond the edges with less apparent flux leave no side lobes that matter.
constexpr double kLeastOutsideJy = 1e-3;

}  // namespace

TileResponse::TileResponse(const TileResponseInput& input)
    : block_(input.block),
      beam_(ChooseBeam(input.block, input.telescope, input.orientation, !input.settings.beam_file.empty())),
      track_(BeamTrack(input.block, beam_, input.orientation)) {
  const bool on_axis = beam_.mode == BeamMode::kDrift && beam_.pointing.stops_fringes;
  stopped_ = on_axis ? track_ : std::vector<DirectionCosines>(track_.size());
  if (beam_.mode == BeamMode::kNone) {
    if (beam_.pointing.kind != Pointing::Kind::kUnknown && block_.n_times() > 0) {
      const UtcTime middle = UtcTime::FromMjdSeconds((block_.time_mjd_s.front() + block_.time_mjd_s.back()) / 2);
      const convert::SkyFrame frame(middle, input.orientation.At(middle));
      axis_ = frame.IcrsOfItrf(BeamAxis(beam_, frame));
    }
    return;
  }
  if (!track_.empty()) {
    const DirectionCosines &a = track_[(track_.size() - 1) / 2], &b = track_[track_.size() / 2];
    const SkyDirection at = DirectionOfCosines(block_.phase_centre, (a.l + b.l) / 2, (a.m + b.m) / 2);
    axis_ = PhaseCentre{at.ra.rad(), at.dec.rad()};
  }
  pattern_ = input.settings.beam_file.empty() ? BeamModel::Airy(beam_.dish_diameter_m)
                                              : BeamModel::FromFile(input.settings.beam_file);
}

double TileResponse::Reach() const {
  return beam_.mode == BeamMode::kNone ? 0 : 1.5 * pattern_.Fwhm(block_.frequency_hz.front());
}

void TileResponse::BeamMap(const std::vector<double>& frequency_hz, ArrayView<const double, 2> weights,
                           const ImageGeometry& plain, ArrayView<float, 2> image, int threads) const {
  if (beam_.mode == BeamMode::kNone) {
    std::fill(image.begin(), image.end(), 1.0F);
  } else {
    PrimaryBeamMap(pattern_, {beam_.mode, track_, frequency_hz, weights}, plain, image, threads);
  }
}

void TileResponse::SmearMap(ArrayView<const double, 2> weights, const ImageGeometry& plain, ArrayView<float, 2> image,
                            int threads) const {
  SmearingMap(Smearing(weights), plain, image, threads);
}

SmearingInput TileResponse::Smearing(ArrayView<const double, 2> weights) const {
  SmearingInput smearing;
  smearing.uvw_m = block_.uvw_view();
  smearing.weights = weights;
  smearing.integration_s = block_.integration_s;
  smearing.centre = stopped_;
  smearing.phase_centre_dec_rad = block_.phase_centre.dec_rad;
  smearing.first_frequency_hz = block_.frequency_hz.front();
  smearing.last_frequency_hz = block_.frequency_hz.back();
  smearing.channel_width_hz = block_.channel_width_hz;
  return smearing;
}

SourceVariationInput TileResponse::VariationInput(const std::vector<double>& frequency_hz,
                                                  ArrayView<const double, 2> weights) const {
  SourceVariationInput input;
  input.beam = pattern_;
  input.average = {beam_.mode, track_, frequency_hz, weights};
  input.smearing = Smearing({});
  input.smearing.first_frequency_hz = frequency_hz.front();
  input.smearing.last_frequency_hz = frequency_hz.back();
  return input;
}

SourceVariation TileResponse::Variation(const std::vector<double>& frequency_hz, ArrayView<const double, 2> weights,
                                        const ImageGeometry& plain, ArrayView<const float, 2> smear,
                                        const ImageGeometry& slant) const {
  SourceVariationInput input = VariationInput(frequency_hz, weights);
  input.kept = [plain, smear](double l, double m) {  // the map is smooth: the nearest pixel will do
    const PixelPosition at = DirectionToPixel(plain, l, m);
    const double x = std::clamp(std::round(at.x), 0.0, static_cast<double>(plain.nx - 1));
    const double y = std::clamp(std::round(at.y), 0.0, static_cast<double>(plain.ny - 1));
    return static_cast<double>(smear(static_cast<std::size_t>(y), static_cast<std::size_t>(x)));
  };
  return SourceVariation(input, slant);
}

VaryingSources TileResponse::Outside(const std::vector<CatalogueSource>& catalogue, const ImageGeometry& slant,
                                     double scale, double& total_jy) const {
  Buffer<double> ones(block_.n_times() * block_.n_channels());
  std::fill(ones.begin(), ones.end(), 1.0);
  SourceVariationInput input =
      VariationInput(block_.frequency_hz, {ones.data(), {block_.n_times(), block_.n_channels()}});
  input.kept = [](double, double) { return 1.0; };
  return SourceVariation(input, slant).Outside(catalogue, block_.phase_centre, scale, kLeastOutsideJy, total_jy);
}

}  // namespace contimg::image
