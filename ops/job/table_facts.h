// What the registry keeps of a calibration table besides its place. Whoever made the table, or registers it by hand,
// reads it with casacore and measures it; the daemon only compares the checksum and writes rows.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace contimg::ops {

struct TableFacts {
  std::string kind;                                          // "K", "BP", "G"; empty: not measured
  double mid_mjd = 0;                                        // middle of the solved stretch, days UTC
  std::string field;                                         // name of the field in the table
  std::string reference_antenna;                             // empty: none
  nlohmann::json quality = nlohmann::json::object();         // calibrate::SolutionQuality, and the declination
  nlohmann::json flag_fractions = nlohmann::json::object();  // of antennas with data: one per spectral window
  std::string checksum;                                      // TableChecksum of the files that were read
};

}  // namespace contimg::ops
