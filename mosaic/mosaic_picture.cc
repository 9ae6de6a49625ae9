#include "mosaic/mosaic_picture.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <vector>

#include "config/time.h"
#include "config/units.h"
#include "image/quality/canvas.h"
#include "image/quality/picture_style.h"
#include "mosaic/grid/sky_grid.h"

namespace contimg::mosaic {
namespace {

using image::Align;
using image::Box;
using image::Colour;

constexpr int kPictureWidth = 1800;
constexpr double kMargin = 92, kTallest = 640, kRowHeight = 22;
constexpr std::size_t kMostRows = 40;  // of the table of tiles

// The highest (or lowest) value of the pixels that a screen pixel stands for, over `unit` when that is not empty; NaN
// where all are blank.
std::vector<float> Shrunk(ArrayView<const float, 2> map, ArrayView<const float, 2> unit, std::size_t width,
                          std::size_t height, bool highest) {
  std::vector<float> small(width * height, NAN);
  const std::size_t ny = map.shape(0), nx = map.shape(1);
  for (std::size_t j = 0; j < height; ++j) {
    const std::size_t y0 = j * ny / height, y1 = std::max(y0 + 1, (j + 1) * ny / height);
    for (std::size_t y = y0; y < y1; ++y) {
      for (std::size_t i = 0; i < width; ++i) {
        float& value = small[(height - 1 - j) * width + i];  // north is up
        for (std::size_t x = i * nx / width; x < std::max(i * nx / width + 1, (i + 1) * nx / width); ++x) {
          const float v = unit.empty() ? map(y, x) : map(y, x) / unit(y, x);
          const bool further = highest ? v > value : v < value;
          if (further || std::isnan(value)) value = v;
        }
      }
    }
  }
  return small;
}

class MosaicPicture {
 public:
  MosaicPicture(const MosaicMaps& maps, const MosaicReport& report)
      : maps_(maps),
        report_(report),
        geometry_(report.header.geometry),
        axes_({report.header.centre, report.header.geometry}),
        panel_(PanelSize()),
        rows_(std::min(report.tiles.size(), kMostRows)),
        canvas_(kPictureWidth, static_cast<int>(84 + 2 * (panel_.height + 76) + TextHeight()), image::kBackground) {}

  void Write(const std::filesystem::path& path) {
    const std::string span = report_.header.end_mjd_s > 0
                                 ? fmt::format("{} to {}", UtcTime::FromMjdSeconds(report_.header.start_mjd_s).Stamp(0),
                                               UtcTime::FromMjdSeconds(report_.header.end_mjd_s).Stamp(0))
                                 : "";
    canvas_.Text(kMargin, 40,
                 fmt::format("mosaic of {} tiles, {} left out   {}", report_.used(),
                             report_.tiles.size() - report_.used(), span),
                 26, image::kInk, Align::kLeft, true);
    const bool good = report_.quality.grade == "A" || report_.quality.grade == "B";
    canvas_.Text(kPictureWidth - 60, 40, "grade " + report_.quality.grade, 26, good ? image::kGood : image::kBad,
                 Align::kRight, true);
    Box box = panel_;
    box.y = 84;
    DrawImage(box);
    box.y += panel_.height + 76;
    DrawCoverage(box);
    DrawTexts(box.y + panel_.height + 70);
    canvas_.WritePng(path);
  }

 private:
  Box PanelSize() const {
    const double aspect = static_cast<double>(geometry_.ny) / static_cast<double>(geometry_.nx);
    const double width = std::min(kPictureWidth - kMargin - 60, kTallest / aspect);
    return {kMargin, 0, std::max(std::floor(width), 40.0), std::max(std::floor(width * aspect), 20.0)};
  }
  double TextHeight() const {
    return std::max(static_cast<double>(rows_ + 2) * kRowHeight,
                    (8.0 + static_cast<double>(report_.quality.gates.size())) * kRowHeight) +
           20;
  }

  void DrawRaster(const Box& box, ArrayView<const float, 2> map, ArrayView<const float, 2> unit, bool highest,
                  const std::function<double(double)>& stretch) {
    const auto width = static_cast<std::size_t>(box.width), height = static_cast<std::size_t>(box.height);
    const std::vector<float> small = Shrunk(map, unit, width, height, highest);
    canvas_.Raster(box, [&](int x, int y) {
      const float v = small[static_cast<std::size_t>(y) * width + static_cast<std::size_t>(x)];
      return std::isnan(v) ? image::kPanel : image::HeatColour(stretch(v));
    });
    canvas_.Clipped(box, [&] { DrawGrid(box); });
    canvas_.Frame(box, image::kDim);
    LabelGrid(box);
  }

  void DrawImage(const Box& box) {
    canvas_.Text(box.x, box.y - 12, "image / local rms", 16, image::kDim);
    DrawRaster(box, maps_.image.view(), maps_.rms.view(), true,
               [](double v) { return std::asinh(std::max(v - 1, 0.0) / 3) / std::asinh(300 / 3.0); });
  }

  void DrawCoverage(const Box& box) {
    const double least = report_.quality.rms_least_jy;
    canvas_.Text(box.x, box.y - 12,
                 fmt::format("rms: {} (dark) to {} (pale), median {}", image::FormatFlux(least),
                             image::FormatFlux(10 * least), image::FormatFlux(report_.quality.rms_median_jy)),
                 16, image::kDim);
    DrawRaster(box, maps_.rms.view(), {}, false,
               [&](double v) { return std::log10(std::max(v / least, 1.0)) * 0.95 + 0.05; });
    canvas_.Clipped(box, [&] {
      for (std::size_t i = 0; i < report_.tiles.size(); ++i) {
        const MosaicTile& tile = report_.tiles[i];
        if (tile.verdict.refusal == Refusal::kUnreadable) continue;
        const auto at = axes_.PixelAt(UnitVector(tile.figures.grid.centre));
        if (!at) continue;
        const auto [x, y] = Screen(box, *at);
        const bool used = tile.verdict.refusal == Refusal::kNone;
        const Colour& colour = used ? image::kAccent : image::kBad;
        if (!used) {
          canvas_.Line(x - 8, y - 8, x + 8, y + 8, colour, 2);
          canvas_.Line(x - 8, y + 8, x + 8, y - 8, colour, 2);
        } else {
          canvas_.Circle(x, y, 4, colour, 2);
        }
        canvas_.Text(x + 10, y - 8, std::to_string(i + 1), 15, colour, Align::kLeft, true);
      }
    });
  }

  std::array<double, 2> Screen(const Box& box, const image::PixelPosition& at) const {
    return {box.x + (at.x + 0.5) / static_cast<double>(geometry_.nx) * box.width,
            box.y + box.height - (at.y + 0.5) / static_cast<double>(geometry_.ny) * box.height};
  }

  // Lines of right ascension and declination, as far as they are in the map.
  void DrawGrid(const Box& box) {
    for (const double dec : Declinations()) {
      Curve(box, [&](double t) { return PhaseCentre{2 * kPi * t, dec}; });
    }
    for (const double ra : RightAscensions()) {
      Curve(box, [&](double t) { return PhaseCentre{ra, (t - 0.5) * kPi}; });
    }
  }

  void Curve(const Box& box, const std::function<PhaseCentre(double)>& of) {
    constexpr int kSteps = 1440;
    std::array<double, 2> last{};
    bool drawing = false;
    for (int i = 0; i <= kSteps; ++i) {
      const auto at = axes_.PixelAt(UnitVector(of(static_cast<double>(i) / kSteps)));
      const bool near = at && std::abs(at->x) < 1e6 && std::abs(at->y) < 1e6;
      const std::array<double, 2> here = near ? Screen(box, *at) : std::array<double, 2>{};
      if (near && drawing) canvas_.Line(last[0], last[1], here[0], here[1], image::kGrid);
      last = here;
      drawing = near;
    }
  }

  void LabelGrid(const Box& box) {
    // Where lines of declination meet the left edge and those of right ascension the lower one.
    const auto edge = [&](double x, double y) {
      const auto direction = axes_.DirectionAt(x, y);
      return direction ? DirectionOfVector(*direction) : report_.header.centre;
    };
    const double left = 0, low = 0;
    for (const double dec : Declinations()) {
      Crossing(
          static_cast<double>(geometry_.ny), [&](double y) { return edge(left, y).dec_rad - dec; },
          [&](double y) {
            canvas_.Text(box.x - 8, Screen(box, {left, y})[1] + 5, image::FormatDec(Angle::Radians(dec).deg(), false),
                         14, image::kDim, Align::kRight);
          });
    }
    for (const double ra : RightAscensions()) {
      Crossing(
          static_cast<double>(geometry_.nx),
          [&](double x) { return WrapSigned(Angle::Radians(edge(x, low).ra_rad - ra)).rad(); },
          [&](double x) {
            canvas_.Text(Screen(box, {x, low})[0], box.y + box.height + 20,
                         image::FormatRa(Angle::Radians(ra).hours(), false), 14, image::kDim, Align::kCentre);
          });
    }
  }

  static void Crossing(double end, const std::function<double(double)>& value,
                       const std::function<void(double)>& found) {
    constexpr int kSteps = 400;
    double before = value(0);
    for (int i = 1; i <= kSteps; ++i) {
      const double after = value(end * i / kSteps);
      if (before * after <= 0 && std::abs(before - after) < 0.2) found(end * (i - 0.5) / kSteps);
      before = after;
    }
  }

  std::vector<double> Declinations() const {
    const double span = Angle::Radians(static_cast<double>(geometry_.ny) * geometry_.cell_rad).deg();
    const double step = span > 12 ? 5 : span > 6 ? 2 : 1;
    std::vector<double> all;
    for (int k = -90; k <= 90; k += static_cast<int>(step)) all.push_back(Angle::Degrees(k).rad());
    return all;
  }
  std::vector<double> RightAscensions() const {
    const double span = Angle::Radians(static_cast<double>(geometry_.nx) * geometry_.cell_rad).deg() /
                        std::max(std::cos(report_.header.centre.dec_rad), 0.05);
    const int minutes = span > 60 ? 60 : span > 24 ? 20 : span > 8 ? 8 : 4;
    std::vector<double> all;
    for (int k = 0; k < 24 * 60; k += minutes) all.push_back(Angle::Hours(k / 60.0).rad());
    return all;
  }

  void DrawTexts(double top) {
    constexpr double kFigures = 1180;
    double y = top;
    const auto row = [&](const std::string& a, const std::string& b, const std::string& c, const std::string& d,
                         const std::string& e, const Colour& colour) {
      canvas_.Text(kMargin, y, a, 15, colour, Align::kRight);
      canvas_.Text(kMargin + 14, y, b, 15, colour);
      canvas_.Text(kMargin + 330, y, c, 15, colour, Align::kRight);
      canvas_.Text(kMargin + 470, y, d, 15, colour, Align::kRight);
      canvas_.Text(kMargin + 490, y, e, 15, colour);
      y += kRowHeight;
    };
    row("", "tile", "rms", "flux scale", "", image::kDim);
    for (std::size_t i = 0; i < rows_; ++i) {
      const MosaicTile& tile = report_.tiles[i];
      const TileScale& scale = tile.verdict.scale;
      const bool used = tile.verdict.refusal == Refusal::kNone;
      std::string why = tile.verdict.why.substr(0, 64);
      row(std::to_string(i + 1), tile.figures.name.substr(0, 30),
          tile.figures.rms_jy > 0 ? image::FormatFlux(tile.figures.rms_jy) : "",
          scale.references > 0 ? fmt::format("{:.3f} ± {:.3f}", scale.scale, scale.error) : "-",
          used ? "" : fmt::format("{}: {}", ToString(tile.verdict.refusal), why), used ? image::kInk : image::kBad);
    }
    if (report_.tiles.size() > rows_) {
      row("", fmt::format("and {} more", report_.tiles.size() - rows_), "", "", "", image::kDim);
    }
    y = top;
    const MosaicQuality& q = report_.quality;
    const auto line = [&](const std::string& text, const Colour& colour) {
      canvas_.Text(kFigures, y, text, 15, colour);
      y += kRowHeight;
    };
    line(fmt::format("{} x {} pixels of {:.3g}\" in {}, {:.1f} square degrees covered, {:.1f} tiles deep", geometry_.nx,
                     geometry_.ny, Angle::Radians(geometry_.cell_rad).arcsec(), image::Code(geometry_.projection),
                     q.covered_deg2, q.tiles_deep),
         image::kInk);
    line(fmt::format("beam {:.1f}\" x {:.1f}\", {:.1f} MHz", Angle::Radians(report_.header.beam->major_rad).arcsec(),
                     Angle::Radians(report_.header.beam->minor_rad).arcsec(), 1e-6 * report_.header.frequency_hz),
         image::kInk);
    if (q.catalogue && q.catalogue->sources > 0) {
      line(fmt::format("{} sources of the catalogue: flux ratio {:.4f} ± {:.4f}, offset {:+.2f}\" {:+.2f}\"",
                       q.catalogue->sources, q.catalogue->flux_ratio_median, q.catalogue->flux_ratio_scatter,
                       q.catalogue->offset_east_arcsec, q.catalogue->offset_north_arcsec),
           image::kInk);
    }
    for (const image::QualityGate& gate : q.gates) {
      line(image::Describe(gate), gate.passed ? image::kGood : image::kBad);
    }
  }

  const MosaicMaps& maps_;
  const MosaicReport& report_;
  const image::ImageGeometry& geometry_;
  const GridAxes axes_;
  const Box panel_;
  const std::size_t rows_;
  image::Canvas canvas_;
};

}  // namespace

void WriteMosaicPicture(const std::filesystem::path& path, const MosaicMaps& maps, const MosaicReport& report) {
  MosaicPicture(maps, report).Write(path);
}

}  // namespace contimg::mosaic
