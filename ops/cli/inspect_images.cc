// What an image holds (FITS, compressed FITS or casacore), for a person and for scripts.
#include <fmt/format.h>

#include <cmath>
#include <fstream>

#include "config/text.h"
#include "config/time.h"
#include "config/units.h"
#include "image/plane/image_statistics.h"
#include "image/products/casacore/casacore_image.h"
#include "image/products/fits_image.h"
#include "ops/cli/inspector.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

json Facts(const image::FitsHeader& header, const fs::path& path, const char* form) {
  const image::ImageGeometry& g = header.geometry;
  json facts = {{"kind", "image"},
                {"path", path.string()},
                {"form", form},
                {"type", header.type},
                {"unit", header.unit},
                {"pixels", {g.nx, g.ny}},
                {"cell_arcsec", Angle::Radians(g.cell_rad).arcsec()},
                {"projection", image::Code(g.projection)},
                {"ra_deg", WrapPositive(Angle::Radians(header.centre.ra_rad)).deg()},
                {"dec_deg", Angle::Radians(header.centre.dec_rad).deg()},
                {"frequency_hz", header.frequency_hz},
                {"bandwidth_hz", header.bandwidth_hz},
                {"telescope", header.telescope},
                {"object", header.object},
                {"software", header.software},
                {"settings_hash", header.settings_hash},
                {"calibration", json::array()},
                {"history", header.history}};
  for (const auto& table : header.calibration) {
    facts["calibration"].push_back({{"table", table.name}, {"valid_from", table.date}});
  }
  if (header.beam) {
    facts["beam"] = {{"major_arcsec", Angle::Radians(header.beam->major_rad).arcsec()},
                     {"minor_arcsec", Angle::Radians(header.beam->minor_rad).arcsec()},
                     {"angle_deg", Angle::Radians(header.beam->angle_rad).deg()}};
  }
  if (header.mosaic) {
    facts["mosaic"] = {
        {"tiles", header.mosaic->tiles}, {"refused", header.mosaic->refused}, {"rms_jy", header.mosaic->rms_jy}};
  }
  if (header.end_mjd_s > 0) {
    facts["start"] = UtcTime::FromMjdSeconds(header.start_mjd_s).Stamp(3);
    facts["end"] = UtcTime::FromMjdSeconds(header.end_mjd_s).Stamp(3);
  }
  return facts;
}

std::string Text(const image::FitsHeader& header, const fs::path& path, const char* form) {
  const image::ImageGeometry& g = header.geometry;
  std::string text =
      fmt::format("{}: {} image, {}{}\n", Printable(path.string()), form,
                  header.type.empty() ? "unknown type" : header.type, header.unit.empty() ? "" : " in " + header.unit);
  const SmallAngleUnit cell_unit = UnitFor(Angle::Radians(g.cell_rad));
  text += fmt::format("  pixels        {} by {} of {:.4g} {}\n", g.nx, g.ny, cell_unit.Of(Angle::Radians(g.cell_rad)),
                      cell_unit.name);
  text += fmt::format("  centre        {:.6f} {:+.6f} deg (ICRS, {})\n",
                      WrapPositive(Angle::Radians(header.centre.ra_rad)).deg(),
                      Angle::Radians(header.centre.dec_rad).deg(), image::Code(g.projection));
  if (header.mosaic) {
    text += fmt::format("  mosaic        {}, {} left out, median rms {:.4g} Jy/beam\n",
                        Counted(header.mosaic->tiles, "tile"), header.mosaic->refused, header.mosaic->rms_jy);
  }
  text += fmt::format("  frequency     {:.4f} MHz, bandwidth {:.4f} MHz\n", header.frequency_hz / 1e6,
                      header.bandwidth_hz / 1e6);
  if (header.end_mjd_s > 0) {
    text += fmt::format("  times         {} to {}\n", UtcTime::FromMjdSeconds(header.start_mjd_s).Stamp(),
                        UtcTime::FromMjdSeconds(header.end_mjd_s).Stamp());
  }
  if (header.beam) {
    const SmallAngleUnit unit = UnitFor(Angle::Radians(header.beam->minor_rad));
    text +=
        fmt::format("  beam          {:.2f} by {:.2f} {}, position angle {:.1f} deg\n",
                    unit.Of(Angle::Radians(header.beam->major_rad)), unit.Of(Angle::Radians(header.beam->minor_rad)),
                    unit.name, Angle::Radians(header.beam->angle_rad).deg());
  }
  for (const auto& table : header.calibration) {
    text += fmt::format("  calibration   {}, valid from {}\n", table.name, table.date);
  }
  text += fmt::format("  made by       {}, settings {}\n", header.software, header.settings_hash);
  text += HistoryText(header.history);
  return text;
}

void Validate(const image::FitsImage& picture, const RunContext& context, Inspection& inspection) {
  const image::ImageMoments moments = image::ComputeMoments(picture.view(), context.threads);
  const std::size_t blank = picture.pixels.size() - moments.count;
  inspection.facts["blank_pixels"] = blank;
  if (moments.count == 0) {
    inspection.problems.emplace_back("every pixel is blank");
  } else {
    const double rms = image::ComputeRobustStatistics(picture.view()).rms;
    inspection.facts["minimum"] = moments.minimum;
    inspection.facts["maximum"] = moments.maximum;
    inspection.facts["rms"] = rms;
    inspection.text += fmt::format("  values        {:.6g} to {:.6g}, rms {:.4g} (robust), {} blank pixels\n",
                                   moments.minimum, moments.maximum, rms, blank);
  }
  if (!(picture.header.frequency_hz > 0)) inspection.problems.emplace_back("the header gives no frequency");
}

bool IsFits(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::string start(9, ' ');
  return file.read(start.data(), 9) && start == "SIMPLE  =";
}

std::vector<Inspection> InspectImages(const InspectRequest& request, const RunContext& context) {
  return InspectEach(request, "image", [&](Inspection& inspection) {
    const bool fits = IsFits(inspection.path);
    const image::FitsImage picture =
        fits ? image::ReadFitsImage(inspection.path) : image::ReadCasacoreImage(inspection.path);
    const char* form = fits ? "FITS" : "casacore";
    inspection.facts = Facts(picture.header, inspection.path, form);
    inspection.text = Text(picture.header, inspection.path, form);
    if (request.validate) Validate(picture, context, inspection);
  });
}

bool Recognises(const fs::path& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored) ? image::IsCasacoreImage(path) : IsFits(path);
}

}  // namespace

const Inspector& ImageInspector() {
  static const Inspector inspector{"image", Recognises, InspectImages};
  return inspector;
}

}  // namespace contimg::ops
