// What a group that was given up has left behind, kept for a look: ms/failed/<day>/<group>.ms.
//
// A worker writes the Measurement Set while later stages run, so one that fails in the image stage leaves a whole set
// in ms/science. One that fails before has published nothing: what it had begun in staging is no table that casacore
// opens, and is swept.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "config/os.h"
#include "config/product_paths.h"
#include "state/group_store.h"
#include "state/product_store.h"

namespace contimg::ops {

// Moves the set of a dead group from ms/science to ms/failed, in the place of one of an earlier life; returns its new
// path. Empty, and nothing is moved: the group is not dead, there is no set, or the set is a product on record (made by
// a run that ended well).
//
// On record first: an event, and the product as "missing" in its new place, made of the group's input; then renamed;
// then "present". `actor`: of the event. What a kill leaves in between, the reconciler puts right. Error as the
// databases and Os say.
std::filesystem::path KeepFailedSet(const std::string& group, const ProductPaths& paths, state::GroupStore& groups,
                                    state::ProductStore& products, Os& os, std::string_view actor, double now);

}  // namespace contimg::ops
