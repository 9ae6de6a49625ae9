// The names under which a solved Measurement Set is also known: links beside its tables, and by what it was solved on.
//
//   <output>/calibrators/2025-10-13/2025-10-13T13:28:03_24h.ms   → ../../science/2025-10-13/2025-10-13T13:28:03.ms
//   <output>/calibrators/by-name/3C286_132803_+30.5              → ../2025-10-13/2025-10-13T13:28:03_24h.ms
//
// The second is of solves on a calibrator: its name, the time of the tile, the declination of its centre in degrees.
// Links hold no bytes: what leaves the disk by policy is not kept by them, and a set that is made anew is what they
// lead to. `contimg doctor --fix` removes those that lead nowhere.
#pragma once

#include <filesystem>
#include <string>

#include "config/os.h"

namespace contimg::ops {

struct SolvedSet {
  std::filesystem::path measurement_set;
  std::filesystem::path prefix;  // of the tables: <output>/calibrators/DAY/TIME_24h
  std::string model;             // "calibrator:3C286" or "field"
  double dec_deg = 0;            // of its centre
};

// Makes the links, in place of earlier links; anything else of their names stays. Throws Error{kIo}.
void NameSolvedSet(const SolvedSet& solved, Os& os);

// "3C286_132803_+30.5"; empty for a solve on a field.
std::string CalibratorName(const SolvedSet& solved);

}  // namespace contimg::ops
