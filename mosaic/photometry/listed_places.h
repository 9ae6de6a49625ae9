// Places to measure from a list of sources.
#pragma once

#include <vector>

#include "config/source_list.h"
#include "mosaic/photometry/forced.h"

namespace contimg::mosaic {

inline constexpr double kListFrequencyHz = 1.4e9;  // of the flux densities in lists

// One place a source, in order; what it should have at `frequency_hz` is from its flux density and spectral index.
std::vector<ForcedPlace> PlacesOfList(const std::vector<ListedSource>& sources, double frequency_hz);

// Those of `neighbours` that are not nearer than `radius` to any of `places`: a list's entry there is the source
// itself.
std::vector<ForcedPlace> Others(const std::vector<ForcedPlace>& neighbours, const std::vector<ForcedPlace>& places,
                                Angle radius);

}  // namespace contimg::mosaic
