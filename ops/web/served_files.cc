#include "ops/web/served_files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>

#include "config/descriptor.h"
#include "config/error.h"
#include "image/quality/thumbnail.h"

namespace contimg::ops {
namespace {

constexpr int kLargeAtOnce = 2;
constexpr int kThumbnailSize = 400, kLargeThumbnailSize = 1000;

bool EndsWith(std::string_view text, std::string_view end) {
  return text.size() > end.size() && text.substr(text.size() - end.size()) == end;
}

}  // namespace

HttpResponse Conditional(const HttpRequest& request, const std::string& etag) {
  HttpResponse response;
  const bool versioned = request.query.count("v") > 0;
  response.cache_control = versioned ? "private, max-age=31536000, immutable" : "private, no-cache";
  response.headers.emplace_back("ETag", etag);
  if (request.if_none_match.find(etag) != std::string::npos || request.if_none_match == "*") response.status = 304;
  return response;
}

std::optional<ServedFile> ReadBelow(const std::filesystem::path& root, std::string_view relative) {
  ServedFile file;
  if (!IsServed(relative)) return std::nullopt;
  file.content_type = EndsWith(relative, ".png") ? "image/png"
                      : IsServedImage(relative)  ? "application/fits"
                                                 : "application/json";
  if (relative.find('\0') != std::string_view::npos) return std::nullopt;
  Descriptor at(::open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  for (std::string_view rest = relative; at.get() >= 0;) {
    const std::size_t slash = rest.find('/');
    const std::string part(rest.substr(0, slash));
    if (part.empty() || part.front() == '.') return std::nullopt;
    const bool last = slash == std::string_view::npos;
    at.Reset(::openat(at.get(), part.c_str(),
                      O_NOFOLLOW | O_CLOEXEC | (last ? O_RDONLY | O_NONBLOCK : O_PATH | O_DIRECTORY)));
    if (last) break;
    rest.remove_prefix(slash + 1);
  }
  if (at.get() < 0) return std::nullopt;
  struct stat facts {};
  if (::fstat(at.get(), &facts) != 0 || !S_ISREG(facts.st_mode) || !IsServed(relative, facts.st_size)) {
    return std::nullopt;
  }
  file.body.resize(static_cast<std::size_t>(facts.st_size));
  std::size_t n_read = 0;
  while (n_read < file.body.size()) {
    const ssize_t n =
        ::pread(at.get(), file.body.data() + n_read, file.body.size() - n_read, static_cast<off_t>(n_read));
    if (n <= 0) return std::nullopt;
    n_read += static_cast<std::size_t>(n);
  }
  file.etag =
      fmt::format("\"{:x}-{:x}-{:x}.{:x}\"", facts.st_ino, facts.st_size, facts.st_mtim.tv_sec, facts.st_mtim.tv_nsec);
  return file;
}

std::shared_ptr<void> LargeAnswers::Take() const {
  if (under_way_->fetch_add(1) >= kLargeAtOnce) {
    under_way_->fetch_sub(1);
    return nullptr;
  }
  return {under_way_.get(), [count = under_way_](void*) { count->fetch_sub(1); }};
}

HttpResponse LargeAnswers::Later() {
  HttpResponse later = HttpProblem(503, "two images are being sent already: ask again when they have arrived");
  later.headers.emplace_back("Retry-After", "10");
  return later;
}

HttpResponse FileServer::Whole(const HttpRequest& request) const {
  std::shared_ptr<void> held;
  if (IsServedImage(request.tail)) {
    held = large_.Take();
    if (!held) return LargeAnswers::Later();
  }
  std::optional<ServedFile> file = ReadBelow(root_, request.tail);
  if (!file) return HttpProblem(404, fmt::format("there is no file {} that is served", request.tail));
  HttpResponse response = Conditional(request, file->etag);
  response.content_type = file->content_type;
  if (!held) {
    if (response.status == 200) response.body = std::move(file->body);
    return response;
  }
  response.headers.emplace_back(
      "Content-Disposition",
      fmt::format("attachment; filename=\"{}\"", std::filesystem::path(request.tail).filename().string()));
  response.held = std::move(held);
  if (response.status == 200) response.body = std::move(file->body);
  return response;
}

HttpResponse FileServer::Thumbnail(const HttpRequest& request) {
  const std::string wanted = request.Parameter("size");
  const int size = wanted == "1000" ? kLargeThumbnailSize : kThumbnailSize;
  if (!wanted.empty() && wanted != std::to_string(size)) {
    throw Error(ErrorKind::kUsage, "http", "size", fmt::format("expected 400 or 1000 and found '{}'", wanted));
  }
  std::optional<ServedFile> file;
  if (EndsWith(request.tail, ".png")) file = ReadBelow(root_, request.tail);
  if (!file) return HttpProblem(404, fmt::format("there is no picture {}", request.tail));
  HttpResponse response = Conditional(request, file->etag);
  response.content_type = "image/png";
  if (response.status == 304) return response;
  const std::string key = fmt::format("{}{} {}", request.tail, file->etag, size);
  try {
    response.body = thumbnails_.Of(key, [&] { return image::ThumbnailPng(file->body, size); });
  } catch (const Error& error) {
    return HttpProblem(error.kind() == ErrorKind::kBadInput ? 404 : 500,
                       fmt::format("{}: {}", request.tail, error.message()));
  }
  return response;
}

}  // namespace contimg::ops
