#include "ops/migration/tree_records.h"

#include <fmt/format.h>

#include <map>
#include <optional>
#include <string>

#include "config/error.h"
#include "config/os.h"
#include "state/cal_table_store.h"
#include "state/product_store.h"

namespace contimg::ops {
namespace {

constexpr const char* kTakenBack = "its migration was undone";

bool IsThere(const JournalItem& item) { return item.state == ItemState::kMoved || item.state == ItemState::kRecorded; }

struct Stores {
  explicit Stores(const ProductPaths& paths)
      : products(paths.Database(StateDatabase::kProducts)), tables(paths.Database(StateDatabase::kCalRegistry)) {}
  state::ProductStore products;
  state::CalTableStore tables;
};

// Records of what came, was taken back and comes again serve again; its checksum is taken anew.
void Revive(const JournalItem& item, Stores& stores, double now) {
  if (auto product = stores.products.FindByPath(item.to.string()); product && product->status == "removed") {
    product->status = "present";
    product->checksum.clear();
    stores.products.Save(*product, now);
  }
  const auto table = stores.tables.FindByPath(item.to.string());
  if (table && table->status == "retired" && table->reason == kTakenBack) {
    stores.tables.SetStatus(table->id, "active", "", now);
  }
}

}  // namespace

RebuildFigures RecordItems(Journal& journal, const ProductPaths& paths, const Settings& settings,
                           const RunContext& context, double now) {
  Os& os = OsOr(context.os);
  std::map<std::string, std::string> checksums;
  {
    Stores stores(paths);
    for (const JournalItem& item : journal.items) {
      if (item.state != ItemState::kMoved) continue;
      Revive(item, stores, now);
      if (!item.checksum.empty()) checksums[item.to.string()] = item.checksum;
    }
  }
  RebuildFigures figures = RebuildRecords(paths, settings, context, now, "migrate", checksums);
  Stores stores(paths);
  JournalWriter writer(journal, os);
  for (std::size_t i = 0; i < journal.items.size(); ++i) {
    const JournalItem& item = journal.items[i];
    if (item.state != ItemState::kMoved) continue;
    // Input of which nothing was made yet is for the service to find.
    const bool known = item.item_class == "incoming" || stores.products.FindByPath(item.to.string()) ||
                       stores.tables.FindByPath(item.to.string());
    writer.Set(i, ItemState::kRecorded,
               known ? ""
                     : fmt::format("{}: is in its place without a record: nothing else is known of its group",
                                   item.to.string()));
  }
  writer.Sync();
  return figures;
}

void ForgetItems(const Journal& journal, const ProductPaths& paths, const RunContext& context, double now) {
  context.CheckCancelled("migrate");
  Stores stores(paths);
  stores.products.database().Write([&] {
    for (const JournalItem& item : journal.items) {
      const auto product = IsThere(item) ? stores.products.FindByPath(item.to.string()) : std::nullopt;
      if (product && product->status == "present") stores.products.SetStatus(product->id, "removed", "", now);
    }
  });
  stores.tables.database().Write([&] {
    for (const JournalItem& item : journal.items) {
      const auto table = IsThere(item) ? stores.tables.FindByPath(item.to.string()) : std::nullopt;
      if (table && table->status == "active") stores.tables.SetStatus(table->id, "retired", kTakenBack, now);
    }
  });
}

}  // namespace contimg::ops
