// The parts of ReadSubbandHeader that fill a file of their own. Used within ingest only; all need the HDF5 lock.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "ingest/hdf5_access.h"
#include "ingest/uvh5_reader.h"

namespace contimg::ingest {

// Error{kBadInput} unless `shape` is (expected).
void CheckRank1(const Hdf5Group& group, const std::string& name, const Shape& shape, std::size_t expected,
                const std::string& what);
// Compares a count that the header states with what the arrays hold; files may lack the statement.
void CheckCount(const Hdf5Group& group, const std::string& name, std::size_t found, const std::string& what);

// Fills `site`, `antennas` and `tilt_rad`. Refuses sites in radians or of the wrong sign and positions of other axes,
// which the plane in which the antennas lie gives away.
void ReadSiteAndAntennas(const Hdf5Group& group, SubbandHeader& header);

// Refuses antennas of the baselines that stand at one place.
void CheckStations(const Hdf5Group& group, const SubbandHeader& header);

// Fills `phase`, `app_dec_rad`, `knows_pointing`; needs times and site. `group` is /Header. Refuses what the converter
// has no right answer for: data without fringe stopping, several centres, moving and near targets, other frames, and
// statements that contradict each other.
void ReadPhasing(const H5::H5File& file, const Hdf5Group& group, std::size_t rows_per_time, SubbandHeader& header);

// The subband of the DSA-110 that the channels fill from edge to edge, if they do.
std::optional<int> SubbandOfFrequencies(const SubbandHeader& header);

// Angle between two directions of one frame (Separation of config/units.h).
double SeparationRad(const PhaseCentre& a, const PhaseCentre& b);

}  // namespace contimg::ingest
