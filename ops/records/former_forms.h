// Images that were made anew in another form.
#pragma once

#include <string>

#include "state/product_store.h"

namespace contimg::ops {

// An image that is made anew as FITS, compressed FITS or a casacore image takes the other forms of itself off the disk
// (image::StagedProducts). The records of `group` follow: "removed", where they would be missed. To be called in the
// transaction that records what was made.
void RetireFormerForms(state::ProductStore& products, const std::string& group, double now);

}  // namespace contimg::ops
