#include "ops/calibration/job_places.h"

#include <algorithm>
#include <map>

#include "config/units.h"
#include "state/own_source_store.h"

namespace contimg::ops {
namespace {

// Places by declination: those near one are few.
class TakenPlaces {
 public:
  // False when there is one within kSamePlaceArcsec.
  bool Take(double ra_deg, double dec_deg) {
    const double reach_deg = Angle::Arcsec(state::kSamePlaceArcsec).deg();
    const SkyDirection place{Angle::Degrees(ra_deg), Angle::Degrees(dec_deg)};
    for (auto at = by_dec_.lower_bound(dec_deg - reach_deg); at != by_dec_.end() && at->first <= dec_deg + reach_deg;
         ++at) {
      if (Separation(place, at->second).deg() <= reach_deg) return false;
    }
    Put(ra_deg, dec_deg);
    return true;
  }
  void Put(double ra_deg, double dec_deg) {
    by_dec_.emplace(dec_deg, SkyDirection{Angle::Degrees(ra_deg), Angle::Degrees(dec_deg)});
  }

 private:
  std::multimap<double, SkyDirection> by_dec_;
};

}  // namespace

std::vector<JobPlace> PlacesOfField(state::SourceStore& store, const std::string& catalogue, double ra_deg,
                                    double dec_deg, double radius_deg, double min_flux_jy) {
  std::vector<JobPlace> places;
  TakenPlaces taken;
  auto ours = state::OwnSourceStore(store.database()).Near(ra_deg, dec_deg, radius_deg);
  std::sort(ours.begin(), ours.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  for (const state::OwnSourceRow& own : ours) {
    // Two of ours that are nearer than that have light curves of their own already.
    taken.Put(own.ra_deg, own.dec_deg);
    JobPlace place{own.id, own.name, own.ra_deg, own.dec_deg, own.flux_jy, own.spectral_index, 0};
    if (own.origin == "catalogue" && own.place_version == 0) place.flags = quality::kPlaceUnrefined.mask();
    places.push_back(std::move(place));
  }
  if (catalogue.empty()) return places;
  std::vector<state::SourceRow> listed;
  for (state::ConeMatch& match : store.Cone(ra_deg, dec_deg, radius_deg, catalogue, min_flux_jy)) {
    if (!match.source.source_id) listed.push_back(std::move(match.source));
  }
  std::sort(listed.begin(), listed.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  for (const state::SourceRow& row : listed) {
    if (!taken.Take(row.ra_deg, row.dec_deg)) continue;
    places.push_back({0, row.catalogue + " " + row.name, row.ra_deg, row.dec_deg, row.flux_jy, row.spectral_index,
                      quality::kPlaceUnrefined.mask()});
  }
  return places;
}

}  // namespace contimg::ops
