// Maxima that are no sources, or may be none.
#pragma once

#include <vector>

#include "mosaic/find/components.h"
#include "mosaic/tile/tile_images.h"

namespace contimg::mosaic {

struct ArtefactOptions {
  double bright_snr = 100;        // of sources whose side lobes are looked at
  double sidelobe_share = 0.015;  // of such a source's side lobes: what errors of calibration leave in the image
  double sidelobe_snr = 10;     // what is fainter than so many times that remainder, where it exceeds 1 σ, is suspect
  double negative_share = 0.5;  // of a source's flux: a minimum as deep within two beams is its twin
  double noisy = 1.5;           // local rms over the median of the image: suspect
  std::size_t crowd = 6;        // components of a group beyond which all are
};

// For each component whether it is suspect: on a side lobe of a bright source (an error of its calibration or of CLEAN
// leaves a part of the PSF there), with a negative twin, where the noise is far above the image's median, in a crowd.
// `group_size`: of each component's group.
std::vector<bool> SuspectComponents(const TileImages& images, const std::vector<Component>& components,
                                    const std::vector<std::size_t>& group_size, double median_rms,
                                    const ArtefactOptions& options, int threads);

}  // namespace contimg::mosaic
