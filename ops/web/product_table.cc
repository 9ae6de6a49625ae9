#include "ops/web/product_table.h"

#include "config/product_kind.h"
#include "ops/base/words.h"
#include "ops/records/served_names.h"
#include "ops/web/page.h"
#include "ops/web/tile_quality.h"

namespace contimg::ops {

void DrawProducts(PipelineView& view, const std::vector<state::ProductRow>& products, Html& html) {
  if (products.empty()) return;
  html.Add(
      "<section class=\"wide\" aria-labelledby=\"products\"><h2 id=\"products\">Products</h2><div "
      "class=\"scroll\"><table class=\"rows stacked\">"
      "<thead><tr><th>kind</th><th>size</th><th>status</th><th>made</th><th>checksum</th><th>path</th></tr></"
      "thead><tbody>\n");
  for (const state::ProductRow& product : products) {
    if (product.kind == ToString(ProductKind::kUvh5)) continue;
    const std::string address = product.status == "present" && IsServed(product.path, product.size_bytes)
                                    ? PictureAddress("/images/", view, product)
                                    : std::string();
    const std::string path = product.status == "archived" ? product.archive_path : product.path;
    html.Add(
        "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td><code title=\"{}\">{}</code></td><td "
        "class=\"path\">{}</td></tr>\n",
        product.kind, Bytes(static_cast<double>(product.size_bytes)), product.status, TimeTag(product.created_at),
        product.checksum, product.checksum.substr(0, 16),
        address.empty() ? MakeHtml("{}", path) : MakeHtml("<a href=\"{}\">{}</a>", address, path));
  }
  html.Add("</tbody></table></div></section>\n");
}

}  // namespace contimg::ops
