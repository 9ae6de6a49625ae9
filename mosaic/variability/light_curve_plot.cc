#include "mosaic/variability/light_curve_plot.h"

#include <cairo-svg.h>
#include <cairo.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "config/error.h"
#include "config/time.h"

namespace contimg::mosaic {
namespace {

constexpr double kLeft = 90, kLeftOfSmall = 62, kRight = 20, kTop = 64, kBottom = 44;
constexpr double kDateWidth = 110;  // pixels that a date and the room about it take

cairo_status_t TakeBytes(void* text, const unsigned char* data, unsigned int size) {
  static_cast<std::string*>(text)->append(reinterpret_cast<const char*>(data), size);
  return CAIRO_STATUS_SUCCESS;
}

// Pixels of values on one axis.
struct Axis {
  double low = 0, high = 1, from = 0, to = 1;
  double At(double value) const { return from + (value - low) / (high - low) * (to - from); }
};

struct FluxUnit {
  std::string name;
  double factor = 1;
};
FluxUnit UnitOf(const LightCurvePlot& plot) {
  double largest = 0;
  for (const FluxPoint& point : plot.points.empty() ? plot.flagged : plot.points) {
    largest = std::max(largest, std::abs(point.flux_jy));
  }
  if (plot.unit != "Jy" || largest == 0 || largest >= 0.1) return {plot.unit, 1};
  return largest >= 1e-4 ? FluxUnit{"mJy", 1e3} : FluxUnit{"uJy", 1e6};
}

class Picture {
 public:
  explicit Picture(cairo_surface_t* surface) : cairo_(cairo_create(surface)) {
    cairo_select_font_face(cairo_, "sans-serif", CAIRO_FONT_SLANT_NORMAL, CAIRO_FONT_WEIGHT_NORMAL);
  }
  ~Picture() { cairo_destroy(cairo_); }
  Picture(const Picture&) = delete;
  Picture& operator=(const Picture&) = delete;

  void Background() {
    cairo_set_source_rgb(cairo_, 1, 1, 1);
    cairo_paint(cairo_);
  }
  void Ink(double r, double g, double b) { cairo_set_source_rgb(cairo_, r, g, b); }
  void Line(double x0, double y0, double x1, double y1, double width) {
    cairo_set_line_width(cairo_, width);
    cairo_move_to(cairo_, x0, y0);
    cairo_line_to(cairo_, x1, y1);
    cairo_stroke(cairo_);
  }
  void Dot(double x, double y, double radius) {
    cairo_arc(cairo_, x, y, radius, 0, 2 * M_PI);
    cairo_fill(cairo_);
  }
  void Ring(double x, double y, double radius) {
    cairo_set_line_width(cairo_, 1.2);
    cairo_new_sub_path(cairo_);
    cairo_arc(cairo_, x, y, radius, 0, 2 * M_PI);
    cairo_stroke(cairo_);
  }
  // `align`: 0 begins at x, 0.5 is centred on it, 1 ends there.
  void Text(double x, double y, const std::string& text, double size, double align) {
    cairo_set_font_size(cairo_, size);
    cairo_text_extents_t extents;
    cairo_text_extents(cairo_, text.c_str(), &extents);
    cairo_move_to(cairo_, x - align * extents.x_advance, y);
    cairo_show_text(cairo_, text.c_str());
  }

 private:
  cairo_t* cairo_;
};

// Of the points with their errors, and some room; what is flagged does not stretch it.
Axis FluxAxis(const LightCurvePlot& plot, double factor) {
  Axis axis{HUGE_VAL, -HUGE_VAL, plot.height - kBottom, kTop};
  for (const FluxPoint& point : plot.points.empty() ? plot.flagged : plot.points) {
    axis.low = std::min(axis.low, (point.flux_jy - point.error_jy) * factor);
    axis.high = std::max(axis.high, (point.flux_jy + point.error_jy) * factor);
  }
  if (!(axis.low <= axis.high)) axis = {0, 1, axis.from, axis.to};
  double room = 0.06 * (axis.high - axis.low);
  if (!(room > 0)) room = axis.high != 0 ? 0.1 * std::abs(axis.high) : 1;
  axis.low -= room;
  axis.high += room;
  return axis;
}

Axis TimeAxis(const LightCurvePlot& plot) {
  Axis axis{HUGE_VAL, -HUGE_VAL, plot.width < 600 ? kLeftOfSmall : kLeft, plot.width - kRight};
  for (const auto* points : {&plot.points, &plot.flagged}) {
    if (points->empty()) continue;
    axis.low = std::min(axis.low, points->front().mjd);
    axis.high = std::max(axis.high, points->back().mjd);
  }
  if (!(axis.low <= axis.high)) return {0, 1, axis.from, axis.to};
  const double room = axis.high > axis.low ? 0.03 * (axis.high - axis.low) : 0.01;
  axis.low -= room;
  axis.high += room;
  return axis;
}

void DrawTimes(Picture& picture, const Axis& x, int height) {
  // Days as dates; below three days hours of the first day, as times.
  const bool days = x.high - x.low >= 3;
  const double origin = std::floor(x.low), unit = days ? 1 : 1.0 / 24;
  const int most = std::clamp(static_cast<int>((x.to - x.from) / kDateWidth), 2, 8);
  for (const double tick : TicksBetween((x.low - origin) / unit, (x.high - origin) / unit, most)) {
    const double mjd = origin + tick * unit, at = x.At(mjd);
    picture.Ink(0.88, 0.88, 0.88);
    picture.Line(at, kTop, at, height - kBottom, 1);
    picture.Ink(0.2, 0.2, 0.2);
    const std::string stamp = UtcTime::FromMjd(mjd).Iso8601();
    picture.Text(at, height - kBottom + 18, days ? stamp.substr(0, 10) : stamp.substr(11, 8), 12, 0.5);
  }
  picture.Text(x.to, height - 8, days ? "UTC" : "UTC, from " + UtcTime::FromMjd(x.low).Date(), 12, 1);
}

void DrawFluxes(Picture& picture, const Axis& y, const Axis& x) {
  const std::vector<double> ticks = TicksBetween(y.low, y.high, 7);
  const double step = ticks.size() > 1 ? ticks[1] - ticks[0] : 1;
  const int decimals = std::clamp(static_cast<int>(-std::floor(std::log10(step) + 1e-9)), 0, 12);
  for (const double tick : ticks) {
    picture.Ink(0.88, 0.88, 0.88);
    picture.Line(x.from, y.At(tick), x.to, y.At(tick), 1);
    picture.Ink(0.2, 0.2, 0.2);
    picture.Text(x.from - 8, y.At(tick) + 4, fmt::format("{:.{}f}", tick, decimals), 12, 1);
  }
}

void Draw(Picture& picture, const LightCurvePlot& plot) {
  const FluxUnit unit = UnitOf(plot);
  const Axis x = TimeAxis(plot), y = FluxAxis(plot, unit.factor);
  picture.Background();
  picture.Ink(0.1, 0.1, 0.1);
  picture.Text(x.from, 26, plot.title, 18, 0);
  picture.Text(x.from, 46, plot.subtitle, 12, 0);
  picture.Text(x.from - 8, kTop - 8, unit.name, 12, 1);
  DrawTimes(picture, x, plot.height);
  DrawFluxes(picture, y, x);
  double sum_w = 0, sum_wf = 0;
  for (const FluxPoint& point : plot.points) {
    if (!(point.error_jy > 0)) continue;
    sum_w += 1 / (point.error_jy * point.error_jy);
    sum_wf += point.flux_jy / (point.error_jy * point.error_jy);
  }
  if (sum_w > 0) {
    picture.Ink(0.8, 0.45, 0.1);
    const double at = y.At(sum_wf / sum_w * unit.factor);
    picture.Line(x.from, at, x.to, at, 1);
  }
  picture.Ink(0.11, 0.31, 0.6);
  for (const FluxPoint& point : plot.points) {
    const double at = x.At(point.mjd), flux = point.flux_jy * unit.factor, error = point.error_jy * unit.factor;
    if (error > 0) picture.Line(at, y.At(flux - error), at, y.At(flux + error), 1.2);
    picture.Dot(at, y.At(flux), 2.6);
  }
  picture.Ink(0.55, 0.55, 0.58);
  for (const FluxPoint& point : plot.flagged) {
    const double flux = point.flux_jy * unit.factor, error = point.error_jy * unit.factor;
    const auto inside = [&](double value) { return y.At(std::clamp(value, y.low, y.high)); };
    if (error > 0 && flux + error >= y.low && flux - error <= y.high) {
      picture.Line(x.At(point.mjd), inside(flux - error), x.At(point.mjd), inside(flux + error), 0.8);
    }
    picture.Ring(x.At(point.mjd), inside(flux), 3);
  }
  picture.Ink(0.2, 0.2, 0.2);
  picture.Line(x.from, plot.height - kBottom, x.to, plot.height - kBottom, 1);
  picture.Line(x.from, kTop, x.from, plot.height - kBottom, 1);
}

}  // namespace

PlotForm PlotFormOf(const std::filesystem::path& path) {
  if (path.extension() == ".svg") return PlotForm::kSvg;
  if (path.extension() == ".png") return PlotForm::kPng;
  throw Error(ErrorKind::kUsage, "lightcurve", path.string(), "expected a picture called F.svg or F.png");
}

std::string DrawLightCurve(const LightCurvePlot& plot, PlotForm form) {
  std::string bytes;
  cairo_surface_t* const made = form == PlotForm::kSvg
                                    ? cairo_svg_surface_create_for_stream(TakeBytes, &bytes, plot.width, plot.height)
                                    : cairo_image_surface_create(CAIRO_FORMAT_RGB24, plot.width, plot.height);
  const std::unique_ptr<cairo_surface_t, void (*)(cairo_surface_t*)> surface(made, cairo_surface_destroy);
  if (form == PlotForm::kSvg) cairo_svg_surface_set_document_unit(made, CAIRO_SVG_UNIT_PX);  // points unless told
  {
    Picture picture(surface.get());
    Draw(picture, plot);
  }
  cairo_surface_flush(surface.get());
  if (form == PlotForm::kPng) {
    cairo_surface_write_to_png_stream(surface.get(), TakeBytes, &bytes);
  } else {
    cairo_surface_finish(surface.get());
  }
  const cairo_status_t status = cairo_surface_status(surface.get());
  if (status != CAIRO_STATUS_SUCCESS || bytes.empty()) {
    throw Error(ErrorKind::kResource, "lightcurve", plot.title, "the picture could not be drawn");
  }
  return bytes;
}

std::vector<double> TicksBetween(double low, double high, int most) {
  std::vector<double> ticks;
  if (!(high > low)) return {low};
  const double power = std::pow(10, std::floor(std::log10((high - low) / most)));
  for (const double factor : {1.0, 2.0, 5.0, 10.0, 20.0}) {
    const double step = factor * power;
    const double first = std::ceil(low / step), last = std::floor(high / step);
    if (last - first + 1 > most) continue;
    for (double k = first; k <= last; ++k) ticks.push_back(k * step);
    break;
  }
  return ticks;
}

}  // namespace contimg::mosaic
