// A light curve as a picture.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "config/os.h"
#include "mosaic/variability/statistics.h"

namespace contimg::mosaic {

struct LightCurvePlot {
  std::string title;              // "DSA J133108.2+303032"
  std::string subtitle;           // what the points are, and figures
  std::string unit;               // of the fluxes: "Jy" (shown in mJy or uJy where that reads better), "" for a ratio
  std::vector<FluxPoint> points;  // by time, MJD UTC; an error of 0 has no bar
  // Likewise; drawn hollow, and where the axis of the others ends if they lie beyond it. They count for nothing.
  std::vector<FluxPoint> flagged = {};
  int width = 1000, height = 480;  // pixels; texts keep their size
};

enum class PlotForm { kSvg, kPng };
PlotForm PlotFormOf(const std::filesystem::path& path);  // by the ending; throws Error{kUsage} for others

// Points with error bars, dates below, a line at the weighted mean.
std::string DrawLightCurve(const LightCurvePlot& plot, PlotForm form);

// Marks for an axis from low to high: multiples of 1, 2 or 5 times a power of ten, at least two and at most `most`.
std::vector<double> TicksBetween(double low, double high, int most);

}  // namespace contimg::mosaic
