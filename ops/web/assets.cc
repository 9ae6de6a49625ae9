#include "ops/web/assets.h"

#include <fmt/format.h>

#include "config/checksum.h"

namespace contimg::ops {
namespace {

std::string Hash(std::string_view a, std::string_view b) {
  Xxh64 hash;
  hash.Add(a);
  hash.Add(b);
  return hash.Hex();
}

// Shape and colour both tell: a disc, a triangle, a square, a ring.
std::string Icon(std::string_view name) {
  constexpr const char* kFrame = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 32 32\">{}</svg>\n";
  if (name == "good.svg") return fmt::format(kFrame, "<circle cx=\"16\" cy=\"16\" r=\"13\" fill=\"#1f9d61\"/>");
  if (name == "warning.svg") return fmt::format(kFrame, "<path d=\"M16 3 31 29H1z\" fill=\"#e0a100\"/>");
  if (name == "bad.svg") {
    return fmt::format(kFrame, "<rect x=\"4\" y=\"4\" width=\"24\" height=\"24\" rx=\"3\" fill=\"#d3362d\"/>");
  }
  if (name == "unknown.svg") {
    return fmt::format(kFrame,
                       "<circle cx=\"16\" cy=\"16\" r=\"11\" fill=\"none\" stroke=\"#8a8f98\" stroke-width=\"4\"/>");
  }
  return "";
}

}  // namespace

const std::string& AssetVersion() {
  static const std::string version = Hash(StyleSheet(), PageScript());
  return version;
}

HttpResponse ServeAsset(const HttpRequest& request) {
  HttpResponse response;
  if (request.tail == "page.css") {
    response.content_type = "text/css; charset=utf-8";
    response.body = StyleSheet();
  } else if (request.tail == "page.js") {
    response.content_type = "text/javascript; charset=utf-8";
    response.body = PageScript();
  } else {
    response.content_type = "image/svg+xml";
    response.body = Icon(request.tail);
  }
  if (response.body.empty()) return HttpProblem(404, fmt::format("there is nothing at {}", request.path));
  response.cache_control =
      request.query.count("v") > 0 ? "public, max-age=31536000, immutable" : "public, max-age=3600";
  return response;
}

}  // namespace contimg::ops
