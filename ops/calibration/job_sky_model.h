// The sky that a job gets along, for its model and for judging its image: the catalogue about its tile.
#pragma once

#include <string>

#include "ops/calibration/forecast.h"
#include "state/cal_table_store.h"

namespace contimg::ops {

// CSV as calibrate/catalogue.h reads it; empty: no source is known there. `model`: what a solve was forecast with; the
// calibrator that "calibrator:NAME" names stands for the catalogue's entry at its place.
std::string SkyModelCsv(Forecaster& forecaster, const GroupObservation& observation, const std::string& model,
                        double default_spectral_index);

}  // namespace contimg::ops
