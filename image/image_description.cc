#include "image/image_description.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>

#include "config/units.h"

namespace contimg::image {

FitsHeader DescribeImage(const ImageFacts& facts) {
  FitsHeader header;
  const VisibilityBlock& block = facts.block;
  const ImageSettings& settings = facts.request.settings;
  header.geometry = facts.plain;
  header.geometry.cell_rad = Angle::Arcsec(settings.cell_arcsec).rad();
  header.centre = block.phase_centre;
  header.type = "Intensity";
  // The band that was used: flagged channels at its ends do not count.
  const auto weights = facts.op.weight_by_time_channel();
  std::size_t first = block.n_channels(), last = 0;
  for (std::size_t t = 0; t < weights.shape(0); ++t) {
    for (std::size_t k = 0; k < weights.shape(1); ++k) {
      if (weights(t, k) > 0) first = std::min(first, k), last = std::max(last, k);
    }
  }
  const double low = block.frequency_hz[std::min(first, last)], high = block.frequency_hz[last];
  header.frequency_hz = facts.op.frequency_hz();  // a source of any usual spectrum has the flux of this frequency
  header.bandwidth_hz = high - low + block.channel_width_hz;
  header.start_mjd_s = block.time_mjd_s.front() - block.integration_s.front() / 2;
  header.end_mjd_s = block.time_mjd_s.back() + block.integration_s.back() / 2;
  header.pointing = facts.response.Axis();
  header.telescope = block.telescope_name;
  header.instrument = block.instrument;
  header.object = block.object_name;
  header.calibration = facts.request.calibration;
  header.software = facts.request.software;
  header.settings_hash = facts.request.settings_hash;
  header.history = facts.request.history;
  header.history.push_back(fmt::format("{} weights, robust {:g}, {}; {} visibilities; accuracy {:g}", settings.weight,
                                       settings.robust, RangeText(facts.uv), facts.op.figures().n_used,
                                       settings.accuracy));
  const FlagCensus& flags = facts.flags;
  header.history.push_back(fmt::format(
      "imaged: {:.3f} % of the cross-correlations flagged, {:.3f} % between living receptors ({} of {} dead)",
      100 * flags.total.fraction(), 100 * flags.living.fraction(), flags.dead_receptors, flags.receptors_with_data));
  header.history.push_back("primary beam: " + facts.response.beam().description);
  if (!facts.note.empty()) header.history.push_back(facts.note);
  header.history.push_back(fmt::format("imaged in the slant frame w = {:.6f} u + {:.6f} v, resampled to SIN",
                                       facts.slant.slant_a, facts.slant.slant_b));
  return header;
}

FitsHeader HeaderOf(ProductKind kind, const char* unit, const std::optional<GaussianBeam>& beam,
                    const FitsHeader& base) {
  FitsHeader header = base;
  header.unit = unit;
  header.beam = beam;
  if (kind == ProductKind::kPb) header.type = "Beam";
  if (kind == ProductKind::kSmear) header.type = "Smearing";
  if (kind == ProductKind::kAlpha) header.type = "Spectral Index";
  return header;
}

}  // namespace contimg::image
