// Clips what stands out of calibrated data: weak or broad interference that has no edges for SumThreshold to see.
#pragma once

#include <cstddef>

#include "calibrate/flag_report.h"
#include "config/array_view.h"
#include "config/settings.h"
#include "ingest/visibility_block.h"

namespace contimg::calibrate {

// Flags samples whose residual amplitude |V − M| exceeds median + residual_sigma · 1.4826 · MAD, both statistics being
// taken over the unflagged samples of one baseline and polarisation; MAD is the median absolute deviation from the
// median. What one polarisation shows is flagged in all. Never looks at plain amplitudes, so a bright source is safe.
// `model` M, [time][baseline][channel], Jy, Stokes I: taken off the parallel hands (the cross hands have none). Empty:
// M is the median of real and imaginary part of the good ones among settings.residual_channels channels on either side.
// That follows a fringe as long as A (1 − cos φ) stays below the noise, A
// being the source's amplitude and φ its turn over three quarters of residual_channels; beyond that, give a model.
// Autocorrelations are left alone. Returns the number of samples flagged anew; does nothing when residual_sigma is 0.
// Independent of `threads`. Throws Error{kBug} when the model has another shape.
std::size_t ClipResiduals(VisibilityBlock& block, ArrayView<const Visibility, 3> model, const FlagSettings& settings,
                          int threads);

}  // namespace contimg::calibrate
