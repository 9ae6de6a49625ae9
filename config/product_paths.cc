#include "config/product_paths.h"

#include <fmt/format.h>

#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <utility>

#include "config/error.h"
#include "config/os.h"
#include "config/time.h"

namespace contimg {
namespace {

namespace fs = std::filesystem;
constexpr const char* kStage = "config";
constexpr std::size_t kTimestampLength = 19;

constexpr std::array<std::pair<ImageKind, std::string_view>, 8> kImageKinds{{{ImageKind::kPbcor, "image.pbcor"},
                                                                             {ImageKind::kImage, "image"},
                                                                             {ImageKind::kResidual, "residual"},
                                                                             {ImageKind::kModel, "model"},
                                                                             {ImageKind::kPsf, "psf"},
                                                                             {ImageKind::kPb, "pb"},
                                                                             {ImageKind::kSmear, "smear"},
                                                                             {ImageKind::kDirty, "dirty"}}};
constexpr std::array<std::pair<CalKind, std::string_view>, 3> kCalExtensions{
    {{CalKind::kDelay, "kcal"}, {CalKind::kBandpass, "bpcal"}, {CalKind::kGain, "gpcal"}}};

std::string_view FormatSuffix(ImageFormat format) { return format == ImageFormat::kFits ? ".fits" : ""; }

void RequireTimestamp(std::string_view text) {
  if (!IsTimestamp(text)) {
    throw Error(ErrorKind::kBadInput, kStage, std::string(text), "is not a timestamp like 2025-10-13T13:28:03");
  }
}

const fs::path& Require(const fs::path& root, std::string_view variable) {
  if (root.empty()) {
    throw Error(ErrorKind::kUsage, kStage, std::string(variable), "is not set, and a path below it is needed");
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
    throw Error(ErrorKind::kBadInput, kStage, fmt::format("subband {}", subband), "is outside 0…99");
  }
  return fmt::format("sb{:02}", subband);
}

// "+16.1", "-05.0": the only spelling that Mosaic() makes.
std::optional<double> ParseDec(std::string_view text) {
  if (text.size() != 5 || (text[0] != '+' && text[0] != '-') || text[3] != '.') return std::nullopt;
  for (std::size_t i : {1, 2, 4}) {
    if (!std::isdigit(static_cast<unsigned char>(text[i]))) return std::nullopt;
  }
  const int tenths = (text[1] - '0') * 100 + (text[2] - '0') * 10 + (text[4] - '0');
  if (tenths > 900 || (tenths == 0 && text[0] == '-')) return std::nullopt;
  return (text[0] == '-' ? -tenths : tenths) / 10.0;
}

// What may follow "<timestamp>_": a calibrator's Measurement Set or table, or a mosaic.
std::optional<ProductName> ParseAfterUnderscore(std::string_view rest, ProductName name) {
  for (const CalInterval interval : {CalInterval::k24Hours, CalInterval::k1Hour}) {
    std::string_view tail = rest;
    if (!TakePrefix(tail, ToString(interval)) || !TakePrefix(tail, ".")) continue;
    name.interval = interval;
    if (tail == "ms") {
      name.kind = ProductName::Kind::kCalibratorMs;
      return name;
    }
    name.kind = ProductName::Kind::kCalTable;
    for (const auto& [kind, extension] : kCalExtensions) {
      if (tail != extension || (interval == CalInterval::k1Hour && kind != CalKind::kGain)) continue;
      name.cal_kind = kind;
      return name;
    }
    return std::nullopt;
  }
  const auto end = TakeTimestamp(rest);
  if (!end || *end < name.timestamp || !TakePrefix(rest, "_")) return std::nullopt;
  name.kind = ProductName::Kind::kMosaic;
  name.end = *end;
  name.format = TakeSuffix(rest, ".fits") ? ImageFormat::kFits : ImageFormat::kCasa;
  if (!TakeSuffix(rest, ".image")) return std::nullopt;
  const auto dec = ParseDec(rest);
  if (!dec) return std::nullopt;
  name.dec_deg = *dec;
  return name;
}

// What may follow "<timestamp>.".
std::optional<ProductName> ParseAfterDot(std::string_view rest, ProductName name) {
  using Kind = ProductName::Kind;
  constexpr std::array<std::pair<std::string_view, Kind>, 4> kPlain{{{"ms", Kind::kScienceMs},
                                                                     {"log", Kind::kFailedLog},
                                                                     {"qa.png", Kind::kQaPicture},
                                                                     {"metrics.json", Kind::kQaMetrics}}};
  for (const auto& [extension, kind] : kPlain) {
    if (rest != extension) continue;
    name.kind = kind;
    return name;
  }
  name.kind = Kind::kImage;
  name.format = TakeSuffix(rest, ".fits") ? ImageFormat::kFits : ImageFormat::kCasa;
  for (const auto& [kind, extension] : kImageKinds) {
    if (rest != extension) continue;
    name.image_kind = kind;
    return name;
  }
  return std::nullopt;
}

}  // namespace

std::string_view ToString(CalInterval interval) { return interval == CalInterval::k24Hours ? "24h" : "1h"; }

std::string_view ToString(CalKind kind) {
  return kind == CalKind::kDelay ? "K" : kind == CalKind::kBandpass ? "BP" : "G";
}

std::string_view ToString(ImageKind kind) {
  for (const auto& [candidate, extension] : kImageKinds) {
    if (candidate == kind) return extension;
  }
  return "image";
}

std::string_view Extension(CalKind kind) {
  for (const auto& [candidate, extension] : kCalExtensions) {
    if (candidate == kind) return extension;
  }
  return "kcal";
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
    throw Error(ErrorKind::kBug, kStage, std::string(timestamp), "an hourly table must be a gain table");
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

fs::path ProductPaths::Image(std::string_view timestamp, ImageKind kind, ImageFormat format) const {
  return fmt::format("{}.{}{}", ImagePrefix(timestamp).string(), ToString(kind), FormatSuffix(format));
}

fs::path ProductPaths::Mosaic(std::string_view start, std::string_view end, double dec_deg, ImageFormat format) const {
  RequireTimestamp(start);
  RequireTimestamp(end);
  if (!(std::abs(dec_deg) <= 90) || end < start) {
    throw Error(ErrorKind::kBadInput, kStage, fmt::format("mosaic {} … {} at {} deg", start, end, dec_deg),
                "needs a start before its end and a declination within ±90 deg");
  }
  const long tenths = std::lround(std::abs(dec_deg) * 10);
  const char sign = dec_deg < 0 && tenths > 0 ? '-' : '+';
  return Require(roots_.images, "CONTIMG_IMAGES_DIR") / "mosaics" /
         fmt::format("{}_{}_{}{:02}.{}.image{}", start, end, sign, tenths / 10, tenths % 10, FormatSuffix(format));
}

fs::path ProductPaths::QaPicture(std::string_view timestamp) const {
  return Require(roots_.images, "CONTIMG_IMAGES_DIR") / "qa" / DayOf(timestamp) / fmt::format("{}.qa.png", timestamp);
}

fs::path ProductPaths::QaMetrics(std::string_view timestamp) const {
  return Require(roots_.images, "CONTIMG_IMAGES_DIR") / "qa" / DayOf(timestamp) /
         fmt::format("{}.metrics.json", timestamp);
}

fs::path ProductPaths::Staging(std::string_view timestamp) const {
  RequireTimestamp(timestamp);
  return Require(roots_.staging, "CONTIMG_STAGING_DIR") / std::string(timestamp);
}

fs::path ProductPaths::StagedSubband(std::string_view timestamp, int subband) const {
  return Staging(timestamp) / (SubbandTag(subband) + ".ms");
}

fs::path ProductPaths::StagedConcat(std::string_view timestamp) const { return Staging(timestamp) / "concat.ms"; }

fs::path ProductPaths::ScratchStaging(std::string_view timestamp) const {
  RequireTimestamp(timestamp);
  return Require(roots_.tmp, "CONTIMG_TMP_DIR") / "staging" / std::string(timestamp);
}

fs::path ProductPaths::Parts() const { return Require(roots_.tmp, "CONTIMG_TMP_DIR") / "parts"; }
fs::path ProductPaths::Cache() const { return Require(roots_.tmp, "CONTIMG_TMP_DIR") / "cache"; }
fs::path ProductPaths::Quarantine() const { return Require(roots_.scratch, "CONTIMG_SCRATCH_DIR") / "quarantine"; }
fs::path ProductPaths::Static(std::string_view what) const {
  return Require(roots_.scratch, "CONTIMG_SCRATCH_DIR") / "static" / what;
}
fs::path ProductPaths::Archive(std::string_view what) const {
  return Require(roots_.scratch, "CONTIMG_SCRATCH_DIR") / "archive" / what;
}
fs::path ProductPaths::Curated() const { return Require(roots_.scratch, "CONTIMG_SCRATCH_DIR") / "curated"; }

fs::path ProductPaths::Database(StateDatabase database) const {
  constexpr std::array<const char*, 4> kNames{"ingest.sqlite3", "cal_registry.sqlite3", "products.sqlite3",
                                              "master_sources.sqlite3"};
  return Require(roots_.state, "CONTIMG_STATE_DIR") / kNames.at(static_cast<std::size_t>(database));
}

fs::path ProductPaths::Jobs(std::string_view timestamp) const {
  return Require(roots_.state, "CONTIMG_STATE_DIR") / "jobs" / DayOf(timestamp) / std::string(timestamp);
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
  add(roots_.tmp, {"staging", "parts", "cache"});
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
  ProductName name;
  if (IsUnfinishedName(path)) {
    name.kind = ProductName::Kind::kUnfinished;
    return name;
  }
  const std::string file = path.filename().string();
  std::string_view rest = file;
  if (const auto timestamp = TakeTimestamp(rest)) {
    name.timestamp = *timestamp;
    if (TakePrefix(rest, "_")) return ParseAfterUnderscore(rest, std::move(name));
    if (TakePrefix(rest, ".")) return ParseAfterDot(rest, std::move(name));
    return std::nullopt;
  }
  name.timestamp = path.parent_path().filename().string();
  if (!IsTimestamp(name.timestamp) || !TakeSuffix(rest, ".ms")) return std::nullopt;
  name.kind = ProductName::Kind::kStagedConcat;
  if (rest == "concat") return name;
  name.kind = ProductName::Kind::kStagedSubband;
  if (!TakePrefix(rest, "sb")) return std::nullopt;
  const auto subband = TwoDigits(rest);
  if (!subband) return std::nullopt;
  name.subband = *subband;
  return name;
}

}  // namespace contimg
