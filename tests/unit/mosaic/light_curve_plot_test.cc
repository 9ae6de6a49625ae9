#include "mosaic/variability/light_curve_plot.h"

#include <gtest/gtest.h>

#include <cmath>

#include "config/error.h"

namespace contimg::mosaic {
namespace {

TEST(LightCurvePlot, TicksAreRoundAndFew) {
  EXPECT_EQ(TicksBetween(0, 10, 6), (std::vector<double>{0, 2, 4, 6, 8, 10}));
  EXPECT_EQ(TicksBetween(-0.5, 0.5, 7).size(), 5u);
  for (const double span : {1e-9, 0.37, 1.0, 7.0, 99.0, 12345.0}) {
    for (const int most : {5, 7, 8}) {
      const auto ticks = TicksBetween(0.3 * span, 1.3 * span, most);
      EXPECT_GE(ticks.size(), 2u) << span << " " << most;
      EXPECT_LE(ticks.size(), static_cast<std::size_t>(most)) << span << " " << most;
      EXPECT_GE(ticks.front(), 0.3 * span * (1 - 1e-12));
      EXPECT_LE(ticks.back(), 1.3 * span * (1 + 1e-12));
    }
  }
  EXPECT_EQ(TicksBetween(3, 3, 5), std::vector<double>{3});
}

TEST(LightCurvePlot, IsAPictureWhateverThePointsAre) {
  LightCurvePlot plot;
  plot.title = "DSA J000000.0+000000 <&>";
  plot.unit = "Jy";
  std::vector<std::vector<FluxPoint>> series{
      {},
      {{60000, 1, 0.1}},
      {{60000, 0, 0}},
      {{60000, -1, 0.1}, {60001, 1, 0.1}},
      {{60000, 1e-5, 1e-6}, {60000.001, 2e-5, 1e-6}},
      {{50000, 5, 0}, {60000, 5, 0}},
  };
  for (const auto& points : series) {
    plot.points = points;
    const std::string svg = DrawLightCurve(plot, PlotForm::kSvg), png = DrawLightCurve(plot, PlotForm::kPng);
    EXPECT_NE(svg.find("<svg"), std::string::npos) << points.size();
    EXPECT_NE(svg.find("</svg>"), std::string::npos) << points.size();
    EXPECT_EQ(svg.find("nan"), std::string::npos) << points.size();
    EXPECT_EQ(png.substr(1, 3), "PNG") << points.size();
    EXPECT_EQ(DrawLightCurve(plot, PlotForm::kPng), png);
  }
  EXPECT_EQ(PlotFormOf("a/b.svg"), PlotForm::kSvg);
  EXPECT_EQ(PlotFormOf("b.png"), PlotForm::kPng);
  EXPECT_THROW(PlotFormOf("b.pdf"), Error);
}

TEST(LightCurvePlot, WhatIsFlaggedDoesNotStretchTheAxis) {
  LightCurvePlot plot;
  plot.unit = "Jy";
  plot.points = {{60000, 1, 0.1}, {60001, 1.1, 0.1}};
  const std::string without = DrawLightCurve(plot, PlotForm::kPng);
  plot.flagged = {{60000.5, 1e3, 0}};
  const std::string far = DrawLightCurve(plot, PlotForm::kPng);
  plot.flagged[0].flux_jy = 1e6;
  EXPECT_NE(without, far);
  EXPECT_EQ(DrawLightCurve(plot, PlotForm::kPng), far);  // at the edge both
  plot.flagged[0].flux_jy = 1.05;
  EXPECT_NE(DrawLightCurve(plot, PlotForm::kPng), far);
  plot.points.clear();  // alone it has the axis for itself
  EXPECT_EQ(DrawLightCurve(plot, PlotForm::kSvg).find("nan"), std::string::npos);
  plot.width = 400;
  plot.height = 300;
  EXPECT_NE(DrawLightCurve(plot, PlotForm::kSvg).find("width=\"400"), std::string::npos);
}

}  // namespace
}  // namespace contimg::mosaic
