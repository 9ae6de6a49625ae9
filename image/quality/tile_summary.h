// What a tile's visibilities say about themselves: flags, noise, coverage. For the quality report of its image.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ingest/flag_count.h"
#include "ingest/visibility_block.h"
#include "ingest/visibility_parts.h"

namespace contimg::image {

struct TileSummary {
  FlagCensus flags;
  // Rms of the real (or imaginary) part of one hand's visibility of weight 1: 1.4826 × the median absolute difference
  // of neighbouring samples, scaled by their weights. Neighbours are channels, integrations or the two parallel hands:
  // whatever of the sky differs between them adds to the scatter, so the lowest of the three is the noise. 0 when there
  // are no neighbours.
  double noise_of_unit_weight = 0;
  std::string noise_from;  // "channels", "integrations", "hands"; empty: none
  // Mean square of the visibilities (times their weight) over median²/ln 2, which equals it for noise: 1 for noise and
  // for a sky of many sources, 2 at most for any point sources that outshine it, far above for a few absurd samples.
  std::optional<double> outlier_power;  // absent: no samples, or most of them are 0
  struct UvPoint {
    float u_lambda, v_lambda;
  };
  std::vector<UvPoint> uv;  // a sample of the coverage, at most `max_uv_points`
};

// Noise and outliers are those of the samples that are imaged, unflagged, finite and with weight, of the
// cross-correlations between the two projected lengths, wavelengths at mid-band.
struct UvLimits {
  double min_lambda = 0;
  double max_lambda = 0;  // 0: no limit
};

// Makes the summary of a tile whose visibilities go by.
class TileSurvey {
 public:
  TileSurvey(const VisibilityBlock& block, const UvLimits& limits, int threads);  // the block must outlive this
  ~TileSurvey();
  void Add(const VisibilityPart& part);  // each once, in order
  // `dead_limit`: FlagSettings::dead_antenna_fraction.
  TileSummary Finish(std::size_t max_uv_points, double dead_limit) const;

 private:
  struct Meters;
  const VisibilityBlock& block_;
  int threads_;
  std::unique_ptr<Meters> meters_;
};

// Visibilities that a survey looks at when they are first gone through.
class SurveyedVisibilities final : public VisibilityParts {
 public:
  SurveyedVisibilities(const VisibilityParts& vis, TileSurvey& survey) : vis_(vis), survey_(survey) {}
  void ForEach(const std::function<void(const VisibilityPart&)>& use) const override;
  // Goes through them if nobody has yet.
  void Finish() const;
  double reading_s() const { return reading_s_; }  // spent waiting for parts
  double survey_s() const { return survey_s_; }    // spent by the survey

 private:
  const VisibilityParts& vis_;
  TileSurvey& survey_;
  mutable bool seen_ = false;
  mutable double reading_s_ = 0, survey_s_ = 0;
};

}  // namespace contimg::image
