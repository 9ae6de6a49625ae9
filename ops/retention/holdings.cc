#include "ops/retention/holdings.h"

#include <algorithm>

#include "config/product_class.h"
#include "config/product_kind.h"

namespace contimg::ops {

Holdings::Holdings(const Inventory& inventory) : in_(inventory) {
  place_.reserve(in_.products.size());
  for (const state::StoredProduct& row : in_.products) {
    const Product& product = products_[AddProduct(row)];
    if (row.present && product.product_class == "calibrators") calibrators_.emplace_back(row.start_mjd, row.created_at);
  }
  std::sort(calibrators_.begin(), calibrators_.end());
  const auto hold = [&](Holding holding) {
    holding.number = n_holdings_++;
    AddTo(present_[std::string(holding.product_class)], holding);
    holdings_[holding.product_class].push_back(std::move(holding));
  };
  for (std::size_t i = 0; i < in_.products.size(); ++i) {
    const state::StoredProduct& row = Row(i);
    if (!row.present || ClassOf(i).empty()) continue;
    Holding holding{0, i, ClassOf(i), row.path, row.bytes, {}, ""};
    SetAge(i, holding);
    hold(std::move(holding));
  }
  for (const FolderItem& folder : in_.folders) {
    hold({0, {}, folder.product_class, folder.path, folder.bytes, folder.since, ""});
  }
  for (auto& [name, of] : holdings_) {
    std::stable_sort(of.begin(), of.end(), [](const Holding& a, const Holding& b) {
      return a.age_from.value_or(0) < b.age_from.value_or(0);
    });
  }
}

const std::vector<Holding>& Holdings::Of(std::string_view product_class) const {
  static const std::vector<Holding> none;
  const auto found = holdings_.find(product_class);
  return found == holdings_.end() ? none : found->second;
}

const Holding* Holdings::Find(const std::string& id_or_path) const {
  for (const auto& [name, of] : holdings_) {
    for (const Holding& each : of) {
      if (each.path == id_or_path || (each.product && std::to_string(Row(*each.product).id) == id_or_path))
        return &each;
    }
  }
  return nullptr;
}

const state::VerifiedCopies& Holdings::Copies(std::size_t i) {
  auto& copies = products_[i].copies;
  if (!copies) copies = in_.records ? in_.records->CopiesOf(Row(i).id) : state::VerifiedCopies{};
  return *copies;
}

const std::vector<std::size_t>& Holdings::Parents(std::size_t i) {
  if (!products_[i].parents) {
    products_[i].parents = Places(in_.records ? in_.records->Parents(Row(i).id) : std::vector<std::int64_t>());
  }
  return *products_[i].parents;
}

const std::vector<std::size_t>& Holdings::Children(std::size_t i) {
  if (!products_[i].children) {
    products_[i].children = Places(in_.records ? in_.records->Children(Row(i).id) : std::vector<std::int64_t>());
  }
  return *products_[i].children;
}

std::size_t Holdings::AddProduct(const state::StoredProduct& row) {
  Product product;
  product.row = &row;
  if (const auto kind = FindProductKind(row.kind)) product.product_class = ProductClass(*kind, row.path, in_.roots);
  place_[row.id] = products_.size();
  products_.push_back(std::move(product));
  return products_.size() - 1;
}

std::vector<std::size_t> Holdings::Places(const std::vector<std::int64_t>& ids) {
  std::vector<std::size_t> places;
  for (const std::int64_t id : ids) {
    if (const auto known = place_.find(id); known != place_.end()) {
      places.push_back(known->second);
    } else if (auto row = in_.records->Find(id)) {
      auto own = std::make_unique<state::StoredProduct>(std::move(*row));
      places.push_back(AddProduct(*own));
      products_.back().own = std::move(own);
    }
  }
  return places;
}

void Holdings::SetAge(std::size_t i, Holding& holding) {
  const state::StoredProduct& row = Row(i);
  if (holding.product_class == "incoming") {
    const auto group = in_.groups.find(row.group_id);
    if (group != in_.groups.end() && group->second.done) {
      holding.age_from = group->second.since;
    } else {
      holding.no_age = "its group is not done";
    }
  } else if (holding.product_class == "science_ms") {
    for (const std::size_t child : Children(i)) {
      if (ClassOf(child) == "images") {
        holding.age_from = std::max(holding.age_from.value_or(0), Row(child).created_at);
      }
    }
    holding.no_age = "not imaged";
  } else if (holding.product_class == "calibrators") {
    const auto next = std::upper_bound(calibrators_.begin(), calibrators_.end(), row.start_mjd,
                                       [](double start, const auto& other) { return start < other.first; });
    if (next != calibrators_.end()) holding.age_from = next->second;
    holding.no_age = "the newest of its kind";
  } else {
    holding.age_from = holding.product_class == "failed" ? row.updated_at : row.created_at;
  }
}

void AddTo(ClassSums& sums, const Holding& holding) {
  ++sums.items;
  sums.bytes += holding.bytes;
  const double from = holding.age_from.value_or(0);
  if (from > 0 && (sums.oldest == 0 || from < sums.oldest)) sums.oldest = from;
}

}  // namespace contimg::ops
