#include "mosaic/tile/tile_files.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <exception>
#include <limits>
#include <utility>

#include "config/error.h"
#include "config/os.h"
#include "config/parallel.h"
#include "config/product_paths.h"
#include "config/time.h"
#include "image/clean/restore_anew.h"
#include "image/plane/beam_algebra.h"
#include "image/products/casacore/casacore_image.h"
#include "mosaic/table/stage_name.h"
#include "mosaic/tile/image_names.h"

namespace contimg::mosaic {
namespace {

namespace fs = std::filesystem;

void RefuseCorrected(const fs::path& image) {
  for (const ImageFormat format : kImageFormats) {
    const auto prefix = WithoutSuffix(PlainName(image), ProductSuffix(ProductKind::kPbcor, format));
    if (!prefix) continue;
    throw Error(ErrorKind::kUsage, kStage, image.string(),
                fmt::format("expected the image before its division by the primary beam, found the divided one; give "
                            "{}.{} with {}.{} beside it",
                            *prefix, ProductSuffix(ProductKind::kImage, format), *prefix,
                            ProductSuffix(ProductKind::kPb, format)));
  }
}

image::FitsImage ReadImage(const fs::path& path, Buffer<float> memory = {}) {
  if (!Exists(path)) throw Error(ErrorKind::kIo, kStage, path.string(), "expected an image, found no such file");
  return About(path, [&] {  // a want of memory knows no file
    return IsDirectory(path) ? image::ReadCasacoreImage(path) : image::ReadFitsImage(path, std::move(memory));
  });
}

image::ThinImage ReadThinImage(const fs::path& path) {
  if (Exists(path) && !IsDirectory(path)) return image::ReadThinFitsImage(path);
  return image::Thinned(ReadImage(path));
}

void CheckSameGrid(const image::FitsHeader& a, const image::FitsHeader& b, const fs::path& path) {
  const image::ImageGeometry &g = a.geometry, &h = b.geometry;
  const double off = std::hypot(g.shift_l - h.shift_l, g.shift_m - h.shift_m) +
                     Separation({Angle::Radians(a.centre.ra_rad), Angle::Radians(a.centre.dec_rad)},
                                {Angle::Radians(b.centre.ra_rad), Angle::Radians(b.centre.dec_rad)})
                         .rad();
  if (g.projection == h.projection && g.nx == h.nx && g.ny == h.ny && std::abs(g.cell_rad / h.cell_rad - 1) < 1e-6 &&
      off < 0.01 * g.cell_rad)
    return;
  throw Error(
      ErrorKind::kBadInput, kStage, path.string(),
      fmt::format("expected the pixels of the image, {} by {} of {:.4g} arcsec, found {} by {} of {:.4g} arcsec, "
                  "{:.3g} arcsec away",
                  g.nx, g.ny, Angle::Radians(g.cell_rad).arcsec(), h.nx, h.ny, Angle::Radians(h.cell_rad).arcsec(),
                  Angle::Radians(off).arcsec()));
}

// Primary beam and smearing map say what is left of 1. It is enough to look at some of their pixels: both are smooth.
template <typename Pixels>
void CheckResponse(const Pixels& pixels, std::size_t step, const char* word, const fs::path& path) {
  constexpr float kMost = 1.01F;  // rounding
  float largest = 0;
  for (std::size_t i = 0; i < pixels.size(); i += step) {
    if (pixels[i] > largest) largest = pixels[i];
  }
  if (largest <= kMost) return;
  throw Error(ErrorKind::kBadInput, kStage, path.string(),
              fmt::format("expected a {} of at most 1, found {:.3g}", word, largest));
}

}  // namespace

Buffer<float> TileMemory::Take() {
  if (free_.empty()) return {};
  Buffer<float> pixels = std::move(free_.back());
  free_.pop_back();
  return pixels;
}

void TileMemory::Give(Buffer<float> pixels) {
  if (!pixels.empty() && free_.size() < kMost) free_.push_back(std::move(pixels));
}

TileFiles::~TileFiles() {
  if (memory_ == nullptr) return;
  memory_->Give(std::move(image_.pixels));
  memory_->Give(std::move(residual_.pixels));
}

TileFiles::TileFiles(const TileFileNames& names, const TileParts& parts, const RunContext& context, TileMemory* memory)
    : path_(names.image), memory_(memory) {
  RefuseCorrected(path_);
  std::optional<std::string> prefix = PrefixOfImage(path_);
  if (!Exists(path_)) {
    if (const fs::path made = ProductBeside(PlainName(path_), ProductKind::kImage); !made.empty()) {
      prefix = PlainName(path_);
      path_ = made;
    }
  }
  struct Wanted {
    const char* word;
    ProductKind kind;
    fs::path path;
    image::FitsImage* into;
    ArrayView<const float, 2> TileImages::*view;
    std::optional<image::ThinImage>* thin;  // where it goes instead; null: it is read whole
  };
  const bool thin = parts.thin_response;
  std::array<Wanted, 4> wanted{
      {{"residual", ProductKind::kResidual, names.residual, &residual_, &TileImages::residual, nullptr},
       {"primary beam", ProductKind::kPb, names.pb, &pb_, &TileImages::pb, thin ? &thin_pb_ : nullptr},
       {"smearing map", ProductKind::kSmear, names.smear, &smear_, &TileImages::smear, thin ? &thin_smear_ : nullptr},
       {"point-spread function", ProductKind::kPsf, names.psf, &psf_, &TileImages::psf, nullptr}}};
  for (Wanted& each : wanted) {
    const bool asked = each.kind == ProductKind::kResidual ? parts.residual
                       : each.kind == ProductKind::kPsf    ? parts.psf
                                                           : parts.response;
    if (!asked) {
      each.path.clear();
      continue;
    }
    if (each.path.empty() && prefix) each.path = ProductBeside(*prefix, each.kind);
    if (each.path.empty()) missing_.emplace_back(each.word);
  }
  std::array<Buffer<float>, 2> spare;  // of image, residual
  if (memory_ != nullptr) spare = {memory_->Take(), parts.residual ? memory_->Take() : Buffer<float>()};
  fs::path rms = prefix ? ProductBeside(*prefix, ProductKind::kRms) : fs::path();  // of a mosaic
  std::array<std::exception_ptr, 4> failures;  // which file is named shall not depend on who was first
  ParallelFor(context.threads, wanted.size() + 1, [&](std::size_t i) {
    context.CheckCancelled(kStage);
    if (i == 0) {
      image_ = ReadImage(path_, std::move(spare[0]));
      return;
    }
    const Wanted& each = wanted[i - 1];
    if (each.path.empty()) return;
    try {
      if (each.thin != nullptr) {
        *each.thin = ReadThinImage(each.path);
      } else {
        *each.into = ReadImage(each.path, each.into == &residual_ ? std::move(spare[1]) : Buffer<float>());
      }
    } catch (...) {
      failures[i - 1] = std::current_exception();
    }
  });
  for (const std::exception_ptr& failure : failures) {
    if (failure) std::rethrow_exception(failure);
  }
  images_.header = &image_.header;
  images_.image = image_.view();
  for (const Wanted& each : wanted) {
    if (each.path.empty()) continue;
    const image::FitsHeader& header = each.thin != nullptr ? (*each.thin)->header : each.into->header;
    if (each.kind != ProductKind::kPsf) CheckSameGrid(image_.header, header, each.path);
    if (each.kind == ProductKind::kPb || each.kind == ProductKind::kSmear) {
      constexpr std::size_t kSome = 61;  // not a part of usual sizes
      each.thin != nullptr ? CheckResponse((*each.thin)->pixels, 1, each.word, each.path)
                           : CheckResponse(each.into->pixels, kSome, each.word, each.path);
    }
    if (each.thin == nullptr) images_.*each.view = each.into->view();
  }
  if (image_.header.mosaic && parts.response && !parts.thin_response) {
    if (rms.empty()) {
      throw Error(ErrorKind::kBadInput, kStage, path_.string(),
                  "expected the rms map of this mosaic beside it (PREFIX.rms.fits), found none");
    }
    pb_ = ReadImage(rms);
    CheckSameGrid(image_.header, pb_.header, rms);
    EvenMosaic(context.threads);
  }
  CheckTileImages(images_, path_.string());
  if (images_.residual.empty()) images_.residual = images_.image;
}

void TileFiles::EvenMosaic(int threads) {
  float least = std::numeric_limits<float>::infinity();
  for (const float v : pb_.pixels) least = v > 0 && v < least ? v : least;
  if (!std::isfinite(least)) {
    throw Error(ErrorKind::kBadInput, kStage, path_.string(), "expected a mosaic, found an rms map without a value");
  }
  even_noise_jy_ = least;
  const std::size_t nx = pb_.header.geometry.nx;
  ParallelFor(threads, pb_.header.geometry.ny, [&](std::size_t y) {
    for (std::size_t i = y * nx; i < (y + 1) * nx; ++i) {
      const float b = least / pb_.pixels[i];
      pb_.pixels[i] = b;
      image_.pixels[i] *= b;
      if (!residual_.pixels.empty()) residual_.pixels[i] *= b;
    }
  });
  images_.pb = pb_.view();
  std::erase_if(missing_, [](const std::string& word) { return word != "residual"; });
}

void TileFiles::RestoreWith(const image::GaussianBeam& beam, int threads) {
  const image::FitsHeader& header = image_.header;
  const auto between = image::BeamBetween(*header.beam, beam);
  if (!between || residual_.pixels.empty()) {
    throw Error(ErrorKind::kBug, kStage, path_.string(), "its beam cannot be made into " + image::BeamWords(beam));
  }
  image::RestoreAnew(*header.beam, beam, *between, residual_.view(), header.geometry.cell_rad,
                     {image_.pixels.data(), image_.view().shape()}, threads);
}

std::string TileFiles::name() const {
  const auto prefix = PrefixOfImage(path_);
  return fs::path(prefix ? *prefix : PlainName(path_)).filename().string();
}

fs::path TileFiles::MetricsPath() const {
  const auto prefix = PrefixOfImage(path_);
  if (!prefix) return {};
  fs::path metrics = *prefix + "." + ProductSuffix(ProductKind::kQaMetrics);
  return IsFile(metrics) ? metrics : fs::path();
}

double TileFiles::mjd() const {
  const image::FitsHeader& header = image_.header;
  if (!(header.start_mjd_s > 0)) return 0;
  const double end = header.end_mjd_s > 0 ? header.end_mjd_s : header.start_mjd_s;
  return (header.start_mjd_s + end) / 2 / kSecondsPerDay;
}

}  // namespace contimg::mosaic
