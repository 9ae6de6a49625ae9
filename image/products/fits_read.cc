#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <utility>

#include "config/os.h"
#include "config/time.h"
#include "config/units.h"
#include "image/products/fits_axes.h"
#include "image/products/fits_file.h"
#include "image/products/fits_image.h"

namespace contimg::image {

void CheckFits(int status, ErrorKind kind, const std::filesystem::path& path, const char* doing) {
  if (status == 0) return;
  char text[FLEN_STATUS] = "";
  const int error_number = errno;
  fits_get_errstatus(status, text);
  fits_clear_errmsg();
  // cfitsio drops what the system said, but leaves it in errno.
  const bool wrote = status == WRITE_ERROR || status == FILE_NOT_CREATED || status == FILE_NOT_CLOSED;
  if (wrote && (error_number == ENOSPC || error_number == EDQUOT || error_number == EROFS || error_number == EACCES)) {
    throw SystemError("image", path.string(), doing, error_number);
  }
  throw Error(kind, "image", path.string(), std::string(doing) + ": " + text);
}

void RequireFile(const std::filesystem::path& path) {
  if (!Exists(path) || IsFile(path)) return;
  throw Error(ErrorKind::kBadInput, "image", path.string(), "expected a file, found something else (a pipe, a device)");
}

double CardReader::Number(const char* key, double otherwise) {
  double value = 0;
  int status = 0;
  fits_read_key(file_, TDOUBLE, key, &value, nullptr, &status);
  if (status != 0) fits_clear_errmsg();
  return status == 0 ? value : otherwise;
}

std::string CardReader::Text(const char* key) {
  char* value = nullptr;
  int status = 0;
  fits_read_key_longstr(file_, key, &value, nullptr, &status);
  std::string result;
  if (status == 0 && value != nullptr) result = value;
  if (status != 0) fits_clear_errmsg();
  int ignored = 0;
  if (value != nullptr) fits_free_memory(value, &ignored);
  return result;
}

namespace {

// MJD, seconds; 0 for what is no time at which there were radio telescopes.
double TimeOf(double mjd) {
  constexpr double kFirst = 15020, kLast = 88069;  // 1900, 2100
  return mjd >= kFirst && mjd <= kLast ? mjd * kSecondsPerDay : 0;
}

FitsHeader ReadHeader(fitsfile* file, const std::filesystem::path& path, const long* lengths) {
  CardReader cards(file);
  FitsHeader header;
  ReadAxes(cards, path, static_cast<std::size_t>(lengths[0]), static_cast<std::size_t>(lengths[1]), header);
  header.unit = cards.Text("BUNIT");
  header.type = cards.Text("BTYPE");
  const double major = cards.Number("BMAJ", 0), angle = cards.Number("BPA", 0);
  if (major > 0) {
    header.beam = GaussianBeam{Angle::Degrees(major).rad(), Angle::Degrees(cards.Number("BMIN", major)).rad(),
                               Angle::Degrees(std::abs(angle) <= 360 ? angle : std::remainder(angle, 180)).rad()};
  }
  header.start_mjd_s = TimeOf(cards.Number("MJD-BEG", cards.Number("MJD-OBS", 0)));
  header.end_mjd_s = TimeOf(cards.Number("MJD-END", 0));
  if (header.end_mjd_s < header.start_mjd_s) header.end_mjd_s = 0;
  const double ra = cards.Number("OBSRA", NAN), dec = cards.Number("OBSDEC", NAN);
  if (!std::isnan(ra) && !std::isnan(dec))
    header.pointing = PhaseCentre{Angle::Degrees(ra).rad(), Angle::Degrees(dec).rad()};
  header.telescope = cards.Text("TELESCOP");
  header.instrument = cards.Text("INSTRUME");
  header.object = cards.Text("OBJECT");
  header.software = cards.Text("CREATOR");
  header.settings_hash = cards.Text("SETTHASH");
  const double tiles = cards.Number("NTILES", 0);
  if (tiles >= 1 && tiles < 1e6) {
    header.mosaic =
        MosaicFacts{static_cast<int>(tiles), static_cast<int>(std::clamp(cards.Number("NREFUSED", 0), 0.0, 1e6)),
                    cards.Number("EFFNOISE", 0)};
  }
  for (int i = 1;; ++i) {
    const std::string n = std::to_string(i), name = cards.Text(("CALTAB" + n).c_str());
    if (name.empty()) break;
    header.calibration.push_back({name, cards.Text(("CALDAT" + n).c_str())});
  }
  int n_cards = 0, status = 0;
  fits_get_hdrspace(file, &n_cards, nullptr, &status);
  for (int i = 1; i <= n_cards && status == 0; ++i) {
    char card[FLEN_CARD] = "";
    fits_read_record(file, i, card, &status);
    if (std::strncmp(card, "HISTORY ", 8) == 0) header.history.emplace_back(card + 8);
  }
  return header;
}

// Before there is memory for pixels that are not there.
void CheckWhole(fitsfile* file, const std::filesystem::path& path) {
  int status = 0;
  LONGLONG header = 0, data = 0, end = 0;
  if (fits_is_compressed_image(file, &status) != 0) return;
  fits_get_hduaddrll(file, &header, &data, &end, &status);
  CheckFits(status, ErrorKind::kBadInput, path, "cannot read the size of the image");
  constexpr LONGLONG kBlock = 2880;  // the last one need not be filled up
  const LONGLONG there = file->Fptr->filesize;
  if (there > end - kBlock) return;
  throw Error(ErrorKind::kBadInput, "image", path.string(),
              fmt::format("expected {} bytes by its header, found {}: it is cut off", end, there));
}

}  // namespace

FitsHeader OpenFitsImage(const std::filesystem::path& path, FitsFile& fits) {
  int status = 0;
  RequireFile(path);
  fits_open_diskfile(&fits.file, path.c_str(), READONLY, &status);
  CheckFits(status, Exists(path) ? ErrorKind::kBadInput : ErrorKind::kIo, path, "cannot open the FITS image");
  int n_axes = 0;
  fits_get_img_dim(fits.file, &n_axes, &status);
  if (status == 0 && n_axes == 0) {  // a compressed image is the first extension
    fits_movabs_hdu(fits.file, 2, nullptr, &status);
    fits_get_img_dim(fits.file, &n_axes, &status);
  }
  CheckFits(status, ErrorKind::kBadInput, path, "cannot find an image");
  if (n_axes < 2 || n_axes > 4) {
    throw Error(ErrorKind::kBadInput, "image", path.string(),
                "expected an image of 2 to 4 axes, found " + std::to_string(n_axes));
  }
  long lengths[4] = {1, 1, 1, 1};
  fits_get_img_size(fits.file, n_axes, lengths, &status);
  CheckFits(status, ErrorKind::kBadInput, path, "cannot read the size of the image");
  CheckWhole(fits.file, path);
  return ReadHeader(fits.file, path, lengths);
}

namespace {

ThinImage Unfilled(const FitsHeader& header) {
  ThinImage thin;
  thin.header = header;
  const ImageGeometry& g = header.geometry;
  thin.step = ThinStep(g.nx, g.ny);
  thin.nx = (g.nx - 1) / thin.step + 1;
  thin.ny = (g.ny - 1) / thin.step + 1;
  thin.pixels.resize(thin.nx * thin.ny);
  return thin;
}

}  // namespace

FitsHeader ReadFitsHeader(const std::filesystem::path& path) {
  FitsFile fits;
  return OpenFitsImage(path, fits);
}

FitsImage ReadFitsImage(const std::filesystem::path& path, Buffer<float> memory) {
  FitsFile fits;
  FitsImage result;
  result.header = OpenFitsImage(path, fits);
  const std::size_t count = result.header.geometry.nx * result.header.geometry.ny;
  result.pixels = memory.size() == count ? std::move(memory) : Buffer<float>(count);
  int status = 0;
  long first[4] = {1, 1, 1, 1};
  float null_value = std::numeric_limits<float>::quiet_NaN();
  int any_null = 0;  // cfitsio writes to it whenever it meets a NaN
  fits_read_pix(fits.file, TFLOAT, first, static_cast<LONGLONG>(count), &null_value, result.pixels.data(), &any_null,
                &status);
  CheckFits(status, ErrorKind::kBadInput, path, "cannot read the pixels");
  return result;
}

std::size_t ThinStep(std::size_t nx, std::size_t ny) {
  return std::bit_floor(std::clamp<std::size_t>(std::min(nx, ny) / 256, 1, 16));
}

ThinImage Thinned(const FitsImage& image) {
  ThinImage thin = Unfilled(image.header);
  thin.pixels.clear();
  for (std::size_t j = 0; j < thin.ny; ++j) {
    for (std::size_t i = 0; i < thin.nx; ++i) thin.pixels.push_back(image.view()(j * thin.step, i * thin.step));
  }
  return thin;
}

ThinImage ReadThinFitsImage(const std::filesystem::path& path) {
  FitsFile fits;
  ThinImage thin = Unfilled(OpenFitsImage(path, fits));
  const ImageGeometry& g = thin.header.geometry;
  const auto step = static_cast<long>(thin.step);
  long first[4] = {1, 1, 1, 1}, last[4] = {static_cast<long>(g.nx), static_cast<long>(g.ny), 1, 1},
       steps[4] = {step, step, 1, 1};
  float null_value = std::numeric_limits<float>::quiet_NaN();
  int any_null = 0, status = 0;
  fits_read_subset(fits.file, TFLOAT, first, last, steps, &null_value, thin.pixels.data(), &any_null, &status);
  CheckFits(status, ErrorKind::kBadInput, path, "cannot read the pixels");
  return thin;
}

}  // namespace contimg::image
