// Flags a tile: what cannot be data, dead antennas, and interference.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "calibrate/flag_report.h"
#include "config/settings.h"
#include "ingest/visibility_block.h"

namespace contimg::calibrate {

// Adds flags to `block.flag` and says how many and why. In this order: values that are not finite or exactly zero;
// autocorrelations; the bad bands; receptors (and so antennas) of which more than settings.dead_antenna_fraction is
// flagged; interference, by settings.engine and in every polarisation at once; its neighbours (extend_*); receptors
// that have noise but no sky (calibrate/lost_sky.h). Flags the block came with stay. With settings.enabled off only the
// first four are done. Results do not depend on `threads`. Throws Error{kUsage} for a malformed bad_bands_mhz, and what
// the engine throws (calibrate/flag_aoflagger.h).
FlagReport FlagTile(VisibilityBlock& block, const FlagSettings& settings, int threads);

// The bands of flag.bad_bands_mhz, "1420.2-1420.6, 1381-1382", as low and high edges in Hz.
// Throws Error{kUsage} for anything else.
std::vector<std::pair<double, double>> ParseBands(const std::string& text);

// Flags the neighbours of what is flagged in `flag` and not in `before`: `times` integrations and `channels` channels
// on either side (a rectangle). Both [time][baseline][channel][pol]; polarisations by themselves.
void ExtendFlags(ArrayView<std::uint8_t, 4> flag, ArrayView<const std::uint8_t, 4> before, std::size_t times,
                 std::size_t channels, int threads);

}  // namespace contimg::calibrate
