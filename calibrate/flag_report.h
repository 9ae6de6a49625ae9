// What was flagged and why.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

#include "calibrate/lost_sky.h"
#include "ingest/flag_count.h"

namespace contimg::calibrate {

// In the order in which they are tried; a sample counts for the first that holds.
enum class FlagReason {
  kInput,            // flagged before
  kNonFinite,        // NaN or infinite
  kZero,             // both parts exactly 0: the correlator wrote nothing
  kAutocorrelation,  // an antenna with itself: all flagged, being no use to calibration and imaging here
  kBadBand,          // in a band of flag.bad_bands_mhz
  kDeadAntenna,      // of an antenna or a receptor of which hardly anything is left
  kInterference,     // found by the engine
  kExtension,        // beside interference
  kResidual,         // clipped after calibration
  kLostSky,          // of a receptor that has noise but no sky
};
inline constexpr std::size_t kFlagReasons = 10;
// "input", "non_finite" and so on: the spelling in JSON.
std::string_view Name(FlagReason reason);

// The census of the flagged tile, and what the flags are for. Autocorrelations count in `by_reason` too.
struct FlagReport : FlagCensus {
  std::array<std::size_t, kFlagReasons> by_reason{};  // samples; they add up to all flagged ones
  LostSky sky;  // what the search for receptors without sky found; of FlagTile alone
};

}  // namespace contimg::calibrate
