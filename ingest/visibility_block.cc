#include "ingest/visibility_block.h"

namespace contimg {

void VisibilityBlock::Allocate() {
  const std::size_t n = n_times() * n_baselines() * n_channels() * n_pols();
  vis = Buffer<Visibility>(n);
  flag = Buffer<std::uint8_t>(n);
  weight = Buffer<float>(n);
}

}  // namespace contimg
