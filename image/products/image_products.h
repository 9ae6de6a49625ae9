// The files of one image run: written under hidden names, published together.
#pragma once

#include <deque>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "config/array_view.h"
#include "config/background.h"
#include "config/os.h"
#include "config/product_paths.h"
#include "config/unfinished.h"
#include "image/plane/plane.h"
#include "image/products/fits_image.h"

namespace contimg::image {

struct ImageProduct {
  ProductKind kind = ProductKind::kImage;
  std::filesystem::path path;
};

struct ProductPlan {
  std::filesystem::path prefix;     // PREFIX.image.fits and so on
  std::filesystem::path qa_prefix;  // PREFIX.qa.png, PREFIX.metrics.json
  bool fits = true;                 // PREFIX.<kind>.fits
  bool casacore = false;            // PREFIX.<kind>/
  bool compress = false;            // FITS as .fits.fz
  bool overwrite = false;
  bool durable = true;  // every file is on the disk before it gets its name
};

// Until Publish everything lies in a hidden folder beside the prefix, which the destructor removes. Images are written
// and synced in the background, so that Publish has little to wait for; what fails there comes out of the next call.
class StagedProducts {
 public:
  // Makes the folders, so that an unwritable place shows at once. Throws Error{kUsage, kIo}.
  StagedProducts(ProductPlan plan, Os& os);
  StagedProducts(const StagedProducts&) = delete;
  StagedProducts& operator=(const StagedProducts&) = delete;

  // Announces a product, so that one that exists and may not be replaced ends the run before it costs anything
  // (Error{kUsage}); nor is something replaced that is no such product (a folder of somebody's). An image (`band`: of
  // kBand) or kQaPicture, kQaMetrics.
  void Expect(ProductKind kind, int band = 0);
  // What an earlier run left of this image goes at Publish, when it may be replaced: it would be read as of this run.
  // So do the forms (FITS, casacore) of expected images that are not made this time.
  void Supersede(ProductKind kind, int band = 0);

  // Pixels that stay as they are until Publish.
  void WriteImage(ProductKind kind, ArrayView<const float, 2> image, const FitsHeader& header, int band = 0);
  // Pixels that are wanted for nothing else. While two such images are still to be written it writes the older one.
  void WriteImage(ProductKind kind, Plane image, const FitsHeader& header, int band = 0);
  // Pixels that go when nobody holds them any more. Also to be called from the background.
  void WriteImage(ProductKind kind, std::shared_ptr<const Plane> image, const FitsHeader& header);
  // What else can be done beside the work; ended before the products are.
  Background& background() { return background_; }
  void WriteText(ProductKind kind, const std::string& text);
  // Where to write a quality product.
  std::filesystem::path Path(ProductKind kind) const { return Path(ProductSuffix(kind)); }

  // Gives all products their names; when one cannot get its own, those before it are taken back.
  std::vector<ImageProduct> Publish();

 private:
  struct Expected {
    ProductKind kind;
    std::string suffix;
    std::filesystem::path final_path;
  };
  void Expect(ProductKind kind, ImageFormat format, const std::string& suffix, const std::filesystem::path& prefix);
  std::vector<ImageFormat> Formats() const;
  std::filesystem::path Path(const std::string& suffix) const { return folder_->path() / suffix; }
  void Write(const std::string& suffix, ImageFormat format, ArrayView<const float, 2> image, const FitsHeader& header);
  ProductPlan plan_;
  Os& os_;
  std::optional<Unfinished> folder_;
  std::vector<Expected> expected_;
  std::vector<std::filesystem::path> superseded_;
  std::mutex one_writes_;                  // and the others sync
  std::deque<Background::Handle> passed_;  // writes of images that are wanted for nothing else
  Background background_{3};               // last: its work uses what stands above
};

}  // namespace contimg::image
