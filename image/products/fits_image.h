// FITS images: writing the products and reading images back. The home of cfitsio.
//
// Layout as WSClean writes it: float32, axes RA, DEC, FREQ, STOKES (the last two of length 1), projection SIN about the
// phase centre at pixel (nx/2 + 1, ny/2 + 1) (mosaics: ZEA or SIN about any pixel), right ascension falling with x.
// docs/formats/fits_images.md lists the keywords.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "config/array_view.h"
#include "config/buffer.h"
#include "config/os.h"
#include "image/plane/beam_fit.h"
#include "image/plane/image_geometry.h"
#include "ingest/visibility_block.h"

namespace contimg::image {

// A calibration table that went into the data.
struct CalibrationUsed {
  std::string name;
  std::string date;  // valid from, ISO 8601
};

// What only a mosaic has.
struct MosaicFacts {
  int tiles = 0;      // in it
  int refused = 0;    // left out
  double rms_jy = 0;  // median of its rms map, Jy/beam
};

struct FitsHeader {
  ImageGeometry geometry;  // plain: its slant is ignored; a shift moves the reference pixel
  PhaseCentre centre;      // ICRS
  std::string unit;        // BUNIT: "Jy/beam", "Jy/pixel"; empty: dimensionless
  std::string type;        // BTYPE: "Intensity", "Beam"…
  std::optional<GaussianBeam> beam;
  double frequency_hz = 0;  // of the middle of the band
  double bandwidth_hz = 0;
  double start_mjd_s = 0;  // UTC
  double end_mjd_s = 0;
  std::optional<PhaseCentre> pointing;  // OBSRA, OBSDEC: where the dishes pointed, mid-observation
  std::string telescope, instrument, object;
  std::vector<CalibrationUsed> calibration;
  std::string software;  // "contimg 0.1.0"
  std::string settings_hash;
  std::optional<MosaicFacts> mosaic;  // NTILES, NREFUSED, EFFNOISE; none: a tile
  std::vector<std::string> history;
};

struct FitsOptions {
  bool rice = false;  // tile-compressed with quantised, dithered values (noise/16 steps); lossy; RA and DEC axes only
};

// Writes a complete FITS file to `path`, which must not exist (write to a staged name, then Publish). Not synced.
// Throws Error{kIo}.
void WriteFitsImage(Os& os, const std::filesystem::path& path, ArrayView<const float, 2> image,
                    const FitsHeader& header, const FitsOptions& options);

// Rice compression goes by tiles of 64 x 64 pixels: each is stored in whole steps of a 16th of its own noise, dithered
// by a fixed sequence (SUBTRACTIVE_DITHER_2, seed 1: the same pixels give the same bytes); zeros stay what they are,
// and so does a whole tile that has blanks or infinite values in it. Pence, Seaman & White 2009, PASP 121, 414.
inline constexpr int kRiceQuantum = 16;  // steps in the noise of a tile
inline constexpr int kRiceDitherSeed = 1;

struct RiceCopy {
  double largest_step = 0;  // of any tile, in the unit of the pixels: no value is off by more than half of it
};
// Writes a compressed copy of the FITS image `from` to `to`, which must not exist: two axes, all cards of the header
// but those of structure and checksums. It is read again: blanks are where they were, every value is within half a step
// of its tile. Nothing, and perhaps a file at `to`, when there is none to be had: `from` is not one image of 32-bit
// floats in two axes (and further ones of length 1), or the copy is not smaller. Throws Error{kIo, kResource} when it
// cannot be written.
std::optional<RiceCopy> WriteRiceCopy(const std::filesystem::path& from, const std::filesystem::path& to);

struct FitsImage {
  FitsHeader header;  // geometry, centre, unit, type, beam, frequency, times, telescope, object, history
  Buffer<float> pixels;
  ArrayView<const float, 2> view() const { return {pixels.data(), {header.geometry.ny, header.geometry.nx}}; }
};

// Reads the first plane of a FITS image in SIN or ZEA projection (plain or .fz), north up. `memory` of just its size
// takes the pixels: fresh memory is slow, the kernel has to clear it. Throws Error{kIo} when it cannot be opened and
// Error{kBadInput} when it is no such image.
FitsImage ReadFitsImage(const std::filesystem::path& path, Buffer<float> memory = {});
// Its header alone. Errors as above.
FitsHeader ReadFitsHeader(const std::filesystem::path& path);

// A smooth image by some of its pixels: every `step`-th of every `step`-th row, from the first on.
struct ThinImage {
  FitsHeader header;  // of the whole image
  std::size_t step = 1, nx = 0, ny = 0;
  std::vector<float> pixels;  // [ny][nx]
};
// Pixels between those that an image of this size keeps: 1 to 16, a power of two, so that at least 256 are left of its
// shorter side where it has so many.
std::size_t ThinStep(std::size_t nx, std::size_t ny);
ThinImage Thinned(const FitsImage& image);
// The same of a file, of which little else is read. Errors as above.
ThinImage ReadThinFitsImage(const std::filesystem::path& path);

}  // namespace contimg::image
