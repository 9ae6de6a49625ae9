// Images cut out of others: image/products/fits_part.h.
#include <fmt/format.h>

#include <cstdlib>
#include <memory>
#include <vector>

#include "image/products/fits_file.h"
#include "image/products/fits_part.h"
#include "image/products/fits_rows.h"

namespace contimg::image {
namespace {

// Where the axes of the image stand in `to` they say the size of the part; all else is as it was.
void WriteCutoutHeader(fitsfile* from, fitsfile* to, const PixelPart& part, const std::string& history, int& status) {
  int n_axes = 0, n_cards = 0;
  fits_get_img_dim(from, &n_axes, &status);
  long lengths[4] = {static_cast<long>(part.nx), static_cast<long>(part.ny), 1, 1};
  fits_create_img(to, FLOAT_IMG, n_axes, lengths, &status);
  fits_get_hdrspace(from, &n_cards, nullptr, &status);
  for (int i = 1; i <= n_cards && status == 0; ++i) {
    char card[FLEN_CARD] = "";
    fits_read_record(from, i, card, &status);
    const int kind = fits_get_keyclass(card);
    const bool of_pixels = kind == TYP_STRUC_KEY || kind == TYP_CKSUM_KEY || kind == TYP_SCAL_KEY ||
                           kind == TYP_NULL_KEY || kind == TYP_CMPRS_KEY || kind == TYP_RANG_KEY;
    if (!of_pixels) fits_write_record(to, card, &status);
  }
  CardReader cards(from);
  const auto move = [&](const char* key, std::ptrdiff_t by) {
    fits_update_key_dbl(to, key, cards.Number(key, 0) - static_cast<double>(by), -15, nullptr, &status);
  };
  move("CRPIX1", part.x);
  move("CRPIX2", part.y);
  fits_write_history(to, history.c_str(), &status);
}

void WriteCutoutTo(FitsFile& to, const std::filesystem::path& from, const PixelPart& wished, int& status) {
  FitsFile fits;
  const PixelPart part = WithinImage(wished, OpenFitsImage(from, fits).geometry);
  if (part.nx == 0) {
    throw Error(ErrorKind::kUsage, "image", from.string(), "this part of the sky is not in the image");
  }
  WriteCutoutHeader(fits.file, to.file, part,
                    fmt::format("cut out of {}, pixels {}:{},{}:{}", from.filename().string(), part.x + 1,
                                part.x + static_cast<std::ptrdiff_t>(part.nx), part.y + 1,
                                part.y + static_cast<std::ptrdiff_t>(part.ny)),
                    status);
  VisitFitsRows(fits, from, part, [&](std::size_t row, std::vector<float>& values) {
    fits_write_img(to.file, TFLOAT, static_cast<LONGLONG>(row) * static_cast<LONGLONG>(part.nx) + 1,
                   static_cast<LONGLONG>(part.nx), values.data(), &status);
  });
}

}  // namespace

void WriteFitsCutout(const std::filesystem::path& from, const PixelPart& part, const std::filesystem::path& to) {
  int status = 0;
  FitsFile file;
  fits_create_diskfile(&file.file, to.c_str(), &status);
  CheckFits(status, ErrorKind::kIo, to, "cannot make the image");
  WriteCutoutTo(file, from, part, status);
  CheckFits(status, ErrorKind::kIo, to, "cannot write the image");
  fits_close_file(file.file, &status);  // writes what it still holds
  file.file = nullptr;
  CheckFits(status, ErrorKind::kIo, to, "cannot write the image");
}

std::string FitsCutoutBytes(const std::filesystem::path& from, const PixelPart& part) {
  int status = 0;
  std::size_t size = 2880;  // a block of FITS, to begin with
  void* memory = std::malloc(size);
  const auto free_it = [&](void*) { std::free(memory); };  // wherever it has moved to by then
  const std::unique_ptr<void, decltype(free_it)> owned(&memory, free_it);
  FitsFile file;
  fits_create_memfile(&file.file, &memory, &size, std::size_t{1} << 20, std::realloc, &status);
  CheckFits(status, ErrorKind::kResource, from, "no memory for a part of the image");
  WriteCutoutTo(file, from, part, status);
  LONGLONG end = 0;
  fits_flush_file(file.file, &status);
  fits_get_hduaddrll(file.file, nullptr, nullptr, &end, &status);
  CheckFits(status, ErrorKind::kResource, from, "no memory for a part of the image");
  return std::string(static_cast<const char*>(memory), static_cast<std::size_t>(end));
}

}  // namespace contimg::image
