#include "image/quality/tile_summary.h"

#include <algorithm>
#include <cmath>
#include <complex>
#include <cstdint>
#include <map>
#include <numeric>
#include <utility>

#include "config/parallel.h"
#include "config/robust_statistics.h"
#include "config/stopwatch.h"
#include "config/units.h"

namespace contimg::image {
namespace {

bool IsParallelHand(Polarisation p) {
  return p == Polarisation::kXX || p == Polarisation::kYY || p == Polarisation::kRR || p == Polarisation::kLL ||
         p == Polarisation::kI;
}

std::vector<std::size_t> ParallelHands(const VisibilityBlock& block) {
  std::vector<std::size_t> hands;
  for (std::size_t p = 0; p < block.n_pols(); ++p) {
    if (IsParallelHand(block.polarisations[p])) hands.push_back(p);
  }
  return hands;
}

// The samples that are imaged: cross-correlations within the limits, unflagged, finite, with weight.
class UsedSamples {
 public:
  UsedSamples(const VisibilityBlock& block, const UvLimits& limits)
      : n_pols_(block.n_pols()),
        row_size_(block.n_channels() * block.n_pols()),
        flag_(block.flag.data()),
        weight_(block.weight.data()) {
    const double scale = block.frequency_hz[block.n_channels() / 2] / kSpeedOfLight;
    const auto uvw = block.uvw_view();
    row_used_.resize(block.n_times() * block.n_baselines());
    for (std::size_t row = 0; row < row_used_.size(); ++row) {
      const std::size_t t = row / block.n_baselines(), b = row % block.n_baselines();
      const double length = std::hypot(uvw(t, b, 0), uvw(t, b, 1)) * scale;
      row_used_[row] = !block.baselines[b].is_auto() && length >= limits.min_lambda &&
                       (limits.max_lambda <= 0 || length <= limits.max_lambda);
    }
  }
  bool Row(std::size_t row) const { return row_used_[row]; }
  std::size_t rows() const { return row_used_.size(); }
  std::size_t row_size() const { return row_size_; }
  // Of a sample and its weight, 0: not used. `vis`: those of the row.
  std::pair<Visibility, float> Sample(std::size_t row, const Visibility* vis, std::size_t k, std::size_t p) const {
    const std::size_t in_row = k * n_pols_ + p, at = row * row_size_ + in_row;
    const Visibility v = vis[in_row];
    const float w = weight_[at];
    const bool usable =
        flag_[at] == 0 && w > 0 && std::isfinite(w) && std::isfinite(v.real()) && std::isfinite(v.imag());
    return {v, usable ? w : 0};
  }

 private:
  std::size_t n_pols_, row_size_;
  const std::uint8_t* flag_;
  const float* weight_;
  std::vector<bool> row_used_;
};

// Differences of neighbours in units of their expected rms for weight 1, from about 400 000 samples.
class NoiseMeter {
 public:
  NoiseMeter(const VisibilityBlock& block, const UsedSamples& used, const std::vector<std::size_t>& hands)
      : block_(block), used_(used), hands_(hands) {
    const std::size_t stride = std::max<std::size_t>(1, used.rows() * block.n_channels() * hands.size() / 400000);
    for (std::size_t row = 0; row < used.rows(); row += stride) {
      if (!used.Row(row)) continue;
      rows_.push_back(row);
      kept_[row];
      if (Next(row) < used.rows()) kept_[Next(row)];
    }
  }

  // Keeps the rows that Measure needs.
  void Add(const VisibilityPart& part) {
    const std::size_t n = block_.n_baselines(), size = used_.row_size();
    const auto end = kept_.lower_bound(part.end_time * n);
    for (auto each = kept_.lower_bound(part.first_time * n); each != end; ++each) {
      const Visibility* from = part.vis + (each->first - part.first_time * n) * size;
      each->second.assign(from, from + size);
    }
  }

  void Measure(TileSummary& summary) const {
    std::vector<double> by_channel, by_time, by_hand;
    for (const std::size_t row : rows_) {
      const std::size_t next = Next(row);
      for (std::size_t k = 0; k < block_.n_channels(); ++k) {
        for (const std::size_t p : hands_) {
          if (k + 1 < block_.n_channels()) AddDifference(row, k, p, row, k + 1, p, by_channel);
          if (next < used_.rows()) AddDifference(row, k, p, next, k, p, by_time);
        }
        if (hands_.size() == 2) AddDifference(row, k, hands_[0], row, k, hands_[1], by_hand);
      }
    }
    Consider(by_channel, "channels", summary);
    Consider(by_time, "integrations", summary);
    Consider(by_hand, "hands", summary);
  }

 private:
  std::size_t Next(std::size_t row) const { return row + block_.n_baselines(); }

  void AddDifference(std::size_t row1, std::size_t k1, std::size_t p1, std::size_t row2, std::size_t k2, std::size_t p2,
                     std::vector<double>& to) const {
    const auto [v1, w1] = used_.Sample(row1, kept_.at(row1).data(), k1, p1);
    const auto [v2, w2] = used_.Sample(row2, kept_.at(row2).data(), k2, p2);
    if (w1 == 0 || w2 == 0) return;
    // In double precision: between the extremes of float no difference or weight becomes infinite, and no product NaN.
    const std::complex<double> difference = std::complex<double>(v2) - std::complex<double>(v1);
    const double scale = 1 / std::sqrt(1.0 / w1 + 1.0 / w2);
    to.push_back(std::abs(difference.real()) * scale);
    to.push_back(std::abs(difference.imag()) * scale);
  }

  static void Consider(std::vector<double>& differences, const char* name, TileSummary& summary) {
    constexpr std::size_t kFewest = 100;
    if (differences.size() < kFewest) return;
    const double noise = kSigmaPerMad * TakeMedian(differences);
    // Exactly 0: copies of one another, which say nothing.
    if (!(noise > 0)) return;
    if (summary.noise_of_unit_weight > 0 && noise >= summary.noise_of_unit_weight) return;
    summary.noise_of_unit_weight = noise;
    summary.noise_from = name;
  }

  const VisibilityBlock& block_;
  const UsedSamples& used_;
  const std::vector<std::size_t>& hands_;
  std::vector<std::size_t> rows_;
  std::map<std::size_t, std::vector<Visibility>> kept_;  // these rows and those of the integrations after them
};

// Every row, some channels of each, other ones from row to row: at most about ten million samples.
class OutlierMeter {
 public:
  OutlierMeter(const VisibilityBlock& block, const UsedSamples& used, const std::vector<std::size_t>& hands)
      : block_(block),
        used_(used),
        hands_(hands),
        groups_((block.n_baselines() + kGroup - 1) / kGroup),
        parts_(block.n_times() * groups_) {
    const std::size_t samples = used.rows() * block.n_channels() * hands.size();
    step_ = std::max<std::size_t>(1, samples / 10000000);
    keep_ = std::max<std::size_t>(1, samples / step_ / 400000);
  }

  void Add(const VisibilityPart& vis, int threads) {
    ParallelFor(threads, (vis.end_time - vis.first_time) * groups_, [&](std::size_t i) {
      const std::size_t t = vis.first_time + i / groups_, first = i % groups_ * kGroup;
      Part& part = parts_[t * groups_ + i % groups_];
      for (std::size_t b = first; b < std::min(first + kGroup, block_.n_baselines()); ++b) {
        const std::size_t row = t * block_.n_baselines() + b;
        if (!used_.Row(row)) continue;
        const Visibility* values = vis.vis + (row - vis.first_time * block_.n_baselines()) * used_.row_size();
        for (std::size_t k = row % step_; k < block_.n_channels(); k += step_) {
          for (const std::size_t p : hands_) {
            const auto [v, w] = used_.Sample(row, values, k, p);
            if (w == 0) continue;
            const double power = static_cast<double>(w) * std::norm(std::complex<double>(v));
            part.power += power;
            if (part.count++ % keep_ == 0) part.amplitudes.push_back(std::sqrt(power));
          }
        }
      }
    });
  }

  void Measure(TileSummary& summary) const {
    double power = 0;
    std::size_t count = 0;
    std::vector<double> amplitudes;
    for (const Part& part : parts_) {
      power += part.power;
      count += part.count;
      amplitudes.insert(amplitudes.end(), part.amplitudes.begin(), part.amplitudes.end());
    }
    const double median = TakeMedian(amplitudes);
    if (count > 0 && median > 0) {
      summary.outlier_power = power / static_cast<double>(count) * std::log(2.0) / (median * median);
    }
  }

 private:
  static constexpr std::size_t kGroup = 512;  // baselines
  struct Part {
    double power = 0;
    std::size_t count = 0;
    std::vector<double> amplitudes;
  };
  const VisibilityBlock& block_;
  const UsedSamples& used_;
  const std::vector<std::size_t>& hands_;
  std::size_t groups_;
  std::vector<Part> parts_;  // [integration][group]
  std::size_t step_ = 1;
  std::size_t keep_ = 1;  // every so many for the median
};

std::vector<TileSummary::UvPoint> SampleCoverage(const VisibilityBlock& block, std::size_t max_points) {
  const auto uvw = block.uvw_view();
  const std::size_t n_baselines = block.n_baselines(), rows = block.n_times() * n_baselines;
  constexpr std::size_t kChannels = 5;  // across the band
  // A stride that shares no factor with the number of baselines, so that all of them are met.
  std::size_t stride = std::max<std::size_t>(1, rows * kChannels / std::max<std::size_t>(1, max_points));
  while (std::gcd(stride, n_baselines) != 1) ++stride;
  std::vector<TileSummary::UvPoint> points;
  for (std::size_t row = 0; row < rows; row += stride) {
    const std::size_t t = row / n_baselines, b = row % n_baselines;
    if (block.baselines[b].is_auto()) continue;
    for (std::size_t c = 0; c < kChannels; ++c) {
      const double scale = block.frequency_hz[c * (block.n_channels() - 1) / (kChannels - 1)] / kSpeedOfLight;
      points.push_back({static_cast<float>(uvw(t, b, 0) * scale), static_cast<float>(uvw(t, b, 1) * scale)});
    }
  }
  return points;
}

}  // namespace

struct TileSurvey::Meters {
  Meters(const VisibilityBlock& block, const UvLimits& limits)
      : hands(ParallelHands(block)), used(block, limits), noise(block, used, hands), outliers(block, used, hands) {}
  std::vector<std::size_t> hands;
  UsedSamples used;
  NoiseMeter noise;
  OutlierMeter outliers;
};

TileSurvey::TileSurvey(const VisibilityBlock& block, const UvLimits& limits, int threads)
    : block_(block), threads_(threads), meters_(std::make_unique<Meters>(block, limits)) {}
TileSurvey::~TileSurvey() = default;

void TileSurvey::Add(const VisibilityPart& part) {
  meters_->noise.Add(part);
  meters_->outliers.Add(part, threads_);
}

TileSummary TileSurvey::Finish(std::size_t max_uv_points, double dead_limit) const {
  TileSummary summary;
  summary.flags = CountFlags(block_, dead_limit, threads_);
  meters_->noise.Measure(summary);
  meters_->outliers.Measure(summary);
  summary.uv = SampleCoverage(block_, max_uv_points);
  return summary;
}

void SurveyedVisibilities::ForEach(const std::function<void(const VisibilityPart&)>& use) const {
  Stopwatch watch;
  vis_.ForEach([&](const VisibilityPart& part) {
    reading_s_ += watch.Lap();
    if (!seen_) survey_.Add(part);
    survey_s_ += watch.Lap();
    use(part);
    watch.Lap();
  });
  seen_ = true;
}

void SurveyedVisibilities::Finish() const {
  if (!seen_) ForEach([](const VisibilityPart&) {});
}

}  // namespace contimg::image
