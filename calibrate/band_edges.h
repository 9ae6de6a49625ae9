// Channels at the ends of spectral windows that no gains of antennas describe.
//
// Where a band falls off, filters of two antennas that differ make errors of the baseline, which do not close: no gain
// of an antenna takes them away (Thompson, Moran & Swenson 2017, section 7.3.3). The first channel of the VLA's 2001
// correlator is off by 9 % where the middle of its band is by 3 %, and its side lobes rule the image
// (docs/calibration.md).
#pragma once

#include <cstddef>
#include <vector>

#include "calibrate/solutions.h"

namespace contimg::calibrate {

// `error`, `chance`: cell_error and cell_chance of GainSolution, one interval: [channel][receptor]. From each end of
// each window inwards the channels whose error in a receptor exceeds 1 % and twice the median of their window's, and
// that by more than chance (squares are compared); never more than a quarter of a window at either end. Ascending, over
// all windows.
std::vector<std::size_t> UnclosedBandEdges(const std::vector<SolutionWindow>& windows, const std::vector<float>& error,
                                           const std::vector<float>& chance, std::size_t n_receptors);

// Flags these channels of all antennas, receptors and intervals.
void FlagChannels(SolutionSet& bandpass, const std::vector<std::size_t>& channels);

}  // namespace contimg::calibrate
