#include "mosaic/mosaic_picture.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "config/text.h"
#include "config/time.h"
#include "config/units.h"
#include "image/quality/canvas.h"
#include "image/quality/picture_style.h"
#include "mosaic/map/map_panel.h"

namespace contimg::mosaic {
namespace {

using image::Align;
using image::Box;
using image::Colour;

// Sizes are for a page of 1400 pixels; a phone shows a quarter of them.
constexpr double kPageWidth = 1400, kEdge = 40, kMapEdge = 80, kTop = 152;
constexpr double kBetweenColumns = 96, kBetweenRows = 84, kTallest = 900, kStackedAspect = 0.4;
constexpr double kTextSize = 19, kRowHeight = 28, kSecondColumn = 720;
constexpr std::size_t kMostRefused = 12, kMostUsed = 24, kOneColumn = 6;  // tiles that are listed
constexpr Colour kFair{0.95, 0.75, 0.30, 1};

Colour GradeColour(const std::string& grade) {
  return grade == "A" ? image::kGood : grade == "F" ? image::kBad : kFair;
}

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

// Where the three maps stand: a wide mosaic has them one below the other, another the image beside the two others.
struct MapBoxes {
  Box image, rms, tiles;
  double bottom = 0;
};

MapBoxes PlaceMaps(double aspect) {
  constexpr double kRoom = kPageWidth - kMapEdge - kEdge;
  MapBoxes boxes;
  if (aspect < kStackedAspect) {
    const double height = std::max(std::floor(kRoom * aspect), 20.0);
    Box box{kMapEdge, kTop, kRoom, height};
    for (Box* each : {&boxes.image, &boxes.rms, &boxes.tiles}) {
      *each = box;
      box.y += height + kBetweenRows;
    }
  } else {
    // All three have the same shape and together the width of the page, unless they get too tall.
    const double height = std::min((kRoom - kBetweenColumns + kBetweenRows / (2 * aspect)) * aspect / 1.5, kTallest);
    const double small = (height - kBetweenRows) / 2;
    const double left = kMapEdge + std::max(0.0, (kRoom - height / aspect - kBetweenColumns - small / aspect) / 2);
    boxes.image = {std::floor(left), kTop, std::floor(height / aspect), std::floor(height)};
    boxes.rms = {boxes.image.x + boxes.image.width + kBetweenColumns, kTop, std::floor(small / aspect),
                 std::floor(small)};
    boxes.tiles = boxes.rms;
    boxes.tiles.y += boxes.rms.height + kBetweenRows;
  }
  boxes.bottom = std::max(boxes.image.y + boxes.image.height, boxes.tiles.y + boxes.tiles.height);
  return boxes;
}

// What is said of the mosaic as a whole.
std::vector<std::string> FigureLines(const MosaicReport& report) {
  const MosaicQuality& q = report.quality;
  const image::FitsHeader& h = report.header;
  const image::ImageGeometry& g = h.geometry;
  std::vector<std::string> lines;
  lines.push_back(fmt::format("{} × {} pixels of {:.3g}″ in {}", g.nx, g.ny, Angle::Radians(g.cell_rad).arcsec(),
                              image::Code(g.projection)));
  lines.push_back(fmt::format("beam {:.1f}″ × {:.1f}″ at {:.0f}°, {:.1f} MHz",
                              Angle::Radians(h.beam->major_rad).arcsec(), Angle::Radians(h.beam->minor_rad).arcsec(),
                              Angle::Radians(h.beam->angle_rad).deg(), 1e-6 * h.frequency_hz));
  lines.push_back(fmt::format("{:.1f} square degrees, {:.1f} tiles deep on average", q.covered_deg2, q.tiles_deep));
  lines.push_back(fmt::format("noise {} at best, {} in the median", image::FormatFlux(q.rms_least_jy),
                              image::FormatFlux(q.rms_median_jy)));
  if (q.rms_over_thermal > 0) {
    lines.push_back(fmt::format("noise of the tiles {:.2f} × that of the receivers", q.rms_over_thermal));
  }
  if (q.differences > 0) lines.push_back(fmt::format("tiles differ by {:.2f} of their noise", q.differences));
  if (!q.catalogue) return lines;
  const MosaicComparison& c = *q.catalogue;
  if (c.expected > 0) {
    lines.push_back(fmt::format("completeness {:.3f} ± {:.3f}: {} of {} sources above 10 σ", c.completeness,
                                c.completeness_error, c.matched, c.expected));
  }
  if (c.sources > 0) {
    lines.push_back(fmt::format("flux / catalogue {:.3f} ± {:.3f}, offset {:+.2f}″ {:+.2f}″, by {}",
                                c.flux_ratio_median, c.flux_ratio_scatter, c.offset_east_arcsec, c.offset_north_arcsec,
                                c.sources));
  }
  return lines;
}

class MosaicPicture {
 public:
  MosaicPicture(const MosaicMaps& maps, const MosaicReport& report)
      : maps_(maps),
        report_(report),
        grid_{report.header.centre, report.header.geometry},
        boxes_(PlaceMaps(static_cast<double>(grid_.geometry.ny) / static_cast<double>(grid_.geometry.nx))),
        figures_(FigureLines(report)),
        tallest_(*std::max_element(maps.tiles.begin(), maps.tiles.end())),
        canvas_(static_cast<int>(kPageWidth), static_cast<int>(Height()), image::kBackground) {}

  void Write(const std::filesystem::path& path) {
    DrawTitle();
    DrawImage();
    DrawRms();
    DrawTiles();
    const double rows = DrawFigures(boxes_.bottom + 82);
    DrawLists(rows + kRowHeight);
    canvas_.WritePng(path);
  }

 private:
  std::size_t refused() const { return report_.tiles.size() - report_.used(); }
  std::size_t RowsOfUsed() const {
    const std::size_t shown = std::min(report_.used(), kMostUsed);
    return shown > kOneColumn ? (shown + 1) / 2 : shown;
  }
  double Height() const {
    std::size_t rows = std::max(figures_.size(), report_.quality.gates.size()) + 3 + RowsOfUsed();
    if (report_.used() > kMostUsed) ++rows;
    if (refused() > 0) rows += std::min(refused(), kMostRefused) + 2 + (refused() > kMostRefused ? 1 : 0);
    return boxes_.bottom + 82 + static_cast<double>(rows) * kRowHeight;
  }

  void DrawTitle() {
    canvas_.Text(
        kEdge, 52,
        fmt::format("mosaic of {}, {} left out", Counted(static_cast<std::int64_t>(report_.used()), "tile"), refused()),
        32, image::kInk, Align::kLeft, true);
    const image::FitsHeader& h = report_.header;
    std::string line =
        fmt::format("centre {} {}", image::FormatRa(WrapPositive(Angle::Radians(h.centre.ra_rad)).hours(), false),
                    image::FormatDec(Angle::Radians(h.centre.dec_rad).deg(), true));
    if (h.end_mjd_s > 0) {
      line += fmt::format("   {} to {}", UtcTime::FromMjdSeconds(h.start_mjd_s).Stamp(0),
                          UtcTime::FromMjdSeconds(h.end_mjd_s).Stamp(0));
    }
    canvas_.Text(kEdge, 86, line, kTextSize, image::kDim);
    const std::string& grade = report_.quality.grade;
    canvas_.Text(kPageWidth - kEdge, 60, grade, 44, GradeColour(grade), Align::kRight, true);
    canvas_.Text(kPageWidth - kEdge, 86, "quality", kTextSize, image::kDim, Align::kRight);
  }

  // Above a map: what it shows, and its colours from `low` to `high`.
  void DrawScale(const Box& box, const char* title, const std::string& low, const std::string& high,
                 const std::function<Colour(double)>& colour) {
    constexpr double kSize = 17, kBar = 84, kGap = 10;
    const double y = box.y - 12;
    canvas_.Text(box.x, y, title, kSize, image::kInk, Align::kLeft, true);
    double x = box.x + canvas_.TextWidth(title, kSize, true) + 1.6 * kGap;
    canvas_.Text(x, y, low, kSize, image::kDim);
    x += canvas_.TextWidth(low, kSize) + kGap;
    const Box bar{x, y - 13, kBar, 14};
    canvas_.Raster(bar, [&](int i, int) { return colour((i + 0.5) / kBar); });
    canvas_.Text(x + kBar + kGap, y, high, kSize, image::kDim);
  }

  void DrawRaster(const MapPanel& panel, const Box& box, ArrayView<const float, 2> map, ArrayView<const float, 2> unit,
                  bool highest, const std::function<double(double)>& stretch) {
    const auto width = static_cast<std::size_t>(box.width), height = static_cast<std::size_t>(box.height);
    const std::vector<float> small = Shrunk(map, unit, width, height, highest);
    panel.Draw([&](int x, int y) {
      const float v = small[static_cast<std::size_t>(y) * width + static_cast<std::size_t>(x)];
      return std::isnan(v) ? image::kPanel : image::HeatColour(stretch(v));
    });
  }

  void DrawImage() {
    constexpr double kHighest = 300, kSoft = 3;  // in units of the noise
    DrawScale(boxes_.image, "image / noise", "1", "300", image::HeatColour);
    DrawRaster({canvas_, grid_, boxes_.image}, boxes_.image, maps_.image.view(), maps_.rms.view(), true,
               [](double v) { return std::asinh(std::max(v - 1, 0.0) / kSoft) / std::asinh(kHighest / kSoft); });
  }

  void DrawRms() {
    constexpr double kDecade = 10;  // from the least on
    const double least = report_.quality.rms_least_jy;
    const auto stretch = [](double decades) { return decades * 0.95 + 0.05; };
    DrawScale(boxes_.rms, "noise", image::FormatFlux(least), image::FormatFlux(kDecade * least),
              [&](double t) { return image::HeatColour(stretch(t)); });
    DrawRaster({canvas_, grid_, boxes_.rms}, boxes_.rms, maps_.rms.view(), {}, false,
               [&](double v) { return stretch(std::log10(std::max(v / least, 1.0))); });
  }

  Colour ColourOfCount(std::size_t n) const {
    return n == 0 ? image::kPanel
                  : image::HeatColour(0.2 + 0.7 * static_cast<double>(n) / static_cast<double>(tallest_));
  }

  // How many tiles lie over each place, and which.
  void DrawTiles() {
    const Box& box = boxes_.tiles;
    const std::size_t wide = (grid_.geometry.nx + kSampleStep - 1) / kSampleStep;
    const MapPanel panel(canvas_, grid_, box);
    panel.Draw([&](int x, int y) {
      const auto i = static_cast<std::size_t>((x + 0.5) / box.width * static_cast<double>(grid_.geometry.nx)),
                 j = static_cast<std::size_t>((1 - (y + 0.5) / box.height) * static_cast<double>(grid_.geometry.ny));
      return ColourOfCount(maps_.tiles[j / kSampleStep * wide + i / kSampleStep]);
    });
    DrawCountScale(box);
    canvas_.Clipped(box, [&] {
      std::vector<std::array<double, 2>> labels;
      for (std::size_t i = 0; i < report_.tiles.size(); ++i) {
        const MosaicTile& tile = report_.tiles[i];
        if (tile.verdict.refusal == Refusal::kUnreadable) continue;
        const auto at = panel.Screen(tile.figures.grid.centre);
        if (at) DrawCentre(*at, i, tile.verdict.refusal == Refusal::kNone, labels);
      }
    });
  }

  void DrawCentre(const std::array<double, 2>& at, std::size_t index, bool used,
                  std::vector<std::array<double, 2>>& labels) {
    constexpr double kMark = 7, kRoom = 22;
    const double x = at[0], y = at[1];
    if (used) {
      canvas_.Circle(x, y, kMark - 2, image::kInk, 2);
    } else {
      for (const double rise : {-kMark, kMark}) canvas_.Line(x - kMark, y - rise, x + kMark, y + rise, image::kBad, 3);
    }
    // Days of one tile lie on each other: their first has its number.
    const auto hides = [&](const auto& other) { return std::hypot(other[0] - x, other[1] - y) < kRoom; };
    if (used && std::ranges::any_of(labels, hides)) return;
    labels.push_back(at);
    canvas_.Text(x + 9, used ? y - 8 : y + 20, std::to_string(index + 1), 17, used ? image::kInk : image::kBad,
                 Align::kLeft, true);
  }

  void DrawCountScale(const Box& box) {
    constexpr std::size_t kMostSwatches = 6;
    if (tallest_ > kMostSwatches) {
      DrawScale(box, "tiles", "1", std::to_string(tallest_), [&](double t) {
        return ColourOfCount(1 + static_cast<std::size_t>(t * static_cast<double>(tallest_)));
      });
      return;
    }
    constexpr double kSize = 17, kSwatch = 15;
    const double y = box.y - 12;
    canvas_.Text(box.x, y, "tiles", kSize, image::kInk, Align::kLeft, true);
    double x = box.x + canvas_.TextWidth("tiles", kSize, true) + kSwatch;
    for (std::size_t n = 1; n <= tallest_; ++n) {
      canvas_.Fill({x, y - 13, kSwatch, kSwatch}, ColourOfCount(n));
      const std::string text = std::to_string(n);
      canvas_.Text(x + kSwatch + 5, y, text, kSize, image::kDim);
      x += kSwatch + canvas_.TextWidth(text, kSize) + 17;
    }
  }

  // Returns where the next row is.
  double DrawFigures(double top) {
    double y = top;
    for (const std::string& line : figures_) {
      canvas_.Text(kEdge, y, line, kTextSize, image::kInk);
      y += kRowHeight;
    }
    double gates = top;
    for (const image::QualityGate& gate : report_.quality.gates) {
      canvas_.Text(kSecondColumn - 8, gates, gate.grade, kTextSize, GradeColour(gate.grade), Align::kRight, true);
      canvas_.Text(kSecondColumn + 8, gates, image::Describe(gate), kTextSize,
                   gate.passed ? image::kInk : GradeColour(gate.grade));
      gates += kRowHeight;
    }
    return std::max(y, gates);
  }

  std::string Fitting(std::string text, double room) {
    if (canvas_.TextWidth(text, kTextSize) <= room) return text;
    while (!text.empty() && canvas_.TextWidth(text + "…", kTextSize) > room) {
      while (text.size() > 1 && (static_cast<unsigned char>(text.back()) & 0xC0) == 0x80) text.pop_back();
      text.pop_back();
    }
    return text + "…";
  }

  void DrawLists(double top) {
    std::vector<std::size_t> in, out;
    for (std::size_t i = 0; i < report_.tiles.size(); ++i) {
      (report_.tiles[i].verdict.refusal == Refusal::kNone ? in : out).push_back(i);
    }
    double y = top;
    const auto heading = [&](const std::string& text) {
      canvas_.Text(kEdge, y, text, kTextSize, image::kInk, Align::kLeft, true);
      y += kRowHeight;
    };
    const auto rest = [&](std::size_t n, std::size_t shown) {
      if (n <= shown) return;
      canvas_.Text(kEdge + 46, y, fmt::format("and {} more, in the table of tiles", n - shown), kTextSize, image::kDim);
      y += kRowHeight;
    };
    if (!out.empty()) {
      heading("left out");
      for (std::size_t k = 0; k < std::min(out.size(), kMostRefused); ++k) {
        const MosaicTile& tile = report_.tiles[out[k]];
        const std::string why =
            fmt::format("{}   {}: {}", tile.figures.name, ToString(tile.verdict.refusal), tile.verdict.why);
        canvas_.Text(kEdge + 34, y, std::to_string(out[k] + 1), kTextSize, image::kBad, Align::kRight, true);
        canvas_.Text(kEdge + 46, y, Fitting(why, kPageWidth - 2 * kEdge - 46), kTextSize, image::kBad);
        y += kRowHeight;
      }
      rest(out.size(), kMostRefused);
      y += kRowHeight;
    }
    heading("in it: noise, flux scale");
    const std::size_t rows = RowsOfUsed();
    for (std::size_t k = 0; k < std::min(in.size(), kMostUsed); ++k) {
      DrawUsed(in[k], k < rows ? kEdge : kSecondColumn, y + static_cast<double>(k % rows) * kRowHeight);
    }
    y += static_cast<double>(rows) * kRowHeight;
    rest(in.size(), kMostUsed);
  }

  void DrawUsed(std::size_t index, double x, double y) {
    const MosaicTile& tile = report_.tiles[index];
    const TileScale& scale = tile.verdict.scale;
    canvas_.Text(x + 34, y, std::to_string(index + 1), kTextSize, image::kInk, Align::kRight, true);
    canvas_.Text(x + 46, y, Fitting(tile.figures.name, 260), kTextSize, image::kInk);
    canvas_.Text(x + 430, y, image::FormatFlux(tile.figures.rms_jy), kTextSize, image::kInk, Align::kRight);
    canvas_.Text(x + 460, y, scale.references > 0 ? fmt::format("{:.3f} ± {:.3f}", scale.scale, scale.error) : "–",
                 kTextSize, image::kInk);
  }

  const MosaicMaps& maps_;
  const MosaicReport& report_;
  const SkyGrid grid_;
  const MapBoxes boxes_;
  const std::vector<std::string> figures_;
  const std::size_t tallest_;  // pile of tiles
  image::Canvas canvas_;
};

}  // namespace

void WriteMosaicPicture(const std::filesystem::path& path, const MosaicMaps& maps, const MosaicReport& report) {
  MosaicPicture(maps, report).Write(path);
}

}  // namespace contimg::mosaic
