#include "mosaic/gate/tile_gate.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <tuple>
#include <utility>

#include "config/robust_statistics.h"
#include "config/units.h"
#include "image/plane/beam_algebra.h"

namespace contimg::mosaic {
namespace {

constexpr std::array<std::pair<Refusal, std::string_view>, 10> kRefusals{{{Refusal::kNone, "none"},
                                                                          {Refusal::kUnreadable, "unreadable"},
                                                                          {Refusal::kBlank, "blank"},
                                                                          {Refusal::kGrade, "grade"},
                                                                          {Refusal::kTwice, "twice"},
                                                                          {Refusal::kPixels, "pixels"},
                                                                          {Refusal::kBeam, "beam"},
                                                                          {Refusal::kFrequency, "frequency"},
                                                                          {Refusal::kNoise, "noise"},
                                                                          {Refusal::kScale, "scale"}}};

constexpr double kSameTime = 1;      // s: starts that are one
constexpr double kSamePixel = 1e-3;  // relative: cells that are one
constexpr double kSamePlaceBeams = 0.5;

class Judgement {
 public:
  Judgement(const std::vector<TileFigures>& tiles, const std::vector<TileVerdict>& before, const GateLimits& limits)
      : tiles_(tiles), limits_(limits), verdicts_(before), order_(tiles.size()) {
    for (std::size_t i = 0; i < order_.size(); ++i) order_[i] = i;
    std::sort(order_.begin(), order_.end(), [&](std::size_t a, std::size_t b) {
      return std::tie(tiles_[a].start_mjd_s, tiles_[a].name, a) < std::tie(tiles_[b].start_mjd_s, tiles_[b].name, b);
    });
  }

  GateResult Run() {
    for (const std::size_t i : Left()) {
      if (tiles_[i].grade == "F") Refuse(i, Refusal::kGrade, "its image has grade F");
    }
    JudgeTwice();
    JudgePixels();
    JudgeBeams();
    JudgeFrequencies();
    JudgeNoise();
    JudgeScales();
    return {std::move(verdicts_), frequency_hz_};
  }

 private:
  std::vector<std::size_t> Left() const {
    std::vector<std::size_t> left;
    for (const std::size_t i : order_) {
      if (verdicts_[i].refusal == Refusal::kNone) left.push_back(i);
    }
    return left;
  }

  void Refuse(std::size_t i, Refusal refusal, std::string why) {
    verdicts_[i].refusal = refusal;
    verdicts_[i].why = std::move(why);
  }

  void JudgeTwice() {
    const std::vector<std::size_t> left = Left();
    for (std::size_t a = 0; a < left.size(); ++a) {
      for (std::size_t b = 0; b < a; ++b) {
        const TileFigures &later = tiles_[left[a]], &first = tiles_[left[b]];
        if (verdicts_[left[b]].refusal != Refusal::kNone) continue;
        const bool pixels = !later.pixels_checksum.empty() && later.pixels_checksum == first.pixels_checksum;
        const bool data = later.start_mjd_s > 0 && std::abs(later.start_mjd_s - first.start_mjd_s) < kSameTime &&
                          Away(later, first) < kSamePlaceBeams * later.beam.minor_rad;
        if (!pixels && !data) continue;
        Refuse(left[a], Refusal::kTwice,
               pixels ? fmt::format("its pixels are those of {}", first.name)
                      : fmt::format("it is of the same time and place as {}", first.name));
        break;
      }
    }
  }

  static double Away(const TileFigures& a, const TileFigures& b) {
    return Separation({Angle::Radians(a.grid.centre.ra_rad), Angle::Radians(a.grid.centre.dec_rad)},
                      {Angle::Radians(b.grid.centre.ra_rad), Angle::Radians(b.grid.centre.dec_rad)})
        .rad();
  }

  void JudgePixels() {
    const std::vector<std::size_t> left = Left();
    const auto same = [&](std::size_t a, std::size_t b) {
      const image::ImageGeometry &g = tiles_[a].grid.geometry, &h = tiles_[b].grid.geometry;
      return g.nx == h.nx && g.ny == h.ny && std::abs(g.cell_rad / h.cell_rad - 1) < kSamePixel;
    };
    std::size_t usual = 0, most = 0;
    for (const std::size_t i : left) {
      const auto count =
          static_cast<std::size_t>(std::count_if(left.begin(), left.end(), [&](std::size_t k) { return same(i, k); }));
      if (count > most) most = count, usual = i;
    }
    for (const std::size_t i : left) {
      if (same(i, usual)) continue;
      const auto words = [&](std::size_t k) {
        const image::ImageGeometry& g = tiles_[k].grid.geometry;
        return fmt::format("{} x {} pixels of {:.4g}\"", g.nx, g.ny, Angle::Radians(g.cell_rad).arcsec());
      };
      Refuse(i, Refusal::kPixels, fmt::format("it has {}, most of the others {}", words(i), words(usual)));
    }
  }

  void JudgeBeams() {
    const std::vector<std::size_t> left = Left();
    if (left.empty()) return;
    // The beam that is nearest to all others.
    std::size_t usual = left.front();
    double least = HUGE_VAL;
    for (const std::size_t i : left) {
      std::vector<double> differences;
      for (const std::size_t k : left) differences.push_back(image::BeamDifference(tiles_[k].beam, tiles_[i].beam));
      // Of an even number the lower one: of two tiles that agree among four one is the usual.
      const auto middle = differences.begin() + static_cast<std::ptrdiff_t>((differences.size() - 1) / 2);
      std::nth_element(differences.begin(), middle, differences.end());
      if (*middle < least) least = *middle, usual = i;
    }
    for (const std::size_t i : left) {
      const double difference = image::BeamDifference(tiles_[i].beam, tiles_[usual].beam);
      verdicts_[i].beam_difference = difference;
      if (difference <= limits_.beam_error) continue;
      Refuse(i, Refusal::kBeam,
             fmt::format("its beam of {} differs by {:.1f} % from that of {}, {} (at most {:g} %): image it with the "
                         "weighting of the others",
                         image::BeamWords(tiles_[i].beam), 100 * difference, tiles_[usual].name,
                         image::BeamWords(tiles_[usual].beam), 100 * limits_.beam_error));
    }
  }

  void JudgeFrequencies() {
    std::vector<double> frequencies;
    for (const std::size_t i : Left()) {
      if (tiles_[i].frequency_hz > 0) frequencies.push_back(tiles_[i].frequency_hz);
    }
    frequency_hz_ = frequencies.empty() ? 0 : Median(frequencies);
    for (const std::size_t i : Left()) {
      if (!(tiles_[i].frequency_hz > 0)) {
        if (frequency_hz_ > 0) Refuse(i, Refusal::kFrequency, "its header has no frequency");
        continue;
      }
      verdicts_[i].frequency_factor = std::pow(tiles_[i].frequency_hz / frequency_hz_, -kMosaicAlpha);
      const double off = std::abs(verdicts_[i].frequency_factor - 1);
      if (off <= limits_.frequency_error) continue;
      Refuse(
          i, Refusal::kFrequency,
          fmt::format("at {:.1f} MHz instead of {:.1f} MHz fluxes differ by {:.1f} % (at most {:g} %)",
                      1e-6 * tiles_[i].frequency_hz, 1e-6 * frequency_hz_, 100 * off, 100 * limits_.frequency_error));
    }
  }

  // A tile weighs as its noise says: one whose residual is not that of its image would be the mosaic.
  void JudgeNoise() {
    std::vector<double> noise;
    for (const std::size_t i : Left()) noise.push_back(verdicts_[i].frequency_factor * tiles_[i].rms_jy);
    const double usual = Median(noise);
    for (const std::size_t i : Left()) {
      const double least = verdicts_[i].frequency_factor * tiles_[i].least_rms_jy;
      if (!(least > 0) || usual <= limits_.noise_ratio * least) continue;
      Refuse(i, Refusal::kNoise,
             fmt::format("its noise of {:.3g} Jy/beam is less than 1/{:g} of the usual one of {:.3g} Jy/beam: is the "
                         "residual that of the image?",
                         least, limits_.noise_ratio, usual));
    }
  }

  void JudgeScales() {
    const std::vector<std::size_t> left = Left();
    if (left.empty()) return;
    std::vector<std::vector<ScaleReference>> references;
    for (const std::size_t i : left) {
      references.push_back(tiles_[i].references);
      for (ScaleReference& r : references.back()) {
        r.flux_jy *= verdicts_[i].frequency_factor;
        r.error_jy *= verdicts_[i].frequency_factor;
      }
    }
    const std::vector<TileScale> scales =
        SolveScales(references, kSamePlaceBeams * tiles_[left.front()].beam.minor_rad);
    for (std::size_t k = 0; k < left.size(); ++k) {
      TileVerdict& verdict = verdicts_[left[k]];
      verdict.scale = scales[k];
      if (std::abs(scales[k].scale - 1) <= limits_.scale_error) continue;
      Refuse(left[k], Refusal::kScale,
             fmt::format("its fluxes are {:.4g} ± {:.2g} times those of the others, by {} sources (at most {:g} % off)",
                         scales[k].scale, scales[k].error, scales[k].references, 100 * limits_.scale_error));
    }
  }

  const std::vector<TileFigures>& tiles_;
  const GateLimits& limits_;
  std::vector<TileVerdict> verdicts_;
  std::vector<std::size_t> order_;  // by start and name
  double frequency_hz_ = 0;
};

}  // namespace

std::string_view ToString(Refusal refusal) {
  for (const auto& [candidate, word] : kRefusals) {
    if (candidate == refusal) return word;
  }
  return "";
}

GateResult JudgeTiles(const std::vector<TileFigures>& tiles, const std::vector<TileVerdict>& before,
                      const GateLimits& limits) {
  return Judgement(tiles, before, limits).Run();
}

}  // namespace contimg::mosaic
