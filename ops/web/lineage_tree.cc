#include "ops/web/lineage_tree.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "ops/base/words.h"
#include "ops/web/page.h"

namespace contimg::ops {
namespace {

using state::ProductRow;
using Ids = std::set<std::int64_t>;

constexpr std::size_t kListedOpenly = 4;  // more of one kind fold into one line
constexpr int kDeepestLineage = 20;

struct Graph {
  std::map<std::int64_t, ProductRow> products;
  std::map<std::int64_t, Ids> parents;
};

void DrawProduct(const ProductRow& product, const std::string& own_group, Html& html) {
  html.Add("<span class=\"product {}\" title=\"{}\"><b>{}</b> {}", product.status, product.path, product.kind,
           std::filesystem::path(product.path).filename().string());
  if (product.status != "present") html.Add(" <em>{}</em>", product.status);
  html.Add("</span>");
  if (!product.group_id.empty() && product.group_id != own_group) html.Add(" of {}", GroupLink(product.group_id));
}

// Lists products with equal parents together, then what they were made from.
void DrawLevel(const Graph& graph, const Ids& level, const std::string& own_group, int depth, Ids& drawn, Html& html) {
  std::map<std::pair<std::string, Ids>, std::vector<std::int64_t>> bunches;  // kind (where it matters), parents
  for (const std::int64_t id : level) {
    const auto parents = graph.parents.find(id);
    const Ids of = parents == graph.parents.end() ? Ids() : parents->second;
    bunches[{of.empty() ? graph.products.at(id).kind : std::string(), of}].push_back(id);
  }
  html.Add("<ul>\n");
  for (const auto& [key, ids] : bunches) {
    const Ids& parents = key.second;
    html.Add("<li>");
    if (ids.size() > kListedOpenly) {
      const std::string kind = graph.products.at(ids.front()).kind;
      const bool alike =
          std::all_of(ids.begin(), ids.end(), [&](auto id) { return graph.products.at(id).kind == kind; });
      html.Add("<details id=\"lineage-{}\"><summary>{} {}</summary><ul>", ids.front(), ids.size(),
               alike ? kind + " files" : std::string("products"));
      for (const std::int64_t id : ids) {
        html.Add("<li>");
        DrawProduct(graph.products.at(id), own_group, html);
        html.Add("</li>\n");
      }
      html.Add("</ul></details>");
    } else {
      for (const std::int64_t id : ids) {
        DrawProduct(graph.products.at(id), own_group, html);
        html.Add("<br>");
      }
    }
    Ids fresh;
    std::set_difference(parents.begin(), parents.end(), drawn.begin(), drawn.end(), std::inserter(fresh, fresh.end()));
    drawn.insert(fresh.begin(), fresh.end());
    if (fresh.size() < parents.size()) {
      html.Add("<span class=\"again\">{} more listed elsewhere in this tree</span>", parents.size() - fresh.size());
    }
    if (!fresh.empty() && depth < kDeepestLineage) DrawLevel(graph, fresh, own_group, depth + 1, drawn, html);
    html.Add("</li>\n");
  }
  html.Add("</ul>\n");
}

}  // namespace

Html DrawLineage(PipelineView& view, const std::vector<ProductRow>& products) {
  Html html;
  if (products.empty()) return html;
  Graph graph;
  Ids not_final;
  for (const ProductRow& product : products) {
    graph.products[product.id] = product;
    // What is reached from one product already needs no second walk, but its own parents do.
    for (state::AncestorRow& ancestor : view.Ancestors(product.id)) {
      graph.parents[ancestor.child_id].insert(ancestor.product.id);
      not_final.insert(ancestor.product.id);
      graph.products[ancestor.product.id] = std::move(ancestor.product);
    }
  }
  Ids finals;
  for (const ProductRow& product : products) {
    if (not_final.count(product.id) == 0) finals.insert(product.id);
  }
  Ids drawn;
  html.Add("<div class=\"lineage\">");
  DrawLevel(graph, finals, products.front().group_id, 0, drawn, html);
  html.Add("</div>\n");
  return html;
}

}  // namespace contimg::ops
