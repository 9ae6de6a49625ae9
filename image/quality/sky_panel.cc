#include "image/quality/sky_panel.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <utility>
#include <vector>

#include "config/units.h"
#include "image/plane/sky_coordinates.h"
#include "image/quality/picture_style.h"

namespace contimg::image {
namespace {

// The smallest of `steps` that divides `range` into at most `count` parts.
template <std::size_t N>
double NiceStep(double range, double count, const std::array<double, N>& steps) {
  for (double step : steps) {
    if (range / step <= count) return step;
  }
  return steps.back();
}

// The image shrunk to a panel: where something stands out of the noise its highest pixel is kept, so that point sources
// survive; elsewhere the mean.
class Thumbnail {
 public:
  Thumbnail(ArrayView<const float, 2> image, int size, double keep_above)
      : size_(size), values_(static_cast<std::size_t>(size * size)) {
    const std::size_t ny = image.shape(0), nx = image.shape(1), n = static_cast<std::size_t>(size);
    for (std::size_t j = 0; j < n; ++j) {
      const std::size_t y0 = j * ny / n, y1 = std::max(y0 + 1, (j + 1) * ny / n);
      for (std::size_t i = 0; i < n; ++i) {
        const std::size_t x0 = i * nx / n, x1 = std::max(x0 + 1, (i + 1) * nx / n);
        double sum = 0, peak = -HUGE_VAL;
        for (std::size_t y = y0; y < y1; ++y) {
          for (std::size_t x = x0; x < x1; ++x) {
            sum += image(y, x);
            peak = std::max<double>(peak, image(y, x));
          }
        }
        values_[j * n + i] =
            static_cast<float>(peak > keep_above ? peak : sum / static_cast<double>((y1 - y0) * (x1 - x0)));
      }
    }
  }
  // Row 0 at the top (north).
  float At(int column, int row) const {
    return values_[static_cast<std::size_t>(size_ - 1 - row) * static_cast<std::size_t>(size_) +
                   static_cast<std::size_t>(column)];
  }

 private:
  int size_;
  std::vector<float> values_;
};

class SkyPanel {
 public:
  SkyPanel(const QuickLookInput& input, Canvas& canvas) : in_(input), canvas_(canvas) {}

  void Draw(const Box& box) {
    const double sigma = std::max(in_.quality->rms_jy, 1e-12);
    const Thumbnail thumbnail(in_.image, static_cast<int>(box.width), 5 * sigma);
    // Inverse hyperbolic sine from −2.5σ to a level that only the brightest sources saturate.
    const double low = -2.5 * sigma, high = std::clamp(in_.quality->peak_jy / 3, 25 * sigma, 400 * sigma);
    const auto stretch = [&](double v) {
      const double soft = 4 * sigma;
      return (std::asinh(v / soft) - std::asinh(low / soft)) / (std::asinh(high / soft) - std::asinh(low / soft));
    };
    canvas_.Raster(box, [&](int x, int y) { return HeatColour(stretch(thumbnail.At(x, y))); });
    canvas_.Clipped(box, [&] {
      DrawBeamContours(box);
      DrawGrid(box);
      DrawMatches(box);
      DrawBeamEllipse(box);
    });
    canvas_.Frame(box, kDim);
    DrawColourBar({box.x + box.width + 16, box.y, 16, box.height}, low, high, stretch);
    canvas_.TextUpwards(box.x + box.width + 108, box.y + box.height / 2,
                        "Jy/beam, not corrected for the primary beam; arsinh scale", 14, kDim);
    DrawGridLabels(box);
  }

 private:
  const ImageGeometry& Geometry() const { return in_.header->geometry; }

  // Sources of the catalogue that were found, as open circles.
  void DrawMatches(const Box& box) {
    if (!in_.quality->catalogue) return;
    const double scale = box.width / static_cast<double>(Geometry().nx);
    for (const CatalogueMatch& match : in_.quality->catalogue->matches) {
      canvas_.Circle(box.x + (match.x + 0.5) * scale, box.y + box.height - (match.y + 0.5) * scale, 11,
                     {0.45, 0.95, 0.75, 0.8}, 1.4);
    }
    canvas_.Text(box.x + box.width - 12, box.y + box.height - 14,
                 fmt::format("○ catalogue source found ({} of {})", in_.quality->catalogue->matches.size(),
                             in_.quality->catalogue->expected),
                 14, {0.45, 0.95, 0.75, 0.95}, Align::kRight);
  }

  // Contours of the primary beam by the changes between neighbouring screen pixels.
  void DrawBeamContours(const Box& box) {
    const auto n = static_cast<std::size_t>(box.width);
    const auto value = [&](std::size_t column, std::size_t row) {
      return in_.pb((n - 1 - row) * in_.pb.shape(0) / n, column * in_.pb.shape(1) / n);
    };
    for (const float level : {0.5F, 0.2F}) {
      canvas_.Set({0.75, 0.9, 1.0, level == 0.5F ? 0.40 : 0.22});
      for (std::size_t row = 0; row + 1 < n; ++row) {
        for (std::size_t column = 0; column + 1 < n; ++column) {
          const bool inside = value(column, row) >= level;
          if (inside == (value(column + 1, row) >= level) && inside == (value(column, row + 1) >= level)) continue;
          cairo_rectangle(canvas_.cairo(), box.x + static_cast<double>(column), box.y + static_cast<double>(row), 1.2,
                          1.2);
        }
      }
      cairo_fill(canvas_.cairo());
      LabelBeamContour(box, level, value);
    }
  }

  // Where the contour crosses the middle column, from the top.
  template <class Value>
  void LabelBeamContour(const Box& box, float level, const Value& value) {
    const auto n = static_cast<std::size_t>(box.width), middle = n / 2;
    for (std::size_t row = 24; row < middle; ++row) {
      if (value(middle, row - 1) < level && value(middle, row) >= level) {
        canvas_.Text(box.x + static_cast<double>(middle), box.y + static_cast<double>(row) - 6,
                     fmt::format("beam {:.0f} %", 100 * level), 12, {0.75, 0.9, 1.0, 0.75}, Align::kCentre);
        return;
      }
    }
  }

  struct GridSteps {
    double ra_hours, dec_deg;
  };
  GridSteps Steps() const {
    const double field_deg = static_cast<double>(Geometry().ny) * Angle::Radians(Geometry().cell_rad).deg();
    const double cos_dec = std::max(0.05, std::cos(in_.header->centre.dec_rad));
    static constexpr std::array<double, 12> kDec{1 / 60.0, 2 / 60.0, 5 / 60.0, 10 / 60.0, 0.25, 0.5,
                                                 1,        2,        5,        10,        15,   30};
    static constexpr std::array<double, 13> kRa{
        5 / 3600.0, 10 / 3600.0, 20 / 3600.0, 1 / 60.0, 2 / 60.0, 5 / 60.0, 10 / 60.0, 0.25, 0.5, 1, 2, 4, 6};
    return {NiceStep(field_deg / 15 / cos_dec, 6, kRa), NiceStep(field_deg, 6, kDec)};
  }

  // Screen position of a direction; false when it is not in front.
  bool Screen(const Box& box, double ra_hours, double dec_deg, double& x, double& y) const {
    const auto at = CosinesOfDirection(in_.header->centre, {Angle::Hours(ra_hours), Angle::Degrees(dec_deg)});
    if (!at) return false;
    const PixelPosition p = DirectionToPixel(Geometry(), at->l, at->m);
    x = box.x + (p.x + 0.5) * box.width / static_cast<double>(Geometry().nx);
    y = box.y + box.height - (p.y + 0.5) * box.height / static_cast<double>(Geometry().ny);
    return true;
  }

  struct GridRange {
    double ra0, dec0;  // the centre, hours and degrees
    double ra_span, dec_span;
  };
  GridRange Range() const {
    const double field_deg = static_cast<double>(Geometry().ny) * Angle::Radians(Geometry().cell_rad).deg();
    const double dec0 = Angle::Radians(in_.header->centre.dec_rad).deg();
    const double cos_dec = std::max(0.02, std::cos((std::abs(dec0) + field_deg / 2) * kPi / 180));
    return {Angle::Radians(in_.header->centre.ra_rad).hours(), dec0, std::min(12.0, 0.75 * field_deg / 15 / cos_dec),
            0.75 * field_deg};
  }

  void DrawGrid(const Box& box) {
    const GridSteps step = Steps();
    const GridRange range = Range();
    canvas_.Set(kGrid);
    cairo_set_line_width(canvas_.cairo(), 1);
    const auto curve = [&](const auto& point) {
      bool open = false;
      for (int i = 0; i <= 60; ++i) {
        double x = 0, y = 0;
        const auto [ra, dec] = point(i / 30.0 - 1);
        if (std::abs(dec) > 90 || !Screen(box, ra, dec, x, y)) {
          open = false;
          continue;
        }
        open ? cairo_line_to(canvas_.cairo(), x, y) : cairo_move_to(canvas_.cairo(), x, y);
        open = true;
      }
    };
    for (double ra = std::ceil((range.ra0 - range.ra_span) / step.ra_hours) * step.ra_hours;
         ra < range.ra0 + range.ra_span; ra += step.ra_hours) {
      curve([&](double t) { return std::pair{ra, range.dec0 + t * range.dec_span}; });
    }
    for (double dec = std::ceil((range.dec0 - range.dec_span) / step.dec_deg) * step.dec_deg;
         dec < range.dec0 + range.dec_span; dec += step.dec_deg) {
      curve([&](double t) { return std::pair{range.ra0 + t * range.ra_span, dec}; });
    }
    cairo_stroke(canvas_.cairo());
  }

  // Labels where the grid lines meet the lower and the left edge.
  void DrawGridLabels(const Box& box) {
    const GridSteps step = Steps();
    const GridRange range = Range();
    for (double ra = std::ceil((range.ra0 - range.ra_span) / step.ra_hours) * step.ra_hours;
         ra < range.ra0 + range.ra_span; ra += step.ra_hours) {
      double low = range.dec0 - range.dec_span, high = range.dec0, x = 0, y = 0;
      for (int i = 0; i < 50; ++i) {
        const double middle = (low + high) / 2;
        (Screen(box, ra, std::max(middle, -90.0), x, y) && y < box.y + box.height ? high : low) = middle;
      }
      if (x > box.x + 20 && x < box.x + box.width - 20) {
        canvas_.Text(x, box.y + box.height + 20, FormatRa(ra, step.ra_hours < 1 / 60.0), 13, kDim, Align::kCentre);
      }
    }
    for (double dec = std::ceil((range.dec0 - range.dec_span) / step.dec_deg) * step.dec_deg;
         dec < range.dec0 + range.dec_span; dec += step.dec_deg) {
      double low = range.ra0, high = range.ra0 + range.ra_span, x = 0, y = 0;
      for (int i = 0; i < 50; ++i) {
        const double middle = (low + high) / 2;
        (Screen(box, middle, dec, x, y) && x > box.x ? low : high) = middle;
      }
      if (y > box.y + 12 && y < box.y + box.height - 8) {
        canvas_.Text(box.x - 8, y + 5, FormatDec(dec, step.dec_deg < 1), 13, kDim, Align::kRight);
      }
    }
    canvas_.Text(box.x + box.width / 2, box.y + box.height + 42, "right ascension (ICRS)", 15, kDim, Align::kCentre);
    canvas_.TextUpwards(22, box.y + box.height / 2, "declination (ICRS)", 15, kDim);
  }

  void DrawBeamEllipse(const Box& box) {
    if (!in_.header->beam) return;
    const GaussianBeam& beam = *in_.header->beam;
    const double scale = box.width / static_cast<double>(Geometry().nx) / Geometry().cell_rad;
    // At the true scale, at least some pixels large, in a plate of its own.
    const double grow = std::max(1.0, 12 / (beam.major_rad * scale));
    const double cx = box.x + 44, cy = box.y + box.height - 44;
    canvas_.Fill({box.x + 10, box.y + box.height - 78, 68, 68}, {0, 0, 0, 0.55});
    TraceBeam(canvas_, beam, cx, cy, grow * scale);
    canvas_.Set({1, 1, 1, 0.9});
    cairo_fill(canvas_.cairo());
    canvas_.Text(cx, box.y + box.height - 15, grow > 1 ? fmt::format("beam ×{:.0f}", grow) : "beam", 11, kInk,
                 Align::kCentre);
  }

  template <class Stretch>
  void DrawColourBar(const Box& box, double low, double high, const Stretch& stretch) {
    canvas_.Raster(box, [&](int, int y) { return HeatColour(1 - y / box.height); });
    canvas_.Frame(box, kDim);
    const auto mark = [&](double value) {
      const double t = stretch(value);
      if (t < 0 || t > 1) return;
      const double y = box.y + (1 - t) * box.height;
      canvas_.Line(box.x + box.width, y, box.x + box.width + 5, y, kDim);
      canvas_.Text(box.x + box.width + 8, y + 4, value == 0 ? "0" : FormatFlux(value), 12, kDim);
    };
    mark(0);
    mark(low);
    for (double decade = 1e-9; decade < 1e6; decade *= 10) {
      for (double value : {decade, 3 * decade}) {
        if (value > -2 * low && value <= high) mark(value);
      }
    }
  }

  const QuickLookInput& in_;
  Canvas& canvas_;
};

}  // namespace

void DrawSky(const QuickLookInput& input, Canvas& canvas, const Box& box) { SkyPanel(input, canvas).Draw(box); }

void TraceBeam(Canvas& canvas, const GaussianBeam& beam, double x, double y, double scale) {
  cairo_t* c = canvas.cairo();
  cairo_save(c);
  cairo_translate(c, x, y);
  cairo_rotate(c, -beam.angle_rad);  // counter-clockwise on the screen: north through east
  cairo_scale(c, beam.minor_rad * scale / 2, beam.major_rad * scale / 2);
  cairo_new_path(c);
  cairo_arc(c, 0, 0, 1, 0, 2 * kPi);
  cairo_restore(c);
}

}  // namespace contimg::image
