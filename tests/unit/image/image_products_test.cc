#include "image/products/image_products.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>

#include "config/error.h"
#include "tests/faulty_os.h"
#include "tests/temporary_folder.h"

namespace contimg::image {
namespace {

namespace fs = std::filesystem;
using contimg::testkit::FaultyOs;

class ImageProductsTest : public ::testing::Test {
 protected:
  std::string Text(const char* name) const {
    std::ostringstream text;
    text << std::ifstream(folder_ / name).rdbuf();
    return text.str();
  }
  std::size_t Names() const {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder_.path()), fs::directory_iterator()));
  }
  void Publish(Os& os, const std::string& text, bool overwrite = true) {
    ProductPlan plan;
    plan.prefix = folder_ / "tile";
    plan.overwrite = overwrite;
    StagedProducts products(plan, os);
    products.Expect(ProductKind::kQaMetrics);
    products.Expect(ProductKind::kQaPicture);
    products.WriteText(ProductKind::kQaMetrics, text);
    products.WriteText(ProductKind::kQaPicture, text);
    products.Publish();
  }
  TemporaryFolder folder_{"products"};
};

// Not every failure is an Error of ours: memory runs out, a library throws its own.
class OsOfAnotherMind : public FaultyOs {
 public:
  explicit OsOfAnotherMind(int at) : at_(at) {}
  void Exchange(const Path& a, const Path& b) override {
    if (++n_ == at_) throw std::runtime_error("not an Error");
    FaultyOs::Exchange(a, b);
  }
  void RenameNew(const Path& from, const Path& to) override {
    if (++n_ == at_) throw std::runtime_error("not an Error");
    FaultyOs::RenameNew(from, to);
  }

 private:
  int n_ = 0, at_;
};

TEST_F(ImageProductsTest, AnyExceptionTakesBackWhatWasPublished) {
  OsOfAnotherMind second(2);
  EXPECT_THROW(Publish(second, "new"), std::runtime_error);
  EXPECT_EQ(Names(), 0u);
  Publish(RealOs(), "old");
  OsOfAnotherMind again(2);
  EXPECT_THROW(Publish(again, "new"), std::runtime_error);
  EXPECT_EQ(Text("tile.metrics.json"), "old");
  EXPECT_EQ(Text("tile.qa.png"), "old");
  EXPECT_EQ(Names(), 2u);
}

// What an earlier run left in another form would be read as of this one.
TEST_F(ImageProductsTest, OtherFormsOfAnImageGoWithIt) {
  const auto publish = [&](bool compress, bool overwrite) {
    ProductPlan plan;
    plan.prefix = folder_ / "tile";
    plan.compress = compress;
    plan.overwrite = overwrite;
    StagedProducts products(plan, RealOs());
    products.Expect(ProductKind::kImage);
    products.Supersede(ProductKind::kResidual);
    FitsHeader header;
    header.geometry.nx = header.geometry.ny = 8;
    header.geometry.cell_rad = 1e-5;
    products.WriteImage(ProductKind::kImage, Plane(8, 8), header);
    products.Publish();
  };
  publish(false, true);
  std::ofstream(folder_ / "tile.residual.fits") << "old";
  std::ofstream(folder_ / "tile.pb.fits") << "of nobody's business";
  fs::create_directories(folder_ / "tile.residual");
  std::ofstream(folder_ / "tile.residual/notes") << "no casacore image";
  publish(true, false);
  EXPECT_EQ(Names(), 5u);
  publish(true, true);
  for (const char* gone : {"tile.image.fits", "tile.residual.fits"}) EXPECT_FALSE(fs::exists(folder_ / gone)) << gone;
  for (const char* left : {"tile.image.fits.fz", "tile.pb.fits", "tile.residual/notes"}) {
    EXPECT_TRUE(fs::exists(folder_ / left)) << left;
  }
  EXPECT_EQ(Names(), 3u);
}

TEST_F(ImageProductsTest, WhatIsNoProductIsNotReplaced) {
  fs::create_directories(folder_ / "tile.qa.png");
  std::ofstream(folder_ / "tile.qa.png/mine") << "mine";
  try {
    Publish(RealOs(), "new");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    EXPECT_EQ(error.subject(), (folder_ / "tile.qa.png").string());
  }
  EXPECT_EQ(Text("tile.qa.png/mine"), "mine");
}

TEST_F(ImageProductsTest, WhatKilledRunsLeftIsSwept) {
  fs::create_directories(folder_ / ".tile.part-1");
  std::ofstream(folder_ / ".other.part-1") << "of another run";
  Publish(RealOs(), "new");
  EXPECT_FALSE(fs::exists(folder_ / ".tile.part-1"));
  EXPECT_TRUE(fs::exists(folder_ / ".other.part-1"));
}

// Each changing call fails in turn: both products are the old ones, or both the new ones.
TEST_F(ImageProductsTest, ProductsAreNeverHalfReplaced) {
  Publish(RealOs(), "old");
  bool came = true;
  for (int n = 1; came && n < 100; ++n) {
    FaultyOs os(FaultyOs::Fault::kFailBefore, n, EIO);
    try {
      Publish(os, "new");
      came = !os.fault_at().empty();  // removing the old ones may fail in silence
    } catch (const Error&) {
      EXPECT_EQ(Text("tile.metrics.json"), "old") << os.fault_at();
    }
    EXPECT_EQ(Text("tile.metrics.json"), Text("tile.qa.png")) << os.fault_at();
    if (Text("tile.qa.png") == "new") break;
  }
  EXPECT_EQ(Text("tile.qa.png"), "new");
  EXPECT_EQ(Names(), 2u);
}

// The same with each look.
TEST_F(ImageProductsTest, ALookThatFailsReplacesNothing) {
  Publish(RealOs(), "old");
  for (int n = 1;; ++n) {
    ASSERT_LT(n, 100);
    FaultyOs os;
    os.FailReads(n);
    try {
      Publish(os, "new");
      break;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kIo) << os.read_fault_at();
    }
    EXPECT_EQ(Text("tile.metrics.json"), "old") << os.read_fault_at();
    EXPECT_EQ(Text("tile.qa.png"), "old") << os.read_fault_at();
  }
  EXPECT_EQ(Text("tile.qa.png"), "new");
}

}  // namespace
}  // namespace contimg::image
