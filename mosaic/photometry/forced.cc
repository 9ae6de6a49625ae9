#include "mosaic/photometry/forced.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "config/parallel.h"
#include "mosaic/photometry/clusters.h"
#include "mosaic/photometry/effective_frequency.h"
#include "mosaic/photometry/point_shape.h"
#include "mosaic/tile/edge_distance.h"

namespace contimg::mosaic {
namespace {

constexpr double kSamePlaceWidths = 0.05;  // of the beam
constexpr double kStampWidths = 1.5;       // half a side of what chi² looks at
// What CLEAN left of a neighbour, in local rms, from which its side lobes (0.4 of it) may exceed the noise.
constexpr double kLeftThatMatters = 2.5;

// A place that is measured.
struct Target {
  std::size_t index = 0;
  image::PixelPosition at;
  PointFlux value, flux;           // what the image reads there, and what of it is the source's own
  double sigma = 0, response = 0;  // apparent
  double expected = 0;             // apparent
  double variance = 1, condition = 1;
  bool same_as_another = false;
};

std::vector<image::PixelPosition> PlacesOf(const std::vector<Target>& targets, const std::vector<std::size_t>& which) {
  std::vector<image::PixelPosition> places;
  for (const std::size_t i : which) places.push_back(targets[i].at);
  return places;
}

class ForcedRun {
 public:
  ForcedRun(const TileImages& images, const image::CoarseMap& rms, const ForcedOptions& options, int threads)
      : images_(images), rms_(rms), options_(options), threads_(threads), shape_(images), beam_(shape_.beam()) {}

  ForcedPhotometry Measure(const std::vector<ForcedPlace>& places) {
    ReadPlaces(places);
    if (options_.solve_clusters) {
      Solve();
    } else {
      for (Target& t : targets_) t.flux = t.value;
    }
    result_.measurements.resize(targets_.size());
    const std::vector<std::vector<std::size_t>> near = Neighbours();
    ParallelFor(threads_, targets_.size(),
                [&](std::size_t i) { result_.measurements[i] = Finish(targets_[i], near[i], places); });
    return std::move(result_);
  }

 private:
  void ReadPlaces(const std::vector<ForcedPlace>& places) {
    const auto nx = static_cast<double>(images_.image.shape(1)), ny = static_cast<double>(images_.image.shape(0));
    for (std::size_t i = 0; i < places.size(); ++i) {
      const auto pixel = PixelOf(*images_.header, places[i].direction);
      if (!pixel || !(pixel->x >= 0 && pixel->y >= 0 && pixel->x <= nx - 1 && pixel->y <= ny - 1)) {
        ++result_.outside;
        continue;
      }
      Target target;
      target.index = i;
      target.at = *pixel;
      target.response = ResponseAt(images_, pixel->x, pixel->y);
      if (std::isnan(target.response)) {
        ++result_.blank;
      } else if (target.response < options_.min_response || !(target.response > 0)) {
        ++result_.low_response;
      } else {
        targets_.push_back(target);
      }
    }
    ParallelFor(threads_, targets_.size(), [&](std::size_t i) {
      Target& target = targets_[i];
      target.value = shape_.Read(target.at.x, target.at.y);
      target.sigma = rms_.At(target.at.x, target.at.y);
      const double expected = places[target.index].expected_jy;
      target.expected = expected > 0 ? expected * target.response : target.value.whole;
    });
    result_.blank += std::erase_if(targets_, [](const Target& t) { return !std::isfinite(t.value.whole); });
  }

  // Those that stand for themselves in a solve: not the fainter of two at one place.
  std::vector<std::size_t> Distinct() {
    std::vector<image::PixelPosition> all;
    for (const Target& t : targets_) all.push_back(t.at);
    const auto near = NearPlaces(all, all, beam_, kSamePlaceWidths, true);
    const auto brighter = [&](std::size_t a, std::size_t b) {
      const Target &s = targets_[a], &t = targets_[b];
      if (s.expected != t.expected) return s.expected > t.expected;
      return s.at.x != t.at.x ? s.at.x < t.at.x : (s.at.y != t.at.y ? s.at.y < t.at.y : a < b);
    };
    twin_of_.assign(targets_.size(), 0);
    std::vector<std::size_t> distinct;
    for (std::size_t i = 0; i < targets_.size(); ++i) {
      std::size_t best = i;
      for (const std::size_t k : near[i]) {
        if (brighter(k, best)) best = k;
      }
      twin_of_[i] = best;
      targets_[i].same_as_another = !near[i].empty();
      if (best == i) distinct.push_back(i);
    }
    return distinct;
  }

  void SolveCluster(const std::vector<std::size_t>& members) {
    std::vector<PointFlux> values;
    for (const std::size_t i : members) values.push_back(targets_[i].value);
    const JointPoints solved = shape_.Solve(PlacesOf(targets_, members), values);
    for (std::size_t k = 0; k < members.size(); ++k) {
      Target& t = targets_[members[k]];
      t.flux = solved.flux[k];
      t.variance = solved.variance[k];
      t.condition = solved.condition;
    }
  }

  void Solve() {
    std::vector<std::size_t> strong, weak;
    for (const std::size_t i : Distinct()) {
      (targets_[i].expected > targets_[i].sigma ? strong : weak).push_back(i);
    }
    strong_ = strong;
    const std::vector<image::PixelPosition> strong_places = PlacesOf(targets_, strong);
    const auto groups = LinkPlaces(strong_places, beam_, shape_.reach_widths());
    ParallelFor(threads_, groups.size(), [&](std::size_t g) {
      std::vector<std::size_t> members;
      for (const std::size_t k : groups[g]) members.push_back(strong[k]);
      SolveCluster(members);
    });
    const auto near = NearPlaces(PlacesOf(targets_, weak), strong_places, beam_, shape_.reach_widths(), false);
    ParallelFor(threads_, weak.size(), [&](std::size_t w) {
      Target& t = targets_[weak[w]];
      t.flux = t.value;
      for (const std::size_t k : near[w]) {
        const Target& s = targets_[strong[k]];
        t.flux = t.flux - shape_.Parts(s.flux, t.at.x - s.at.x, t.at.y - s.at.y);
      }
      t.variance = WeakVariance(t, near[w]);
    });
    for (std::size_t i = 0; i < targets_.size(); ++i) {
      if (twin_of_[i] == i) continue;
      Target& t = targets_[i];
      std::size_t twin = twin_of_[i];
      while (twin_of_[twin] != twin) twin = twin_of_[twin];
      t.flux = targets_[twin].flux;
      t.variance = targets_[twin].variance;
      t.condition = targets_[twin].condition;
    }
  }

  // Of a flux whose neighbours were solved for without it: as if it had been in their solve.
  double WeakVariance(const Target& target, const std::vector<std::size_t>& near) const {
    if (near.empty()) return 1;
    std::vector<image::PixelPosition> places{target.at};
    for (const std::size_t k : near) places.push_back(targets_[strong_[k]].at);
    return SolveJointly(places, std::vector<double>(places.size()), beam_).variance[0];
  }

  // For each target the solved sources that reach its stamp.
  std::vector<std::vector<std::size_t>> Neighbours() const {
    std::vector<std::size_t> all(targets_.size());
    for (std::size_t i = 0; i < all.size(); ++i) all[i] = i;
    auto near = NearPlaces(PlacesOf(targets_, all), PlacesOf(targets_, strong_), beam_,
                           shape_.reach_widths() + 2 * kStampWidths, false);
    for (std::size_t i = 0; i < near.size(); ++i) {
      for (std::size_t& k : near[i]) k = strong_[k];
      const bool listed = std::find(near[i].begin(), near[i].end(), i) != near[i].end();
      if (!listed && (twin_of_.empty() || twin_of_[i] == i)) near[i].push_back(i);
    }
    return near;
  }

  double ChiSquare(const Target& target, const std::vector<std::size_t>& near) const {
    const double half_x = beam_.ReachX(kStampWidths), half_y = beam_.ReachY(kStampWidths);
    const auto stride = static_cast<std::ptrdiff_t>(std::max(1.0, beam_.minor_px() / 4));
    const auto nx = static_cast<std::ptrdiff_t>(images_.image.shape(1)),
               ny = static_cast<std::ptrdiff_t>(images_.image.shape(0));
    const auto x0 = static_cast<std::ptrdiff_t>(std::lround(target.at.x)),
               y0 = static_cast<std::ptrdiff_t>(std::lround(target.at.y));
    const auto steps_x = static_cast<std::ptrdiff_t>(half_x) / stride,
               steps_y = static_cast<std::ptrdiff_t>(half_y) / stride;
    double sum = 0;
    std::size_t count = 0;
    for (std::ptrdiff_t j = -steps_y; j <= steps_y; ++j) {
      const std::ptrdiff_t y = y0 + j * stride;
      if (y < 0 || y >= ny) continue;
      for (std::ptrdiff_t i = -steps_x; i <= steps_x; ++i) {
        const std::ptrdiff_t x = x0 + i * stride;
        if (x < 0 || x >= nx) continue;
        const double dx = static_cast<double>(x) - target.at.x, dy = static_cast<double>(y) - target.at.y;
        if (beam_.Distance2(dx, dy) > kStampWidths * kStampWidths) continue;
        double left = images_.image(y, x);
        if (!std::isfinite(left)) continue;
        for (const std::size_t k : near) {
          const Target& s = targets_[k];
          left -= shape_.Value(s.flux, static_cast<double>(x) - s.at.x, static_cast<double>(y) - s.at.y);
        }
        sum += left * left;
        ++count;
      }
    }
    return count > 0 ? sum / static_cast<double>(count) / (target.sigma * target.sigma) : 0;
  }

  // Without a PSF: what CLEAN left of a neighbour may add to this one, and nothing tells how much.
  bool SidelobesMayMatter(const Target& target, const std::vector<std::size_t>& near) const {
    if (shape_.knows_psf()) return false;
    return std::any_of(near.begin(), near.end(), [&](std::size_t k) {
      const Target& s = targets_[k];
      return s.index != target.index && s.flux.left > kLeftThatMatters * target.sigma &&
             beam_.Distance2(s.at.x - target.at.x, s.at.y - target.at.y) < kSidelobeWidths * kSidelobeWidths;
    });
  }

  ForcedMeasurement Finish(const Target& t, const std::vector<std::size_t>& near,
                           const std::vector<ForcedPlace>& places) const {
    const ForcedPlace& place = places[t.index];
    ForcedMeasurement m;
    m.place = place.direction;
    m.flux_jy = t.flux.whole / t.response;
    m.flux_error_jy = t.sigma * std::sqrt(t.variance) / t.response;
    m.local_rms_jy = t.sigma;
    m.response = t.response;
    const image::FitsHeader& header = *images_.header;
    m.frequency_hz = header.mosaic ? header.frequency_hz
                                   : EffectiveFrequency(header.frequency_hz, header.bandwidth_hz,
                                                        BeamPowerAt(images_, t.at.x, t.at.y), place.spectral_index);
    m.flags = place.flags | options_.tile_flags;
    m.index = t.index;
    m.edge_beams = EdgeBeams(images_.image, beam_, t.at.x, t.at.y);
    m.neighbour_share = t.flux.whole > 0 ? (t.value.whole - t.flux.whole) / t.flux.whole : 0;
    m.condition = t.condition;
    m.chi2 = ChiSquare(t, near);
    if (m.edge_beams < options_.edge_beams) m.flags |= quality::kEdge.mask();
    if (t.same_as_another || IsBlend(t.variance, options_.max_condition) || SidelobesMayMatter(t, near)) {
      m.flags |= quality::kBlend.mask();
    }
    m.flags |= ResponseFlags(images_, t.at.x, t.at.y);
    return m;
  }

  const TileImages& images_;
  const image::CoarseMap& rms_;
  const ForcedOptions& options_;
  const int threads_;
  const PointShape shape_;
  const BeamPixels& beam_;
  std::vector<Target> targets_;
  std::vector<std::size_t> strong_;   // of targets_: in the solves
  std::vector<std::size_t> twin_of_;  // the brighter one at the same place, or itself
  ForcedPhotometry result_;
};

}  // namespace

bool IsBlend(double variance, double condition) {
  return variance > (condition + 1) * (condition + 1) / (4 * condition);
}

ForcedPhotometry MeasureForced(const TileImages& images, const image::CoarseMap& rms,
                               const std::vector<ForcedPlace>& places, const ForcedOptions& options, int threads) {
  return ForcedRun(images, rms, options, threads).Measure(places);
}

}  // namespace contimg::mosaic
