#include "config/product_paths.h"

#include <fmt/format.h>

#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <utility>

#include "config/error.h"
#include "config/stage_name.h"
#include "config/time.h"

namespace contimg {
namespace {

namespace fs = std::filesystem;
constexpr std::size_t kTimestampLength = 19;
constexpr std::string_view kPictureSuffix = "qa.png", kMetricsSuffix = "metrics.json", kTileTableSuffix = "tiles.fits";
constexpr std::string_view kPhotometrySuffix = "photometry.fits", kSourcesSuffix = "sources.fits";

constexpr std::array<std::pair<CalKind, std::string_view>, 3> kCalExtensions{
    {{CalKind::kDelay, "kcal"}, {CalKind::kBandpass, "bpcal"}, {CalKind::kGain, "gpcal"}}};

// The longest first: it ends like the next.
constexpr std::array<std::pair<ImageFormat, std::string_view>, 3> kFormats{
    {{ImageFormat::kFitsCompressed, ".fits.fz"}, {ImageFormat::kFits, ".fits"}, {ImageFormat::kCasa, ""}}};

std::string_view FormatSuffix(ImageFormat format) {
  for (const auto& [candidate, suffix] : kFormats) {
    if (candidate == format) return suffix;
  }
  return "";
}

void RequireTimestamp(std::string_view text) {
  if (!IsTimestamp(text)) {
    throw Error(ErrorKind::kBadInput, kConfigStage, std::string(text), "is not a timestamp like 2025-10-13T13:28:03");
  }
}

const fs::path& Require(const fs::path& root, std::string_view variable) {
  if (root.empty()) {
    throw Error(ErrorKind::kUsage, kConfigStage, std::string(variable), "is not set, and a path below it is needed");
  }
  return root;
}

bool TakePrefix(std::string_view& text, std::string_view prefix) {
  if (text.substr(0, prefix.size()) != prefix) return false;
  text.remove_prefix(prefix.size());
  return true;
}

bool TakeSuffix(std::string_view& text, std::string_view suffix) {
  if (text.size() < suffix.size() || text.substr(text.size() - suffix.size()) != suffix) return false;
  text.remove_suffix(suffix.size());
  return true;
}

std::optional<std::string> TakeTimestamp(std::string_view& text) {
  const std::string_view head = text.substr(0, kTimestampLength);
  if (!IsTimestamp(head)) return std::nullopt;
  text.remove_prefix(kTimestampLength);
  return std::string(head);
}

// "07" → 7; exactly two digits.
std::optional<int> TwoDigits(std::string_view text) {
  if (text.size() != 2 || !std::isdigit(static_cast<unsigned char>(text[0])) ||
      !std::isdigit(static_cast<unsigned char>(text[1]))) {
    return std::nullopt;
  }
  return (text[0] - '0') * 10 + (text[1] - '0');
}

std::string SubbandTag(int subband) {
  if (subband < 0 || subband > 99) {
    throw Error(ErrorKind::kBadInput, kConfigStage, fmt::format("subband {}", subband), "is outside 0…99");
  }
  return fmt::format("sb{:02}", subband);
}

ImageFormat TakeFormat(std::string_view& text) {
  for (const auto& [format, suffix] : kFormats) {
    if (TakeSuffix(text, suffix)) return format;
  }
  return ImageFormat::kCasa;
}

// "+16.1", "-05.0": the only spelling that MosaicName() makes.
std::optional<double> ParseDec(std::string_view text) {
  if (text.size() != 5 || (text[0] != '+' && text[0] != '-') || text[3] != '.') return std::nullopt;
  for (std::size_t i : {1, 2, 4}) {
    if (!std::isdigit(static_cast<unsigned char>(text[i]))) return std::nullopt;
  }
  const int tenths = (text[1] - '0') * 100 + (text[2] - '0') * 10 + (text[4] - '0');
  if (tenths > 900 || (tenths == 0 && text[0] == '-')) return std::nullopt;
  return (text[0] == '-' ? -tenths : tenths) / 10.0;
}

// What may follow the name of a mosaic and a dot.
std::optional<ProductName> ParseOfMosaic(std::string_view rest, ProductName name) {
  constexpr std::array<std::pair<std::string_view, ProductKind>, 5> kPlain{
      {{kPictureSuffix, ProductKind::kMosaicPicture},
       {kMetricsSuffix, ProductKind::kMosaicMetrics},
       {kTileTableSuffix, ProductKind::kTileTable},
       {kPhotometrySuffix, ProductKind::kMosaicPhotometry},
       {kSourcesSuffix, ProductKind::kMosaicSources}}};
  for (const auto& [extension, kind] : kPlain) {
    if (rest != extension) continue;
    name.kind = kind;
    return name;
  }
  constexpr std::array<std::pair<std::string_view, ProductKind>, 4> kImages{{{"image", ProductKind::kMosaic},
                                                                             {"residual", ProductKind::kMosaicResidual},
                                                                             {"rms", ProductKind::kRms},
                                                                             {"weight", ProductKind::kWeight}}};
  name.format = TakeFormat(rest);
  for (const auto& [word, kind] : kImages) {
    if (rest != word) continue;
    name.kind = kind;
    return name;
  }
  return std::nullopt;
}

// What may follow "<timestamp>_": a calibrator's Measurement Set or table, or something of a mosaic.
std::optional<ProductName> ParseAfterUnderscore(std::string_view rest, ProductName name) {
  for (const CalInterval interval : {CalInterval::k24Hours, CalInterval::k1Hour}) {
    std::string_view tail = rest;
    if (!TakePrefix(tail, ToString(interval)) || !TakePrefix(tail, ".")) continue;
    name.interval = interval;
    if (tail == "ms") {
      name.kind = ProductKind::kCalibratorMs;
      return name;
    }
    name.kind = ProductKind::kCalTable;
    for (const auto& [kind, extension] : kCalExtensions) {
      if (tail != extension || (interval == CalInterval::k1Hour && kind != CalKind::kGain)) continue;
      name.cal_kind = kind;
      return name;
    }
    return std::nullopt;
  }
  const auto end = TakeTimestamp(rest);
  if (!end || *end < name.timestamp || !TakePrefix(rest, "_")) return std::nullopt;
  constexpr std::size_t kDecLength = 5;
  const auto dec = ParseDec(rest.substr(0, kDecLength));
  if (!dec) return std::nullopt;
  rest.remove_prefix(kDecLength);
  if (!TakePrefix(rest, ".")) return std::nullopt;
  name.end = *end;
  name.dec_deg = *dec;
  return ParseOfMosaic(rest, std::move(name));
}

// What may follow "<timestamp>.".
std::optional<ProductName> ParseAfterDot(std::string_view rest, ProductName name) {
  constexpr std::array<std::pair<std::string_view, ProductKind>, 6> kPlain{
      {{"ms", ProductKind::kScienceMs},
       {"log", ProductKind::kFailedLog},
       {kPictureSuffix, ProductKind::kQaPicture},
       {kMetricsSuffix, ProductKind::kQaMetrics},
       {kPhotometrySuffix, ProductKind::kPhotometry},
       {kSourcesSuffix, ProductKind::kSources}}};
  for (const auto& [extension, kind] : kPlain) {
    if (rest != extension) continue;
    name.kind = kind;
    return name;
  }
  name.format = TakeFormat(rest);
  std::string_view band = rest;
  if (TakePrefix(band, "band") && TakeSuffix(band, ".image")) {
    const auto number = TwoDigits(band);
    if (!number) return std::nullopt;
    name.kind = ProductKind::kBand;
    name.band = *number;
    return name;
  }
  const auto kind = FindProductKind(rest);
  if (!kind || !IsImage(*kind) || *kind == ProductKind::kBand) return std::nullopt;
  name.kind = *kind;
  return name;
}

}  // namespace

std::string_view ToString(CalInterval interval) { return interval == CalInterval::k24Hours ? "24h" : "1h"; }

std::string_view ToString(CalKind kind) {
  return kind == CalKind::kDelay ? "K" : kind == CalKind::kBandpass ? "BP" : "G";
}

std::string_view Extension(CalKind kind) {
  for (const auto& [candidate, extension] : kCalExtensions) {
    if (candidate == kind) return extension;
  }
  return "kcal";
}

std::string ProductSuffix(ProductKind kind, ImageFormat format, int band) {
  if (kind == ProductKind::kQaPicture) return std::string(kPictureSuffix);
  if (kind == ProductKind::kQaMetrics) return std::string(kMetricsSuffix);
  if (kind == ProductKind::kTileTable) return std::string(kTileTableSuffix);
  if (kind == ProductKind::kPhotometry) return std::string(kPhotometrySuffix);
  if (kind == ProductKind::kSources) return std::string(kSourcesSuffix);
  if (!IsImage(kind) || band < 0 || band > 99) {
    throw Error(ErrorKind::kBug, kConfigStage, std::string(ToString(kind)),
                fmt::format("names no image (band {})", band));
  }
  // The words of the kinds are those of the names, but for the bands, which are numbered.
  const std::string word =
      kind == ProductKind::kBand ? fmt::format("band{:02}.image", band) : std::string(ToString(kind));
  return word + std::string(FormatSuffix(format));
}

bool IsTimestamp(std::string_view text) {
  if (text.size() != kTimestampLength) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {  // most other names fail here, without the cost of an exception
    const char shape = "dddd-dd-ddTdd:dd:dd"[i];
    const bool digit = std::isdigit(static_cast<unsigned char>(text[i])) != 0;
    if (shape == 'd' ? !digit : text[i] != shape) return false;
  }
  try {
    UtcTime::FromIso8601(text);
    return true;
  } catch (const Error&) {
    return false;
  }
}

std::string DayOf(std::string_view timestamp) {
  RequireTimestamp(timestamp);
  return std::string(timestamp.substr(0, 10));
}

fs::path ProductPaths::Incoming(std::string_view timestamp, int subband) const {
  RequireTimestamp(timestamp);
  return Require(roots_.input, "CONTIMG_INPUT_DIR") / fmt::format("{}_{}.hdf5", timestamp, SubbandTag(subband));
}

fs::path ProductPaths::ScienceMs(std::string_view timestamp) const {
  return Require(roots_.output, "CONTIMG_OUTPUT_DIR") / "science" / DayOf(timestamp) / fmt::format("{}.ms", timestamp);
}

fs::path ProductPaths::CalTablePrefix(std::string_view timestamp, CalInterval interval) const {
  return Require(roots_.output, "CONTIMG_OUTPUT_DIR") / "calibrators" / DayOf(timestamp) /
         fmt::format("{}_{}", timestamp, ToString(interval));
}

fs::path ProductPaths::CalibratorMs(std::string_view timestamp, CalInterval interval) const {
  return CalTablePrefix(timestamp, interval).string() + ".ms";
}

fs::path ProductPaths::CalTable(std::string_view timestamp, CalInterval interval, CalKind kind) const {
  if (interval == CalInterval::k1Hour && kind != CalKind::kGain) {
    throw Error(ErrorKind::kBug, kConfigStage, std::string(timestamp), "an hourly table must be a gain table");
  }
  return fmt::format("{}.{}", CalTablePrefix(timestamp, interval).string(), Extension(kind));
}

fs::path ProductPaths::FailedMs(std::string_view timestamp) const {
  return Require(roots_.output, "CONTIMG_OUTPUT_DIR") / "failed" / DayOf(timestamp) / fmt::format("{}.ms", timestamp);
}

fs::path ProductPaths::FailedLog(std::string_view timestamp) const {
  return Require(roots_.output, "CONTIMG_OUTPUT_DIR") / "failed" / DayOf(timestamp) / fmt::format("{}.log", timestamp);
}

fs::path ProductPaths::ImagePrefix(std::string_view timestamp) const {
  return Require(roots_.images, "CONTIMG_IMAGES_DIR") / "single" / DayOf(timestamp) / std::string(timestamp);
}

fs::path ProductPaths::Image(std::string_view timestamp, ProductKind kind, ImageFormat format, int band) const {
  return fmt::format("{}.{}", ImagePrefix(timestamp).string(), ProductSuffix(kind, format, band));
}

fs::path ProductPaths::Mosaic(std::string_view start, std::string_view end, double dec_deg, ImageFormat format) const {
  return fmt::format("{}.{}", MosaicPrefix(start, end, dec_deg).string(), ProductSuffix(ProductKind::kImage, format));
}

fs::path ProductPaths::MosaicPrefix(std::string_view start, std::string_view end, double dec_deg) const {
  return Require(roots_.images, "CONTIMG_IMAGES_DIR") / "mosaics" / MosaicName(start, end, dec_deg);
}

fs::path ProductPaths::QaPicture(std::string_view timestamp) const {
  return Require(roots_.images, "CONTIMG_IMAGES_DIR") / "qa" / DayOf(timestamp) /
         fmt::format("{}.{}", timestamp, kPictureSuffix);
}

fs::path ProductPaths::QaMetrics(std::string_view timestamp) const {
  return Require(roots_.images, "CONTIMG_IMAGES_DIR") / "qa" / DayOf(timestamp) /
         fmt::format("{}.{}", timestamp, kMetricsSuffix);
}

fs::path ProductPaths::Staging(std::string_view timestamp) const {
  RequireTimestamp(timestamp);
  return Require(roots_.staging, "CONTIMG_STAGING_DIR") / std::string(timestamp);
}

fs::path ProductPaths::Quarantine() const { return Require(roots_.scratch, "CONTIMG_SCRATCH_DIR") / "quarantine"; }
fs::path ProductPaths::Static(std::string_view what) const {
  return Require(roots_.scratch, "CONTIMG_SCRATCH_DIR") / "static" / what;
}
fs::path ProductPaths::Archive(std::string_view what) const {
  return Require(roots_.scratch, "CONTIMG_SCRATCH_DIR") / "archive" / what;
}

fs::path ProductPaths::Database(StateDatabase database) const {
  constexpr std::array<const char*, 5> kNames{"ingest.sqlite3", "cal_registry.sqlite3", "products.sqlite3",
                                              "master_sources.sqlite3", "operations.sqlite3"};
  return Require(roots_.state, "CONTIMG_STATE_DIR") / kNames.at(static_cast<std::size_t>(database));
}

fs::path ProductPaths::Jobs(std::string_view timestamp) const {
  return Require(roots_.state, "CONTIMG_STATE_DIR") / "jobs" / DayOf(timestamp) / std::string(timestamp);
}

fs::path ProductPaths::TaskJob(std::string_view kind, std::string_view subject) const {
  return Require(roots_.state, "CONTIMG_STATE_DIR") / "jobs" / kind / subject;
}

fs::path ProductPaths::StateBackups() const { return Require(roots_.state, "CONTIMG_STATE_DIR") / "backups"; }

std::vector<fs::path> ProductPaths::StandingDirectories() const {
  std::vector<fs::path> all;
  const auto add = [&](const fs::path& root, std::initializer_list<const char*> below) {
    if (root.empty()) return;
    for (const char* name : below) all.push_back(*name == '\0' ? root : root / name);
  };
  add(roots_.state, {"", "jobs", "backups"});
  add(roots_.input, {""});
  add(roots_.output, {"science", "calibrators", "failed"});
  add(roots_.images, {"single", "mosaics", "qa"});
  add(roots_.tmp, {"staging"});
  add(roots_.staging, {""});
  add(roots_.scratch, {"static/beam-model", "static/catalogs", "static/config", "archive/ms", "archive/images",
                       "archive/catalogs", "curated", "quarantine"});
  return all;
}

std::optional<IncomingName> ParseIncomingName(const fs::path& path) {
  const std::string file = path.filename().string();
  std::string_view rest = file;
  if (!TakeSuffix(rest, ".hdf5")) return std::nullopt;
  IncomingName name;
  name.incomplete = TakeSuffix(rest, "_incomplete");
  if (rest.size() != kTimestampLength + 5) return std::nullopt;
  std::string stamp(rest.substr(0, kTimestampLength));
  if (stamp[10] == '_' && stamp[13] == '_' && stamp[16] == '_') {
    stamp[10] = 'T';
    stamp[13] = stamp[16] = ':';
  }
  rest.remove_prefix(kTimestampLength);
  if (!IsTimestamp(stamp) || !TakePrefix(rest, "_sb")) return std::nullopt;
  const auto subband = TwoDigits(rest);
  if (!subband) return std::nullopt;
  name.timestamp = std::move(stamp);
  name.subband = *subband;
  return name;
}

std::optional<ProductName> ParseProductName(const fs::path& path) {
  const std::string file = path.filename().string();
  std::string_view rest = file;
  ProductName name;
  const auto timestamp = TakeTimestamp(rest);
  if (!timestamp) return std::nullopt;
  name.timestamp = *timestamp;
  if (TakePrefix(rest, "_")) return ParseAfterUnderscore(rest, std::move(name));
  if (TakePrefix(rest, ".")) return ParseAfterDot(rest, std::move(name));
  return std::nullopt;
}

std::string MosaicName(std::string_view start, std::string_view end, double dec_deg) {
  RequireTimestamp(start);
  RequireTimestamp(end);
  if (!(std::abs(dec_deg) <= 90) || end < start) {
    throw Error(ErrorKind::kBadInput, kConfigStage, fmt::format("mosaic {} … {} at {} deg", start, end, dec_deg),
                "needs a start before its end and a declination within ±90 deg");
  }
  const long tenths = std::lround(std::abs(dec_deg) * 10);
  const char sign = dec_deg < 0 && tenths > 0 ? '-' : '+';
  return fmt::format("{}_{}_{}{:02}.{}", start, end, sign, tenths / 10, tenths % 10);
}

std::optional<MosaicSpan> ParseMosaicName(std::string_view text) {
  auto name = ParseProductName(std::string(text) + ".image");
  if (!name || !name->of_mosaic()) return std::nullopt;
  return MosaicSpan{std::move(name->timestamp), std::move(name->end), name->dec_deg};
}

ProductKind MeasurementSetKind(const fs::path& path) {
  const auto name = ParseProductName(path);
  return name && name->kind == ProductKind::kCalibratorMs ? ProductKind::kCalibratorMs : ProductKind::kScienceMs;
}

}  // namespace contimg
