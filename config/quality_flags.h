// What the bits of a measurement's flag word mean, and which of them keep a measurement out of what. The one table:
// photometry sets these bits, the databases, light curves and exports know no others. A bit is never given another
// meaning; those that nothing sets have no name. C++17-clean.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace contimg {

using QualityFlags = std::uint32_t;

struct QualityFlag {
  int bit;
  std::string_view name;     // as people write it
  std::string_view meaning;  // one line
  bool in_default, in_hard;  // whether the preset leaves such measurements out
  constexpr QualityFlags mask() const { return QualityFlags{1} << bit; }
};

namespace quality {
inline constexpr QualityFlag kEdge{0, "edge", "the edge of the image is within three beams", true, true};
inline constexpr QualityFlag kBlend{1, "blend", "the neighbours' fluxes can hardly be told apart", false, true};
inline constexpr QualityFlag kLowResponse{2, "low_response", "primary beam below a quarter", true, true};
inline constexpr QualityFlag kArtefact{3, "artefact", "beside an artefact of a bright source", false, true};
inline constexpr QualityFlag kBadTile{4, "bad_tile", "image of grade F, or its flux scale was refused", true, true};
inline constexpr QualityFlag kPlaceUnrefined{5, "place_unrefined", "the place is the catalogue's as it is", false,
                                             false};
inline constexpr QualityFlag kResolved{6, "resolved", "larger than the beam: the peak is less than the flux", false,
                                       false};
// 7: a neighbour that varies. It is solved for in every tile; who cannot be told apart from it is a blend.
inline constexpr QualityFlag kBeamDiffers{8, "beam_differs", "the beam is not the usual one of its declination", false,
                                          true};
// 9: brought to the usual frequency. Fluxes are those of the image's frequency; the tile's scale brings them together.
inline constexpr QualityFlag kPartialTile{10, "partial_tile", "subbands are missing", false, true};
inline constexpr QualityFlag kCalibrationBorrowed{11, "calibration_borrowed", "calibrated with tables of another time",
                                                  false, true};
inline constexpr QualityFlag kUncalibrated{12, "uncalibrated", "not calibrated", true, true};
inline constexpr QualityFlag kInterference{13, "interference", "much of the tile was lost to interference", true, true};
inline constexpr QualityFlag kManual{14, "manual", "taken out by a person, or by whoever made the series", true, true};
// 15: a jump of calibration. It is the same for all of a tile: its flux scale takes it out.
inline constexpr QualityFlag kOutlier{16, "outlier", "far from what the light curve has about it", false, true};
inline constexpr QualityFlag kSunOrMoon{17, "sun_or_moon", "the Sun or the Moon stands near the tile", false, true};
inline constexpr QualityFlag kSmearing{18, "smearing", "bandwidth and time smearing take more than a tenth", false,
                                       true};
}  // namespace quality

inline constexpr std::array kQualityFlags{quality::kEdge,         quality::kBlend,
                                          quality::kLowResponse,  quality::kArtefact,
                                          quality::kBadTile,      quality::kPlaceUnrefined,
                                          quality::kResolved,     quality::kBeamDiffers,
                                          quality::kPartialTile,  quality::kCalibrationBorrowed,
                                          quality::kUncalibrated, quality::kInterference,
                                          quality::kManual,       quality::kOutlier,
                                          quality::kSunOrMoon,    quality::kSmearing};

// The bits that leave a measurement out: "none" 0; "default" what is known to be wrong; "hard" also what is doubtful;
// "hardest" every bit; or names of flags with commas between them; or a number. Throws Error{kUsage} for anything else.
QualityFlags ParseQualityMask(std::string_view text);
inline constexpr QualityFlags kDefaultQualityMask = [] {
  QualityFlags mask = 0;
  for (const QualityFlag& flag : kQualityFlags) mask |= flag.in_default ? flag.mask() : 0;
  return mask;
}();
// The names of the bits that are set, with commas between them; a bit without a name is "bit 27".
std::string QualityFlagNames(QualityFlags flags);

}  // namespace contimg
