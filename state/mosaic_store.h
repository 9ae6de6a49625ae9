// Mosaics and the tiles that they were made of (products.sqlite3, beside the products that they are).
//
// A mosaic has one row under its name, "<start>_<end>_<dec>", which its files and its products (group_id) bear too:
//
//   hourly   the tiles of one passage of the sky through a window of sidereal time; start and end are the window's on
//            that day. Made again under the same name when a tile comes late.
//   deep     tiles of many days through the same window; start and end are those of its data, so that each has a name
//   of
//            its own. The newest one that is good is the reference of its strip there.
//
// A strip is an apparent declination, to a tenth of a degree (ops/mosaics/strips.h). Sidereal times are hours, [0, 24):
// the right ascension (ICRS) on the meridian at that declination; a window may go over 24 h, then its end is the
// smaller number.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "state/database.h"

namespace contimg::state {

struct MosaicRow {
  std::int64_t id = 0;  // given by the store
  std::string name;     // unique
  std::string kind = "hourly";
  double strip_deg = 0;
  double lst_start_h = 0, lst_end_h = 0;
  double start_mjd = 0, end_mjd = 0;  // as in the name, MJD days UTC
  int version = 0;                    // which one of its window it is; 0: none is made yet
  std::string state = "open";         // open (being made) | closed | failed
  std::string why;                    // it failed; empty otherwise
  std::string grade;                  // A to F; empty: not made
  int n_used = 0, n_refused = 0;      // tiles
  std::string settings_hash;
  bool is_reference = false;
  std::optional<std::int64_t> image_id;  // its image among the products
  double updated_at = 0;                 // unix_s
};

// What became of one tile that it might have had.
struct MosaicTileRow {
  std::string group_id;
  std::optional<std::int64_t> image_id;  // the tile's image among the products
  std::string checksum;                  // of that image, as it was read
  double mjd = 0;                        // middle of its data
  bool used = false;
  std::string refusal;                       // "scale", "beam"… (docs/mosaics.md); empty: used
  std::string why;                           // a sentence
  std::optional<double> scale, scale_error;  // of its fluxes against those of the others; nothing: not known
  int n_references = 0;                      // sources that tell it
};

// The strip of one tile, as a mosaic has it.
struct TileStripRow {
  std::string group_id;
  double strip_deg = 0;
};

// Strips are one when they differ by less than half of what they are told to.
inline constexpr double kSameStripDeg = 0.05;
bool SameStrip(double one_deg, double other_deg);
// Whether two windows are one: their strips, and their beginning to five seconds of time.
bool SameWindow(double strip_deg, double lst_start_h, double other_strip_deg, double other_lst_start_h);

// Selection for List; what is empty does not restrict.
struct MosaicQuery {
  std::string kind, state;
  std::optional<double> strip_deg;    // SameStrip
  std::optional<double> lst_start_h;  // to five seconds of time
  std::optional<double> lst_h;        // with this sidereal time in the window
  std::optional<double> from_mjd;     // that end at or after it
  std::optional<double> before_mjd;   // that begin before it
  std::string group_id;               // with this tile, used or not
  bool references_only = false;
  std::string after;  // a name: the list goes on behind it; of one that is not on record: empty
  int limit = 0;      // 0: all
};

class MosaicStore {
 public:
  // Shares the connection of the store of products, and its transactions.
  explicit MosaicStore(Database& products) : db_(products) {}

  // It is being made. A row that is closed stays as it is until Close: its files are the earlier version's until then.
  std::int64_t Open(const MosaicRow& row, double now);
  // It is made, of `tiles` (in the place of those on record), as the next version of its window; of a deep one that is
  // better than F: the reference there. n_used and n_refused are counted. Returns the row as it is on record.
  MosaicRow Close(const MosaicRow& row, const std::vector<MosaicTileRow>& tiles, double now);
  // Puts these in the place of its tiles on record and changes nothing else.
  void SaveTiles(std::int64_t mosaic_id, const std::vector<MosaicTileRow>& tiles);
  // It could not be made. A row that is closed stays as it is.
  void Fail(std::string_view name, std::string_view why, double now);

  std::optional<MosaicRow> Find(std::string_view name);
  std::optional<MosaicRow> Reference(double strip_deg, double lst_start_h);
  std::vector<MosaicRow> List(const MosaicQuery& query);     // newest first
  std::vector<double> Strips();                              // that have any, from the south
  std::vector<MosaicTileRow> Tiles(std::int64_t mosaic_id);  // by time
  // Of all tiles that hourly mosaics of that time have, used or not; several times those that are in several.
  std::vector<TileStripRow> StripsOfTiles(double from_mjd, double to_mjd);
  // What all mosaics say of one tile, the newest first.
  std::vector<MosaicTileRow> JudgementsOf(std::string_view group_id);

 private:
  Database& db_;
};

}  // namespace contimg::state
