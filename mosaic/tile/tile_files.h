// The images of one tile, or of a mosaic, read from files.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "config/error.h"
#include "config/run_context.h"
#include "image/products/fits_image.h"
#include "mosaic/tile/tile_images.h"

namespace contimg::mosaic {

// Which files hold a tile. `image` is a FITS image (also compressed), a casacore image, or a PREFIX as `contimg image
// --out` takes it. The others are what stands beside it under the names of config/product_paths.h unless given here.
struct TileFileNames {
  std::filesystem::path image;
  std::filesystem::path residual, pb, smear, psf;  // empty: what stands beside the image
};

// Calls work() and gives an error that names nothing the subject `path`: what is measured in an image does not know its
// file.
template <typename Work>
auto About(const std::filesystem::path& path, const Work& work) {
  try {
    return work();
  } catch (const Error& error) {
    if (!error.subject().empty()) throw;
    throw Error(error.kind(), error.stage(), path.string(), error.message());
  }
}

// What is read besides the image.
struct TileParts {
  bool residual = true, response = true, psf = false;
  bool thin_response = false;  // primary beam and smearing map by some of their pixels, and not in images()
};

// Memory that goes from one tile to the next: fresh memory is slow, the kernel has to clear it.
class TileMemory {
 public:
  Buffer<float> Take();  // empty: there is none
  void Give(Buffer<float> pixels);

 private:
  static constexpr std::size_t kMost = 2;  // what a tile takes; what is given beyond goes back to the system
  std::vector<Buffer<float>> free_;
};

class TileFiles {
 public:
  // Reads them, several at a time. What is wanted and neither given nor there is left out (missing()), except the
  // image. Throws Error{kIo, kBadInput} that names the file, Error{kUsage} for an image that is divided by the primary
  // beam already (its noise is no longer even: detection and errors need the apparent sky).
  //
  // A mosaic (MosaicFacts in the header) is such an image, but with its rms map beside it. It is brought back to even
  // noise: image and residual times b = least rms / local rms, which is its `pb`.
  //
  // `memory`: what image and residual take, and give back with the object; it must stay until then.
  TileFiles(const TileFileNames& names, const TileParts& parts, const RunContext& context,
            TileMemory* memory = nullptr);
  ~TileFiles();
  TileFiles(const TileFiles&) = delete;
  TileFiles& operator=(const TileFiles&) = delete;

  // Checked. Without a residual the image stands in for it.
  const TileImages& images() const { return images_; }
  const std::filesystem::path& path() const { return path_; }  // of the image
  std::filesystem::path MetricsPath() const;                   // PREFIX.metrics.json; empty: there is none
  std::string name() const;                                    // of the tile: the file's without its kind
  double mjd() const;                                          // UTC, middle of the data; 0: the header has none
  // With thin_response; none: missing.
  const std::optional<image::ThinImage>& thin_pb() const { return thin_pb_; }
  const std::optional<image::ThinImage>& thin_smear() const { return thin_smear_; }
  // Of a mosaic the noise that its image has everywhere, Jy/beam; none: a tile, whose noise is to be measured.
  std::optional<double> even_noise_jy() const { return even_noise_jy_; }
  // Of the residual's header: that of the PSF, which the image's need not be. None: there is no residual.
  std::optional<image::GaussianBeam> residual_beam() const { return residual_.header.beam; }
  const std::vector<std::string>& missing() const { return missing_; }  // words: "residual", "primary beam"

  // Makes the image one that was restored with `beam` (image/clean/restore_anew.h); its header keeps its own. It needs
  // the residual. Throws Error{kBug} when no convolution makes its beam into this one.
  void RestoreWith(const image::GaussianBeam& beam, int threads);

 private:
  void EvenMosaic(int threads);

  std::filesystem::path path_;
  TileMemory* memory_;
  image::FitsImage image_, residual_, pb_, smear_, psf_;
  std::optional<image::ThinImage> thin_pb_, thin_smear_;
  TileImages images_;
  std::vector<std::string> missing_;
  std::optional<double> even_noise_jy_;
};

}  // namespace contimg::mosaic
