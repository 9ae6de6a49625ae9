#include "ops/web/served_files.h"

#include <cairo.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "config/error.h"
#include "image/quality/thumbnail.h"
#include "tests/temporary_folder.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;

class ServedFiles : public testing::Test {
 protected:
  ServedFiles() {
    fs::create_directories(root_ / "qa/2025-10-13");
    Write(root_ / "qa/2025-10-13/a.qa.png", "picture");
    Write(root_ / "qa/2025-10-13/a.metrics.json", "{}");
    Write(base_ / "secret.png", "secret");
  }
  static void Write(const fs::path& path, const std::string& text) { std::ofstream(path, std::ios::binary) << text; }
  static std::string Png(int width, int height) {
    cairo_surface_t* surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, width, height);
    std::string png;
    cairo_surface_write_to_png_stream(
        surface,
        [](void* out, const unsigned char* data, unsigned int n) {
          static_cast<std::string*>(out)->append(reinterpret_cast<const char*>(data), n);
          return CAIRO_STATUS_SUCCESS;
        },
        &png);
    cairo_surface_destroy(surface);
    return png;
  }
  HttpRequest Ask(const std::string& tail) const {
    HttpRequest request;
    request.method = "GET";
    request.tail = tail;
    return request;
  }
  TemporaryFolder folder_{"files"};
  const fs::path base_ = folder_.path(), root_ = base_ / "images";
};

TEST_F(ServedFiles, ReadsPicturesAndMetrics) {
  const auto picture = ReadBelow(root_, "qa/2025-10-13/a.qa.png");
  ASSERT_TRUE(picture);
  EXPECT_EQ(picture->body, "picture");
  EXPECT_EQ(picture->content_type, "image/png");
  EXPECT_EQ(ReadBelow(root_, "qa/2025-10-13/a.metrics.json")->content_type, "application/json");
}

TEST_F(ServedFiles, ImagesComeAsFilesTwoAtATime) {
  Write(root_ / "a.image.fits", "SIMPLE  =");
  const FileServer server(root_);
  const HttpResponse first = server.Whole(Ask("a.image.fits"));
  EXPECT_EQ(first.status, 200);
  EXPECT_EQ(first.content_type, "application/fits");
  EXPECT_EQ(first.body, "SIMPLE  =");
  {
    const HttpResponse second = server.Whole(Ask("a.image.fits"));
    EXPECT_EQ(second.status, 200);
    EXPECT_EQ(server.Whole(Ask("a.image.fits")).status, 503);
  }
  EXPECT_EQ(server.Whole(Ask("a.image.fits")).status, 200);
}

TEST_F(ServedFiles, NothingLeadsOutOfTheTree) {
  Write(root_ / "qa/.hidden.png", "x");
  fs::create_directories(root_ / ".dir");
  Write(root_ / ".dir/a.png", "x");
  fs::create_symlink(base_ / "secret.png", root_ / "qa/link.png");
  fs::create_directory_symlink(base_, root_ / "up");
  const std::string absolute = (base_ / "secret.png").string();
  for (const std::string& way :
       {std::string("../secret.png"), std::string("qa/../../secret.png"), std::string("qa/link.png"), absolute,
        std::string("up/secret.png"), std::string("/etc/x.png"), std::string("qa//2025-10-13/a.qa.png"),
        std::string("./qa/2025-10-13/a.qa.png"), std::string("qa/.hidden.png"), std::string(".dir/a.png"),
        std::string(), std::string(".png"), std::string("..\0/secret.png", 14),
        std::string("qa/2025-10-13/a.qa.png/")}) {
    EXPECT_FALSE(ReadBelow(root_, way)) << way;
  }
}

TEST_F(ServedFiles, OnlyRegularFilesOfTheRightKindAndSize) {
  Write(root_ / "a.dat", "x");
  fs::create_directories(root_ / "dir.png");
  ASSERT_EQ(::mkfifo((root_ / "pipe.png").c_str(), 0600), 0);
  Write(root_ / "large.png", "");
  fs::resize_file(root_ / "large.png", 33'000'000);
  for (const char* name : {"a.dat", "dir.png", "pipe.png", "large.png", "absent.png", "qa"}) {
    EXPECT_FALSE(ReadBelow(root_, name)) << name;
  }
  EXPECT_FALSE(ReadBelow(base_ / "absent", "a.png"));
}

TEST_F(ServedFiles, BrowsersAskAgainUntilTheFileChanges) {
  FileServer server(root_);
  const HttpResponse first = server.Whole(Ask("qa/2025-10-13/a.qa.png"));
  EXPECT_EQ(first.status, 200);
  EXPECT_EQ(first.cache_control, "private, no-cache");
  ASSERT_EQ(first.headers.at(0).first, "ETag");
  HttpRequest again = Ask("qa/2025-10-13/a.qa.png");
  again.if_none_match = "W/\"x\", " + first.headers[0].second;
  EXPECT_EQ(server.Whole(again).status, 304);
  EXPECT_TRUE(server.Whole(again).body.empty());
  Write(root_ / "qa/2025-10-13/a.qa.png", "another picture");
  EXPECT_EQ(server.Whole(again).status, 200);
  again.query["v"] = "7";
  EXPECT_EQ(server.Whole(again).cache_control, "private, max-age=31536000, immutable");
  EXPECT_EQ(server.Whole(Ask("qa/none.png")).status, 404);
}

TEST_F(ServedFiles, ThumbnailsAreSmallSquaresAndFollowTheFile) {
  FileServer server(root_);
  Write(root_ / "wide.png", Png(1800, 1320));
  const HttpResponse small = server.Thumbnail(Ask("wide.png"));
  ASSERT_EQ(small.status, 200);
  EXPECT_EQ(small.body.substr(0, 4), "\x89PNG");
  EXPECT_EQ(small.body.substr(16, 8), std::string("\0\0\1\x90\0\0\1\x90", 8));  // 400 × 400
  EXPECT_EQ(server.Thumbnail(Ask("wide.png")).body, small.body);
  Write(root_ / "wide.png", "no picture any more");
  EXPECT_EQ(server.Thumbnail(Ask("wide.png")).status, 404);
  EXPECT_EQ(server.Thumbnail(Ask("qa/2025-10-13/a.metrics.json")).status, 404);
  EXPECT_EQ(server.Thumbnail(Ask("../secret.png")).status, 404);
}

TEST_F(ServedFiles, ThumbnailsOfDamagedAndOversizedPicturesAreRefused) {
  std::string png = Png(64, 64);
  EXPECT_NO_THROW(image::ThumbnailPng(png, 16));
  EXPECT_THROW(image::ThumbnailPng(png.substr(0, 40), 16), Error);
  EXPECT_THROW(image::ThumbnailPng("", 16), Error);
  png[18] = '\x7f';  // claims 32 000 pixels
  EXPECT_THROW(image::ThumbnailPng(png, 16), Error);
}

}  // namespace
}  // namespace contimg::ops
