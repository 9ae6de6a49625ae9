#pragma once

#include "config/group_observation.h"

namespace contimg {

// A full tile of the DSA-110 at declination 16.
inline GroupObservation Tile() {
  GroupObservation tile;
  tile.mid_mjd = 60000;
  tile.duration_s = 309.2376;
  tile.ra_deg = 200;
  tile.dec_deg = 16;
  tile.antennas = 96;
  tile.dish_m = 4.65;
  tile.baseline_deciles_m = {5, 60, 120, 180, 240, 300, 400, 600, 1000, 1600, 2600};
  tile.channel_width_hz = 244140.625;
  tile.low_hz = 1.3113873e9;
  tile.high_hz = 1.4986432e9;
  tile.subbands = 16;
  return tile;
}

}  // namespace contimg
