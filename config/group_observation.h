// What the headers of a group's files say about it: where the telescope looked, when and with what. Written by the
// check of the files, kept by state, read by the planning of its calibration.
#pragma once

#include <string>
#include <vector>

namespace contimg {

struct GroupObservation {
  std::string group_id;
  double mid_mjd = 0;  // middle of the data, MJD days UTC
  double duration_s = 0;
  double ra_deg = 0;  // ICRS direction of the phase centre
  double dec_deg = 0;
  double longitude_deg = 0;  // of the array, east positive
  double app_dec_deg = 0;    // apparent declination of the pointing
  int antennas = 0;          // with data
  double dish_m = 0;
  std::vector<double> baseline_deciles_m;  // shortest, deciles, longest of the cross-correlations
  double integration_s = 0;
  double channel_width_hz = 0;
  double low_hz = 0, high_hz = 0;  // channel centres at the ends of what was seen so far
  int subbands = 0;                // files seen so far
};

}  // namespace contimg
