// The sources of our own: what is measured in every tile, whatever catalogue or detection it first came from. Their ids
// and names never change; catalogues are identified with them and may come and go.
//
// Positions are ICRS degrees, fluxes Jy.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "state/database.h"
#include "state/source_store.h"

namespace contimg::state {

struct OwnSourceRow {
  std::int64_t id = 0;  // given by the store
  std::string name;     // "DSA J133108.2+303032", given by the store after its first place unless it has one
  double ra_deg = 0;    // [0, 360)
  double dec_deg = 0;
  double ra_error_arcsec = 0;  // on the sky; 0: not known
  double dec_error_arcsec = 0;
  double flux_jy = 0;  // what is expected of it; 0: not known
  double flux_error_jy = 0;
  std::optional<double> spectral_index;
  std::string origin = "manual";   // catalogue | detection | transient | manual
  double made_at = 0;              // unix_s
  std::int64_t place_version = 0;  // given by the store: of the refinement that its place is of; 0: as it came
};

// One refinement of places, of all sources that it could move.
struct PlaceVersionRow {
  std::int64_t version = 0;  // given by the store
  double made_at = 0;        // unix_s
  // Where it is from what a mosaic has: its name (empty: from what tiles have found), its window, as of
  // state/mosaic_store.h, and how many tiles are in it.
  std::string mosaic;
  double strip_deg = 0, lst_start_h = 0;
  int tiles = 0;
};

// Within this of a place stands the source that is meant: a third of the beam, beyond the errors of places, and below
// the distance at which two sources are told apart.
inline constexpr double kSamePlaceArcsec = 10;

// "DSA J133108.2+303032": truncated, not rounded, as the IAU asks.
std::string NameOfPlace(double ra_deg, double dec_deg);

class OwnSourceStore {
 public:
  // Shares the connection of another store, and its transactions.
  explicit OwnSourceStore(Database& database) : db_(database) {}

  // A new source, with a name of its own: where the name is taken, a letter is added. Error{kBadInput} for a
  // position that is not on the sky.
  OwnSourceRow Add(const OwnSourceRow& row);
  // Puts it where it has been found to be; its name stays. Error{kBadInput} for a position that is not on the sky.
  // `place_version`: of AddPlaceVersion, or 0.
  void Move(std::int64_t id, double ra_deg, double dec_deg, double ra_error_arcsec, double dec_error_arcsec,
            std::int64_t place_version);
  // Returns its version.
  std::int64_t AddPlaceVersion(const PlaceVersionRow& row);
  std::vector<PlaceVersionRow> PlaceVersions();  // in their order
  std::optional<OwnSourceRow> Find(std::int64_t id);
  std::optional<OwnSourceRow> FindByName(std::string_view name);
  // Nearest first, within `radius_deg` (≤ 90).
  std::vector<OwnSourceRow> Near(double ra_deg, double dec_deg, double radius_deg);
  // The source of that name: of our own, or the one that a catalogue's source of that name is, as recorded or within
  // kSamePlaceArcsec of it.
  std::optional<OwnSourceRow> Called(std::string_view name);
  // The source of our own that a catalogue's source is: as recorded, else the nearest within kSamePlaceArcsec, else a
  // new one of origin "catalogue"; recorded.
  OwnSourceRow Identify(std::int64_t catalogue_source_id, double now);
  // The source of our own at a place: the nearest within kSamePlaceArcsec; else what a catalogue has there, identified;
  // else `fresh` with this place, added. `made` says whether it is a new one.
  OwnSourceRow AtPlace(double ra_deg, double dec_deg, const OwnSourceRow& fresh, double now, bool* made = nullptr);
  // The names of catalogue sources that it is, "nvss 133108+303033".
  std::vector<std::string> NamesElsewhere(std::int64_t id);
  // The names of the catalogues that have it.
  std::vector<std::string> CataloguesOf(std::int64_t id);

 private:
  Database& db_;
};

}  // namespace contimg::state
