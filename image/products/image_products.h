// The files of one image run: written under hidden names, published together.
#pragma once

#include <filesystem>
#include <future>
#include <string>
#include <vector>

#include "config/array_view.h"
#include "config/os.h"
#include "image/products/fits_image.h"

namespace contimg::image {

struct ProductPlan {
  std::filesystem::path prefix;     // PREFIX.image.fits and so on
  std::filesystem::path qa_prefix;  // PREFIX.qa.png, PREFIX.metrics.json
  bool fits = true;                 // PREFIX.<kind>.fits
  bool casacore = false;            // PREFIX.<kind>/
  bool compress = false;            // FITS as .fits.fz
  bool overwrite = false;
  bool durable = true;  // every file is on the disk before it gets its name
  int threads = 1;
};

// Until Publish everything lies in a hidden folder beside the prefix, which the destructor removes. While the work goes
// on, files are synced in the background, so that Publish has little to wait for.
class StagedProducts {
 public:
  // Makes the folders, so that an unwritable place shows at once. Throws Error{kUsage, kIo}.
  StagedProducts(ProductPlan plan, Os& os);
  StagedProducts(const StagedProducts&) = delete;
  StagedProducts& operator=(const StagedProducts&) = delete;
  ~StagedProducts();

  // Announces products, so that one that exists and may not be replaced ends the run before it costs anything
  // (Error{kUsage}).
  void ExpectImage(const std::string& kind);      // "image.pbcor"
  void ExpectQuality(const std::string& suffix);  // "qa.png"

  void WriteImage(const std::string& kind, ArrayView<const float, 2> image, const FitsHeader& header);
  void WriteText(const std::string& suffix, const std::string& text);
  // Where to write a quality product.
  std::filesystem::path Path(const std::string& suffix) const { return folder_ / suffix; }

  // Gives all products their names; when one cannot get its own, those before it are taken back.
  std::vector<std::filesystem::path> Publish();

 private:
  struct Product {
    std::string suffix;
    std::filesystem::path final_path;
  };
  void Expect(const std::string& suffix, const std::filesystem::path& prefix);
  std::string FitsSuffix(const std::string& kind) const;
  void SyncInBackground(const std::filesystem::path& path);

  ProductPlan plan_;
  Os& os_;
  std::filesystem::path folder_;
  std::vector<Product> expected_;
  std::vector<std::future<void>> syncs_;
};

}  // namespace contimg::image
