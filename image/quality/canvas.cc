#include "image/quality/canvas.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>

#include "config/os.h"
#include "image/quality/png.h"

namespace contimg::image {

Colour HeatColour(double value) {
  static constexpr std::array<std::array<double, 3>, 9> kStops{{{0.010, 0.012, 0.035},
                                                                {0.060, 0.045, 0.165},
                                                                {0.185, 0.060, 0.330},
                                                                {0.385, 0.090, 0.430},
                                                                {0.600, 0.150, 0.405},
                                                                {0.810, 0.265, 0.290},
                                                                {0.955, 0.475, 0.145},
                                                                {0.985, 0.745, 0.240},
                                                                {0.995, 0.985, 0.780}}};
  if (!(value > 0)) value = 0;
  const double at = std::min(value, 1.0) * (kStops.size() - 1);
  const auto i = std::min(static_cast<std::size_t>(at), kStops.size() - 2);
  const double t = at - static_cast<double>(i);
  const auto mix = [&](std::size_t c) { return kStops[i][c] * (1 - t) + kStops[i + 1][c] * t; };
  return {mix(0), mix(1), mix(2), 1};
}

Canvas::Canvas(int width, int height, const Colour& background)
    : surface_(cairo_image_surface_create(CAIRO_FORMAT_RGB24, width, height)), cairo_(cairo_create(surface_)) {
  Set(background);
  cairo_paint(cairo_);
}

Canvas::~Canvas() {
  cairo_destroy(cairo_);
  cairo_surface_destroy(surface_);
}

double Canvas::TextWidth(const std::string& text, double size, bool bold) {
  cairo_select_font_face(cairo_, "DejaVu Sans", CAIRO_FONT_SLANT_NORMAL,
                         bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
  cairo_set_font_size(cairo_, size);
  cairo_text_extents_t extents;
  cairo_text_extents(cairo_, text.c_str(), &extents);
  return extents.x_advance;
}

void Canvas::Text(double x, double y, const std::string& text, double size, const Colour& colour, Align align,
                  bool bold) {
  const double width = TextWidth(text, size, bold);  // selects the font, too
  if (align == Align::kCentre) x -= width / 2;
  if (align == Align::kRight) x -= width;
  Set(colour);
  cairo_move_to(cairo_, x, y);
  cairo_show_text(cairo_, text.c_str());
}

void Canvas::TextUpwards(double x, double y, const std::string& text, double size, const Colour& colour) {
  cairo_save(cairo_);
  cairo_translate(cairo_, x, y);
  cairo_rotate(cairo_, -std::acos(-1.0) / 2);
  Text(0, 0, text, size, colour, Align::kCentre);
  cairo_restore(cairo_);
}

void Canvas::Circle(double x, double y, double radius, const Colour& colour, double width) {
  Set(colour);
  cairo_set_line_width(cairo_, width);
  cairo_new_path(cairo_);
  cairo_arc(cairo_, x, y, radius, 0, 2 * std::acos(-1.0));
  cairo_stroke(cairo_);
}

void Canvas::Line(double x0, double y0, double x1, double y1, const Colour& colour, double width) {
  Set(colour);
  cairo_set_line_width(cairo_, width);
  cairo_move_to(cairo_, x0, y0);
  cairo_line_to(cairo_, x1, y1);
  cairo_stroke(cairo_);
}

void Canvas::Frame(const Box& box, const Colour& colour, double width) {
  Set(colour);
  cairo_set_line_width(cairo_, width);
  cairo_rectangle(cairo_, box.x, box.y, box.width, box.height);
  cairo_stroke(cairo_);
}

void Canvas::Fill(const Box& box, const Colour& colour) {
  Set(colour);
  cairo_rectangle(cairo_, box.x, box.y, box.width, box.height);
  cairo_fill(cairo_);
}

void Canvas::Raster(const Box& box, const std::function<Colour(int, int)>& colour) {
  const int width = static_cast<int>(box.width), height = static_cast<int>(box.height);
  cairo_surface_t* pixels = cairo_image_surface_create(CAIRO_FORMAT_RGB24, width, height);
  unsigned char* data = cairo_image_surface_get_data(pixels);
  const int stride = cairo_image_surface_get_stride(pixels);
  const auto byte = [](double v) { return static_cast<std::uint32_t>(std::lround(255 * std::clamp(v, 0.0, 1.0))); };
  for (int y = 0; y < height; ++y) {
    auto* row = reinterpret_cast<std::uint32_t*>(data + static_cast<std::ptrdiff_t>(y) * stride);
    for (int x = 0; x < width; ++x) {
      const Colour c = colour(x, y);
      row[x] = byte(c.r) << 16 | byte(c.g) << 8 | byte(c.b);
    }
  }
  cairo_surface_mark_dirty(pixels);
  cairo_set_source_surface(cairo_, pixels, box.x, box.y);
  cairo_rectangle(cairo_, box.x, box.y, width, height);
  cairo_fill(cairo_);
  cairo_surface_destroy(pixels);
}

void Canvas::Clipped(const Box& box, const std::function<void()>& draw) {
  cairo_save(cairo_);
  cairo_rectangle(cairo_, box.x, box.y, box.width, box.height);
  cairo_clip(cairo_);
  draw();
  cairo_restore(cairo_);
}

void Canvas::WritePng(const std::filesystem::path& path) {
  // In memory first: of a full disk the house's own writer knows more to say than libpng.
  const std::string bytes = PngOf(surface_, path.string());
  const std::unique_ptr<OsFile> file = RealOs().Create(path);
  file->WriteAt(bytes.data(), bytes.size(), 0);
  file->Close();
}

std::string Canvas::Png() { return PngOf(surface_, "picture"); }

}  // namespace contimg::image
