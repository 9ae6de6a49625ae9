#include "ops/lightcurves/light_curves.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <tuple>

#include "config/error.h"
#include "config/telescope.h"
#include "config/units.h"
#include "ops/lightcurves/flux_scales.h"
#include "ops/lightcurves/usual_beams.h"

namespace contimg::ops {
namespace {

using mosaic::FluxPoint;
using state::LightCurveStore;
using state::MeasurementRow;
using state::StatisticsRow;
using state::TransitRow;

constexpr const char* kTile = "tile";
constexpr const char* kTransit = "transit";
constexpr double kOnePlaceArcsec = 0.5;                        // places that differ by less are one
constexpr double kReachDays = 0.5 + mosaic::kSameTransitDays;  // of a passage, about the middles of its tiles

bool Counts(const MeasurementRow& row) { return (row.flags & kDefaultQualityMask) == 0; }

FluxPoint Normalised(const MeasurementRow& row) {
  const double scale = row.scale.value_or(1);
  return {row.mjd, row.flux_jy * scale, row.flux_error_jy * scale};
}

mosaic::VariabilitySums SumsOf(const state::SumsRow& row) {
  mosaic::VariabilitySums sums;
  sums.n = row.n;
  sums.reference_jy = row.reference_jy;
  sums.sum_w = row.sum_w;
  sums.sum_wi = row.sum_wi;
  sums.sum_wii = row.sum_wii;
  sums.sum_i = row.sum_i;
  sums.sum_ii = row.sum_ii;
  sums.min_jy = row.min_jy;
  sums.max_jy = row.max_jy;
  sums.vs = row.vs;
  sums.m = row.m;
  return sums;
}

state::SumsRow RowOf(const mosaic::VariabilitySums& sums) {
  state::SumsRow row;
  row.n = sums.n;
  row.reference_jy = sums.reference_jy;
  row.sum_w = sums.sum_w;
  row.sum_wi = sums.sum_wi;
  row.sum_wii = sums.sum_wii;
  row.sum_i = sums.sum_i;
  row.sum_ii = sums.sum_ii;
  row.min_jy = sums.min_jy;
  row.max_jy = sums.max_jy;
  row.vs = sums.vs;
  row.m = sums.m;
  return row;
}

// Statistics of what `before` has and `last`.
StatisticsRow StatisticsFrom(std::int64_t source_id, const std::string& kind, const char* level,
                             const mosaic::VariabilitySums& before, double first_mjd, const FluxPoint& last) {
  mosaic::VariabilitySums all = before;
  all.Add(last);
  const mosaic::Variability figures = mosaic::VariabilityOf(all);
  StatisticsRow row;
  row.source_id = source_id;
  row.kind = kind;
  row.level = level;
  row.before = RowOf(before);
  row.n = figures.n;
  row.first_mjd = first_mjd;
  row.last_mjd = last.mjd;
  row.mean_jy = figures.mean_jy;
  row.min_jy = figures.min_jy;
  row.max_jy = figures.max_jy;
  row.eta = figures.eta;
  row.v = figures.v;
  row.vs = figures.vs;
  row.m = figures.m;
  row.p = figures.p;
  return row;
}

void SaveStatisticsOf(LightCurveStore& curves, std::int64_t source_id, const std::string& kind, const char* level,
                      const std::vector<FluxPoint>& points) {
  if (points.empty()) {
    curves.RemoveStatistics(source_id, kind, level);
    return;
  }
  mosaic::VariabilitySums before;
  for (std::size_t i = 0; i + 1 < points.size(); ++i) before.Add(points[i]);
  curves.SaveStatistics(StatisticsFrom(source_id, kind, level, before, points.front().mjd, points.back()));
}

TransitRow TransitOf(const std::vector<const MeasurementRow*>& tiles, double mjd) {
  std::vector<FluxPoint> points;
  TransitRow row;
  for (const MeasurementRow* tile : tiles) {
    points.push_back(Normalised(*tile));
    row.flags |= tile->flags;
  }
  const mosaic::MeanFlux mean = mosaic::MeanOf(points);
  row.mjd = mjd;
  row.flux_jy = mean.flux_jy;
  row.flux_error_jy = mean.error_jy;
  row.tiles = static_cast<int>(tiles.size());
  row.chi2 = mean.chi2;
  return row;
}

double PassageOf(const MeasurementRow& row, double ra_deg) { return mosaic::TransitMjd(row.mjd, row.lst_deg, ra_deg); }

// The tiles of each passage, in the order of time, with its time: that of its first tile.
struct Passage {
  double mjd = 0;
  std::vector<const MeasurementRow*> tiles;
};
std::vector<Passage> PassagesOf(const std::vector<MeasurementRow>& rows, double ra_deg) {
  std::vector<Passage> passages;
  for (const MeasurementRow& row : rows) {
    const double mjd = PassageOf(row, ra_deg);
    if (passages.empty() || std::abs(mjd - passages.back().mjd) > mosaic::kSameTransitDays) {
      passages.push_back({mjd, {}});
    }
    passages.back().tiles.push_back(&row);
  }
  return passages;
}

template <typename Place>
SkyDirection DirectionOf(const Place& place) {
  return {Angle::Degrees(place.ra_deg), Angle::Degrees(place.dec_deg)};
}

void RequirePlacesOnce(const std::string& group_id, const std::vector<PlacedMeasurement>& measurements) {
  std::vector<const PlacedMeasurement*> south_first;
  for (const PlacedMeasurement& m : measurements) south_first.push_back(&m);
  std::sort(south_first.begin(), south_first.end(),
            [](const PlacedMeasurement* a, const PlacedMeasurement* b) { return a->dec_deg < b->dec_deg; });
  for (std::size_t i = 0; i < south_first.size(); ++i) {
    for (std::size_t k = i + 1; k < south_first.size(); ++k) {
      const PlacedMeasurement &a = *south_first[i], &b = *south_first[k];
      if (b.dec_deg - a.dec_deg > Angle::Arcsec(kOnePlaceArcsec).deg()) break;
      if (Angle::Arcsec(kOnePlaceArcsec) < Separation(DirectionOf(a), DirectionOf(b))) continue;
      throw Error(ErrorKind::kBadInput, "lightcurve", group_id,
                  fmt::format("the place {:.6f} {:+.6f} was measured twice", a.ra_deg, a.dec_deg));
    }
  }
}

LightCurvePoint MeanPoint(const std::vector<LightCurvePoint>& points, double mjd) {
  std::vector<FluxPoint> fluxes;
  LightCurvePoint mean;
  mean.tiles = 0;
  for (const LightCurvePoint& point : points) {
    fluxes.push_back({point.mjd, point.flux_jy, point.error_jy});
    mean.flags |= point.flags;
    mean.tiles += point.tiles;
  }
  const mosaic::MeanFlux flux = mosaic::MeanOf(fluxes);
  mean.mjd = mjd;
  mean.flux_jy = flux.flux_jy;
  mean.error_jy = flux.error_jy;
  mean.chi2 = flux.chi2;
  return mean;
}

// The number of a night: it begins at noon on the telescope's meridian.
double NightOf(double mjd) { return std::floor(mjd + kDsa110Centre.longitude_rad / (2 * kPi) - 0.5); }

std::vector<LightCurvePoint> NightsOf(const std::vector<LightCurvePoint>& transits) {
  std::vector<LightCurvePoint> nights, night;
  const auto close = [&] {
    if (night.empty()) return;
    double sum = 0;
    for (const LightCurvePoint& point : night) sum += point.mjd - night.front().mjd;
    nights.push_back(MeanPoint(night, night.front().mjd + sum / static_cast<double>(night.size())));
    night.clear();
  };
  for (const LightCurvePoint& point : transits) {
    if (!night.empty() && NightOf(point.mjd) != NightOf(night.front().mjd)) close();
    night.push_back(point);
  }
  close();
  return nights;
}

}  // namespace

LightCurveLevel ParseLightCurveLevel(std::string_view word) {
  for (const LightCurveLevel level : {LightCurveLevel::kTile, LightCurveLevel::kTransit, LightCurveLevel::kNight}) {
    if (word == ToString(level)) return level;
  }
  throw Error(ErrorKind::kUsage, "lightcurve", std::string(word), "expected tile, transit or night");
}

std::string_view ToString(LightCurveLevel level) {
  switch (level) {
    case LightCurveLevel::kTile:
      return "tile";
    case LightCurveLevel::kTransit:
      return "transit";
    default:
      return "night";
  }
}

std::vector<LightCurvePoint> LightCurveOf(LightCurveStore& store, const state::OwnSourceRow& source,
                                          const LightCurveRequest& request) {
  std::vector<MeasurementRow> rows = store.Measurements(source.id, request.kind, request.from_mjd, request.to_mjd);
  std::erase_if(rows, [&](const MeasurementRow& row) { return (row.flags & request.mask) != 0; });
  std::vector<LightCurvePoint> points;
  const auto point_of = [&](const MeasurementRow& row) {
    LightCurvePoint point;
    point.scale = request.normalised ? row.scale.value_or(1) : 1;
    point.mjd = row.mjd;
    point.flux_jy = row.flux_jy * point.scale;
    point.error_jy = row.flux_error_jy * point.scale;
    point.flags = row.flags;
    point.local_rms_jy = row.local_rms_jy;
    point.response = row.response;
    point.frequency_hz = row.frequency_hz;
    point.group_id = row.group_id;
    return point;
  };
  if (request.level == LightCurveLevel::kTile) {
    for (const MeasurementRow& row : rows) points.push_back(point_of(row));
    return points;
  }
  for (const Passage& passage : PassagesOf(rows, source.ra_deg)) {
    std::vector<LightCurvePoint> tiles;
    for (const MeasurementRow* row : passage.tiles) tiles.push_back(point_of(*row));
    points.push_back(MeanPoint(tiles, passage.mjd));
  }
  return request.level == LightCurveLevel::kNight ? NightsOf(points) : points;
}

void LightCurveRecorder::Record(const state::ObservationRow& tile, const std::vector<MeasurementRow>& rows) {
  database_.Write([&] {
    const bool again = curves_.Tile(tile.group_id).has_value();
    state::ObservationRow scaled = tile;
    if (!scaled.scale) SetScaleByReferences(database_, scaled, rows);
    FlagBeam(database_, scaled);
    const std::vector<std::int64_t> touched = curves_.ReplaceTile(scaled, rows);
    if (again) {
      for (const std::int64_t source_id : touched) {
        for (const std::string& kind : curves_.Kinds()) Reckon(source_id, kind);
      }
      return;
    }
    for (const MeasurementRow& row : rows) Append(row.source_id, row.kind, tile.mjd);
  });
}

bool LightCurveRecorder::SetFlags(std::string_view group_id, QualityFlags which, QualityFlags flags) {
  bool changed = false;
  database_.Write([&] {
    auto tile = curves_.Tile(group_id);
    const QualityFlags wanted = tile ? (tile->flags & ~which) | (flags & which) : 0;
    if (!tile || wanted == tile->flags) return;
    tile->flags = wanted;
    curves_.SaveComparison(*tile);
    for (const MeasurementRow& row : curves_.MeasurementsOf(group_id)) Reckon(row.source_id, row.kind);
    changed = true;
  });
  return changed;
}

std::int64_t LightCurveRecorder::Record(const state::ObservationRow& tile,
                                        const std::vector<PlacedMeasurement>& measurements, double now) {
  std::int64_t made = 0;
  database_.Write([&] {
    const std::vector<std::int64_t> ids = SourcesAt(tile.group_id, measurements, now, made);
    std::vector<MeasurementRow> rows;
    for (std::size_t i = 0; i < measurements.size(); ++i) {
      const PlacedMeasurement& m = measurements[i];
      MeasurementRow row;
      row.source_id = ids[i];
      row.flux_jy = m.flux_jy;
      row.flux_error_jy = m.flux_error_jy;
      row.local_rms_jy = m.local_rms_jy;
      row.response = m.response;
      row.flags = m.flags;
      rows.push_back(row);
    }
    Record(tile, rows);
  });
  return made;
}

// Pairs of place and source, the nearest first: two sources closer than kSamePlaceArcsec stay two.
std::vector<std::int64_t> LightCurveRecorder::SourcesAt(const std::string& group_id,
                                                        const std::vector<PlacedMeasurement>& measurements, double now,
                                                        std::int64_t& made) {
  struct Pair {
    double separation_deg = 0;
    std::size_t place = 0;
    std::int64_t source = 0;
  };
  RequirePlacesOnce(group_id, measurements);
  const double radius_deg = Angle::Arcsec(state::kSamePlaceArcsec).deg();
  std::vector<Pair> pairs;
  for (std::size_t i = 0; i < measurements.size(); ++i) {
    const PlacedMeasurement& m = measurements[i];
    for (const state::OwnSourceRow& near : sources_.Near(m.ra_deg, m.dec_deg, radius_deg)) {
      pairs.push_back({Separation(DirectionOf(m), DirectionOf(near)).deg(), i, near.id});
    }
  }
  std::sort(pairs.begin(), pairs.end(), [](const Pair& a, const Pair& b) {
    return std::tie(a.separation_deg, a.place, a.source) < std::tie(b.separation_deg, b.place, b.source);
  });
  std::vector<std::int64_t> ids(measurements.size(), 0);
  std::map<std::int64_t, std::size_t> taken;
  const auto take = [&](std::size_t place, std::int64_t source) {
    if (ids[place] != 0 || !taken.emplace(source, place).second) return;
    ids[place] = source;
  };
  for (const Pair& pair : pairs) take(pair.place, pair.source);
  for (std::size_t i = 0; i < measurements.size(); ++i) {
    if (ids[i] != 0) continue;
    const PlacedMeasurement& m = measurements[i];
    bool is_new = false;
    state::OwnSourceRow fresh;
    if (!m.name.empty()) {
      fresh.name = m.name;
      fresh.flux_jy = m.flux_jy;
      fresh.origin = "detection";
    }
    take(i, sources_.AtPlace(m.ra_deg, m.dec_deg, fresh, now, &is_new).id);
    if (ids[i] == 0) {  // the one there is of a nearer place
      fresh.ra_deg = m.ra_deg;
      fresh.dec_deg = m.dec_deg;
      fresh.made_at = now;
      take(i, sources_.Add(fresh).id);
      is_new = true;
    }
    made += is_new ? 1 : 0;
  }
  return ids;
}

bool LightCurveRecorder::Forget(std::string_view group_id) {
  bool found = false;
  database_.Write([&] {
    found = curves_.Tile(group_id).has_value();
    for (const std::int64_t source_id : curves_.RemoveTile(group_id)) {
      for (const std::string& kind : curves_.Kinds()) Reckon(source_id, kind);
    }
  });
  return found;
}

void LightCurveRecorder::ReckonSource(std::int64_t source_id) {
  for (const std::string& kind : curves_.KindsOf(source_id)) Reckon(source_id, kind);
}

std::int64_t LightCurveRecorder::Rebuild() {
  std::int64_t n = 0;
  database_.Write([&] {
    curves_.RemoveAllFigures();
    for (const std::int64_t source_id : curves_.MeasuredSources()) {
      ReckonSource(source_id);
      ++n;
    }
  });
  return n;
}

// A tile later than all before it costs a handful of rows, however long the light curve is.
void LightCurveRecorder::Append(std::int64_t source_id, const std::string& kind, double mjd) {
  const std::vector<MeasurementRow> now = curves_.Measurements(source_id, kind, mjd, mjd);
  if (now.size() != 1) return Reckon(source_id, kind);  // two tiles of one moment
  const MeasurementRow& point = now.front();
  if (!Counts(point)) return;
  const auto known = curves_.Statistics(source_id, kind, kTile);
  if (!known) {
    SaveStatisticsOf(curves_, source_id, kind, kTile, {Normalised(point)});
  } else {
    const std::vector<MeasurementRow> last = curves_.Measurements(source_id, kind, known->last_mjd, known->last_mjd);
    if (!(mjd > known->last_mjd) || last.size() != 1) return Reckon(source_id, kind);
    mosaic::VariabilitySums before = SumsOf(known->before);
    before.Add(Normalised(last.front()));
    curves_.SaveStatistics(StatisticsFrom(source_id, kind, kTile, before, known->first_mjd, Normalised(point)));
  }
  AppendTransit(*sources_.Find(source_id), point);
}

void LightCurveRecorder::AppendTransit(const state::OwnSourceRow& source, const MeasurementRow& point) {
  const std::string& kind = point.kind;
  std::vector<MeasurementRow> near =
      curves_.Measurements(source.id, kind, point.mjd - 2 * kReachDays, point.mjd + kReachDays);
  const double passage_mjd = PassageOf(point, source.ra_deg);
  std::erase_if(near, [&](const MeasurementRow& row) {
    return !Counts(row) || std::abs(PassageOf(row, source.ra_deg) - passage_mjd) > mosaic::kSameTransitDays;
  });
  const double first_mjd = PassageOf(near.front(), source.ra_deg);
  std::vector<const MeasurementRow*> tiles;
  for (const MeasurementRow& row : near) tiles.push_back(&row);
  const TransitRow transit = TransitOf(tiles, first_mjd);
  curves_.ReplaceTransits(source.id, kind, first_mjd - mosaic::kSameTransitDays, first_mjd + mosaic::kSameTransitDays,
                          {transit});
  const FluxPoint last{transit.mjd, transit.flux_jy, transit.flux_error_jy};
  const auto known = curves_.Statistics(source.id, kind, kTransit);
  if (!known) return SaveStatisticsOf(curves_, source.id, kind, kTransit, {last});
  mosaic::VariabilitySums before = SumsOf(known->before);
  if (transit.mjd != known->last_mjd) {  // else the last transit has one tile more
    const std::vector<TransitRow> previous = curves_.Transits(source.id, kind, known->last_mjd, known->last_mjd);
    before.Add({previous.at(0).mjd, previous.at(0).flux_jy, previous.at(0).flux_error_jy});
  }
  const double start_mjd = before.n == 0 ? last.mjd : known->first_mjd;
  curves_.SaveStatistics(StatisticsFrom(source.id, kind, kTransit, before, start_mjd, last));
}

void LightCurveRecorder::Reckon(std::int64_t source_id, const std::string& kind) {
  const auto source = sources_.Find(source_id);
  std::vector<MeasurementRow> rows = curves_.Measurements(source_id, kind);
  std::erase_if(rows, [](const MeasurementRow& row) { return !Counts(row); });
  std::vector<FluxPoint> tiles, means;
  for (const MeasurementRow& row : rows) tiles.push_back(Normalised(row));
  std::vector<TransitRow> transits;
  for (const Passage& passage : PassagesOf(rows, source->ra_deg)) {
    transits.push_back(TransitOf(passage.tiles, passage.mjd));
    means.push_back({transits.back().mjd, transits.back().flux_jy, transits.back().flux_error_jy});
  }
  curves_.ReplaceTransits(source_id, kind, -1e9, 1e9, transits);
  SaveStatisticsOf(curves_, source_id, kind, kTile, tiles);
  SaveStatisticsOf(curves_, source_id, kind, kTransit, means);
}

}  // namespace contimg::ops
