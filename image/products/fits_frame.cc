#include "image/products/fits_frame.h"

#include <array>

#include "config/os.h"
#include "image/products/fits_file.h"

namespace contimg::image {
namespace {

constexpr int kMostAxes = 999;

bool Logical(fitsfile* file, const char* key) {
  int value = 0, status = 0;
  fits_read_key(file, TLOGICAL, key, &value, nullptr, &status);
  if (status != 0) fits_clear_errmsg();
  return status == 0 && value != 0;
}

}  // namespace

FitsFrame ReadFitsFrame(const std::filesystem::path& path) {
  FitsFile fits;
  int status = 0;
  RequireFile(path);
  fits_open_diskfile(&fits.file, path.c_str(), READONLY, &status);
  CheckFits(status, Exists(path) ? ErrorKind::kBadInput : ErrorKind::kIo, path, "cannot open the FITS image");
  FitsFrame frame;
  frame.simple = Logical(fits.file, "SIMPLE");
  frame.extended = Logical(fits.file, "EXTEND");
  int n_axes = 0;
  fits_get_img_dim(fits.file, &n_axes, &status);
  if (status == 0 && n_axes == 0) {  // a compressed image is the first extension
    fits_movabs_hdu(fits.file, 2, nullptr, &status);
    fits_get_img_dim(fits.file, &n_axes, &status);
  }
  std::array<long, kMostAxes> lengths{};
  fits_get_img_param(fits.file, kMostAxes, &frame.bitpix, &n_axes, lengths.data(), &status);
  CheckFits(status, ErrorKind::kBadInput, path, "cannot find an image");
  frame.axes.assign(lengths.begin(), lengths.begin() + n_axes);
  CardReader cards(fits.file);
  frame.bscale = cards.Number("BSCALE", 1);
  frame.bzero = cards.Number("BZERO", 0);
  return frame;
}

}  // namespace contimg::image
