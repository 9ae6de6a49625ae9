// Data sets made of others by preprocessing, on record with what they were made of.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "mosaic/variability/preprocess.h"
#include "ops/lightcurves/light_curves.h"
#include "state/dataset_store.h"
#include "state/own_source_store.h"

namespace contimg::ops {

// What a series is made of: a data set by its name, else our own photometry.
struct SeriesParent {
  std::string dataset;
  LightCurveRequest photometry;  // its mask is not used: preprocessing leaves out what is flagged
};

struct DerivedSeries {
  state::DatasetRow dataset;
  bool made = false;            // false: it was on record, of the same input and with the same parameters
  mosaic::Preprocessed result;  // without points where it was on record
};

// Preprocesses the parent and puts the result on record as `name` (empty: "preprocess " and a hash of parent and
// parameters) with its method and lineage; our own photometry becomes views ("forced tile", "forced tile normalised",
// "forced transit"…), each made of the one before. Throws Error{kUsage} where the name is that of a data set made in
// another way and `replace` is not set, Error{kBadInput} where nothing is left.
DerivedSeries DeriveSeries(state::Database& database, const state::OwnSourceRow& source, const SeriesParent& parent,
                           const mosaic::PreprocessParameters& parameters, const std::string& name, bool replace,
                           double now);

// Throws Error{kUsage} for a name that a view of our own photometry has or would have ("forced transit").
void RequireFreeName(const std::string& name, const std::string& photometry);

// Every parameter by its name, as JSON: {"quality_bitmask": 28677, "remove_outliers": true, …}.
std::string ParametersJson(const mosaic::PreprocessParameters& parameters);

}  // namespace contimg::ops
