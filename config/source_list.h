// The table of sources in text by which people and modules hand each other a sky: read here and written here, whoever
// asks (image, predict, solve, catalog import, simulate, the daemon's sky models). docs/formats/catalogues.md shows it.
// C++17-clean.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace contimg {

struct ListedSource {
  std::string name;                // "" where the list has none
  double ra_deg = 0, dec_deg = 0;  // ICRS, [0, 360) and [−90, 90]
  double flux_jy = 0;              // at 1.4 GHz; 0: the list knows none
  double flux_error_jy = 0;
  std::optional<double> spectral_index;                               // S ∝ ν^α
  double major_arcsec = 0, minor_arcsec = 0, position_angle_deg = 0;  // 0: point or only an upper limit known
};

// Reads a list: one line names the columns, the others hold a source each. Separators are commas, tabs, semicolons or
// bars, told by the line of names; lines end in LF, CR LF or CR; fields may be quoted ("" is a quotation mark in one);
// lines beginning with # are comments, and one of them may be the line of names; a line of units or dashes below it is
// understood.
//
// Numbers are taken whole: what is left behind one is a unit that fits (mJy, deg, arcsec) or an error. Throws
// Error{kIo} when the file cannot be read and Error{kBadInput} with the line's number for whatever else does not fit: a
// missing column, a column that stands there twice, two columns of one
// quantity that disagree, a position that is not on the sky, a flux density that is negative or no number, a line with
// more fields than names, a source that stands there twice.
std::vector<ListedSource> ReadSourceList(const std::filesystem::path& path);
// The same of text at hand; `subject` is what errors name.
std::vector<ListedSource> ParseSourceList(std::string_view text, const std::string& subject);

// The text of a list that ReadSourceList reads back, whatever the names are; positions to 1e-8 degrees.
std::string SourceListText(const std::vector<ListedSource>& sources);

}  // namespace contimg
