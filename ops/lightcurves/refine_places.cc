#include "ops/lightcurves/refine_places.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "config/quality_flags.h"
#include "config/robust_statistics.h"
#include "config/units.h"
#include "ops/lightcurves/light_curves.h"
#include "state/detection_store.h"
#include "state/own_source_store.h"

namespace contimg::ops {
namespace {

// A weighted mean, and its error: of the weights, or of the scatter about it where that is larger.
struct MeanOffset {
  double value = 0, error = 0;
};
MeanOffset MeanOffsetOf(const std::vector<double>& values, const std::vector<double>& errors) {
  double sum_w = 0, sum = 0, chi2 = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double w = 1 / (errors[i] * errors[i]);
    sum_w += w;
    sum += w * values[i];
  }
  MeanOffset mean{sum / sum_w, 1 / std::sqrt(sum_w)};
  for (std::size_t i = 0; i < values.size(); ++i) chi2 += std::pow((values[i] - mean.value) / errors[i], 2);
  mean.error *= std::sqrt(std::max(1.0, chi2 / static_cast<double>(values.size() - 1)));
  return mean;
}

}  // namespace

RefinedPlaces RefinePlaces(state::Database& database, const PlaceRules& rules, double now) {
  RefinedPlaces done;
  std::vector<double> moved_arcsec;
  const QualityFlags unfit = ParseQualityMask("hard") | quality::kResolved.mask();
  database.Write([&] {
    state::OwnSourceStore sources(database);
    state::DetectionStore detections(database);
    LightCurveRecorder recorder(database);
    for (const std::int64_t id : detections.FoundSources(rules.min_detections)) {
      const state::OwnSourceRow source = *sources.Find(id);
      const double shrink = std::cos(Angle::Degrees(source.dec_deg).rad());
      std::vector<double> east, north, east_error, north_error;
      for (const state::DetectionRow& row : detections.OfSource(id)) {
        if ((row.flags & unfit) != 0 || row.resolved || row.snr < rules.min_snr) continue;
        east.push_back(WrapSigned(Angle::Degrees(row.ra_deg - source.ra_deg)).arcsec() * shrink);
        north.push_back(Angle::Degrees(row.dec_deg - source.dec_deg).arcsec());
        east_error.push_back(std::hypot(row.ra_error_arcsec, rules.floor_arcsec));
        north_error.push_back(std::hypot(row.dec_error_arcsec, rules.floor_arcsec));
      }
      if (static_cast<std::int64_t>(east.size()) < rules.min_detections || !(shrink > 0)) continue;
      if (done.version == 0) {
        state::PlaceVersionRow version;
        version.made_at = now;
        done.version = sources.AddPlaceVersion(version);
      }
      const MeanOffset to_east = MeanOffsetOf(east, east_error), to_north = MeanOffsetOf(north, north_error);
      const double ra_deg = WrapPositive(Angle::Degrees(source.ra_deg) + Angle::Arcsec(to_east.value / shrink)).deg();
      sources.Move(id, ra_deg < 360 ? ra_deg : 0, source.dec_deg + Angle::Arcsec(to_north.value).deg(), to_east.error,
                   to_north.error, done.version);
      recorder.ReckonSource(id);
      moved_arcsec.push_back(std::hypot(to_east.value, to_north.value));
    }
  });
  done.sources = static_cast<std::int64_t>(moved_arcsec.size());
  done.median_arcsec = Median(moved_arcsec);
  return done;
}

}  // namespace contimg::ops
