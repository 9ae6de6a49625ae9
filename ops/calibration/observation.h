// Where the telescope looked while a group was taken, out of a file's header: what planning its calibration needs.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "ingest/uvh5_reader.h"
#include "state/cal_table_store.h"

namespace contimg::ops {

// The group's id stays empty. The direction is good to some ten arcseconds (UT1 is taken as UTC).
state::ObservationRow ObservationOf(const ingest::SubbandHeader& header);

// Adds another subband of the same group: the band widens.
void Widen(state::ObservationRow& row, const state::ObservationRow& other);

// How a checking process hands it over. Parsing throws nlohmann::json::exception for missing fields.
nlohmann::json ToJson(const state::ObservationRow& row);
state::ObservationRow ParseObservation(const nlohmann::json& json);

// Part of the baselines that are longer than `length_m`.
double LongerThan(const state::ObservationRow& row, double length_m);

}  // namespace contimg::ops
