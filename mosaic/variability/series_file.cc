#include "mosaic/variability/series_file.h"

#include <fitsio.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <fstream>
#include <memory>
#include <numeric>

#include "config/error.h"
#include "config/os.h"
#include "config/quantity.h"
#include "config/time.h"
#include "mosaic/table/read_csv.h"

namespace contimg::mosaic {
namespace {

constexpr const char* kSeriesStage = "lightcurve";

constexpr std::array<std::string_view, 10> kTimeNames{"time", "bmjd_tdb", "bmjd", "mjd",  "bjd_tdb",
                                                      "bjd",  "jd",       "btjd", "bkjd", "unix"};
constexpr std::array<std::string_view, 6> kFluxNames{"pdcsap_flux", "flux_jy",  "flux_mjy",
                                                     "flux",        "sap_flux", "det_flux"};
constexpr std::array<std::string_view, 9> kErrorNames{"pdcsap_flux_err", "flux_error_jy", "error_jy",
                                                      "flux_error_mjy",  "flux_error",    "flux_err",
                                                      "sap_flux_err",    "e_flux",        "error"};
constexpr std::array<std::string_view, 4> kFlagNames{"quality", "sap_quality", "flags", "flag"};

std::string LowerCase(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return lower;
}

Error Bad(const std::filesystem::path& path, const std::string& words) {
  return Error(ErrorKind::kBadInput, kSeriesStage, path.string(), words);
}

// The index among `names` of the one asked for, or of the first usual one.
template <std::size_t n>
std::optional<std::size_t> Choose(const std::filesystem::path& path, const std::vector<std::string>& names,
                                  const std::string& asked, const std::array<std::string_view, n>& usual,
                                  std::string_view what, bool required) {
  const auto index_of = [&](std::string_view name) -> std::optional<std::size_t> {
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (LowerCase(names[i]) == LowerCase(name)) return i;
    }
    return std::nullopt;
  };
  if (!asked.empty()) {
    if (const auto found = index_of(asked)) return found;
    throw Bad(path, fmt::format("has no column {}; it has {}", asked, fmt::join(names, ", ")));
  }
  for (const std::string_view name : usual) {
    if (const auto found = index_of(name)) return found;
  }
  if (!required) return std::nullopt;
  throw Bad(path, fmt::format("expected a column with the {} ({}), found {}: name it", what, fmt::join(usual, ", "),
                              fmt::join(names, ", ")));
}

struct RawColumns {
  std::vector<double> time, flux, error, flags;
  std::vector<std::size_t> lines;  // of the file; empty: rows are counted from 1

  std::string Place(std::size_t row) const {
    return lines.empty() ? fmt::format("row {}", row + 1) : fmt::format("line {}", lines[row]);
  }
};

// The number of values that a data set can hold.
constexpr std::size_t kMostPoints = 10'000'000;
// Squares of more are no numbers.
constexpr double kLargestFlux = 1e100;

// Which of the columns are what.
struct Chosen {
  std::size_t time = 0, flux = 0;
  std::optional<std::size_t> error, flags;
};
Chosen ChooseColumns(const std::filesystem::path& path, const std::vector<std::string>& names,
                     const SeriesColumns& asked) {
  Chosen chosen;
  chosen.time = *Choose(path, names, asked.time, kTimeNames, "times", true);
  chosen.flux = *Choose(path, names, asked.flux, kFluxNames, "fluxes", true);
  // The error of that flux and no other's, where names pair.
  const std::string flux = LowerCase(names[chosen.flux]);
  for (std::size_t i = 0; asked.error.empty() && i < names.size(); ++i) {
    if (LowerCase(names[i]) == flux + "_err") chosen.error = i;
  }
  if (!chosen.error) chosen.error = Choose(path, names, asked.error, kErrorNames, "errors", false);
  chosen.flags = Choose(path, names, asked.flags, kFlagNames, "flags", false);
  return chosen;
}

std::string UnitOfName(const std::string& name) {
  const std::string lower = LowerCase(name);
  return lower.ends_with("_mjy") ? "mJy" : lower.ends_with("_jy") ? "Jy" : "";
}

// In Jy where the unit is one of Jy.
Series Finish(const std::filesystem::path& path, const RawColumns& raw, const std::string& unit, Series series) {
  const auto to_jy = ParseQuantity("1 " + unit, "Jy");
  const double factor = to_jy && !unit.empty() ? *to_jy : 1;
  series.unit = to_jy && !unit.empty() ? "Jy" : unit;
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < raw.time.size(); ++i) {
    const double error = raw.error.empty() ? 0 : raw.error[i];
    if (std::isfinite(raw.time[i]) && std::isfinite(raw.flux[i]) && std::isfinite(error)) {
      if (error < 0) {
        throw Bad(path, fmt::format("{}: expected an error of 0 or more, found {}: mend it, or name the column of the "
                                    "errors",
                                    raw.Place(i), error));
      }
      if (std::abs(raw.flux[i]) > kLargestFlux || error > kLargestFlux) {
        throw Bad(path, fmt::format("{}: expected a flux and an error up to {:g}, found {:g} and {:g}", raw.Place(i),
                                    kLargestFlux, raw.flux[i], error));
      }
      order.push_back(i);
    } else {
      ++series.left_out;
    }
  }
  if (order.empty()) throw Bad(path, "no row has a time, a flux and an error");
  if (order.size() > kMostPoints) {
    throw Bad(path, fmt::format("expected at most {} points, found {}: import it in parts", kMostPoints, order.size()));
  }
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return raw.time[a] < raw.time[b]; });
  for (const std::size_t i : order) {
    if (!series.times.empty() && raw.time[i] == series.times.back()) {
      throw Bad(path, fmt::format("{}: expected each time once, found {} a second time: take one of the two out",
                                  raw.Place(i), raw.time[i]));
    }
    series.times.push_back(raw.time[i]);
    series.fluxes.push_back(raw.flux[i] * factor);
    series.errors.push_back(raw.error.empty() ? 0 : raw.error[i] * factor);
    const bool flagged = !raw.flags.empty() && raw.flags[i] != 0;  // NaN too
    series.flags.push_back(flagged ? quality::kManual.mask() : 0);
  }
  return series;
}

Series ReadText(const std::filesystem::path& path, const SeriesColumns& asked) {
  const CsvTable table = ReadCsv(path);
  const Chosen chosen = ChooseColumns(path, table.names, asked);
  Series series;
  RawColumns raw;
  const auto take = [&](std::size_t column, std::vector<double>& values) {
    for (std::size_t row = 0; row < table.rows.size(); ++row) values.push_back(table.Number(row, column));
    series.columns += (series.columns.empty() ? "" : ", ") + table.names[column];
  };
  take(chosen.time, raw.time);
  take(chosen.flux, raw.flux);
  if (chosen.error) take(*chosen.error, raw.error);
  if (chosen.flags) take(*chosen.flags, raw.flags);
  raw.lines = table.lines;
  series.meaning = MeaningOfTime(LowerCase(table.names[chosen.time]));
  return Finish(path, raw, UnitOfName(table.names[chosen.flux]), std::move(series));
}

// A FITS table in use.
class FitsFile {
 public:
  explicit FitsFile(const std::filesystem::path& path) : path_(path) {
    fits_open_diskfile(&file_, path.c_str(), READONLY, &status_);
    Check("it cannot be opened");
  }
  ~FitsFile() {
    int ignored = 0;
    if (file_ != nullptr) fits_close_file(file_, &ignored);
  }
  FitsFile(const FitsFile&) = delete;
  FitsFile& operator=(const FitsFile&) = delete;

  int Extensions() {
    int n = 0;
    fits_get_num_hdus(file_, &n, &status_);
    Check("its parts cannot be counted");
    return n;
  }
  // Before anything is made as large as the header says.
  void RequireWhole() {
    LONGLONG begin = 0, rows = 0, width = 0;
    fits_get_hduaddrll(file_, nullptr, &begin, nullptr, &status_);
    fits_get_num_rowsll(file_, &rows, &status_);
    fits_read_key(file_, TLONGLONG, "NAXIS1", &width, nullptr, &status_);
    Check("its size cannot be told");
    const auto size = static_cast<double>(FileSize(path_));
    // Of so many rows the number of bytes may exceed what a whole number holds.
    const double end = static_cast<double>(begin) + static_cast<double>(rows) * static_cast<double>(width);
    if (end > size) {
      throw Bad(path_,
                fmt::format("is cut short or damaged: expected {:.0f} bytes as its header says, found {:.0f}: get it "
                            "anew",
                            end, size));
    }
  }
  // True when that extension is a binary table, which is then the one in use.
  bool UseTable(int number) {
    int type = 0;
    fits_movabs_hdu(file_, number, &type, &status_);
    Check("a part of it cannot be read");
    return type == BINARY_TBL;
  }
  std::vector<std::string> ColumnNames() {
    int n = 0;
    fits_get_num_cols(file_, &n, &status_);
    std::vector<std::string> names;
    for (int i = 1; i <= n; ++i) names.push_back(Key("TTYPE" + std::to_string(i)).value_or(""));
    Check("its columns cannot be read");
    return names;
  }
  std::optional<std::string> Key(const std::string& name) {
    char value[FLEN_VALUE] = "";
    int status = 0;
    if (fits_read_key(file_, TSTRING, name.c_str(), value, nullptr, &status) != 0) return std::nullopt;
    return std::string(value);
  }
  std::optional<double> Number(const std::string& name) {
    double value = 0;
    int status = 0;
    if (fits_read_key(file_, TDOUBLE, name.c_str(), &value, nullptr, &status) != 0) return std::nullopt;
    return value;
  }
  std::vector<double> Column(std::size_t index, const std::string& name) {
    long rows = 0;
    fits_get_num_rows(file_, &rows, &status_);
    int type = 0;
    long repeat = 0, width = 0;
    fits_get_coltype(file_, static_cast<int>(index) + 1, &type, &repeat, &width, &status_);
    const bool is_number =
        type == TBYTE || type == TSHORT || type == TLONG || type == TLONGLONG || type == TFLOAT || type == TDOUBLE;
    if (status_ == 0 && (repeat != 1 || !is_number)) {
      throw Bad(path_, fmt::format("column {}: expected one number a row, found format {}: name another column", name,
                                   Key("TFORM" + std::to_string(index + 1)).value_or("?")));
    }
    std::vector<double> values(static_cast<std::size_t>(rows));
    double blank = NAN;
    int any = 0;
    if (rows > 0) {
      fits_read_col(file_, TDOUBLE, static_cast<int>(index) + 1, 1, 1, rows, &blank, values.data(), &any, &status_);
    }
    Check("a column cannot be read");
    return values;
  }

 private:
  void Check(const char* what) const {
    if (status_ != 0) throw Bad(path_, fmt::format("is no FITS file as it should be: {}", what));
  }

  std::filesystem::path path_;
  fitsfile* file_ = nullptr;
  int status_ = 0;
};

// The keywords of the FITS paper on time (Rots et al. 2015, A&A 574, A36) and those of Kepler and TESS.
std::optional<TimeMeaning> MeaningOfHeader(FitsFile& file, const std::filesystem::path& path, std::string unit) {
  TimeMeaning meaning;
  if (unit.empty()) unit = file.Key("TIMEUNIT").value_or("d");
  unit = LowerCase(unit.substr(0, unit.find_first_of(" ,-")));
  if (unit == "s") {
    meaning.unit = "second";
  } else if (unit != "d" && unit != "bjd" && unit != "jd" && unit != "mjd" && unit != "day" && unit != "days") {
    throw Bad(path, fmt::format("its times are in '{}', expected d or s", unit));
  }
  std::optional<double> epoch;
  for (const auto& [prefix, format] : {std::pair("BJDREF", "jd"), {"JDREF", "jd"}, {"MJDREF", "mjd"}}) {
    const std::string name = prefix;
    const auto whole = file.Number(name + "I"), fraction = file.Number(name + "F"), both = file.Number(name);
    if (!whole && !both) continue;
    epoch = whole ? *whole + fraction.value_or(0) : *both;
    meaning.format = format;
    break;
  }
  if (!epoch) return std::nullopt;
  meaning.epoch = *epoch;
  const std::string system = LowerCase(file.Key("TIMESYS").value_or("utc"));
  const std::string reference = LowerCase(file.Key("TIMEREF").value_or(file.Key("TREFPOS").value_or("")));
  const bool barycentric = reference.starts_with("solarsystem") || reference.starts_with("barycent");
  if (system == "tdb" && (barycentric || reference.empty())) {
    meaning.scale = "tdb";
  } else if (system != "utc" || barycentric) {
    throw Bad(path, fmt::format("its times are {} at {}, expected UTC at the telescope or TDB at the barycentre",
                                system, reference.empty() ? "nowhere said" : reference));
  }
  return meaning;
}

Series ReadFits(const std::filesystem::path& path, const SeriesColumns& asked) {
  FitsFile file(path);
  std::vector<std::string> names;
  const int n = file.Extensions();
  int table = 0;
  for (int i = 2; i <= n && table == 0; ++i) {
    if (!file.UseTable(i)) continue;
    file.RequireWhole();
    names = file.ColumnNames();
    table = i;
  }
  if (table == 0) throw Bad(path, "expected a binary table, found none among its parts");
  const Chosen chosen = ChooseColumns(path, names, asked);
  Series series;
  RawColumns raw;
  const auto take = [&](std::size_t column, std::vector<double>& values) {
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (i == column || LowerCase(names[i]) != LowerCase(names[column])) continue;
      throw Bad(path, fmt::format("the column {} stands there twice: rename one of the two", names[column]));
    }
    values = file.Column(column, names[column]);
    series.columns += (series.columns.empty() ? "" : ", ") + names[column];
  };
  take(chosen.time, raw.time);
  take(chosen.flux, raw.flux);
  if (chosen.error) take(*chosen.error, raw.error);
  if (chosen.flags) take(*chosen.flags, raw.flags);
  const auto unit_of = [&](std::size_t column) { return file.Key("TUNIT" + std::to_string(column + 1)).value_or(""); };
  series.meaning = MeaningOfTime(LowerCase(names[chosen.time]));
  if (!series.meaning) series.meaning = MeaningOfHeader(file, path, unit_of(chosen.time));
  const std::string unit = unit_of(chosen.flux);
  return Finish(path, raw, unit.empty() ? UnitOfName(names[chosen.flux]) : unit, std::move(series));
}

}  // namespace

std::optional<TimeMeaning> MeaningOfTime(std::string_view word) {
  if (word == "mjd") return TimeMeaning{};
  if (word == "jd") return TimeMeaning{"day", 0, "utc", "jd"};
  if (word == "bmjd" || word == "bmjd_tdb") return TimeMeaning{"day", 0, "tdb", "mjd"};
  if (word == "bjd" || word == "bjd_tdb") return TimeMeaning{"day", 0, "tdb", "jd"};
  if (word == "btjd") return TimeMeaning{"day", 2457000, "tdb", "jd"};
  if (word == "bkjd") return TimeMeaning{"day", 2454833, "tdb", "jd"};
  if (word == "unix") return TimeMeaning{"second", kMjdOfUnixEpoch, "utc", "mjd"};
  return std::nullopt;
}

double MjdOf(double number, const TimeMeaning& meaning) {
  const double days = meaning.unit == "second" ? number / kSecondsPerDay : number;
  // The large parts first, so that the number keeps its digits.
  if (meaning.format == "jd" && meaning.epoch == 0) return days - kMjdOfJd;
  return (meaning.epoch - (meaning.format == "jd" ? kMjdOfJd : 0)) + days;
}

Series ReadSeries(const std::filesystem::path& path, const SeriesColumns& columns) {
  FileSize(path);  // says why when it cannot be read
  std::ifstream file(path, std::ios::binary);
  char start[6] = "";
  file.read(start, sizeof start);
  return std::string_view(start, sizeof start) == "SIMPLE" ? ReadFits(path, columns) : ReadText(path, columns);
}

}  // namespace contimg::mosaic
