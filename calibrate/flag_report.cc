#include "calibrate/flag_report.h"

namespace contimg::calibrate {

std::string_view Name(FlagReason reason) {
  static constexpr std::array<std::string_view, kFlagReasons> kNames{
      "input",        "non_finite",   "zero",      "autocorrelation", "bad_band",
      "dead_antenna", "interference", "extension", "residual",        "lost_sky"};
  return kNames[static_cast<std::size_t>(reason)];
}

}  // namespace contimg::calibrate
