#include "ops/migration/thing.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "calibrate/casacore/calibration_table.h"
#include "calibrate/solutions.h"
#include "config/error.h"
#include "config/time.h"
#include "config/units.h"
#include "convert/measurement_set_reader.h"
#include "image/products/fits_image.h"
#include "ingest/uvh5_reader.h"
#include "ops/migration/stage_name.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;

constexpr double kNameToleranceS = 900;  // of the data behind the name: a tile has five minutes
constexpr double kStampToleranceS = 60;  // of a subband file: a group's files begin together
constexpr std::string_view kHdf5 = "\x89HDF\r\n\x1a\n", kPng = "\x89PNG\r\n\x1a\n", kFits = "SIMPLE  =";

// What WSClean writes behind its prefix, with "-MFS" before it or not.
constexpr std::array<std::pair<std::string_view, ProductKind>, 6> kWscleanEndings{
    {{"-image-pb.fits", ProductKind::kPbcor},
     {"-image.fits", ProductKind::kImage},
     {"-residual.fits", ProductKind::kResidual},
     {"-model.fits", ProductKind::kModel},
     {"-psf.fits", ProductKind::kPsf},
     {"-dirty.fits", ProductKind::kDirty}}};

Error Refusal(const fs::path& path, std::string why) {
  return Error(ErrorKind::kBadInput, kMigrateStage, path.string(), std::move(why));
}

std::string FirstBytes(const fs::path& file, std::size_t n) {
  std::string bytes(n, '\0');
  std::ifstream stream(file, std::ios::binary);
  stream.read(bytes.data(), static_cast<std::streamsize>(n));
  bytes.resize(static_cast<std::size_t>(std::max<std::streamsize>(0, stream.gcount())));
  return bytes;
}
bool BeginsWith(const std::string& bytes, std::string_view magic) { return bytes.compare(0, magic.size(), magic) == 0; }

std::string StampOfData(double mjd_s) { return UtcTime::FromMjdSeconds(mjd_s).Iso8601().substr(0, 19); }

// The timestamp that the name begins with, where the data agree; that of the data when the name begins with none.
std::string TimestampOf(const fs::path& path, double start_mjd_s, double tolerance_s = kNameToleranceS) {
  if (!(start_mjd_s > 0)) throw Refusal(path, "does not say when it was observed");
  const UtcTime start = UtcTime::FromMjdSeconds(start_mjd_s);
  const std::string name = path.filename().string().substr(0, 19);
  if (!IsTimestamp(name)) return StampOfData(start_mjd_s);
  if (std::abs(UtcTime::FromIso8601(name) - start) > tolerance_s) {
    throw Refusal(path, fmt::format("is called {} and holds data of {}", name, StampOfData(start_mjd_s)));
  }
  return name;
}

Thing LookAtMeasurementSet(const fs::path& path) {
  const auto info = convert::DescribeMeasurementSet(path);
  if (info.n_rows == 0) throw Refusal(path, "is a Measurement Set without rows");
  if (info.fields.empty()) throw Refusal(path, "is a Measurement Set without a field");
  Thing thing;
  thing.kind = Thing::Kind::kMeasurementSet;
  thing.timestamp = TimestampOf(path, info.start_mjd_s);
  thing.ra_deg = WrapPositive(Angle::Radians(info.fields.front().centre.ra_rad)).deg();
  thing.dec_deg = Angle::Radians(info.fields.front().centre.dec_rad).deg();
  const auto name = ParseProductName(path);
  if (name && name->kind == ProductKind::kCalibratorMs) thing.named_interval = name->interval;
  if (!IsTimestamp(path.filename().string().substr(0, 19))) thing.alias = path.stem().string();
  return thing;
}

Thing LookAtTable(const fs::path& path) {
  const calibrate::SolutionSet solutions = calibrate::ReadCalibrationTable(path);
  if (solutions.intervals.empty()) throw Refusal(path, "is a calibration table without solutions");
  const double middle_mjd_s = (solutions.intervals.front().time_mjd_s + solutions.intervals.back().time_mjd_s) / 2;
  Thing thing;
  thing.kind = Thing::Kind::kCalTable;
  thing.cal_kind = solutions.kind;
  const auto name = ParseProductName(path);
  if (name && name->kind == ProductKind::kCalTable) {
    if (name->cal_kind != thing.cal_kind) {
      throw Refusal(path, fmt::format("is called .{} and holds solutions of the kind {}", Extension(name->cal_kind),
                                      ToString(thing.cal_kind)));
    }
    thing.named_interval = name->interval;
  }
  // Of the set it was solved from; the name and, without one, the set's name are to be of about that time.
  thing.timestamp = TimestampOf(path, middle_mjd_s);
  const std::string of = fs::path(solutions.source_ms).filename().string().substr(0, 19);
  if (!name && IsTimestamp(of) &&
      std::abs(UtcTime::FromIso8601(of) - UtcTime::FromMjdSeconds(middle_mjd_s)) <= kNameToleranceS) {
    thing.timestamp = of;
  }
  thing.reason = solutions.source_ms.empty() ? "by the time of its solutions" : "solved from " + solutions.source_ms;
  return thing;
}

Thing LookAtSubband(const fs::path& path, const ProductPaths& paths) {
  const ingest::SubbandHeader header = ingest::ReadSubbandHeader(path);
  if (!header.subband) throw Refusal(path, "does not say which subband it is, by name or by its frequencies");
  Thing thing;
  if (const auto name = ParseIncomingName(path)) {
    if (name->incomplete) throw Refusal(path, "is still being written");
    thing.timestamp = name->timestamp;
    if (std::abs(UtcTime::FromIso8601(thing.timestamp) - UtcTime::FromMjdSeconds(header.start_mjd_s())) >
        kStampToleranceS) {
      throw Refusal(
          path, fmt::format("is called {} and holds data of {}", thing.timestamp, StampOfData(header.start_mjd_s())));
    }
  } else {
    thing.timestamp = StampOfData(header.start_mjd_s());
  }
  thing.file_class = "incoming";
  thing.place = paths.Incoming(thing.timestamp, *header.subband);
  thing.reason = fmt::format("UVH5, subband {}", *header.subband);
  return thing;
}

struct ImageName {
  ProductKind kind = ProductKind::kImage;
  ImageFormat format = ImageFormat::kFits;
  int band = 0;
};
std::optional<ImageName> ImageNameOf(const fs::path& path, const std::optional<ProductName>& name) {
  if (name) {
    if (HasPixels(name->kind)) return ImageName{name->kind, name->format, name->band};
    return std::nullopt;
  }
  const std::string file = path.filename().string();
  for (const auto& [ending, kind] : kWscleanEndings) {
    if (file.size() > ending.size() && file.compare(file.size() - ending.size(), ending.size(), ending) == 0) {
      return ImageName{kind, ImageFormat::kFits, 0};
    }
  }
  return std::nullopt;
}

// Its names are made in one way only.
fs::path BesideMosaic(const fs::path& path, const ProductName& name, const ProductPaths& paths) {
  return paths.MosaicPrefix(name.timestamp, name.end, name.dec_deg).parent_path() / path.filename();
}

Thing LookAtFits(const fs::path& path, const std::optional<ProductName>& product, const ProductPaths& paths) {
  const auto name = ImageNameOf(path, product);
  if (!name)
    throw Refusal(path, "is a FITS file whose name does not say which image of a group it is (image, residual…)");
  const image::FitsHeader header = image::ReadFitsImage(path).header;
  Thing thing;
  thing.timestamp = TimestampOf(path, header.start_mjd_s);
  thing.reason = fmt::format("FITS image of {}", StampOfData(header.start_mjd_s));
  if (product && product->of_mosaic()) {
    thing.file_class = "mosaic";
    thing.place = BesideMosaic(path, *product, paths);
  } else {
    thing.file_class = "image";
    thing.place = paths.Image(thing.timestamp, name->kind, name->format, name->band);
  }
  return thing;
}

bool IsPicture(ProductKind kind) { return kind == ProductKind::kQaPicture || kind == ProductKind::kMosaicPicture; }

// Of a group that its name tells; whether the content is of that group, nothing in it says.
Thing LookAtQuality(const fs::path& path, const ProductName& name, const ProductPaths& paths) {
  Thing thing;
  thing.timestamp = name.timestamp;
  thing.file_class = "qa";
  const bool picture = IsPicture(name.kind);
  thing.place = name.of_mosaic() ? BesideMosaic(path, name, paths)
                : picture        ? paths.QaPicture(name.timestamp)
                                 : paths.QaMetrics(name.timestamp);
  thing.reason = picture ? "a PNG picture" : "figures in JSON";
  return thing;
}

std::optional<Thing> LookAtFile(const fs::path& path, const ProductPaths& paths, Os& os) {
  const auto name = ParseProductName(path);
  const bool claims = name || ParseIncomingName(path);
  if (FileSize(path, os) == 0) {
    if (claims) throw Refusal(path, "is empty");
    return std::nullopt;
  }
  const std::string begin = FirstBytes(path, 16);
  if (BeginsWith(begin, kHdf5) && (!name || ParseIncomingName(path))) return LookAtSubband(path, paths);
  if (BeginsWith(begin, kFits)) return LookAtFits(path, name, paths);
  if (name && IsPicture(name->kind) && BeginsWith(begin, kPng)) return LookAtQuality(path, *name, paths);
  if (name && (name->kind == ProductKind::kQaMetrics || name->kind == ProductKind::kMosaicMetrics) &&
      nlohmann::json::parse(os.ReadFile(path), nullptr, false).is_object()) {
    return LookAtQuality(path, *name, paths);
  }
  if (name && name->kind == ProductKind::kFailedLog) return std::nullopt;
  if (claims)
    throw Refusal(path, "is not what it is called: it holds something else, or is damaged from its beginning");
  return std::nullopt;
}

}  // namespace

std::string CasacoreTableType(const fs::path& directory, Os& os) {
  const fs::path info = directory / "table.info";
  if (!IsFile(directory / "table.dat", os) || !IsFile(info, os)) return "";
  std::ifstream file(info);
  std::string line, type, subtype;
  while (std::getline(file, line) && (type.empty() || subtype.empty())) {
    if (line.rfind("Type = ", 0) == 0) type = line.substr(7);
    if (line.rfind("SubType = ", 0) == 0) subtype = line.substr(10);
  }
  return subtype.empty() ? type : type + "/" + subtype;
}

std::optional<Thing> LookAtThing(const fs::path& path, const ProductPaths& paths, Os& os) {
  if (!IsDirectory(path, os)) return LookAtFile(path, paths, os);
  const std::string type = CasacoreTableType(path, os);
  if (type == "Measurement Set") return LookAtMeasurementSet(path);
  if (type.rfind("Calibration", 0) == 0) return LookAtTable(path);
  if (type == "Image")
    throw Refusal(path, "is an image of casacore's, which does not say when it was observed: export it as FITS");
  if (!type.empty()) throw Refusal(path, fmt::format("is a table of the type '{}', which is no product", type));
  throw Refusal(path, "is called a table and has no table.dat and table.info: it is damaged, or was copied in part");
}

nlohmann::json ToJson(const Thing& thing) {
  return {
      {"kind", static_cast<int>(thing.kind)},
      {"timestamp", thing.timestamp},
      {"reason", thing.reason},
      {"interval", thing.named_interval ? nlohmann::json(static_cast<int>(*thing.named_interval)) : nlohmann::json()},
      {"alias", thing.alias},
      {"ra_deg", thing.ra_deg},
      {"dec_deg", thing.dec_deg},
      {"cal_kind", static_cast<int>(thing.cal_kind)},
      {"file_class", thing.file_class},
      {"place", thing.place.string()}};
}

Thing ThingOf(const nlohmann::json& object) {
  Thing thing;
  thing.kind = static_cast<Thing::Kind>(object.at("kind").get<int>());
  thing.timestamp = object.at("timestamp");
  thing.reason = object.at("reason");
  if (!object.at("interval").is_null()) thing.named_interval = static_cast<CalInterval>(object["interval"].get<int>());
  thing.alias = object.at("alias");
  thing.ra_deg = object.at("ra_deg");
  thing.dec_deg = object.at("dec_deg");
  thing.cal_kind = static_cast<CalKind>(object.at("cal_kind").get<int>());
  thing.file_class = object.at("file_class");
  thing.place = object.at("place").get<std::string>();
  return thing;
}

}  // namespace contimg::ops
