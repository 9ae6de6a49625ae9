// Whether the columns of a Measurement Set have the units and the time scale in which they are read. C++17.
#pragma once

#include <casacore/casa/Arrays/Vector.h>
#include <casacore/tables/Tables/Table.h>

#include <string>

namespace contimg::convert::internal {

// Throws Error{kBadInput} when TIME, INTERVAL, UVW, CHAN_FREQ, CHAN_WIDTH, POSITION or DISH_DIAMETER say a unit other
// than s, m or Hz, or TIME another scale than UTC. Columns that say nothing are taken to be right.
void CheckUnits(const casacore::Table& main, const casacore::Table& windows, const casacore::Table& antennas,
                const std::string& path);

// Throws Error{kBadInput} when the channels of spectral window `spw` differ in width by more than a thousandth.
void CheckWidths(const casacore::Vector<double>& width_hz, int spw, const std::string& path);

// Throws Error{kBadInput} when channels of spectral window `spw` are wider than 2.5 times their distance from the ones
// below: windowed spectra have channels that overlap by half or more, wrong widths are smeared away.
void CheckSpacing(double width_hz, double spacing_hz, int spw, const std::string& path);

// Throws Error{kBadInput} when a data column says another unit than Jy, by the keyword QuantumUnits or UNIT.
void CheckDataUnit(const casacore::Table& main, const std::string& column, const std::string& path);

}  // namespace contimg::convert::internal
