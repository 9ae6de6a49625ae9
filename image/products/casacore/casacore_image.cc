#include "image/products/casacore/casacore_image.h"

#include <casacore/casa/Arrays/ArrayLogical.h>
#include <casacore/casa/Arrays/Matrix.h>
#include <casacore/casa/Logging/LogSink.h>
#include <casacore/casa/Logging/NullLogSink.h>
#include <casacore/casa/Logging/StreamLogSink.h>
#include <casacore/casa/Quanta/Quantum.h>
#include <casacore/coordinates/Coordinates/CoordinateSystem.h>
#include <casacore/coordinates/Coordinates/DirectionCoordinate.h>
#include <casacore/coordinates/Coordinates/ObsInfo.h>
#include <casacore/coordinates/Coordinates/Projection.h>
#include <casacore/coordinates/Coordinates/SpectralCoordinate.h>
#include <casacore/coordinates/Coordinates/StokesCoordinate.h>
#include <casacore/images/Images/ImageInfo.h>
#include <casacore/images/Images/PagedImage.h>
#include <casacore/measures/Measures/MDirection.h>
#include <casacore/measures/Measures/MEpoch.h>
#include <casacore/measures/Measures/MFrequency.h>
#include <casacore/measures/Measures/MeasTable.h>
#include <casacore/measures/Measures/Stokes.h>
#include <casacore/tables/Tables/Table.h>
#include <casacore/tables/Tables/TableInfo.h>
#include <casacore/tables/Tables/TableUtil.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "config/error.h"
#include "config/os.h"
#include "config/time.h"
#include "config/units.h"
#include "convert/casacore/casacore_lock.h"

namespace contimg::image {
namespace {

namespace cc = casacore;
namespace fs = std::filesystem;
using convert::internal::WithCasacore;

// Naming a telescope makes casacore look for its place in a table that is not installed everywhere, and fail without.
bool HaveObservatories() {
  static const bool have = [] {
    cc::LogSinkInterface* quiet = new cc::NullLogSink;
    cc::LogSink::globalSink(quiet);  // it takes the pointer; the failure would be printed
    bool found = true;
    try {
      cc::MeasTable::Observatories();
    } catch (const cc::AipsError&) {
      found = false;
    }
    cc::LogSinkInterface* usual = new cc::StreamLogSink(cc::LogMessage::NORMAL);
    cc::LogSink::globalSink(usual);
    return found;
  }();
  return have;
}

cc::CoordinateSystem Coordinates(const FitsHeader& header) {
  const ImageGeometry& g = header.geometry;
  cc::Matrix<cc::Double> identity(2, 2, 0.0);
  identity.diagonal() = 1.0;
  cc::CoordinateSystem system;
  // casacore counts pixels from zero.
  system.addCoordinate(
      cc::DirectionCoordinate(cc::MDirection::ICRS, cc::Projection(cc::Projection::type(Code(g.projection))),
                              WrapPositive(Angle::Radians(header.centre.ra_rad)).rad(), header.centre.dec_rad,
                              -g.cell_rad, g.cell_rad, identity, static_cast<double>(g.nx / 2) + g.shift_l / g.cell_rad,
                              static_cast<double>(g.ny / 2) - g.shift_m / g.cell_rad));
  system.addCoordinate(cc::StokesCoordinate(cc::Vector<cc::Int>(1, cc::Stokes::I)));
  const double width = header.bandwidth_hz > 0 ? header.bandwidth_hz : 1;  // 0 is no axis
  system.addCoordinate(
      cc::SpectralCoordinate(cc::MFrequency::TOPO, header.frequency_hz, width, 0.0, header.frequency_hz));
  cc::ObsInfo info;
  if (HaveObservatories()) info.setTelescope(header.telescope);
  info.setObserver(header.software);
  if (header.end_mjd_s > 0) {
    info.setObsDate(cc::MEpoch(cc::MVEpoch(cc::Quantity(header.start_mjd_s, "s")), cc::MEpoch::UTC));
  }
  if (header.pointing) info.setPointingCenter(cc::MVDirection(header.pointing->ra_rad, header.pointing->dec_rad));
  system.setObsInfo(info);
  return system;
}

cc::ImageInfo Info(const FitsHeader& header) {
  cc::ImageInfo info;
  info.setObjectName(header.object);
  const cc::ImageInfo::ImageTypes type = cc::ImageInfo::imageType(header.type);
  info.setImageType(type == cc::ImageInfo::Undefined ? cc::ImageInfo::Intensity : type);
  if (header.beam) {
    info.setRestoringBeam(cc::GaussianBeam(cc::Quantity(Angle::Radians(header.beam->major_rad).arcsec(), "arcsec"),
                                           cc::Quantity(Angle::Radians(header.beam->minor_rad).arcsec(), "arcsec"),
                                           cc::Quantity(Angle::Radians(header.beam->angle_rad).deg(), "deg")));
  }
  return info;
}

// What has no place of its own in a casacore image, under the names of the FITS keywords.
cc::TableRecord Miscellaneous(const FitsHeader& header) {
  cc::TableRecord record;
  record.define("TELESCOP", cc::String(header.telescope));
  record.define("INSTRUME", cc::String(header.instrument));
  record.define("CREATOR", cc::String(header.software));
  record.define("SETTHASH", cc::String(header.settings_hash));
  record.define("BTYPE", cc::String(header.type));
  if (header.mosaic) {
    record.define("NTILES", header.mosaic->tiles);
    record.define("NREFUSED", header.mosaic->refused);
    record.define("EFFNOISE", header.mosaic->rms_jy);
  }
  if (header.end_mjd_s > 0) {
    record.define("MJD-BEG", header.start_mjd_s / kSecondsPerDay);
    record.define("MJD-END", header.end_mjd_s / kSecondsPerDay);
  }
  for (std::size_t i = 0; i < header.calibration.size(); ++i) {
    const std::string n = std::to_string(i + 1);
    record.define("CALTAB" + n, cc::String(header.calibration[i].name));
    record.define("CALDAT" + n, cc::String(header.calibration[i].date));
  }
  return record;
}

std::string TextOf(const cc::TableRecord& record, const char* name) {
  return record.isDefined(name) && record.dataType(name) == cc::TpString ? std::string(record.asString(name)) : "";
}
double NumberOf(const cc::TableRecord& record, const char* name) {
  return record.isDefined(name) && record.dataType(name) == cc::TpDouble ? record.asDouble(name) : 0;
}

FitsHeader HeaderOf(const cc::PagedImage<cc::Float>& image, const fs::path& path) {
  const cc::CoordinateSystem& system = image.coordinates();
  const cc::Int at = system.findCoordinate(cc::Coordinate::DIRECTION);
  const cc::Vector<cc::Int> axes = at < 0 ? cc::Vector<cc::Int>() : system.pixelAxes(static_cast<cc::uInt>(at));
  if (at < 0 || axes.size() != 2 || axes[0] != 0 || axes[1] != 1) {
    throw Error(ErrorKind::kBadInput, "image", path.string(), "expected right ascension and declination as first axes");
  }
  const cc::DirectionCoordinate& direction = system.directionCoordinate(static_cast<cc::uInt>(at));
  const cc::Vector<cc::Double> cell = direction.increment(), value = direction.referenceValue(),
                               pixel = direction.referencePixel();
  const cc::Projection::Type projection = direction.projection().type();
  const bool known = projection == cc::Projection::SIN || projection == cc::Projection::ZEA;
  if (!known || !(cell[0] < 0) || std::abs(cell[0] + cell[1]) > 1e-9 * cell[1]) {
    throw Error(ErrorKind::kBadInput, "image", path.string(),
                "expected SIN or ZEA projection with square pixels and right ascension to the left");
  }
  const cc::Matrix<cc::Double> turn = direction.linearTransform();
  const cc::Vector<cc::Double> slant = direction.projection().parameters();
  if (turn(0, 0) != 1 || turn(1, 1) != 1 || turn(0, 1) != 0 || turn(1, 0) != 0 || cc::anyNE(slant, 0.0)) {
    throw Error(ErrorKind::kBadInput, "image", path.string(),
                "expected an image with north up and without a slant, found one that is turned or has a slant; regrid "
                "it first");
  }
  const cc::MDirection::Types frame = direction.directionType();
  if (frame != cc::MDirection::ICRS && frame != cc::MDirection::J2000) {
    throw Error(ErrorKind::kBadInput, "image", path.string(),
                "expected positions in ICRS or J2000, found " + std::string(cc::MDirection::showType(frame)));
  }
  const cc::Int stokes = system.findCoordinate(cc::Coordinate::STOKES);
  if (stokes >= 0) {
    const auto first =
        static_cast<cc::Stokes::StokesTypes>(system.stokesCoordinate(static_cast<cc::uInt>(stokes)).stokes()[0]);
    if (first != cc::Stokes::I) {
      throw Error(ErrorKind::kBadInput, "image", path.string(),
                  "expected an image of Stokes I, found a first plane of " + std::string(cc::Stokes::name(first)) +
                      "; give the image of I");
    }
  }
  FitsHeader header;
  ImageGeometry& g = header.geometry;
  if (projection == cc::Projection::ZEA) g.projection = Projection::kZea;
  g.nx = static_cast<std::size_t>(image.shape()[0]);
  g.ny = static_cast<std::size_t>(image.shape()[1]);
  g.cell_rad = cell[1];
  g.shift_l = (pixel[0] - static_cast<double>(g.nx / 2)) * g.cell_rad;
  g.shift_m = -(pixel[1] - static_cast<double>(g.ny / 2)) * g.cell_rad;
  header.centre = {value[0], value[1]};
  header.unit = image.units().getName();
  const cc::ImageInfo& info = image.imageInfo();
  if (info.hasBeam()) {
    const cc::GaussianBeam beam = info.restoringBeam();
    header.beam = GaussianBeam{beam.getMajor("rad"), beam.getMinor("rad"), beam.getPA().getValue("rad")};
  }
  header.object = info.objectName();
  const cc::Int spectral = system.findCoordinate(cc::Coordinate::SPECTRAL);
  if (spectral >= 0) {
    const cc::SpectralCoordinate& frequency = system.spectralCoordinate(static_cast<cc::uInt>(spectral));
    header.frequency_hz = frequency.referenceValue()[0];
    cc::Double first = 0;  // of the plane that is read
    if (frequency.referencePixel()[0] != 0 && frequency.toWorld(first, 0.0)) header.frequency_hz = first;
    header.bandwidth_hz = std::abs(frequency.increment()[0]);
  }
  const cc::TableRecord& misc = image.miscInfo();
  header.telescope = TextOf(misc, "TELESCOP");
  if (header.telescope.empty()) header.telescope = system.obsInfo().telescope();
  header.type = TextOf(misc, "BTYPE");
  header.instrument = TextOf(misc, "INSTRUME");
  header.software = TextOf(misc, "CREATOR");
  header.settings_hash = TextOf(misc, "SETTHASH");
  if (misc.isDefined("NTILES") && misc.dataType("NTILES") == cc::TpInt) {
    const bool counted = misc.isDefined("NREFUSED") && misc.dataType("NREFUSED") == cc::TpInt;
    header.mosaic = MosaicFacts{misc.asInt("NTILES"), counted ? misc.asInt("NREFUSED") : 0, NumberOf(misc, "EFFNOISE")};
  }
  header.start_mjd_s = NumberOf(misc, "MJD-BEG") * kSecondsPerDay;
  header.end_mjd_s = NumberOf(misc, "MJD-END") * kSecondsPerDay;
  for (int i = 1;; ++i) {
    const std::string name = TextOf(misc, ("CALTAB" + std::to_string(i)).c_str());
    if (name.empty()) break;
    header.calibration.push_back({name, TextOf(misc, ("CALDAT" + std::to_string(i)).c_str())});
  }
  return header;
}

}  // namespace

void WriteCasacoreImage(const fs::path& path, ArrayView<const float, 2> image, const FitsHeader& header) {
  WithCasacore(ErrorKind::kIo, path.string(), [&] {
    const auto nx = static_cast<ssize_t>(image.shape(1)), ny = static_cast<ssize_t>(image.shape(0));
    const cc::IPosition shape(4, nx, ny, 1, 1);
    cc::PagedImage<cc::Float> paged(cc::TiledShape(shape), Coordinates(header), path.string());
    // casacore's arrays want a mutable pointer; a shared array is only read here.
    const cc::Array<cc::Float> pixels(shape, const_cast<float*>(image.data()), cc::SHARE);
    paged.put(pixels);
    if (std::any_of(image.begin(), image.end(), [](float v) { return std::isnan(v); })) {
      paged.makeMask("mask0", true, true, false);
      paged.pixelMask().put(!isNaN(pixels));
    }
    paged.setUnits(cc::Unit(header.unit));
    paged.setImageInfo(Info(header));
    paged.setMiscInfo(Miscellaneous(header));
    cc::LogSink& log = paged.logger().sink();
    for (const std::string& line : header.history) {
      log.postLocally(cc::LogMessage(line, cc::LogOrigin("contimg")));
    }
    paged.flush();
  });
  if (HaveObservatories()) return;
  // Even the name UNKNOWN would make casacore look for the table when it opens the image.
  WithCasacore(ErrorKind::kIo, path.string(), [&] {
    cc::Table table(path.string(), cc::Table::Update);
    cc::TableRecord& coordinates = table.rwKeywordSet().rwSubRecord("coords");
    if (coordinates.isDefined("telescope")) coordinates.removeField("telescope");
    table.flush();
  });
}

bool IsCasacoreImage(const fs::path& path) {
  try {
    return WithCasacore(ErrorKind::kBadInput, path.string(), [&] {
      return cc::Table::isReadable(path.string()) &&
             cc::TableUtil::tableInfo(path.string()).type() == cc::TableInfo::type(cc::TableInfo::PAGEDIMAGE);
    });
  } catch (const Error&) {
    return false;
  }
}

FitsImage ReadCasacoreImage(const fs::path& path) {
  if (!Exists(path)) throw Error(ErrorKind::kIo, "image", path.string(), "cannot open the image: there is none");
  return WithCasacore(ErrorKind::kBadInput, path.string(), [&] {
    const cc::PagedImage<cc::Float> paged(path.string());
    FitsImage result;
    result.header = HeaderOf(paged, path);
    cc::IPosition length = paged.shape();
    for (std::size_t axis = 2; axis < length.size(); ++axis) length[axis] = 1;
    const cc::Slicer plane(cc::IPosition(length.size(), 0), length);
    cc::Array<cc::Float> pixels = paged.getSlice(plane);
    const std::size_t count = result.header.geometry.nx * result.header.geometry.ny;
    result.pixels = Buffer<float>(count);
    std::copy_n(pixels.data(), count, result.pixels.begin());
    if (paged.hasPixelMask()) {
      const cc::Array<cc::Bool> good = paged.getMaskSlice(plane);
      const cc::Bool* valid = good.data();
      for (std::size_t i = 0; i < count; ++i) {
        if (!valid[i]) result.pixels[i] = std::numeric_limits<float>::quiet_NaN();
      }
    }
    return result;
  });
}

}  // namespace contimg::image
