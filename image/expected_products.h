// Which products a request makes, known before anything is read.
#pragma once

#include "config/os.h"
#include "image/image_stage.h"
#include "image/products/image_products.h"

namespace contimg::image {

ProductPlan PlanOf(const ImageRequest& request);

// True when spectra are fitted: bands are cleaned together.
bool HasSpectra(const ImageRequest& request);

// Names all products to `staged`, which throws when one exists already.
void ExpectProducts(const ImageRequest& request, StagedProducts& staged);

}  // namespace contimg::image
