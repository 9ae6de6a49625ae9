// Finds interference in the time-frequency planes of all baselines: SumThreshold and the scale-invariant rank operator.
//
// The method of Offringa et al. 2010 (MNRAS 405, 155; SumThreshold) and 2012 (A&A 539, A95; the rank operator), in the
// arrangement of AOFlagger's generic strategy and with its limits, so that equal settings give nearly equal flags
// (docs/flagging.md states how nearly). Each polarisation's amplitudes go through `iterations` rounds of SumThreshold
// along both axes; between rounds integrations and channels of deviating rms are flagged and a smooth background,
// fitted to what is left, is taken off. What any polarisation shows is flagged in all of them.
//
// Planes of 4 to 16 baselines, as many as the processor's vectors hold, are worked on at once, one per vector lane.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "config/array_view.h"
#include "config/settings.h"
#include "ingest/visibility_block.h"

namespace contimg::calibrate {

// Adds flags (1) to `flag` where `vis` shows interference. Both [time][baseline][channel][pol]. Samples flagged on
// entry are ignored: they neither raise nor hide anything near them. `baselines`: positions on the baseline axis to
// look at; the others are not touched. Uses the SumThreshold members of `settings`, not its engine. Each baseline is
// judged by itself, so the result depends neither on `threads` nor on the order of `baselines`.
// Throws Error{kBug} when the shapes differ or there are more than four polarisations.
void FlagRfi(ArrayView<const Visibility, 4> vis, ArrayView<std::uint8_t, 4> flag,
             const std::vector<std::size_t>& baselines, const FlagSettings& settings, int threads);

}  // namespace contimg::calibrate
