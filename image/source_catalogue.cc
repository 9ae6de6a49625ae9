#include "image/source_catalogue.h"

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <string>
#include <string_view>

#include "config/error.h"

namespace contimg::image {
namespace {

std::vector<std::string> Split(const std::string& line) {
  std::vector<std::string> fields;
  std::size_t begin = 0;
  while (true) {
    const std::size_t end = line.find(',', begin);
    fields.push_back(line.substr(begin, end - begin));
    if (end == std::string::npos) return fields;
    begin = end + 1;
  }
}

}  // namespace

std::vector<CatalogueSource> ReadCatalogue(const std::filesystem::path& path, const SkyDirection& centre,
                                           double radius_rad) {
  std::ifstream file(path);
  if (!file) throw Error(ErrorKind::kIo, "image", path.string(), "cannot open the catalogue");
  constexpr std::size_t kNone = static_cast<std::size_t>(-1);
  std::size_t ra = kNone, dec = kNone, flux = kNone, alpha = kNone, line_number = 0;
  double unit = 1;
  std::vector<CatalogueSource> sources;
  for (std::string line; std::getline(file, line);) {
    ++line_number;
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (line.empty() || line.front() == '#') continue;
    const std::vector<std::string> fields = Split(line);
    if (ra == kNone) {
      for (std::size_t i = 0; i < fields.size(); ++i) {
        if (fields[i] == "ra_deg") ra = i;
        if (fields[i] == "dec_deg") dec = i;
        if (fields[i] == "flux_jy") flux = i, unit = 1;
        if (fields[i] == "alpha" || fields[i] == "spectral_index") alpha = i;
        if (fields[i] == "flux_mjy" || fields[i] == "peak_mjy") flux = i, unit = 1e-3;
      }
      if (ra == kNone || dec == kNone || flux == kNone) {
        throw Error(ErrorKind::kBadInput, "image", path.string(),
                    "expected columns ra_deg, dec_deg and flux_jy (or flux_mjy, peak_mjy), found '" + line + "'");
      }
      continue;
    }
    const auto number = [&](std::size_t column) {
      char* end = nullptr;
      const double value = column < fields.size() ? std::strtod(fields[column].c_str(), &end) : 0;
      if (end == nullptr || end == fields[column].c_str() || !std::isfinite(value)) {
        throw Error(ErrorKind::kBadInput, "image", path.string(),
                    "line " + std::to_string(line_number) + " has no number in column " + std::to_string(column + 1));
      }
      return value;
    };
    const SkyDirection at{Angle::Degrees(number(ra)), Angle::Degrees(number(dec))};
    if (std::abs(at.dec.rad() - centre.dec.rad()) > radius_rad) continue;
    if (Separation(at, centre).rad() > radius_rad) continue;
    sources.push_back({at, number(flux) * unit});
    if (alpha < fields.size() && !fields[alpha].empty()) sources.back().alpha = number(alpha);
  }
  if (ra == kNone) throw Error(ErrorKind::kBadInput, "image", path.string(), "the catalogue has no header line");
  return sources;
}

}  // namespace contimg::image
