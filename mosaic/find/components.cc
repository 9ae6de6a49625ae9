#include "mosaic/find/components.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "mosaic/photometry/clusters.h"

namespace contimg::mosaic {
namespace {

constexpr int kMostRounds = 40;
constexpr double kMovedPixels = 0.003;  // less than any error of a place
constexpr double kBeamStep = 0.2;       // as ImageReader::ShapeAt

class Deblending {
 public:
  Deblending(const TileImages& images, const ImageReader& reader, const PointShape& shape, const image::CoarseMap& rms,
             const std::vector<Component>& beside, const DeblendOptions& options)
      : image_(images.image),
        residual_(images.residual),
        reader_(reader),
        shape_(shape),
        beam_(shape.beam()),
        rms_(rms),
        beside_(beside),
        options_(options) {}

  std::vector<Component> Run(const std::vector<Peak>& group) {
    for (const Peak& peak : group) Add({peak.x, peak.y, peak.value, 1, peak.sigma});
    if (group.size() > options_.together) return BrightestFirst();
    if (components_.size() + beside_.size() > 1) Improve();
    while (components_.size() < std::max(options_.most, group.size())) {
      const auto hidden = Hidden();
      if (!hidden) break;
      const std::vector<Component> before = components_;
      const std::vector<image::PixelPosition> starts = starts_;
      Add(*hidden);
      Improve();
      // Where the further one comes to nothing, it was none.
      if (components_.size() <= before.size()) {
        components_ = before;
        starts_ = starts;
        break;
      }
    }
    return BrightestFirst();
  }

 private:
  std::vector<Component> BrightestFirst() {
    std::stable_sort(components_.begin(), components_.end(),
                     [](const Component& a, const Component& b) { return a.flux > b.flux; });
    return components_;
  }

  void Add(const Component& component) {
    components_.push_back(component);
    starts_.push_back({component.x, component.y});
  }

  // What all components but one add at a place, and what stands beside them.
  double Less(std::size_t but, double x, double y) const {
    double sum = 0;
    for (const Component& c : beside_) sum += shape_.Value(c.point(), x - c.x, y - c.y);
    for (std::size_t k = 0; k < components_.size(); ++k) {
      if (k != but) sum += shape_.Value(components_[k].point(), x - components_[k].x, y - components_[k].y);
    }
    return sum;
  }

  ImageReader::Shape ShapeWithout(std::size_t but, double x, double y) const {
    ImageReader::Shape s = reader_.ShapeAt(x, y);
    double v[3][3];
    for (int j = 0; j < 3; ++j) {
      for (int i = 0; i < 3; ++i) v[j][i] = Less(but, x + (i - 1) * kBeamStep, y + (j - 1) * kBeamStep);
    }
    s.value -= v[1][1];
    s.gx -= (v[1][2] - v[1][0]) / (2 * kBeamStep);
    s.gy -= (v[2][1] - v[0][1]) / (2 * kBeamStep);
    s.hxx -= (v[1][2] - 2 * v[1][1] + v[1][0]) / (kBeamStep * kBeamStep);
    s.hyy -= (v[2][1] - 2 * v[1][1] + v[0][1]) / (kBeamStep * kBeamStep);
    s.hxy -= (v[2][2] - v[2][0] - v[0][2] + v[0][0]) / (4 * kBeamStep * kBeamStep);
    return s;
  }

  // One step of a component towards the maximum of what the others leave; returns its length.
  double Move(std::size_t which) {
    Component& c = components_[which];
    const ImageReader::Shape s = ShapeWithout(which, c.x, c.y);
    const double determinant = s.hxx * s.hyy - s.hxy * s.hxy;
    double dx = 0, dy = 0;
    if (determinant > 0 && s.hxx < 0) {
      dx = -(s.hyy * s.gx - s.hxy * s.gy) / determinant;
      dy = -(s.hxx * s.gy - s.hxy * s.gx) / determinant;
    } else if (s.gx != 0 || s.gy != 0) {  // no peak here yet: uphill
      const double length = std::hypot(s.gx, s.gy);
      dx = s.gx / length, dy = s.gy / length;
    }
    const double longest = beam_.minor_px() / 8, length = std::hypot(dx, dy);
    if (!std::isfinite(length)) return 0;
    const double shorten = length > longest ? longest / length : 1;
    const double x = std::clamp(c.x + dx * shorten, 0.0, static_cast<double>(image_.shape(1)) - 1);
    const double y = std::clamp(c.y + dy * shorten, 0.0, static_cast<double>(image_.shape(0)) - 1);
    const image::PixelPosition& start = starts_[which];
    if (beam_.Distance2(x - start.x, y - start.y) > 1) return 0;
    c.x = x, c.y = y;
    return length * shorten;
  }

  void Solve() {
    std::vector<image::PixelPosition> places;
    std::vector<PointFlux> values;
    for (const Component& c : components_) {
      places.push_back({c.x, c.y});
      PointFlux value = shape_.Read(c.x, c.y);
      for (const Component& b : beside_) value = value - shape_.Parts(b.point(), c.x - b.x, c.y - b.y);
      values.push_back(value);
    }
    const JointPoints solved = shape_.Solve(places, values);
    for (std::size_t k = 0; k < components_.size(); ++k) {
      components_[k].flux = solved.flux[k].whole;
      components_[k].left = solved.flux[k].left;
      components_[k].variance = solved.variance[k];
      components_[k].sigma = rms_.At(components_[k].x, components_[k].y);
    }
  }

  // True when one went: below the threshold, or too near to a brighter one.
  bool Drop() {
    std::optional<std::size_t> worst;
    for (std::size_t k = 0; k < components_.size(); ++k) {
      const Component& c = components_[k];
      bool bad = !(c.flux > options_.threshold * c.sigma);
      for (std::size_t j = 0; j < components_.size() && !bad; ++j) {
        const Component& other = components_[j];
        const bool brighter = j != k && (other.flux > c.flux || (other.flux == c.flux && j < k));
        bad = brighter &&
              beam_.Distance2(other.x - c.x, other.y - c.y) < options_.nearest_widths * options_.nearest_widths;
      }
      if (bad && (!worst || !(c.flux >= components_[*worst].flux))) worst = k;
    }
    if (!worst) return false;
    components_.erase(components_.begin() + static_cast<std::ptrdiff_t>(*worst));
    starts_.erase(starts_.begin() + static_cast<std::ptrdiff_t>(*worst));
    return true;
  }

  void Improve() {
    bool again = true;
    while (again && !components_.empty()) {
      Solve();
      for (int round = 0; round < kMostRounds; ++round) {
        double moved = 0;
        for (std::size_t k = 0; k < components_.size(); ++k) moved = std::max(moved, Move(k));
        Solve();
        if (moved < kMovedPixels) break;
      }
      again = Drop();
    }
  }

  // The highest maximum that the components leave within a beam of one of them, if it is a source of its own.
  std::optional<Component> Hidden() const {
    if (components_.empty()) return std::nullopt;
    double guard = 0;
    for (const Component& c : components_) {
      double uncleaned = 0;
      if (!shape_.knows_psf()) {
        uncleaned = residual_(static_cast<std::size_t>(std::lround(c.y)), static_cast<std::size_t>(std::lround(c.x)));
      }
      guard =
          std::max(guard, options_.hidden_of_flux * c.flux + options_.hidden_of_residual * std::max(uncleaned, 0.0));
    }
    const double reach_x = beam_.ReachX(kLinkWidths), reach_y = beam_.ReachY(kLinkWidths);
    double left = 1e300, right = 0, low = 1e300, high = 0;
    for (const Component& c : components_) {
      left = std::min(left, c.x - reach_x), right = std::max(right, c.x + reach_x);
      low = std::min(low, c.y - reach_y), high = std::max(high, c.y + reach_y);
    }
    const auto x0 = static_cast<std::size_t>(std::max(left, 0.0)), y0 = static_cast<std::size_t>(std::max(low, 0.0));
    const std::size_t x1 = std::min(static_cast<std::size_t>(right) + 1, image_.shape(1)),
                      y1 = std::min(static_cast<std::size_t>(high) + 1, image_.shape(0));
    std::optional<Component> best;
    for (std::size_t y = y0; y < y1; ++y) {
      for (std::size_t x = x0; x < x1; ++x) {
        const double px = static_cast<double>(x), py = static_cast<double>(y);
        double nearest = 1e300;
        for (const Component& c : components_) nearest = std::min(nearest, beam_.Distance2(px - c.x, py - c.y));
        if (nearest > kLinkWidths * kLinkWidths || nearest < options_.nearest_widths * options_.nearest_widths)
          continue;
        const double value = image_(y, x) - Less(components_.size(), px, py);
        if (best && value <= best->flux) continue;
        const double sigma = rms_.At(px, py);
        if (value > options_.threshold * sigma && value > guard) best = Component{px, py, value, 1, sigma};
      }
    }
    return best;
  }

  ArrayView<const float, 2> image_, residual_;
  const ImageReader& reader_;
  const PointShape& shape_;
  const BeamPixels& beam_;
  const image::CoarseMap& rms_;
  const std::vector<Component>& beside_;
  const DeblendOptions& options_;
  std::vector<Component> components_;
  std::vector<image::PixelPosition> starts_;  // of each
};

}  // namespace

std::vector<Component> Deblend(const TileImages& images, const ImageReader& reader, const PointShape& shape,
                               const image::CoarseMap& rms, const std::vector<Peak>& group,
                               const std::vector<Component>& beside, const DeblendOptions& options) {
  return Deblending(images, reader, shape, rms, beside, options).Run(group);
}

}  // namespace contimg::mosaic
