#include "ops/records/former_forms.h"

#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "config/os.h"

namespace contimg::ops {
namespace {

std::string WithoutForm(std::string path) {
  for (const std::string_view end : {".fz", ".fits"}) {
    if (path.size() > end.size() && path.compare(path.size() - end.size(), end.size(), end) == 0) {
      path.resize(path.size() - end.size());
    }
  }
  return path;
}

}  // namespace

void RetireFormerForms(state::ProductStore& products, const std::string& group, double now) {
  state::ProductQuery query;
  query.group_id = group;
  query.status = "present";
  const std::vector<state::ProductRow> rows = products.List(query);
  std::set<std::pair<std::string, std::string>> forms, several;  // kind, path
  for (const state::ProductRow& row : rows) {
    std::pair image{row.kind, WithoutForm(row.path)};
    if (!forms.insert(image).second) several.insert(std::move(image));
  }
  for (const state::ProductRow& row : rows) {
    if (several.count({row.kind, WithoutForm(row.path)}) == 0 || Exists(row.path)) continue;
    products.SetStatus(row.id, "removed", row.archive_path, now);
  }
}

}  // namespace contimg::ops
