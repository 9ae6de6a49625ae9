// The databases' schemas. A released migration is never edited: a change of schema is a further entry at the end
// of its list.
#pragma once

#include "state/database.h"

namespace contimg::state {

const Schema& IngestSchema();
const Schema& CalRegistrySchema();
const Schema& ProductsSchema();
const Schema& MasterSourcesSchema();
const Schema& OperationsSchema();

}  // namespace contimg::state
