#include "image/quality/quick_look.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "config/units.h"
#include "image/quality/canvas.h"
#include "image/quality/picture_style.h"
#include "image/quality/sky_panel.h"

namespace contimg::image {
namespace {

// "12.3″", or in mas or µas below an arcsecond.
std::string Small(Angle size, int digits) {
  const SmallAngleUnit unit = UnitFor(size);
  const std::string name = unit.name;
  return fmt::format("{:.{}f}{}", unit.Of(size), digits, name == "arcsec" ? "″" : name == "mas" ? " mas" : " µas");
}

class Picture {
 public:
  explicit Picture(const QuickLookInput& input) : in_(input), canvas_(kQuickLookWidth, kQuickLookHeight, kBackground) {}

  void Draw() {
    DrawTitle();
    DrawSky(in_, canvas_, {kQuickLookSkyX, kQuickLookSkyY, kQuickLookSkySize, kQuickLookSkySize});
    DrawPsf({1312, 84, 206, 206});
    DrawCoverage({1564, 84, 206, 206});
    DrawFlagsByChannel({1312, 366, 458, 62});
    DrawFlagsByAntenna({1312, 492, 458, 62});
    DrawLocalRms({1312, 660, 206, 206});
    DrawHistogram({1564, 660, 206, 206});
    double gates = 950;
    if (in_.quality->catalogue && !in_.quality->catalogue->matches.empty()) {
      DrawFluxes({1312, 946, 458, 130});
      gates = 1146;
    }
    DrawGates({1292, gates, 478, kQuickLookHeight - 24 - gates});
    DrawFigures({kQuickLookSkyX, 1240, kQuickLookSkySize, 0});
    canvas_.Text(1770, kQuickLookHeight - 10, in_.header->software, 12, kDim, Align::kRight);
  }
  void Write(const std::filesystem::path& path) { canvas_.WritePng(path); }

 private:
  const ImageGeometry& Geometry() const { return in_.header->geometry; }

  void Heading(const Box& box, const std::string& text) {
    canvas_.Text(box.x, box.y - 9, text, 14, kInk, Align::kLeft, true);
  }

  void DrawTitle() {
    const FitsHeader& h = *in_.header;
    canvas_.Text(92, 44, in_.title, 26, kInk, Align::kLeft, true);
    const SkyDirection centre{Angle::Radians(h.centre.ra_rad), Angle::Radians(h.centre.dec_rad)};
    const std::string line =
        fmt::format("{}   centre {} {}   {:.0f} MHz, bandwidth {:.1f} MHz   {:.0f} s", h.telescope,
                    FormatRa(WrapPositive(centre.ra).hours(), true), FormatDec(centre.dec.deg(), true),
                    h.frequency_hz / 1e6, h.bandwidth_hz / 1e6, h.end_mjd_s - h.start_mjd_s);
    canvas_.Text(92, 68, line, 14, kDim);
    const std::string& grade = in_.quality->grade;
    const Colour colour = grade == "A" ? kGood : grade == "F" ? kBad : Colour{0.95, 0.75, 0.30, 1};
    canvas_.Text(1770, 50, grade, 36, colour, Align::kRight, true);
    canvas_.Text(1770, 68, "quality", 12, kDim, Align::kRight);
  }

  void DrawPsf(const Box& box) {
    Heading(box, "point-spread function");
    const auto n = static_cast<double>(in_.psf.shape(0));
    canvas_.Raster(box, [&](int x, int y) {
      const auto column = static_cast<std::size_t>(x / box.width * n);
      const auto row = static_cast<std::size_t>((1 - (y + 0.5) / box.height) * n);
      return HeatColour(0.22 + 0.78 * std::copysign(std::sqrt(std::abs(in_.psf(row, column))), in_.psf(row, column)));
    });
    if (in_.header->beam) {
      const double scale = box.width / n / Geometry().cell_rad;
      canvas_.Clipped(box, [&] {
        TraceBeam(canvas_, *in_.header->beam, box.x + box.width / 2, box.y + box.height / 2, scale);
        canvas_.Set({1, 1, 1, 0.9});
        cairo_set_line_width(canvas_.cairo(), 1.2);
        cairo_stroke(canvas_.cairo());
      });
    }
    canvas_.Frame(box, kDim);
    canvas_.Text(box.x + box.width, box.y + box.height + 18,
                 Small(n * Angle::Radians(Geometry().cell_rad), 0) + " wide", 13, kDim, Align::kRight);
    canvas_.Text(box.x, box.y + box.height + 18, "root scale", 13, kDim);
    if (in_.header->beam) {
      const GaussianBeam& b = *in_.header->beam;
      canvas_.Text(box.x, box.y + box.height + 37,
                   fmt::format("beam {} × {} at {:.0f}°", Small(Angle::Radians(b.major_rad), 1),
                               Small(Angle::Radians(b.minor_rad), 1), Angle::Radians(b.angle_rad).deg()),
                   13, kInk);
    } else {
      canvas_.Text(box.x, box.y + box.height + 37, "no beam fits", 13, kBad);
    }
  }

  void DrawCoverage(const Box& box) {
    Heading(box, "uv coverage");
    canvas_.Fill(box, kPanel);
    float furthest = 1;
    for (const auto& p : in_.tile->uv) furthest = std::max({furthest, std::abs(p.u_lambda), std::abs(p.v_lambda)});
    const double scale = 0.48 * box.width / furthest, cx = box.x + box.width / 2, cy = box.y + box.height / 2;
    // Tens of thousands of points: each covers parts of up to four pixels.
    const auto width = static_cast<std::size_t>(box.width), height = static_cast<std::size_t>(box.height);
    std::vector<double> covered(width * height);
    const auto cover = [&](double x, double y) {
      constexpr double kPoint = 0.8;
      for (double px = std::floor(x); px < x + kPoint; ++px) {
        for (double py = std::floor(y); py < y + kPoint; ++py) {
          if (!(px >= 0 && py >= 0 && px < box.width && py < box.height)) continue;
          covered[static_cast<std::size_t>(py) * width + static_cast<std::size_t>(px)] +=
              (std::min(px + 1, x + kPoint) - std::max(px, x)) * (std::min(py + 1, y + kPoint) - std::max(py, y));
        }
      }
    };
    for (const auto& p : in_.tile->uv) {
      for (const double sign : {1.0, -1.0}) {
        cover(cx - box.x - sign * p.u_lambda * scale, cy - box.y - sign * p.v_lambda * scale);
      }
    }
    canvas_.Raster(box, [&](int x, int y) -> Colour {
      const double at = covered[static_cast<std::size_t>(y) * width + static_cast<std::size_t>(x)];
      const double part = 0.5 * std::min(1.0, at);
      const auto mix = [&](double under, double over) { return under + part * (over - under); };
      return {mix(kPanel.r, kAccent.r), mix(kPanel.g, kAccent.g), mix(kPanel.b, kAccent.b), 1};
    });
    canvas_.Frame(box, kDim);
    const double edge = furthest / 0.96 / 1e3;
    canvas_.Line(cx, box.y + box.height, cx, box.y + box.height + 4, kDim);
    canvas_.Text(box.x, box.y + box.height + 18, fmt::format("−{:.3g}", edge), 13, kDim);
    canvas_.Text(cx, box.y + box.height + 18, "u, kλ", 13, kDim, Align::kCentre);
    canvas_.Text(box.x + box.width, box.y + box.height + 18, fmt::format("{:.3g}", edge), 13, kDim, Align::kRight);
    canvas_.TextUpwards(box.x - 8, cy, "v, kλ", 13, kDim);
  }

  // Bars of fractions; NaN leaves a gap. The scale ends at the first of a few round fractions above all of them.
  void Bars(const Box& box, const std::vector<double>& fractions) {
    canvas_.Fill(box, kPanel);
    double highest = 0;
    for (const double f : fractions) highest = f > highest ? f : highest;
    double top = 1;
    for (const double round : {0.5, 0.2, 0.1, 0.05}) {
      if (highest <= round) top = round;
    }
    const double width = box.width / static_cast<double>(std::max<std::size_t>(1, fractions.size()));
    for (std::size_t i = 0; i < fractions.size(); ++i) {
      const double f = fractions[i];
      if (!(f > 0)) continue;
      const double height = f / top * box.height;
      canvas_.Fill({box.x + static_cast<double>(i) * width, box.y + box.height - height, std::max(width, 0.7), height},
                   f >= 0.5 ? kBad : kAccent);
    }
    canvas_.Line(box.x, box.y + box.height / 2, box.x + box.width, box.y + box.height / 2, {1, 1, 1, 0.07});
    canvas_.Frame(box, kDim);
    canvas_.Text(box.x - 6, box.y + 10, fmt::format("{:.0f} %", 100 * top), 11, kDim, Align::kRight);
    canvas_.Text(box.x - 6, box.y + box.height, "0", 11, kDim, Align::kRight);
  }

  void DrawFlagsByChannel(const Box& box) {
    Heading(box,
            fmt::format("flagged by channel   {:.2f} % of all that exist", 100 * in_.tile->flags.total.fraction()));
    std::vector<double> fractions;
    for (const FlagCount& channel : in_.tile->flags.channels) fractions.push_back(channel.fraction());
    Bars(box, fractions);
    if (in_.frequency_hz.empty()) return;
    canvas_.Text(box.x, box.y + box.height + 18, fmt::format("{:.0f} MHz", in_.frequency_hz.front() / 1e6), 12, kDim);
    canvas_.Text(box.x + box.width, box.y + box.height + 18, fmt::format("{:.0f} MHz", in_.frequency_hz.back() / 1e6),
                 12, kDim, Align::kRight);
  }

  void DrawFlagsByAntenna(const Box& box) {
    std::vector<double> fractions;
    std::vector<std::string> names;
    const FlagCensus& flags = in_.tile->flags;
    const auto name_of = [&](std::size_t a) {
      return a < in_.antenna_names.size() ? in_.antenna_names[a] : std::to_string(a);
    };
    for (std::size_t a = 0; a < flags.antennas.size(); ++a) {
      if (flags.antennas[a].samples == 0) continue;
      fractions.push_back(flags.antennas[a].fraction());
      names.push_back(name_of(a));
    }
    Heading(box, fmt::format("flagged by antenna   {:.2f} % between living receptors", 100 * flags.living.fraction()));
    Bars(box, fractions);
    if (names.empty()) return;
    // Every so many a name, as room allows.
    const double width = box.width / static_cast<double>(names.size());
    const auto step = static_cast<std::size_t>(std::ceil(34 / width));
    for (std::size_t i = 0; i < names.size(); i += step) {
      canvas_.Text(box.x + (static_cast<double>(i) + 0.5) * width, box.y + box.height + 18, names[i], 12, kDim,
                   Align::kCentre);
    }
    std::string dead = fmt::format("{} antennas, {} dead", names.size(), flags.dead_antennas.size());
    for (std::size_t i = 0; i < flags.dead_antennas.size(); ++i) {
      if (dead.size() > 62) {
        dead += fmt::format(" and {} more", flags.dead_antennas.size() - i);
        break;
      }
      dead += (i == 0 ? ": " : " ") + name_of(flags.dead_antennas[i]);
    }
    canvas_.Text(box.x, box.y + box.height + 40, dead, 13, flags.dead_antennas.empty() ? kDim : kInk);
  }

  void DrawFluxes(const Box& box) {
    const CatalogueComparison& c = *in_.quality->catalogue;
    Heading(box, fmt::format("flux / catalogue   {} of {} sources, median {:.3f} ± {:.3f}", c.matches.size(),
                             c.expected, c.flux_ratio_median, c.flux_ratio_scatter));
    canvas_.Fill(box, kPanel);
    double low = HUGE_VAL, high = 0;
    for (const CatalogueMatch& m : c.matches) low = std::min(low, m.expected_jy), high = std::max(high, m.expected_jy);
    low /= 1.3;
    high *= 1.3;
    const auto x_of = [&](double flux) { return box.x + std::log(flux / low) / std::log(high / low) * box.width; };
    const auto y_of = [&](double ratio) { return box.y + (1.5 - std::clamp(ratio, 0.5, 1.5)) * box.height; };
    for (const double ratio : {0.75, 1.0, 1.25}) {
      canvas_.Line(box.x, y_of(ratio), box.x + box.width, y_of(ratio), {1, 1, 1, ratio == 1.0 ? 0.4 : 0.1});
      canvas_.Text(box.x - 6, y_of(ratio) + 4, fmt::format("{:g}", ratio), 11, kDim, Align::kRight);
    }
    canvas_.Set({kAccent.r, kAccent.g, kAccent.b, 0.8});
    for (const CatalogueMatch& m : c.matches) {
      cairo_arc(canvas_.cairo(), x_of(m.expected_jy), y_of(m.measured_jy / m.expected_jy), 2.6, 0, 2 * kPi);
      cairo_fill(canvas_.cairo());
    }
    canvas_.Frame(box, kDim);
    canvas_.Text(box.x, box.y + box.height + 18, FormatFlux(low), 12, kDim);
    canvas_.Text(box.x + box.width / 2, box.y + box.height + 18, "expected peak (beam and smearing applied)", 12, kDim,
                 Align::kCentre);
    canvas_.Text(box.x + box.width, box.y + box.height + 18, FormatFlux(high), 12, kDim, Align::kRight);
  }

  void DrawLocalRms(const Box& map) {
    Heading(map, "local rms");
    const CoarseMap& rms = in_.quality->local_rms;
    const double low = in_.quality->local_rms_min_jy, high = std::max(in_.quality->local_rms_max_jy, low * 1.001);
    canvas_.Raster(map, [&](int x, int y) {
      const double px = x / map.width * static_cast<double>(Geometry().nx);
      const double py = (1 - (y + 0.5) / map.height) * static_cast<double>(Geometry().ny);
      return HeatColour(0.1 + 0.9 * std::log(rms.At(px, py) / low) / std::log(high / low));
    });
    canvas_.Frame(map, kDim);
    const Box bar{map.x, map.y + map.height + 8, map.width, 9};
    canvas_.Raster(bar, [&](int x, int) { return HeatColour(0.1 + 0.9 * x / bar.width); });
    canvas_.Text(map.x, map.y + map.height + 34, FormatFlux(low), 13, kDim);
    canvas_.Text(map.x + map.width, map.y + map.height + 34, FormatFlux(high) + "/beam", 13, kDim, Align::kRight);
  }

  // Pixels of the residual by their value in units of its rms, on a logarithmic scale, over the Gaussian that noise
  // alone would give.
  void DrawHistogram(const Box& box) {
    Heading(box, "residual, pixels (log)");
    canvas_.Text(box.x + box.width, box.y + box.height + 36, "in units of its rms; line: noise alone", 12, kDim,
                 Align::kRight);
    canvas_.Fill(box, kPanel);
    constexpr int kBins = 97;
    constexpr double kReach = 8;
    std::array<double, kBins> count{};
    double total = 0;
    const std::size_t stride = std::max<std::size_t>(1, in_.residual.size() / 1000003) | 1;
    const double sigma = std::max(in_.quality->rms_jy, 1e-30);
    for (std::size_t i = 0; i < in_.residual.size(); i += stride) {
      const double t = (in_.residual.data()[i] / sigma + kReach) / (2 * kReach);
      if (!std::isfinite(t)) continue;
      total += 1;
      if (t >= 0 && t < 1) count[static_cast<std::size_t>(t * kBins)] += 1;
    }
    const double peak = total * 2 * kReach / kBins / std::sqrt(2 * kPi), decades = 5;
    const auto height = [&](double n) {
      return n > 0 ? std::clamp(1 + std::log10(n / peak) / decades, 0.0, 1.15) / 1.15 * box.height : 0.0;
    };
    const double width = box.width / kBins;
    for (int i = 0; i < kBins; ++i) {
      const double h = height(count[static_cast<std::size_t>(i)]);
      canvas_.Fill({box.x + i * width, box.y + box.height - h, width, h}, {kAccent.r, kAccent.g, kAccent.b, 0.55});
    }
    canvas_.Clipped(box, [&] {
      canvas_.Set({1, 1, 1, 0.8});
      cairo_set_line_width(canvas_.cairo(), 1.2);
      for (int i = 0; i <= 120; ++i) {
        const double value = kReach * (i / 60.0 - 1);
        const double y = box.y + box.height - height(peak * std::exp(-value * value / 2));
        const double x = box.x + i / 120.0 * box.width;
        i == 0 ? cairo_move_to(canvas_.cairo(), x, y) : cairo_line_to(canvas_.cairo(), x, y);
      }
      cairo_stroke(canvas_.cairo());
    });
    canvas_.Frame(box, kDim);
    for (const int tick : {-5, 0, 5}) {
      const double x = box.x + (tick / kReach + 1) / 2 * box.width;
      canvas_.Line(x, box.y + box.height, x, box.y + box.height + 4, kDim);
      canvas_.Text(x, box.y + box.height + 18, tick < 0 ? "−5" : std::to_string(tick), 12, kDim, Align::kCentre);
    }
  }

  void DrawFigures(const Box& box) {
    const ImageQuality& q = *in_.quality;
    constexpr int kColumns = 3;
    const double width = box.width / kColumns;
    int n = 0;
    const auto figure = [&](const std::string& name, const std::string& value) {
      const double column = box.x + width * (n % kColumns), line = box.y + 30.0 * (n / kColumns);
      canvas_.Text(column, line, name, 15, kDim);
      canvas_.Text(column + width - 34, line, value, 15, kInk, Align::kRight);
      ++n;
    };
    figure("peak", FormatFlux(q.peak_jy) + "/beam");
    figure("noise (rms of the residual)", FormatFlux(q.rms_jy) + "/beam");
    figure("thermal noise expected", q.thermal_jy > 0 ? FormatFlux(q.thermal_jy) + "/beam" : "not known");
    figure("peak / noise", fmt::format("{:.0f}", q.dynamic_range));
    figure("noise / thermal", q.thermal_jy > 0 ? fmt::format("{:.2f}", q.rms_over_thermal) : "–");
    figure("deepest negative / peak", fmt::format("{:.4f}", q.negative_ratio));
    figure("largest residual", FormatFlux(q.residual_peak_jy) + "/beam");
    figure("negative bowl / noise", fmt::format("{:.2f}", q.bowl_ratio));
    figure("flagged", fmt::format("{:.2f} %", 100 * q.flagged_fraction));
    figure("skewness of the residual", fmt::format("{:.2f}", q.residual.skewness));
    figure("kurtosis of the residual", fmt::format("{:.2f}", q.residual.kurtosis));
    if (q.catalogue && !q.catalogue->matches.empty()) {
      figure("offset from the catalogue",
             fmt::format("{:.2f}″", Angle::Radians(q.catalogue->offset_median_rad).arcsec()));
    }
  }

  // Every gate: passed or not, value and limit.
  void DrawGates(const Box& box) {
    const ImageQuality& q = *in_.quality;
    canvas_.Text(box.x, box.y, "gates", 15, kInk, Align::kLeft, true);
    canvas_.Text(box.x + box.width, box.y, "value (limit)", 13, kDim, Align::kRight);
    const double line =
        std::min(24.0, (box.height - 10) / static_cast<double>(std::max<std::size_t>(1, q.gates.size())));
    for (std::size_t i = 0; i < q.gates.size(); ++i) {
      const QualityGate& gate = q.gates[i];
      const double y = box.y + (static_cast<double>(i) + 1) * line;
      canvas_.Text(box.x, y, gate.passed ? "✓" : "✗", 14, gate.passed ? kGood : kBad, Align::kLeft, true);
      canvas_.Text(box.x + 20, y, gate.title, 14, gate.passed ? kDim : kInk);
      canvas_.Text(box.x + box.width, y, Limits(gate), 13, gate.passed ? kDim : kBad, Align::kRight);
    }
  }
  static std::string Limits(const QualityGate& gate) {
    const bool state = gate.unit.empty() && gate.bound == GateBound::kAtLeast && gate.limit == 1 &&
                       (gate.value == 0 || gate.value == 1);
    if (state) return gate.value == 1 ? "yes" : "no: " + gate.grade;
    const auto figure = [&](double value) {
      return gate.unit == "Jy/beam" ? FormatFlux(value)
                                    : fmt::format("{:.3g}{}{}", value, gate.unit.empty() ? "" : " ", gate.unit);
    };
    return fmt::format("{} ({} {})", figure(gate.value), Sign(gate.bound), figure(gate.limit));
  }

  const QuickLookInput& in_;
  Canvas canvas_;
};

}  // namespace

void WriteQuickLook(const std::filesystem::path& path, const QuickLookInput& input) {
  Picture picture(input);
  picture.Draw();
  picture.Write(path);
}

}  // namespace contimg::image
