#include "ops/lightcurves/usual_beams.h"

#include <cmath>
#include <optional>

#include "config/quality_flags.h"
#include "config/robust_statistics.h"

namespace contimg::ops {
namespace {

using state::ObservationRow;
using state::UsualBeam;

constexpr std::size_t kFewestTiles = 3;

std::optional<int> DeclinationOf(const ObservationRow& tile) {
  if (!tile.dec_deg || !tile.beam_major_arcsec || !tile.beam_minor_arcsec) return std::nullopt;
  return static_cast<int>(std::lround(*tile.dec_deg));
}

bool IsAnother(double width, double usual) { return std::abs(width / usual - 1) > kBeamTolerance; }

void SetFlag(ObservationRow& tile, const std::optional<UsualBeam>& usual) {
  tile.flags &= ~quality::kBeamDiffers.mask();
  if (usual && (IsAnother(*tile.beam_major_arcsec, usual->major_arcsec) ||
                IsAnother(*tile.beam_minor_arcsec, usual->minor_arcsec))) {
    tile.flags |= quality::kBeamDiffers.mask();
  }
}

}  // namespace

std::map<int, UsualBeam> UsualBeams(const std::vector<ObservationRow>& tiles) {
  std::map<int, std::vector<double>> majors, minors;
  for (const ObservationRow& tile : tiles) {
    const auto declination = DeclinationOf(tile);
    if (!declination || (tile.flags & kDefaultQualityMask) != 0) continue;
    majors[*declination].push_back(*tile.beam_major_arcsec);
    minors[*declination].push_back(*tile.beam_minor_arcsec);
  }
  std::map<int, UsualBeam> usual;
  for (const auto& [declination, widths] : majors) {
    if (widths.size() >= kFewestTiles) usual[declination] = {Median(widths), Median(minors[declination])};
  }
  return usual;
}

void FlagBeam(ObservationRow& tile, const std::map<int, UsualBeam>& usual) {
  const auto declination = DeclinationOf(tile);
  const auto at = declination ? usual.find(*declination) : usual.end();
  SetFlag(tile, at != usual.end() ? std::optional(at->second) : std::nullopt);
}

void FlagBeam(state::Database& database, ObservationRow& tile) {
  const auto declination = DeclinationOf(tile);
  SetFlag(tile, declination ? state::FluxReferenceStore(database).BeamAt(*declination) : std::nullopt);
}

}  // namespace contimg::ops
