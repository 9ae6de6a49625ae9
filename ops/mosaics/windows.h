// Windows of sidereal time: which tiles the service puts into one mosaic.
//
// A sidereal day is cut into equal steps, so that the windows are the same on every day and days of one window may be
// co-added. Each is as long as `mosaic.tiles` tiles (or a little longer) and shares `mosaic.overlap` of its length with
// the next. Sidereal time is the right ascension (ICRS) on the meridian at the strip's declination.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "config/product_paths.h"
#include "config/settings.h"
#include "config/telescope.h"
#include "state/mosaic_store.h"
#include "state/product_store.h"

namespace contimg::ops {

inline constexpr double kTileS = kDsa110IntegrationsPerFile * kDsa110IntegrationS;  // from one to the next
inline constexpr double kSiderealDay = 0.9972695663;                                // days

struct MosaicWindow {
  double strip_deg = 0;                   // ops/mosaics/strips.h
  double lst_start_h = 0, lst_end_h = 0;  // [0, 24); over 24 h the end is the smaller
  double start_mjd = 0, end_mjd = 0;      // of one passage, to a second of UTC
  std::string name;                       // config/product_paths.h, MosaicName
};

// Those through which the sky at that declination passes at that time.
std::vector<MosaicWindow> WindowsAt(double mjd, double strip_deg, const MosaicSettings& settings);
// The passage from one time to another at that declination, as a mosaic's name gives them.
MosaicWindow WindowOf(double start_mjd, double end_mjd, double strip_deg);
// The same of such a name: the window of these settings that is called so, if there is one.
MosaicWindow WindowOf(const MosaicSpan& span, const MosaicSettings& settings);
// A window as the record of its mosaic has it, and the beginning of such a record.
MosaicWindow WindowOf(const state::MosaicRow& row);
state::MosaicRow RecordOf(const MosaicWindow& window);
// The sidereal time at that declination (apparent), hours.
double LstHours(double mjd, double app_dec_deg);
// Hours from the beginning of a window of sidereal time to another sidereal time: [0, 24).
double HoursInto(double lst_start_h, double lst_h);

// The image of a tile that is on record and on the disk.
struct TileOnRecord {
  std::string group;
  std::int64_t image_id = 0;
  std::string path, checksum;
  double mjd = 0;                  // middle of the data
  double ra_deg = 0, dec_deg = 0;  // ICRS
  double strip_deg = 0;            // the one that it belongs to
  std::string grade;
  double thermal_jy = 0;   // noise that the receivers explain; 0: not known
  double recorded_at = 0;  // unix_s
};
// With from ≤ mjd < to, by time; one for each group. `strips_deg`: strips besides those on record.
std::vector<TileOnRecord> TilesOnRecord(state::ProductStore& products, double from_mjd, double to_mjd,
                                        const std::vector<double>& strips_deg = {});

}  // namespace contimg::ops
