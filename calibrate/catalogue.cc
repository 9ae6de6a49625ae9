#include "calibrate/catalogue.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <fstream>
#include <set>
#include <sstream>
#include <utility>

#include "calibrate/nvss.h"
#include "config/error.h"
#include "config/sky_text.h"
#include "config/trimmed.h"

namespace contimg::calibrate {

namespace {

std::optional<double> Number(std::string_view text) {
  text = Trimmed(text);
  if (!text.empty() && text.front() == '+') text.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// "J133108+303032", as the IAU recommends: truncated, not rounded.
std::string PositionName(double ra_deg, double dec_deg) {
  const auto seconds = static_cast<long>(ra_deg * 240 + 1e-6);
  const auto arcsec = static_cast<long>(std::abs(dec_deg) * 3600 + 1e-6);
  return fmt::format("J{:02d}{:02d}{:02d}{}{:02d}{:02d}{:02d}", seconds / 3600, seconds / 60 % 60, seconds % 60,
                     dec_deg < 0 ? '-' : '+', arcsec / 3600, arcsec / 60 % 60, arcsec % 60);
}

class Reader {
 public:
  Reader(const std::filesystem::path& path, CatalogueFormat format) : path_(path), format_(format) {}

  CatalogueFile Read() {
    if (format_ != CatalogueFormat::kNvss || !ReadPublished()) {
      for (ListedSource& source : ReadSourceList(path_)) Add(std::move(source));
    }
    if (file_.sources.empty()) throw Error(ErrorKind::kBadInput, "catalog", path_.string(), "holds no sources");
    return std::move(file_);
  }

 private:
  // The forms of the NVSS that are no table with a line of names; false, and nothing is read, for such a table.
  bool ReadPublished() {
    std::ifstream in(path_);
    if (!in) throw Error(ErrorKind::kIo, "catalog", path_.string(), "cannot be read");
    std::string line;
    const bool title_ahead = HasListingTitle(in);
    while (std::getline(in, line)) {
      ++line_number_;
      if (!line.empty() && line.back() == '\r') line.pop_back();
      if (Trimmed(line).empty() || line.front() == '#') continue;
      if (title_ahead && !listing_ && !IsListingTitle(line)) continue;  // the program's greeting
      if (line_number_ == 1 && (line.compare(0, 9, "SIMPLE  =") == 0 || line.compare(0, 2, "\x1f\x8b") == 0)) {
        FitsTable();
        return true;
      }
      if (!title_ahead && file_.sources.empty() && !IsFixedWidth(line)) return false;
      Line(line);
    }
    if (in.bad()) throw Error(ErrorKind::kIo, "catalog", path_.string(), "cannot be read to its end");
    return true;
  }

  [[noreturn]] void Fail(const std::string& message) const {
    throw Error(ErrorKind::kBadInput, "catalog", path_.string(), fmt::format("line {} {}", line_number_, message));
  }

  void FitsTable() {
    for (const NvssFit& fit : ReadNvssTable(path_)) {
      CatalogueSource source = CorrectNvssFit(fit);
      source.name = NvssName(source);
      Add(std::move(source));
    }
  }

  // NVSS names are positions, without a J.
  static std::string NvssName(const CatalogueSource& source) {
    return PositionName(source.ra_deg, source.dec_deg).substr(1);
  }

  // The titles of a listing made by NVSSlist, which come again on each page.
  bool IsListingTitle(std::string_view line) const {
    return format_ == CatalogueFormat::kNvss && line.find("P_Flux") != std::string_view::npos &&
           line.find("Major") != std::string_view::npos && line.find("Minor") != std::string_view::npos;
  }
  bool HasListingTitle(std::ifstream& in) const {
    constexpr int kGreeting = 100;  // lines
    std::string line;
    bool found = false;
    for (int i = 0; i < kGreeting && !found && std::getline(in, line); ++i) found = IsListingTitle(line);
    in.clear();
    in.seekg(0);
    return found;
  }
  void ListingTitle(std::string_view line) {
    const auto has = [&](std::string_view word) { return line.find(word) != std::string_view::npos; };
    if (!has("2000") || !has("RA")) Fail("lists positions that are not J2000; choose equinox J2000 in NVSSlist");
    if (!has(" Flux") || has(" Peak")) Fail("lists fitted peaks; choose deconvolved values in NVSSlist");
    listing_ = true;
    listing_has_distance_ = has("Dist");
  }

  // hh mm ss.ss sdd mm ss.s [distance] flux major minor pa …: mJy, arcsec, degrees; "<" before a size is a limit, and
  // without a size there is no angle. The line below, which begins with blanks, has the errors.
  void ListingLine(const std::string& line) {
    if (line.front() == ' ') {
      std::istringstream words(line);
      double ra_error = 0, dec_error = 0, angle = 0, flux_error = 0;
      words >> ra_error >> dec_error;
      if (listing_has_distance_) words >> angle;
      if (awaits_errors_ && words >> flux_error) file_.sources.back().flux_error_jy = 1e-3 * flux_error;
      awaits_errors_ = false;
      return;
    }
    awaits_errors_ = false;
    if (line.size() < 24 || (line[12] != '+' && line[12] != '-')) return;  // "Found … entries" and other remarks
    CatalogueSource source;
    const auto ra = ParseRightAscension(line.substr(0, 11)), dec = ParseDeclination(line.substr(12, 11));
    if (!ra || !dec) Fail("has no position");
    source.ra_deg = *ra;
    source.dec_deg = *dec;
    std::string rest = line.substr(23);
    // "< 12.3" and "<12.3" are the same.
    for (std::size_t at = rest.find("< "); at != std::string::npos; at = rest.find("< ")) rest.erase(at + 1, 1);
    std::istringstream words(rest);
    std::string distance, flux, major, minor, angle;
    if (listing_has_distance_) words >> distance;
    words >> flux >> major >> minor >> angle;
    const auto size = [&](const std::string& word) -> std::optional<double> {
      if (word.empty()) return std::nullopt;
      return word.front() == '<' ? 0 : Number(word);
    };
    const auto flux_mjy = Number(flux), major_arcsec = size(major), minor_arcsec = size(minor);
    if (!flux_mjy || !major_arcsec || !minor_arcsec) Fail("is no line of NVSSlist with a flux density and two sizes");
    source.flux_jy = 1e-3 * *flux_mjy;
    source.major_arcsec = *major_arcsec;
    source.minor_arcsec = *minor_arcsec;
    if (*major_arcsec > 0 || *minor_arcsec > 0) source.position_angle_deg = Number(angle).value_or(0);
    source.name = NvssName(source);
    Add(std::move(source));
    awaits_errors_ = true;
  }

  void Line(const std::string& line) {
    if (listing_ || IsListingTitle(line)) {
      if (IsListingTitle(line)) {
        ListingTitle(line);
      } else {
        ListingLine(line);
      }
    } else {
      FixedWidth(line);
    }
  }

  // CDS VIII/65: bytes 26-39 name, 41-51 RA, 53-63 Dec, 65-74 errors, 76-83 flux, 85-91 its error, 93-105 axes,
  // 107-111 position angle (counted from 1).
  static std::string_view Bytes(std::string_view line, std::size_t first, std::size_t last) {
    return first > line.size() ? std::string_view() : Trimmed(line.substr(first - 1, last - first + 1));
  }
  static bool IsFixedWidth(std::string_view line) {
    return line.size() >= 83 && (line[52] == '+' || line[52] == '-') && Number(Bytes(line, 41, 42)) &&
           Number(Bytes(line, 76, 83));
  }
  void FixedWidth(std::string_view line) {
    if (!IsFixedWidth(line)) Fail("is no line of nvss.dat (CDS VIII/65)");
    CatalogueSource source;
    const auto ra = ParseRightAscension(line.substr(40, 11));
    const auto dec = ParseDeclination(line.substr(52, 11));
    if (!ra || !dec) Fail("has no position");
    source.name = std::string(Bytes(line, 26, 39));
    source.ra_deg = *ra;
    source.dec_deg = *dec;
    source.flux_jy = 1e-3 * Number(Bytes(line, 76, 83)).value_or(0);
    source.flux_error_jy = 1e-3 * Number(Bytes(line, 85, 91)).value_or(0);
    const bool major_limit = Bytes(line, 93, 93) == "<", minor_limit = Bytes(line, 100, 100) == "<";
    if (!major_limit) source.major_arcsec = Number(Bytes(line, 94, 98)).value_or(0);
    if (!minor_limit) source.minor_arcsec = Number(Bytes(line, 101, 105)).value_or(0);
    source.position_angle_deg = Number(Bytes(line, 107, 111)).value_or(0);
    Add(std::move(source));
  }

  void Add(CatalogueSource source) {
    if (!(source.ra_deg >= 0 && source.ra_deg <= 360 && std::abs(source.dec_deg) <= 90)) {
      Fail(fmt::format("has the position {}, {}, which is not on the sky", source.ra_deg, source.dec_deg));
    }
    if (!std::isfinite(source.flux_jy) || source.flux_jy < 0) Fail("has a flux density below zero");
    source.ra_deg = std::fmod(source.ra_deg, 360.0);
    if (source.major_arcsec == 0 && source.minor_arcsec > 0) {
      // Only a limit is known of the major axis: the one that is resolved takes its place.
      std::swap(source.major_arcsec, source.minor_arcsec);
      source.position_angle_deg += source.position_angle_deg > 0 ? -90 : 90;
    }
    if (source.flux_jy == 0) ++file_.without_flux;
    if (source.name.empty()) source.name = PositionName(source.ra_deg, source.dec_deg);
    const std::string base = source.name;
    for (char suffix = 'b'; !names_.insert(source.name).second; ++suffix) {
      if (suffix > 'z') Fail("repeats the name " + base + " too often");
      source.name = base + suffix;
    }
    file_.sources.push_back(std::move(source));
  }

  std::filesystem::path path_;
  CatalogueFormat format_;
  std::size_t line_number_ = 0;
  bool listing_ = false, listing_has_distance_ = false, awaits_errors_ = false;
  std::set<std::string> names_;
  CatalogueFile file_;
};

}  // namespace

CatalogueFormat ParseCatalogueFormat(std::string_view word) {
  if (word == "nvss") return CatalogueFormat::kNvss;
  if (word == "csv") return CatalogueFormat::kCsv;
  if (word == "vla-calibrators") return CatalogueFormat::kVlaCalibrators;
  throw Error(ErrorKind::kUsage, "catalog", std::string(word), "is no catalogue format: nvss, csv or vla-calibrators");
}

CatalogueFile ReadCatalogue(const std::filesystem::path& path, CatalogueFormat format) {
  return Reader(path, format).Read();
}

}  // namespace contimg::calibrate
