// The direct sum of image/response/varying_sources.h over the frequency nodes of one row. SIMD with run-time dispatch.
#pragma once

#include <vector>

#include "image/operator/frequency_nodes.h"
#include "image/operator/uv_plan.h"
#include "image/response/varying_sources.h"

namespace contimg::image {

// Room for figures of all sources; one per thread.
struct VaryingScratch {
  std::vector<float> figures;
};

// re, im [node] += Σ S (P/P̄ · D/D̄ − 1) exp(−2πiν(u l + v m + w (n − 1))) at the row's nodes: as GridEngine::FromImage
// leaves the model's visibilities.
void AddVaryingSources(const VaryingSources& sources, const UvRow& row, const FrequencyNodes& set,
                       VaryingScratch& scratch, float* re, float* im);

// sums[s], sums[padded + s] += Σ r exp(…) and Σ x r exp(…) (real parts) over the row's nodes, r the residual that
// GridEngine::ToImage takes: what an image has at each source's place, not yet over Σ w.
void ProbeResidual(const VaryingSources& places, const UvRow& row, const FrequencyNodes& set, VaryingScratch& scratch,
                   const float* re, const float* im, double* sums);

}  // namespace contimg::image
