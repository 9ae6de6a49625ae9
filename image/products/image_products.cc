#include "image/products/image_products.h"

#include <algorithm>
#include <array>
#include <utility>

#include "config/error.h"
#include "config/parallel.h"
#include "config/unfinished.h"
#include "image/plane/stage_name.h"
#include "image/products/casacore/casacore_image.h"

namespace contimg::image {
namespace {

namespace fs = std::filesystem;

constexpr std::array kAllFormats{ImageFormat::kFits, ImageFormat::kFitsCompressed, ImageFormat::kCasa};

// Whether what has the name may be a product of this form.
bool IsOfForm(const fs::path& path, ImageFormat format, Os& os) {
  return format == ImageFormat::kCasa ? IsFile(path / "table.dat", os) : IsFile(path, os);
}

fs::path FolderOf(const fs::path& path) { return path.has_parent_path() ? path.parent_path() : fs::path("."); }

}  // namespace

StagedProducts::StagedProducts(ProductPlan plan, Os& os) : plan_(std::move(plan)), os_(os) {
  if (plan_.prefix.filename().empty()) {
    throw Error(ErrorKind::kUsage, kStage, plan_.prefix.string(), "expected a prefix that ends in a name");
  }
  if (plan_.qa_prefix.empty()) plan_.qa_prefix = plan_.prefix;
  for (const fs::path& target : {plan_.prefix, plan_.qa_prefix}) os_.CreateDirectories(FolderOf(target));
  SweepUnfinishedOf(plan_.prefix, os_);  // of runs to the same names that were killed
  // Beside the products, so that publishing is a rename.
  folder_.emplace(plan_.prefix, os_);
  os_.CreateDirectories(folder_->path());
}

std::vector<ImageFormat> StagedProducts::Formats() const {
  std::vector<ImageFormat> formats;
  if (plan_.fits) formats.push_back(plan_.compress ? ImageFormat::kFitsCompressed : ImageFormat::kFits);
  if (plan_.casacore) formats.push_back(ImageFormat::kCasa);
  return formats;
}

void StagedProducts::Expect(ProductKind kind, ImageFormat format, const std::string& suffix, const fs::path& prefix) {
  const fs::path final_path = prefix.string() + "." + suffix;
  if (!plan_.overwrite && Exists(final_path, os_)) {
    throw Error(ErrorKind::kUsage, kStage, final_path.string(), "the product exists already");
  }
  if (Exists(final_path, os_) && !IsOfForm(final_path, format, os_)) {
    throw Error(ErrorKind::kUsage, kStage, final_path.string(),
                "expected an earlier product to replace, found something else of its name; move it away");
  }
  expected_.push_back({kind, suffix, final_path});
}

void StagedProducts::Expect(ProductKind kind, int band) {
  if (!IsImage(kind)) return Expect(kind, ImageFormat::kFits, ProductSuffix(kind), plan_.qa_prefix);
  for (const ImageFormat format : Formats()) Expect(kind, format, ProductSuffix(kind, format, band), plan_.prefix);
  Supersede(kind, band);
}

void StagedProducts::Supersede(ProductKind kind, int band) {
  if (!plan_.overwrite) return;
  for (const ImageFormat format : kAllFormats) {
    fs::path path = plan_.prefix.string() + "." + ProductSuffix(kind, format, band);
    const bool is_made =
        std::any_of(expected_.begin(), expected_.end(), [&](const Expected& each) { return each.final_path == path; });
    if (!is_made && IsOfForm(path, format, os_)) superseded_.push_back(std::move(path));
  }
}

void StagedProducts::Write(const std::string& suffix, ImageFormat format, ArrayView<const float, 2> image,
                           const FitsHeader& header) {
  const fs::path path = Path(suffix);
  {
    const std::lock_guard<std::mutex> one(one_writes_);
    if (format == ImageFormat::kCasa) return WriteCasacoreImage(path, image, header);
    WriteFitsImage(os_, path, image, header, {.rice = plan_.compress});
  }
  if (plan_.durable) os_.SyncFile(path);
}

void StagedProducts::WriteImage(ProductKind kind, ArrayView<const float, 2> image, const FitsHeader& header, int band) {
  background_.RethrowFailure();
  for (const ImageFormat format : Formats()) {
    background_.Add([=, this] { Write(ProductSuffix(kind, format, band), format, image, header); });
  }
}

void StagedProducts::WriteImage(ProductKind kind, Plane image, const FitsHeader& header, int band) {
  while (passed_.size() >= 2) {
    background_.Wait(passed_.front());
    passed_.pop_front();
  }
  passed_.push_back(background_.Add([=, this, pixels = std::make_shared<const Plane>(std::move(image))] {
    for (const ImageFormat format : Formats()) {
      Write(ProductSuffix(kind, format, band), format, pixels->view(), header);
    }
  }));
}

void StagedProducts::WriteImage(ProductKind kind, std::shared_ptr<const Plane> image, const FitsHeader& header) {
  background_.Add([=, this, pixels = std::move(image)] {
    for (const ImageFormat format : Formats()) Write(ProductSuffix(kind, format), format, pixels->view(), header);
  });
}

void StagedProducts::WriteText(ProductKind kind, const std::string& text) {
  const std::unique_ptr<OsFile> file = os_.Create(Path(kind));
  file->WriteAt(text.data(), text.size(), 0);
  file->Close();
}

std::vector<ImageProduct> StagedProducts::Publish() {
  background_.WaitForAll();
  std::vector<ImageProduct> published;
  std::vector<fs::path> older;                      // where the one that had the name is now; empty: there was none
  std::vector<std::unique_ptr<Unfinished>> beside;  // on other disks than the hidden folder
  try {
    for (const auto& [kind, suffix, final_path] : expected_) {
      fs::path made = Path(suffix);
      if (!SameFileSystem(folder_->path(), FolderOf(final_path), os_)) {
        beside.push_back(std::make_unique<Unfinished>(final_path, os_));
        contimg::Publish(os_, made, beside.back()->path(), {.durable = plan_.durable});
        made = beside.back()->path();
      } else if (plan_.durable) {
        SyncTree(os_, made);
      }
      const bool replaces = plan_.overwrite && Exists(final_path, os_);
      replaces ? os_.Exchange(made, final_path) : os_.RenameNew(made, final_path);
      published.push_back({kind, final_path});
      older.push_back(replaces ? made : fs::path());
      if (plan_.durable) os_.SyncDirectory(FolderOf(final_path));
    }
  } catch (...) {
    // As many as can be are taken back; the first failure is the one to tell.
    for (std::size_t i = published.size(); i-- > 0;) {
      try {
        older[i].empty() ? os_.RemoveAll(published[i].path) : os_.Exchange(older[i], published[i].path);
      } catch (const std::exception&) {
      }
    }
    throw;
  }
  for (const fs::path& path : superseded_) os_.RemoveAll(path);
  // Pages of large files take a while to give back.
  ParallelFor(2, older.size(), [&](std::size_t i) {
    try {
      if (!older[i].empty()) os_.RemoveAll(older[i]);
    } catch (const std::exception&) {  // the hidden folder goes with what is in it
    }
  });
  return published;
}

}  // namespace contimg::image
