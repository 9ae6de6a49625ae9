#include "config/source_list.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <tuple>

#include "config/error.h"
#include "config/os.h"
#include "config/quantity.h"
#include "config/sky_text.h"
#include "config/trimmed.h"

namespace contimg {
namespace {

// The columns that are read, under the names that people give them, in order of preference. `unit`: of a bare number.
// `same`: names one quantity with the others of its list, so that two columns of a row must agree; otherwise it stands
// in for them (a peak for a flux density, an identifier for a name).
struct Alias {
  std::string_view name;
  std::string_view unit;
  bool same = true;
};
const std::vector<Alias> kRa{{"ra_deg", "deg"}, {"_raj2000", "deg"}, {"raj2000", "deg"}, {"ra", "deg"}};
const std::vector<Alias> kDec{{"dec_deg", "deg"}, {"_dej2000", "deg"}, {"dej2000", "deg"},
                              {"dec", "deg"},     {"decj2000", "deg"}, {"de", "deg"}};
const std::vector<Alias> kFlux{
    {"flux_jy", "Jy"},          {"flux", "Jy"},         {"total_flux", "Jy", false}, {"flux_mjy", "mJy"},
    {"peak_mjy", "mJy", false}, {"s1.4", "mJy", false}, {"l_jy", "Jy", false}};
const std::vector<Alias> kFluxError{{"flux_error_jy", "Jy"}, {"flux_error_mjy", "mJy"}, {"e_s1.4", "mJy", false}};
const std::vector<Alias> kAlpha{{"alpha", ""}, {"spectral_index", ""}};
const std::vector<Alias> kMajor{{"major_arcsec", "arcsec"}, {"majaxis", "arcsec"}};
const std::vector<Alias> kMinor{{"minor_arcsec", "arcsec"}, {"minaxis", "arcsec"}};
const std::vector<Alias> kAngle{{"pa_deg", "deg"}, {"pa", "deg"}};
const std::vector<Alias> kName{
    {"name", "", false}, {"nvss", "", false}, {"source", "", false}, {"id", "", false}, {"source_id", "", false}};
const std::vector<Alias> kCBand{{"c_jy", "Jy"}};

constexpr std::uint64_t kMostListBytes = 1'000'000'000;

struct Column {
  std::size_t at = 0;
  std::string name;  // as the file spells it
  std::string unit;
};

class Reader {
 public:
  Reader(std::string_view text, std::string subject) : text_(text), subject_(std::move(subject)) {
    if (text_.substr(0, 3) == "\xEF\xBB\xBF") text_.remove_prefix(3);
    if (text_.find('\n') == std::string_view::npos) line_end_ = '\r';
  }

  std::vector<ListedSource> Read() {
    if (text_.substr(0, 9) == "SIMPLE  =" || text_.substr(0, 2) == "\x1f\x8b" ||
        text_.find('\0') != std::string_view::npos) {
      throw Error(ErrorKind::kBadInput, "catalog", subject_,
                  "is no text but a FITS, gzip or other binary file: expected a table with a line of column names");
    }
    std::string comment;
    while (at_ < text_.size()) {
      line_ = next_line_;
      const std::string_view rest = text_.substr(at_, text_.find(line_end_, at_) - at_);
      if (Trimmed(rest).empty() || rest.front() == '#') {
        if (!rest.empty() && rest.front() == '#' && names_.empty()) comment = Trimmed(rest.substr(1));
        SkipLine(rest.size());
        continue;
      }
      if (names_.empty()) {
        if (!Header(rest)) {
          if (!Header(comment)) {
            Fail(fmt::format("should name the columns, ra_deg, dec_deg and flux_jy, found '{}'",
                             Trimmed(rest).substr(0, 60)));
          }
        } else {
          SkipLine(rest.size());
        }
        FindColumns();
        continue;
      }
      const std::vector<std::string> fields = Record();
      if (!Furniture(fields)) Row(fields);
    }
    if (names_.empty()) {
      throw Error(ErrorKind::kBadInput, "catalog", subject_, "has no line that names the columns");
    }
    return std::move(sources_);
  }

 private:
  [[noreturn]] void Fail(const std::string& message) const {
    throw Error(ErrorKind::kBadInput, "catalog", subject_, fmt::format("line {} {}", line_, message));
  }

  void SkipLine(std::size_t length) {
    at_ += length + 1;
    ++next_line_;
  }

  // The fields of the record at at_, which may hold line feeds in quotes.
  std::vector<std::string> Record() {
    std::vector<std::string> fields;
    while (true) {
      std::string field;
      while (at_ < text_.size() && (text_[at_] == ' ' || (text_[at_] == '\t' && separator_ != '\t'))) ++at_;
      bool quoted = at_ < text_.size() && text_[at_] == '"';
      if (quoted) {
        for (++at_;; ++at_) {
          if (at_ >= text_.size()) Fail("has a quotation mark that is never closed");
          if (text_[at_] == line_end_) ++next_line_;
          if (text_[at_] != '"') {
            field += text_[at_];
          } else if (at_ + 1 < text_.size() && text_[at_ + 1] == '"') {
            field += '"';
            ++at_;
          } else {
            break;
          }
        }
        ++at_;
      }
      const std::size_t end = std::min(text_.find_first_of(std::string{separator_, line_end_}, at_), text_.size());
      const std::string_view plain = Trimmed(text_.substr(at_, end - at_));
      if (quoted && !plain.empty()) Fail(fmt::format("has '{}' behind a quoted field", plain.substr(0, 30)));
      if (!quoted) field = std::string(plain);
      fields.push_back(std::move(field));
      at_ = end + 1;
      if (end >= text_.size() || text_[end] == line_end_) break;
    }
    ++next_line_;
    return fields;
  }

  // Takes the line as the one of names if it names a position.
  bool Header(std::string_view line) {
    std::size_t most = 0;
    for (const char candidate : {',', '\t', ';', '|'}) {
      const auto n = static_cast<std::size_t>(std::count(line.begin(), line.end(), candidate));
      if (n > most) most = n, separator_ = candidate;
    }
    if (most == 0) return false;
    std::map<std::string, Column> names;
    std::set<std::string> twice;
    std::size_t n = 0;
    for (std::size_t begin = 0; begin <= line.size(); ++n) {
      const std::size_t end = std::min(line.find(separator_, begin), line.size());
      std::string_view word = Trimmed(line.substr(begin, end - begin));
      if (word.size() >= 2 && word.front() == '"' && word.back() == '"')
        word = Trimmed(word.substr(1, word.size() - 2));
      begin = end + 1;
      Column column{n, std::string(word), ""};
      // "flux (mJy)" and "flux [mJy]" say their unit.
      const std::size_t bracket = word.find_first_of("([");
      if (bracket != std::string_view::npos && bracket > 0 && (word.back() == ')' || word.back() == ']')) {
        column.unit = Trimmed(word.substr(bracket + 1, word.size() - bracket - 2));
        word = Trimmed(word.substr(0, bracket));
      }
      std::string key;
      for (const char c : word) key += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
      if (!names.emplace(key, column).second) twice.insert(key);
    }
    const auto any = [&](const std::vector<Alias>& aliases) {
      return std::any_of(aliases.begin(), aliases.end(),
                         [&](const Alias& a) { return names.count(std::string(a.name)) > 0; });
    };
    if (!any(kRa) && !any(kDec)) return false;
    names_ = std::move(names);
    twice_ = std::move(twice);
    n_names_ = n;
    return true;
  }

  // The column under the first of the names that the list has. Further ones of the same quantity go to `others`.
  std::optional<Column> Find(const std::vector<Alias>& aliases, std::vector<Column>* others = nullptr) const {
    std::optional<Column> chosen;
    bool same = false;
    for (const Alias& alias : aliases) {
      const auto found = names_.find(std::string(alias.name));
      if (found == names_.end()) continue;
      Column column = found->second;
      if (twice_.count(found->first) > 0) Fail(fmt::format("names the column {} twice", column.name));
      if (column.unit.empty()) {
        column.unit = alias.unit;
      } else if (!alias.unit.empty() && !ParseQuantity("1" + column.unit, alias.unit)) {
        Fail(fmt::format("gives the column {} the unit '{}', expected one like {}", alias.name, column.unit,
                         alias.unit));
      }
      if (!chosen) {
        chosen = std::move(column);
        same = alias.same;
      } else if (same && alias.same && others != nullptr) {
        others->push_back(std::move(column));
      }
    }
    return chosen;
  }

  void FindColumns() {
    ra_ = Find(kRa, &other_ra_);
    dec_ = Find(kDec, &other_dec_);
    flux_ = Find(kFlux, &other_flux_);
    if (!ra_ || !dec_) Fail("names no columns ra_deg and dec_deg");
    if (!flux_) Fail("names no column flux_jy (or flux_mjy, peak_mjy, S1.4, L_jy)");
    flux_error_ = Find(kFluxError, &other_flux_error_);
    alpha_ = Find(kAlpha, &other_alpha_);
    major_ = Find(kMajor, &other_major_);
    minor_ = Find(kMinor, &other_minor_);
    angle_ = Find(kAngle, &other_angle_);
    name_ = Find(kName);
    c_band_ = Find(kCBand);
    const std::vector<Alias> major_limit{{"l_majaxis", ""}}, minor_limit{{"l_minaxis", ""}};
    major_limit_ = Find(major_limit);
    minor_limit_ = Find(minor_limit);
  }

  // Lines of units and of dashes, as VizieR exports them below the names.
  bool Furniture(const std::vector<std::string>& fields) {
    if (!sources_.empty()) return false;
    const std::string ra(Field(fields, ra_));
    const bool units = ra == "deg" || ra == "h:m:s" || ra == "\"h:m:s\"" || ra == "hms";
    const bool dashes = !fields.empty() && std::all_of(fields.begin(), fields.end(), [](const std::string& f) {
      return f.find_first_not_of("- ") == std::string::npos;
    });
    if (units) {
      for (std::optional<Column>* column : {&flux_, &flux_error_, &major_, &minor_}) {
        const std::string unit(Field(fields, *column));
        if (!unit.empty() && ParseQuantity("1" + unit, (*column)->unit)) (*column)->unit = unit;
      }
      for (std::vector<Column>* columns : {&other_flux_, &other_flux_error_, &other_major_, &other_minor_}) {
        for (Column& column : *columns) {
          const std::string unit(Field(fields, column));
          if (!unit.empty() && ParseQuantity("1" + unit, column.unit)) column.unit = unit;
        }
      }
    }
    return units || dashes;
  }

  static std::string_view Field(const std::vector<std::string>& fields, const std::optional<Column>& column) {
    return column && column->at < fields.size() ? std::string_view(fields[column->at]) : std::string_view();
  }

  // A number in `to`, 0 or nothing where the field is empty.
  std::optional<double> Number(const std::vector<std::string>& fields, const std::optional<Column>& column,
                               std::string_view to) const {
    const std::string_view text = Field(fields, column);
    if (text.empty()) return std::nullopt;
    std::optional<double> value;
    if (column->unit.empty()) {
      value = ParseQuantity(text, "");
    } else if ((value = ParseQuantity(text, column->unit))) {
      // Exactly as a bare number would be scaled.
      value = ParseQuantity(fmt::format("{}{}", *value, column->unit), to);
    }
    if (!value) {
      Fail(fmt::format("has '{}' in column {}, expected a number{}", text, column->name,
                       to.empty() ? "" : fmt::format(" in {}, or with a unit of its kind", column->unit)));
    }
    return value;
  }

  // Two columns of one quantity that say different things: which one is meant nobody can tell. To 1 %, as columns are
  // rounded.
  void CheckOthers(const std::vector<std::string>& fields, const std::optional<Column>& chosen,
                   const std::vector<Column>& others, std::string_view to) const {
    constexpr double kRounded = 0.01;
    for (const Column& column : others) {
      const auto mine = Number(fields, chosen, to), other = Number(fields, column, to);
      if (!mine || !other || std::abs(*mine - *other) <= kRounded * std::max(std::abs(*mine), std::abs(*other)))
        continue;
      FailContradiction(fields, *chosen, column);
    }
  }
  template <typename Parse>
  void CheckOtherAngles(const std::vector<std::string>& fields, const Column& chosen, double mine_deg,
                        const std::vector<Column>& others, const Parse& parse) const {
    constexpr double kRoundedDeg = 1.0 / 60;
    for (const Column& column : others) {
      const auto other = parse(Field(fields, column));
      if (Field(fields, column).empty() || (other && std::abs(std::remainder(*other - mine_deg, 360)) <= kRoundedDeg))
        continue;
      FailContradiction(fields, chosen, column);
    }
  }
  [[noreturn]] void FailContradiction(const std::vector<std::string>& fields, const Column& a, const Column& b) const {
    Fail(fmt::format("has '{}' in column {} and '{}' in column {}: expected the same, or one of the two columns",
                     Field(fields, a), a.name, Field(fields, b), b.name));
  }

  void Row(const std::vector<std::string>& fields) {
    for (std::size_t i = n_names_; i < fields.size(); ++i) {
      if (!fields[i].empty()) {
        Fail(fmt::format("has {} fields under {} names (a comma in a number, or in a name without quotation marks?)",
                         fields.size(), n_names_));
      }
    }
    for (const auto* column : {&ra_, &dec_, &flux_}) {
      if ((*column)->at >= fields.size()) {
        Fail(fmt::format("has {} fields and ends before the column {}", fields.size(), (*column)->name));
      }
    }
    ListedSource source;
    const auto ra = ParseRightAscension(Field(fields, ra_)), dec = ParseDeclination(Field(fields, dec_));
    if (!ra) {
      Fail(fmt::format("has '{}' in column {}, which is no right ascension: 0 to 360 degrees or hh:mm:ss",
                       Field(fields, ra_), ra_->name));
    }
    if (!dec) {
      Fail(fmt::format("has '{}' in column {}, which is no declination: -90 to 90 degrees or dd:mm:ss",
                       Field(fields, dec_), dec_->name));
    }
    source.ra_deg = *ra == 360 ? 0 : *ra;
    source.dec_deg = *dec;
    CheckOtherAngles(fields, *ra_, *ra, other_ra_, ParseRightAscension);
    CheckOtherAngles(fields, *dec_, *dec, other_dec_, ParseDeclination);
    CheckOthers(fields, flux_, other_flux_, "Jy");
    CheckOthers(fields, flux_error_, other_flux_error_, "Jy");
    CheckOthers(fields, alpha_, other_alpha_, "");
    CheckOthers(fields, major_, other_major_, "arcsec");
    CheckOthers(fields, minor_, other_minor_, "arcsec");
    CheckOthers(fields, angle_, other_angle_, "deg");
    source.flux_jy = Number(fields, flux_, "Jy").value_or(0);
    source.flux_error_jy = Number(fields, flux_error_, "Jy").value_or(0);
    if (source.flux_jy < 0) Fail(fmt::format("has the flux density {} Jy, which is below zero", source.flux_jy));
    if (source.flux_error_jy < 0) Fail("has an error of the flux density below zero");
    source.spectral_index = Number(fields, alpha_, "");
    constexpr double kSteepest = 20;
    if (source.spectral_index && std::abs(*source.spectral_index) > kSteepest) {
      Fail(fmt::format("has the spectral index {}, which no source has", *source.spectral_index));
    }
    if (!alpha_ && c_band_ && source.flux_jy > 0) {
      const auto c_band = Number(fields, c_band_, "Jy");
      if (c_band && *c_band > 0) source.spectral_index = std::log(*c_band / source.flux_jy) / std::log(4.86e9 / 1.4e9);
    }
    if (Field(fields, major_limit_) != "<") source.major_arcsec = Number(fields, major_, "arcsec").value_or(0);
    if (Field(fields, minor_limit_) != "<") source.minor_arcsec = Number(fields, minor_, "arcsec").value_or(0);
    if (source.major_arcsec < 0 || source.minor_arcsec < 0) Fail("has a size below zero");
    source.position_angle_deg = Number(fields, angle_, "deg").value_or(0);
    source.name = std::string(Field(fields, name_));
    const auto [before, is_new] =
        lines_.emplace(std::tuple(source.name, source.ra_deg, source.dec_deg, source.flux_jy), line_);
    if (!is_new) Fail(fmt::format("is the source of line {} once more", before->second));
    sources_.push_back(std::move(source));
  }

  std::string_view text_;
  std::string subject_;
  std::size_t at_ = 0, line_ = 1, next_line_ = 1;
  char separator_ = ',';
  char line_end_ = '\n';  // old Macintosh files end their lines with carriage returns alone
  std::map<std::string, Column> names_;
  std::size_t n_names_ = 0;
  std::optional<Column> ra_, dec_, flux_, flux_error_, alpha_, major_, minor_, angle_, name_, c_band_, major_limit_,
      minor_limit_;
  std::vector<Column> other_ra_, other_dec_, other_flux_, other_flux_error_, other_alpha_, other_major_, other_minor_,
      other_angle_;
  std::set<std::string> twice_;
  std::map<std::tuple<std::string, double, double, double>, std::size_t> lines_;
  std::vector<ListedSource> sources_;
};

std::string QuotedName(const std::string& name) {
  const bool plain = name.find_first_of(",\t;|\"\r\n") == std::string::npos && Trimmed(name).size() == name.size() &&
                     name.substr(0, 1) != "#";
  if (plain) return name;
  std::string quoted = "\"";
  for (const char c : name) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + '"';
}

}  // namespace

std::vector<ListedSource> ParseSourceList(std::string_view text, const std::string& subject) {
  return Reader(text, subject).Read();
}

std::vector<ListedSource> ReadSourceList(const std::filesystem::path& path) {
  if (const std::uint64_t size = FileSize(path); size > kMostListBytes) {
    throw Error(ErrorKind::kBadInput, "catalog", path.string(),
                fmt::format("is of {:.1f} GB: expected a list of at most 1 GB; take out of it the sky that is wanted",
                            static_cast<double>(size) / 1e9));
  }
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  if (in) text << in.rdbuf();
  if (!in || in.bad()) throw Error(ErrorKind::kIo, "catalog", path.string(), "cannot be read");
  return ParseSourceList(text.str(), path.string());
}

std::string SourceListText(const std::vector<ListedSource>& sources) {
  std::string text = "name,ra_deg,dec_deg,flux_jy,alpha,major_arcsec\n";
  for (const ListedSource& s : sources) {
    text += fmt::format("{},{:.8f},{:.8f},{:.9g},{},{:.6g}\n", QuotedName(s.name), s.ra_deg, s.dec_deg, s.flux_jy,
                        s.spectral_index ? fmt::format("{:.6g}", *s.spectral_index) : "", s.major_arcsec);
  }
  return text;
}

}  // namespace contimg
