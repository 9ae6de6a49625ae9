// Where the telescope looked while a group was taken, out of a file's header: what planning its calibration needs.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "config/group_observation.h"
#include "ingest/uvh5_reader.h"

namespace contimg::ops {

// The group's id stays empty. The direction is good to some ten arcseconds (UT1 is taken as UTC).
GroupObservation ObservationOf(const ingest::SubbandHeader& header);

// Adds another subband of the same group: the band widens.
void Widen(GroupObservation& row, const GroupObservation& other);

// How a checking process hands it over. Parsing throws nlohmann::json::exception for missing fields.
nlohmann::json ToJson(const GroupObservation& row);
GroupObservation ParseObservation(const nlohmann::json& json);

}  // namespace contimg::ops
