#include "ops/cli/compare_products.h"

#include <gtest/gtest.h>

#include <vector>

#include "image/products/casacore/casacore_image.h"
#include "tests/temporary_folder.h"

namespace contimg::ops {
namespace {

TEST(CompareProducts, ImagesOfCasacoreByTheirPixels) {
  const TemporaryFolder folder("compare");
  image::FitsHeader header;
  header.geometry.nx = header.geometry.ny = 16;
  header.geometry.cell_rad = 1e-5;
  header.centre = {3.5, 0.65};
  header.unit = "Jy/beam";
  header.frequency_hz = 1.4e9;
  header.bandwidth_hz = 1e8;
  std::vector<float> pixels(256, 0.25F);
  const auto write = [&](const char* name) {
    const auto path = folder / name / "2025-10-13T13:28:03.image";
    std::filesystem::create_directories(path.parent_path());
    image::WriteCasacoreImage(path, {pixels.data(), {16, 16}}, header);
    return path;
  };
  const auto first = write("a"), same = write("b");
  pixels[100] = 0.5F;
  const auto other = write("c");
  EXPECT_EQ(CompareProducts(first, same), "");
  EXPECT_EQ(CompareProducts(first, other), "pixels differ");
}

}  // namespace
}  // namespace contimg::ops
