#include "mosaic/photometry/listed_places.h"

#include <algorithm>
#include <cmath>

namespace contimg::mosaic {

std::vector<ForcedPlace> PlacesOfList(const std::vector<ListedSource>& sources, double frequency_hz) {
  std::vector<ForcedPlace> places;
  places.reserve(sources.size());
  for (const ListedSource& source : sources) {
    ForcedPlace place;
    place.direction = {Angle::Degrees(source.ra_deg), Angle::Degrees(source.dec_deg)};
    place.expected_jy = source.flux_jy;
    place.spectral_index = source.spectral_index.value_or(kUsualAlpha);
    if (frequency_hz > 0) place.expected_jy *= std::pow(frequency_hz / kListFrequencyHz, place.spectral_index);
    places.push_back(place);
  }
  return places;
}

std::vector<ForcedPlace> Others(const std::vector<ForcedPlace>& neighbours, const std::vector<ForcedPlace>& places,
                                Angle radius) {
  std::vector<ForcedPlace> others;
  for (const ForcedPlace& neighbour : neighbours) {
    const bool itself = std::any_of(places.begin(), places.end(), [&](const ForcedPlace& place) {
      return Separation(neighbour.direction, place.direction) < radius;
    });
    if (!itself) others.push_back(neighbour);
  }
  return others;
}

}  // namespace contimg::mosaic
