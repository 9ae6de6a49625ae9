#include "ops/mosaics/windows.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

#include "config/product_kind.h"
#include "config/time.h"
#include "ops/lightcurves/meridian.h"
#include "ops/mosaics/strips.h"

namespace contimg::ops {
namespace {

constexpr double kHoursADay = 24, kDegreesAnHour = 15;

double ToASecond(double mjd) { return std::round(mjd * kSecondsPerDay) / kSecondsPerDay; }

// The time near `mjd` at which the sidereal time is that.
double TimeOfLst(double mjd, double lst_h, double dec_deg) {
  for (int i = 0; i < 2; ++i) {  // the rate is constant to 1e-5: the first step leaves a second, the second nothing
    const double hours = std::remainder(lst_h - LstHours(mjd, dec_deg), kHoursADay);
    mjd += hours / kHoursADay * kSiderealDay;
  }
  return mjd;
}

double ThermalIn(const std::string& metrics) {
  const auto value = nlohmann::json::parse(metrics, nullptr, false);
  if (!value.is_object() || !value.contains("quality") || !value["quality"].is_object()) return 0;
  const auto thermal = value["quality"].find("thermal_rms_jy");
  return thermal != value["quality"].end() && thermal->is_number() ? thermal->get<double>() : 0;
}

std::string NameOf(double start_mjd, double end_mjd, double strip_deg) {
  return MosaicName(UtcTime::FromMjd(start_mjd).Iso8601(), UtcTime::FromMjd(end_mjd).Iso8601(), strip_deg);
}

}  // namespace

double LstHours(double mjd, double app_dec_deg) { return MeridianDeg(mjd, app_dec_deg) / kDegreesAnHour; }

MosaicWindow WindowOf(const state::MosaicRow& row) {
  return {row.strip_deg, row.lst_start_h, row.lst_end_h, row.start_mjd, row.end_mjd, row.name};
}

state::MosaicRow RecordOf(const MosaicWindow& window) {
  state::MosaicRow row;
  row.name = window.name;
  row.strip_deg = window.strip_deg;
  row.lst_start_h = window.lst_start_h;
  row.lst_end_h = window.lst_end_h;
  row.start_mjd = window.start_mjd;
  row.end_mjd = window.end_mjd;
  return row;
}

double HoursInto(double lst_start_h, double lst_h) {
  const double hours = std::fmod(lst_h - lst_start_h + 2 * kHoursADay, kHoursADay);
  return hours < kHoursADay ? hours : 0;
}

std::vector<MosaicWindow> WindowsAt(double mjd, double strip_deg, const MosaicSettings& settings) {
  const double tile_h = kTileS / (kSecondsPerDay * kSiderealDay) * kHoursADay;
  const double wanted_h = static_cast<double>(settings.tiles) * tile_h * (1 - settings.overlap);
  const int n = std::max(1, static_cast<int>(kHoursADay / wanted_h));
  const double step_h = kHoursADay / n, length_h = step_h / (1 - settings.overlap);
  const double lst_h = LstHours(mjd, strip_deg);
  std::vector<MosaicWindow> windows;
  for (int i = 0; i < n; ++i) {
    MosaicWindow window;
    window.strip_deg = strip_deg;
    window.lst_start_h = i * step_h;
    window.lst_end_h = HoursInto(0, window.lst_start_h + length_h);
    constexpr double kSecondH = 1.0 / 3600;
    const double into_h = HoursInto(window.lst_start_h, lst_h + kSecondH);  // what is rounded away decides below
    if (into_h > length_h + 2 * kSecondH) continue;
    const double about = mjd - into_h / kHoursADay * kSiderealDay;
    window.start_mjd = ToASecond(TimeOfLst(about, window.lst_start_h, strip_deg));
    window.end_mjd = ToASecond(TimeOfLst(about + length_h / kHoursADay * kSiderealDay, window.lst_end_h, strip_deg));
    if (mjd < window.start_mjd || mjd >= window.end_mjd) continue;
    window.name = NameOf(window.start_mjd, window.end_mjd, strip_deg);
    windows.push_back(std::move(window));
  }
  return windows;
}

MosaicWindow WindowOf(double start_mjd, double end_mjd, double strip_deg) {
  MosaicWindow window;
  window.strip_deg = strip_deg;
  window.start_mjd = start_mjd;
  window.end_mjd = end_mjd;
  window.lst_start_h = LstHours(start_mjd, strip_deg);
  window.lst_end_h = LstHours(end_mjd, strip_deg);
  window.name = NameOf(start_mjd, end_mjd, strip_deg);
  return window;
}

MosaicWindow WindowOf(const MosaicSpan& span, const MosaicSettings& settings) {
  const double start = UtcTime::FromIso8601(span.start).mjd(), end = UtcTime::FromIso8601(span.end).mjd();
  MosaicWindow said = WindowOf(start, end, span.dec_deg);
  for (MosaicWindow& window : WindowsAt((start + end) / 2, span.dec_deg, settings)) {
    if (window.name == said.name) return std::move(window);
  }
  return said;
}

std::vector<TileOnRecord> TilesOnRecord(state::ProductStore& products, double from_mjd, double to_mjd,
                                        const std::vector<double>& strips_deg) {
  state::ProductQuery query;
  query.kind = ToString(ProductKind::kImage);
  query.status = "present";
  query.from_mjd = from_mjd;
  query.before_mjd = to_mjd;
  std::map<std::string, TileOnRecord> tiles;
  for (const state::ProductRow& row : products.List(query)) {
    const double mjd = (row.start_mjd + row.end_mjd) / 2;
    if (row.group_id.empty() || !row.dec_deg || !row.ra_deg || mjd < from_mjd || mjd >= to_mjd) continue;
    const auto [at, fresh] = tiles.try_emplace(row.group_id);
    // A casacore image is a folder of the same pixels.
    if (!fresh && std::filesystem::path(row.path).extension() == ".image") continue;
    at->second = {row.group_id, row.id, row.path,     row.checksum,           mjd,           *row.ra_deg,
                  *row.dec_deg, 0,      row.qa_grade, ThermalIn(row.qa_json), row.updated_at};
  }
  std::vector<TileOnRecord> sorted;
  for (auto& [group, tile] : tiles) sorted.push_back(std::move(tile));
  std::stable_sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) { return a.mjd < b.mjd; });
  state::MosaicStore mosaics(products.database());
  Strips strips = Strips::OnRecord(mosaics, from_mjd, to_mjd);
  for (const double strip_deg : strips_deg) strips.Know(strip_deg);
  for (TileOnRecord& tile : sorted) {
    tile.strip_deg = strips.Of(tile.group, ApparentDecDeg(tile.mjd, tile.ra_deg, tile.dec_deg));
  }
  return sorted;
}

}  // namespace contimg::ops
