#include "image/products/fits_image.h"

#include <fitsio.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <limits>

#include "config/error.h"
#include "config/os.h"
#include "config/time.h"
#include "config/units.h"
#include "image/products/fits_file.h"

// In no header that is installed: fits_write_subset with a value for blanks.
extern "C" int fits_write_compressed_img(fitsfile* file, int type, long* first, long* last, int has_blanks,
                                         void* values, void* blank, int* status);

namespace contimg::image {
namespace {

constexpr std::size_t kBlock = 2880;  // bytes of a FITS block
constexpr std::size_t kCard = 80;
constexpr long kRicePiece = 128;  // pixels: few pieces of an image whose corners are blank hold both

// Writes keywords; remembers the first error.
class CardWriter {
 public:
  CardWriter(fitsfile* file, int& status) : file_(file), status_(status) {}
  void Text(const char* key, const std::string& value, const char* comment) {
    if (!value.empty()) fits_update_key_longstr(file_, key, value.c_str(), comment, &status_);
  }
  void Number(const char* key, double value, const char* comment) {
    fits_update_key_dbl(file_, key, value, -15, comment, &status_);
  }
  void History(const std::string& line) { fits_write_history(file_, Printable(line).c_str(), &status_); }

 private:
  // FITS headers hold ASCII 32…126 only.
  static std::string Printable(std::string text) {
    for (char& c : text) {
      if (c < 32 || c > 126) c = '?';
    }
    return text;
  }
  fitsfile* file_;
  int& status_;
};

void WriteAxes(CardWriter& cards, const FitsHeader& header, int n_axes) {
  const ImageGeometry& g = header.geometry;
  const double cell_deg = Angle::Radians(g.cell_rad).deg();
  const std::string code = Code(g.projection);
  const char* what = g.projection == Projection::kZea ? "zenithal equal-area projection" : "orthographic projection";
  cards.Text("CTYPE1", "RA---" + code, (std::string("right ascension, ") + what).c_str());
  cards.Number("CRPIX1", static_cast<double>(g.nx / 2) + 1 + g.shift_l / g.cell_rad, "reference pixel");
  cards.Number("CRVAL1", WrapPositive(Angle::Radians(header.centre.ra_rad)).deg(), "[deg] phase centre");
  cards.Number("CDELT1", -cell_deg, "[deg] pixel");
  cards.Text("CUNIT1", "deg", "");
  cards.Text("CTYPE2", "DEC--" + code, (std::string("declination, ") + what).c_str());
  cards.Number("CRPIX2", static_cast<double>(g.ny / 2) + 1 - g.shift_m / g.cell_rad, "reference pixel");
  cards.Number("CRVAL2", Angle::Radians(header.centre.dec_rad).deg(), "[deg] phase centre");
  cards.Number("CDELT2", cell_deg, "[deg] pixel");
  cards.Text("CUNIT2", "deg", "");
  if (n_axes == 4) {
    cards.Text("CTYPE3", "FREQ", "frequency, middle of the band");
    cards.Number("CRPIX3", 1, "");
    cards.Number("CRVAL3", header.frequency_hz, "[Hz]");
    cards.Number("CDELT3", header.bandwidth_hz, "[Hz] bandwidth");
    cards.Text("CUNIT3", "Hz", "");
    cards.Text("CTYPE4", "STOKES", "1 = I");
    cards.Number("CRPIX4", 1, "");
    cards.Number("CRVAL4", 1, "");
    cards.Number("CDELT4", 1, "");
  }
  cards.Text("RADESYS", "ICRS", "celestial frame");
  cards.Number("LONPOLE", 180, "[deg]");
  cards.Number("LATPOLE", Angle::Radians(header.centre.dec_rad).deg(), "[deg]");
  cards.Text("SPECSYS", "TOPOCENT", "frequencies as observed");
  cards.Number("RESTFRQ", header.frequency_hz, "[Hz]");
}

void WriteKeywords(CardWriter& cards, const FitsHeader& header, int n_axes) {
  WriteAxes(cards, header, n_axes);
  cards.Text("BTYPE", header.type, "");
  cards.Text("BUNIT", header.unit, "");
  if (header.beam) {
    cards.Number("BMAJ", Angle::Radians(header.beam->major_rad).deg(), "[deg] beam, full width at half maximum");
    cards.Number("BMIN", Angle::Radians(header.beam->minor_rad).deg(), "[deg]");
    cards.Number("BPA", Angle::Radians(header.beam->angle_rad).deg(), "[deg] position angle, north through east");
  }
  cards.Text("TIMESYS", "UTC", "time scale of the dates below");
  if (header.end_mjd_s > 0) {
    const UtcTime start = UtcTime::FromMjdSeconds(header.start_mjd_s), end = UtcTime::FromMjdSeconds(header.end_mjd_s);
    cards.Text("DATE-OBS", start.Iso8601(3), "start of the first integration");
    cards.Text("DATE-END", end.Iso8601(3), "end of the last integration");
    cards.Number("MJD-OBS", start.mjd(), "[d] start");
    cards.Number("MJD-BEG", start.mjd(), "[d] start");
    cards.Number("MJD-AVG", (start.mjd() + end.mjd()) / 2, "[d] middle");
    cards.Number("MJD-END", end.mjd(), "[d] end");
    cards.Number("TELAPSE", end - start, "[s] from start to end");
  }
  if (header.pointing) {
    cards.Number("OBSRA", WrapPositive(Angle::Radians(header.pointing->ra_rad)).deg(),
                 "[deg] pointing, mid-time, ICRS");
    cards.Number("OBSDEC", Angle::Radians(header.pointing->dec_rad).deg(), "[deg]");
  }
  cards.Text("TELESCOP", header.telescope, "");
  cards.Text("INSTRUME", header.instrument, "");
  cards.Text("OBJECT", header.object, "");
  cards.Text("ORIGIN", "contimg", "");
  cards.Text("CREATOR", header.software, "program that wrote this file");
  cards.Text("SETTHASH", header.settings_hash, "hash of the settings");
  if (header.mosaic) {
    cards.Number("NTILES", header.mosaic->tiles, "tiles in this mosaic");
    cards.Number("NREFUSED", header.mosaic->refused, "tiles that were left out");
    cards.Number("EFFNOISE", header.mosaic->rms_jy, "[Jy/beam] median of the rms map");
  }
  for (std::size_t i = 0; i < header.calibration.size(); ++i) {
    const std::string n = std::to_string(i + 1);
    cards.Text(("CALTAB" + n).c_str(), header.calibration[i].name, "calibration table applied");
    cards.Text(("CALDAT" + n).c_str(), header.calibration[i].date, "its start of validity");
  }
  for (const std::string& line : header.history) cards.History(line);
}

// A card with an integer value in fixed format.
std::string IntegerCard(const char* key, std::size_t value, const char* comment) {
  char card[kCard + 1];
  std::snprintf(card, sizeof card, "%-8s= %20zu / %-47s", key, value, comment);
  return card;
}

// The header as FITS blocks. cfitsio builds it in memory around a one-pixel image; the true axis lengths are put in
// afterwards, so that no image-sized memory is needed.
std::string HeaderBlocks(const FitsHeader& header, const std::filesystem::path& path) {
  int status = 0;
  FitsFile fits;
  fits_create_file(&fits.file, "mem://", &status);
  long lengths[4] = {1, 1, 1, 1};
  fits_create_img(fits.file, FLOAT_IMG, 4, lengths, &status);
  CardWriter cards(fits.file, status);
  WriteKeywords(cards, header, 4);
  char* text = nullptr;
  int n_cards = 0;
  fits_hdr2str(fits.file, 0, nullptr, 0, &text, &n_cards, &status);
  CheckFits(status, ErrorKind::kIo, path, "cannot make the FITS header");
  std::string result(text, static_cast<std::size_t>(n_cards) * kCard);
  fits_free_memory(text, &status);
  for (std::size_t at = 0; at < result.size(); at += kCard) {
    if (result.compare(at, 9, "NAXIS1  =") == 0) {
      result.replace(at, kCard, IntegerCard("NAXIS1", header.geometry.nx, "length of RA axis").substr(0, kCard));
    } else if (result.compare(at, 9, "NAXIS2  =") == 0) {
      result.replace(at, kCard, IntegerCard("NAXIS2", header.geometry.ny, "length of DEC axis").substr(0, kCard));
    }
  }
  result.resize((result.size() + kBlock - 1) / kBlock * kBlock, ' ');
  return result;
}

std::uint32_t BigEndian(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  return __builtin_bswap32(bits);
}

void WritePlain(Os& os, const std::filesystem::path& path, ArrayView<const float, 2> image, const FitsHeader& header) {
  static_assert(std::endian::native == std::endian::little);
  const std::string blocks = HeaderBlocks(header, path);
  const std::size_t data_bytes = image.size() * sizeof(float);
  const std::unique_ptr<OsFile> file = os.Create(path);
  file->Resize(blocks.size() + (data_bytes + kBlock - 1) / kBlock * kBlock);
  file->WriteAt(blocks.data(), blocks.size(), 0);
  constexpr std::size_t kChunk = std::size_t{1} << 18;  // values: 1 MB stays in the cache
  std::vector<std::uint32_t> swapped(std::min(kChunk, image.size()));
  for (std::size_t begin = 0; begin < image.size(); begin += kChunk) {
    const std::size_t count = std::min(kChunk, image.size() - begin);
    const float* from = image.data() + begin;
    for (std::size_t i = 0; i < count; ++i) swapped[i] = BigEndian(from[i]);
    file->WriteAt(swapped.data(), count * sizeof(float), blocks.size() + begin * sizeof(float));
  }
  file->Close();
}

// cfitsio compresses up to three axes only, and astropy reads no more: two.
void CreateRiceImage(FitsFile& fits, const std::filesystem::path& path, long nx, long ny, long piece, int& status) {
  fits_create_diskfile(&fits.file, path.c_str(), &status);
  fits_set_compression_type(fits.file, RICE_1, &status);
  long tile[2] = {piece, 1};  // of more rows funpack 4.2 mixes up blanks and values
  fits_set_tile_dim(fits.file, 2, tile, &status);
  fits_set_quantize_level(fits.file, kRiceQuantum, &status);
  fits_set_quantize_method(fits.file, SUBTRACTIVE_DITHER_2, &status);  // exact zeros stay zeros
  fits_set_dither_seed(fits.file, kRiceDitherSeed, &status);           // cfitsio's own is from the clock
  long lengths[2] = {nx, ny};
  fits_create_img(fits.file, FLOAT_IMG, 2, lengths, &status);
}

bool AllFinite(const float* values, long count) {
  return std::all_of(values, values + count, [](float v) { return std::isfinite(v); });
}

// Pixels of a row that have steps of their own.
long PieceOf(const float* values, long nx, long ny) {
  return AllFinite(values, nx * ny) ? nx : std::min(kRicePiece, nx);
}

void WriteRicePixels(FitsFile& fits, const float* values, long nx, long ny, const std::filesystem::path& path,
                     int& status) {
  const long piece = PieceOf(values, nx, ny);
  fits_set_hdustruc(fits.file, &status);  // else the first piece resets the steps
  float blank = -9.0e35F;                 // cfitsio marks blanks by a value, not by NaN
  std::vector<float> tile;
  for (long y = 0; y < ny && status == 0; ++y) {
    for (long x = 0; x < nx && status == 0; x += piece) {
      const long width = std::min(piece, nx - x);
      tile.assign(values + y * nx + x, values + y * nx + x + width);
      const bool finite = AllFinite(tile.data(), width);
      std::replace_if(
          tile.begin(), tile.end(), [](float v) { return std::isnan(v); }, blank);
      // Astropy 5.2 takes blanks that are stored in steps for values. With steps of no size cfitsio stores the floats.
      fits.file->Fptr->quantize_level = finite ? kRiceQuantum : std::numeric_limits<float>::infinity();
      long first[2] = {x + 1, y + 1}, last[2] = {x + width, y + 1};
      fits_write_compressed_img(fits.file, TFLOAT, first, last, finite ? 0 : 1, tile.data(), &blank, &status);
    }
  }
  CheckFits(status, ErrorKind::kIo, path, "cannot write the compressed image");
  fits_close_file(fits.file, &status);
  fits.file = nullptr;
  CheckFits(status, ErrorKind::kIo, path, "cannot close the compressed image");
}

void WriteRice(const std::filesystem::path& path, ArrayView<const float, 2> image, const FitsHeader& header) {
  int status = 0;
  FitsFile fits;
  const auto nx = static_cast<long>(header.geometry.nx), ny = static_cast<long>(header.geometry.ny);
  CreateRiceImage(fits, path, nx, ny, PieceOf(image.data(), nx, ny), status);
  CardWriter cards(fits.file, status);
  WriteKeywords(cards, header, 2);
  WriteRicePixels(fits, image.data(), nx, ny, path, status);
}

// One image of 32-bit floats in two axes that count, alone in its file, its values as they are.
bool IsPlainFloatImage(fitsfile* file, long (&lengths)[9]) {
  int status = 0, n_hdus = 0, type = 0, n_axes = 0;
  fits_get_num_hdus(file, &n_hdus, &status);
  fits_get_img_param(file, 9, &type, &n_axes, lengths, &status);
  if (status != 0) fits_clear_errmsg();
  if (status != 0 || n_hdus != 1 || type != FLOAT_IMG || n_axes < 2 || n_axes > 9) return false;
  if (std::any_of(lengths + 2, lengths + n_axes, [](long length) { return length != 1; })) return false;
  CardReader cards(file);
  return lengths[0] > 0 && lengths[1] > 0 && cards.Number("BSCALE", 1) == 1 && cards.Number("BZERO", 0) == 0;
}

void CopyCards(fitsfile* from, fitsfile* to, int& status) {
  int n_cards = 0;
  fits_get_hdrspace(from, &n_cards, nullptr, &status);
  for (int i = 1; i <= n_cards && status == 0; ++i) {
    char card[FLEN_CARD] = "";
    fits_read_record(from, i, card, &status);
    const int kind = fits_get_keyclass(card);
    if (kind == TYP_STRUC_KEY || kind == TYP_CKSUM_KEY || kind == TYP_SCAL_KEY || kind == TYP_CMPRS_KEY) continue;
    fits_write_record(to, card, &status);
  }
}

// The largest step of the pieces, when all is as it should be.
std::optional<double> LargestStep(const std::filesystem::path& path, const std::vector<float>& values, std::size_t nx,
                                  std::size_t piece) {
  int status = 0, column = 0;
  FitsFile fits;
  fits_open_diskfile(&fits.file, path.c_str(), READONLY, &status);
  fits_movabs_hdu(fits.file, 2, nullptr, &status);
  std::vector<float> again(values.size());
  long first[2] = {1, 1};
  int any_null = 0;
  fits_read_pix(fits.file, TFLOAT, first, static_cast<LONGLONG>(again.size()), nullptr, again.data(), &any_null,
                &status);  // floats as they are: asked for blanks, it takes infinity for one
  const std::size_t n_across = (nx + piece - 1) / piece;
  std::vector<double> steps(n_across * (values.size() / nx), 0);  // 0: stored as it is
  if (status == 0 && fits_get_colnum(fits.file, CASEINSEN, const_cast<char*>("ZSCALE"), &column, &status) == 0) {
    fits_read_col(fits.file, TDOUBLE, column, 1, 1, static_cast<LONGLONG>(steps.size()), nullptr, steps.data(),
                  &any_null, &status);
  } else if (status == COL_NOT_FOUND) {
    status = 0;
  }
  fits_clear_errmsg();
  if (status != 0) return std::nullopt;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double step = steps[i / nx * n_across + i % nx / piece];
    if (!std::isfinite(values[i]) && step != 0) return std::nullopt;
    if (std::isnan(values[i]) != std::isnan(again[i])) return std::nullopt;
    if (std::isnan(values[i]) || values[i] == again[i]) continue;
    const double rounding = 4 * std::numeric_limits<float>::epsilon() * std::abs(static_cast<double>(values[i]));
    if (!(std::abs(static_cast<double>(values[i]) - again[i]) <= step / 2 + rounding)) return std::nullopt;
  }
  return *std::max_element(steps.begin(), steps.end());
}

}  // namespace

void WriteFitsImage(Os& os, const std::filesystem::path& path, ArrayView<const float, 2> image,
                    const FitsHeader& header, const FitsOptions& options) {
  if (image.shape(1) != header.geometry.nx || image.shape(0) != header.geometry.ny) {
    throw Error(ErrorKind::kBug, "image", path.string(), "the header's geometry is not the image's shape");
  }
  if (options.rice) {
    WriteRice(path, image, header);
  } else {
    WritePlain(os, path, image, header);
  }
}

std::optional<RiceCopy> WriteRiceCopy(const std::filesystem::path& from, const std::filesystem::path& to) {
  int status = 0;
  FitsFile in;
  fits_open_diskfile(&in.file, from.c_str(), READONLY, &status);
  long lengths[9] = {};
  if (status != 0 || !IsPlainFloatImage(in.file, lengths)) {
    fits_clear_errmsg();
    return std::nullopt;
  }
  const long nx = lengths[0], ny = lengths[1];
  std::vector<float> values(static_cast<std::size_t>(nx * ny));
  long first[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
  int any_null = 0;
  fits_read_pix(in.file, TFLOAT, first, static_cast<LONGLONG>(values.size()), nullptr, values.data(), &any_null,
                &status);
  if (status != 0) {
    fits_clear_errmsg();
    return std::nullopt;
  }
  FitsFile out;
  const long piece = PieceOf(values.data(), nx, ny);
  CreateRiceImage(out, to, nx, ny, piece, status);
  CopyCards(in.file, out.file, status);
  WriteRicePixels(out, values.data(), nx, ny, to, status);
  const auto largest = LargestStep(to, values, static_cast<std::size_t>(nx), static_cast<std::size_t>(piece));
  if (!largest || FileSize(to) >= FileSize(from)) return std::nullopt;
  return RiceCopy{*largest};
}

}  // namespace contimg::image
