// The style sheet, the script and the icons of the pages; part of the program, so that no page needs anything else.
#pragma once

#include <string>
#include <string_view>

#include "ops/http/http_server.h"

namespace contimg::ops {

// Serves page.css, page.js, good.svg, warning.svg, bad.svg and unknown.svg (request.tail).
HttpResponse ServeAsset(const HttpRequest& request);
// Changes with their content; addresses carry it, so that browsers may keep them for ever.
const std::string& AssetVersion();

// page.css and page.js of this folder (contimg_embed in CMakeLists.txt).
std::string_view StyleSheet();
std::string_view PageScript();

}  // namespace contimg::ops
