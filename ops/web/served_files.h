// Files of one directory tree for the web: pictures, JSON and FITS, nothing else, and nothing outside of the tree.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "ops/http/http_server.h"
#include "ops/records/served_names.h"
#include "ops/web/remembered_pictures.h"

namespace contimg::ops {

struct ServedFile {
  std::string body;
  std::string content_type;
  std::string etag;  // changes with the file
};

// Reads `relative` below `root`. Nothing when there is no such regular file, its name is none that is served, it is
// larger than 32 MB (images: 1 GB), or the way to it is not plain: no empty, "." or ".." parts, no hidden names, no
// symbolic links below the root (each step is opened relative to the one before, so that nobody can exchange one
// meanwhile).
std::optional<ServedFile> ReadBelow(const std::filesystem::path& root, std::string_view relative);

// The answer to a request for something with this etag, without it: 304 when the browser has it. An address with "?v=…"
// is kept for a year, any other asked after again.
HttpResponse Conditional(const HttpRequest& request, const std::string& etag);

// Answers of many megabytes: two are on their way at a time.
class LargeAnswers {
 public:
  // Keeps a place for as long as it lives (HttpResponse::held). Nothing when both are taken.
  std::shared_ptr<void> Take() const;
  static HttpResponse Later();  // 503: to come again

 private:
  std::shared_ptr<std::atomic<int>> under_way_ = std::make_shared<std::atomic<int>>(0);
};

// Serves them. A picture is kept by the browser and asked after again (ETag, 304); an address with "?v=…" is kept for a
// year, as its owner changes the address when the file changes.
class FileServer {
 public:
  explicit FileServer(std::filesystem::path root) : root_(std::move(root)) {}
  // request.tail: the path below the root. Images are LargeAnswers.
  HttpResponse Whole(const HttpRequest& request) const;
  // Of a .png; remembers the last ones. "?size=": 400 pixels, or 1000.
  HttpResponse Thumbnail(const HttpRequest& request);
  const std::filesystem::path& root() const { return root_; }

 private:
  static constexpr std::size_t kThumbnailsKept = 64;
  std::filesystem::path root_;
  LargeAnswers large_;
  RememberedPictures thumbnails_{kThumbnailsKept};
};

}  // namespace contimg::ops
