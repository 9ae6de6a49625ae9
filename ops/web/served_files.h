// Files of one directory tree for the web: pictures and JSON, nothing else, and nothing outside of the tree.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <list>
#include <optional>
#include <string>
#include <string_view>

#include "ops/http/http_server.h"

namespace contimg::ops {

struct ServedFile {
  std::string body;
  std::string content_type;
  std::string etag;  // changes with the file
};

// Reads `relative` below `root`. Nothing when there is no such regular file, its name does not end in .png or .json, it
// is larger than 32 MB, or the way to it is not plain: no empty, "." or ".." parts, no hidden names, no symbolic links
// below the root (each step is opened relative to the one before, so that nobody can exchange one meanwhile).
std::optional<ServedFile> ReadBelow(const std::filesystem::path& root, std::string_view relative);

// Serves them. A picture is kept by the browser and asked after again (ETag, 304); an address with "?v=…" is kept for a
// year, as its owner changes the address when the file changes.
class FileServer {
 public:
  explicit FileServer(std::filesystem::path root) : root_(std::move(root)) {}
  HttpResponse Whole(const HttpRequest& request) const;  // request.tail: the path below the root
  HttpResponse Thumbnail(const HttpRequest& request);    // of a .png; remembers the last ones
  const std::filesystem::path& root() const { return root_; }

 private:
  struct Remembered {
    std::string key, png;
  };
  std::filesystem::path root_;
  std::list<Remembered> thumbnails_;  // last used first
};

}  // namespace contimg::ops
