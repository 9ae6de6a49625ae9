// Sources for calibration models (calibrate/field_model.h) out of the source database.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "calibrate/field_model.h"
#include "config/settings.h"
#include "config/source_list.h"
#include "state/source_store.h"

namespace contimg::ops {

ListedSource Listed(const state::SourceRow& row);

// The catalogue that fields are modelled with: the imported NVSS, or the only one there is; empty: none.
std::string FieldCatalogue(state::SourceStore& store);

// The catalogue sources about a direction (calibrate::FieldSources). `catalogue`: the name of an imported one, "field"
// for FieldCatalogue, or a CSV file. Throws Error{kBadInput} when there are none.
// `store` may be null for a file.
std::vector<calibrate::SkySource> CatalogueSources(const std::string& catalogue, state::SourceStore* store,
                                                   const calibrate::FieldView& view, const CalibrateSettings& settings);

// What a person names: a calibrator, a catalogue as above, or both. The calibrator is looked for where jobs look for it
// (calibrate::FindCalibrator: the standards, what `catalogue` names) and then in the imported catalogues, the VLA's
// calibrators first. Throws Error{kBadInput} when nobody knows its name or its flux density.
calibrate::ModelSources NamedModelSources(const std::string& calibrator, const std::string& catalogue,
                                          state::SourceStore* store, const calibrate::FieldView& view,
                                          const CalibrateSettings& settings);

// The source database of the settings, or null when there is none yet.
std::unique_ptr<state::SourceStore> OpenSourcesIfAny(const Settings& settings);

}  // namespace contimg::ops
