// A thin owner of a cairo surface with the few drawing calls that the quick-look picture needs.
#pragma once

#include <cairo.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

namespace contimg::image {

struct Colour {
  double r = 0, g = 0, b = 0, a = 1;
};

struct Box {
  double x = 0, y = 0, width = 0, height = 0;
};

enum class Align { kLeft, kCentre, kRight };

// The colour of a value between 0 and 1: black, indigo, violet, orange, pale yellow; lightness grows steadily.
Colour HeatColour(double value);

class Canvas {
 public:
  Canvas(int width, int height, const Colour& background);
  ~Canvas();
  Canvas(const Canvas&) = delete;
  Canvas& operator=(const Canvas&) = delete;

  cairo_t* cairo() { return cairo_; }
  void Set(const Colour& colour) { cairo_set_source_rgba(cairo_, colour.r, colour.g, colour.b, colour.a); }
  // `y` is the baseline.
  void Text(double x, double y, const std::string& text, double size, const Colour& colour, Align align = Align::kLeft,
            bool bold = false);
  double TextWidth(const std::string& text, double size, bool bold = false);
  // Upwards, centred on (x, y), which is on the baseline.
  void TextUpwards(double x, double y, const std::string& text, double size, const Colour& colour);
  void Circle(double x, double y, double radius, const Colour& colour, double width = 1);
  void Line(double x0, double y0, double x1, double y1, const Colour& colour, double width = 1);
  void Frame(const Box& box, const Colour& colour, double width = 1);
  void Fill(const Box& box, const Colour& colour);
  // One value per screen pixel of `box`: colour(column, row), row 0 at the top.
  void Raster(const Box& box, const std::function<Colour(int, int)>& colour);
  // Clips to the box while `draw` runs.
  void Clipped(const Box& box, const std::function<void()>& draw);
  // To a file that does not exist yet. Throws Error{kIo, kResource}.
  void WritePng(const std::filesystem::path& path);
  std::string Png();  // the same as bytes; throws Error{kResource}

 private:
  cairo_surface_t* surface_;
  cairo_t* cairo_;
};

}  // namespace contimg::image
