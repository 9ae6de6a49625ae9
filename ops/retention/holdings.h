// The things that a cleanup looks at, the oldest first within their class, and what hangs together with them. What is
// not in the inventory is read when it is asked for, and once.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "ops/retention/plan.h"

namespace contimg::ops {

// One thing that could leave.
struct Holding {
  std::size_t number = 0;              // among all of them
  std::optional<std::size_t> product;  // its place in Holdings; nothing: a folder
  std::string_view product_class, path;
  std::int64_t bytes = 0;
  std::optional<double> age_from;  // unix_s; nothing: its age has not begun
  std::string no_age;              // why
};

// Of an inventory, which outlives it.
class Holdings {
 public:
  explicit Holdings(const Inventory& inventory);

  const Inventory& inventory() const { return in_; }
  std::size_t size() const { return n_holdings_; }
  const std::vector<Holding>& Of(std::string_view product_class) const;
  const std::map<std::string, ClassSums>& present() const { return present_; }
  const Holding* Find(const std::string& id_or_path) const;

  // --- products, by their place
  const state::StoredProduct& Row(std::size_t i) const { return *products_[i].row; }
  std::string_view ClassOf(std::size_t i) const { return products_[i].product_class; }
  const state::VerifiedCopies& Copies(std::size_t i);
  const std::vector<std::size_t>& Parents(std::size_t i);
  const std::vector<std::size_t>& Children(std::size_t i);

 private:
  struct Product {
    const state::StoredProduct* row = nullptr;
    std::unique_ptr<state::StoredProduct> own;  // of one that is not in the inventory
    std::string_view product_class;             // empty: of a kind that this version does not know
    std::optional<state::VerifiedCopies> copies;
    std::optional<std::vector<std::size_t>> parents, children;
  };

  std::size_t AddProduct(const state::StoredProduct& row);
  std::vector<std::size_t> Places(const std::vector<std::int64_t>& ids);
  void SetAge(std::size_t i, Holding& holding);

  const Inventory& in_;
  std::deque<Product> products_;
  std::unordered_map<std::int64_t, std::size_t> place_;
  std::map<std::string_view, std::vector<Holding>> holdings_;  // by class
  std::size_t n_holdings_ = 0;
  std::map<std::string, ClassSums> present_;
  std::vector<std::pair<double, double>> calibrators_;  // start of the data, when recorded
};

void AddTo(ClassSums& sums, const Holding& holding);

}  // namespace contimg::ops
