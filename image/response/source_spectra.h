// Spectral indices of a tile's bright sources, told by its own visibilities.
//
// CLEAN's model of one band is an image of means. A source that goes as ν^α changes over a band of 13 % by ± 5 % for
// α = −0.7. A model that is flat leaves the side lobes of that in the data, and CLEAN covers them with components of up
// to 0.4 % of the source, hundreds of arcsec away from it, which look like sources or take away from real ones. So each
// source of the model has a spectrum (image/response/varying_sources.h): the usual one, or, where the source is bright
// enough, what the residual says at its place. There, with x = (ν − mid_hz)/half_hz, a source of S Jy whose index is
// off by δα leaves the slope S δα half_hz/mid_hz in x, besides that of what CLEAN has not taken yet.
#pragma once

#include <cstddef>
#include <vector>

#include "image/plane/clean_component.h"
#include "image/plane/image_geometry.h"

namespace contimg::image {

class SourceVariation;
struct ResidualProbe;
struct VaryingSources;

class SourceSpectra {
 public:
  static constexpr double kUsualIndex = -0.7;  // of extragalactic sources at 1.4 GHz, and how they scatter about it,
  static constexpr double kUsualSpread = 0.4;  // widened for the tails (de Gasperin et al. 2018, MNRAS 474, 5008)
  static constexpr double kLeastSnr = 50;      // below it noise tells less than what is usual
  static constexpr std::size_t kMaxSources = 32;

  // Components closer than `reach_px` to the brightest of a source are of it. Those that nothing is told of have
  // `usual`.
  explicit SourceSpectra(double reach_px = 0, double usual = kUsualIndex) : reach_px_(reach_px), usual_(usual) {}

  // The sources among the components of the slant grid that are bright enough to tell their indices where the residual
  // has this rms, at most the strongest kMaxSources. One that was known keeps its index.
  void SetComponents(const std::vector<CleanComponent>& components, double rms_jy);
  // The index of whatever stands at this place of the grid.
  double IndexAt(double x, double y) const;

  // Where the residual is to be looked at, and what it says there. An index moves from the usual one as far as its
  // error lets it: noise is the rms, or a tenth of what other sources still leave.
  ResidualProbe Probe(const SourceVariation& variation) const;
  // `held`: what of the components that residual has seen with their slopes; the others were flat.
  void Improve(const ResidualProbe& probe, const SourceVariation& variation, const VaryingSources& held);

  struct Source {
    double x = 0, y = 0;  // pixels of the slant grid
    double flux_jy = 0;   // apparent mean
    double index = kUsualIndex, error = kUsualSpread;
    double measured = 0, measured_error = 0;  // by the residual alone; an error of 0: it says nothing
  };
  const std::vector<Source>& sources() const { return sources_; }  // the brightest first

 private:
  double reach_px_, usual_, rms_jy_ = 0;
  std::vector<Source> sources_;
};

}  // namespace contimg::image
