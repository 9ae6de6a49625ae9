// `contimg pin`, `contimg unpin`: products that no policy lets go.
#include <fmt/format.h>

#include <memory>
#include <string>
#include <vector>

#include "config/os.h"
#include "config/text.h"
#include "config/time.h"
#include "ops/base/words.h"
#include "ops/cli/archive_runs.h"
#include "ops/cli/commands.h"
#include "ops/cli/program_options.h"
#include "ops/records/maintenance_run.h"
#include "state/retention_store.h"

namespace contimg::ops {
namespace {

using nlohmann::ordered_json;

struct PinArgs {
  std::vector<std::string> products;
  std::string reason;
  bool json = false;
};

state::ProductRow FindProduct(state::ProductStore& products, const std::string& id_or_path) {
  std::optional<state::ProductRow> row;
  if (const auto id = RecordNumber(id_or_path)) {
    row = products.Find(*id);
  } else {
    row = products.FindByPath(Absolute(id_or_path).string());
  }
  if (!row)
    throw Error(ErrorKind::kUsage, "pin", id_or_path,
                "is no product: expected its number or path (contimg products list)");
  return *row;
}

void Pin(const PinArgs& args) {
  ArchiveDatabases databases(ProductPaths(Roots(CurrentSettings().values)), true);
  state::RetentionStore store(databases.products.database());
  std::vector<state::ProductRow> rows;
  for (const std::string& each : args.products) rows.push_back(FindProduct(databases.products, each));
  for (const state::ProductRow& row : rows) {
    store.Pin(row.id, args.reason, MaintenanceActor(), UtcTime::Now().unix_s());
  }
  fmt::print("{} pinned: no policy lets {} go\n", Counted(static_cast<std::int64_t>(rows.size()), "product"),
             rows.size() == 1 ? "it" : "them");
}

void Unpin(const PinArgs& args) {
  ArchiveDatabases databases(ProductPaths(Roots(CurrentSettings().values)), true);
  state::RetentionStore store(databases.products.database());
  std::vector<state::ProductRow> rows;
  for (const std::string& each : args.products) rows.push_back(FindProduct(databases.products, each));
  for (const state::ProductRow& row : rows) {
    fmt::print("{} {}\n", Printable(row.path), store.Unpin(row.id) ? "is not pinned any more" : "was not pinned");
  }
}

void ListPins(const PinArgs& args) {
  ArchiveDatabases databases(ProductPaths(Roots(CurrentSettings().values)), false);
  ordered_json list = ordered_json::array();
  const std::vector<state::PinRow> pins = state::RetentionStore(databases.products.database()).Pins();
  for (const state::PinRow& pin : pins) {
    const auto row = databases.products.Find(pin.product_id);
    const std::string path = row ? row->path : "";
    if (args.json) {
      list.push_back({{"product", pin.product_id},
                      {"path", path},
                      {"reason", pin.reason},
                      {"actor", pin.actor},
                      {"at", UtcTime::FromUnix(pin.at).Stamp()}});
    } else {
      fmt::print("{}  {}  {}  ({}, {})\n", pin.product_id, Printable(path), Printable(pin.reason), pin.actor,
                 UtcTime::FromUnix(pin.at).Stamp());
    }
  }
  if (args.json) return PrintJsonObject(list);
  if (pins.empty()) fmt::print("nothing is pinned\n");
}

}  // namespace

void AddPinCommands(CLI::App& app) {
  auto args = std::make_shared<PinArgs>();
  CLI::App* pin = app.add_subcommand("pin", "products that no policy lets go; without one, those that are pinned");
  auto* ids = pin->add_option("product", args->products, "their numbers or paths")->type_name("ID|PATH ...");
  pin->add_option("--reason", args->reason, "why")->type_name("TEXT")->needs(ids);
  pin->add_flag("--json", args->json, "one JSON array of those that are pinned")->excludes(ids);
  pin->callback([args] {
    if (args->products.empty()) return ListPins(*args);
    if (args->reason.empty()) throw Error(ErrorKind::kUsage, "pin", "--reason", "expected a reason: others will ask");
    Pin(*args);
  });
  auto undo = std::make_shared<PinArgs>();
  CLI::App* unpin = app.add_subcommand("unpin", "let policy decide about products again");
  unpin->add_option("product", undo->products, "their numbers or paths")->type_name("ID|PATH ...")->required();
  unpin->callback([undo] { Unpin(*undo); });
}

}  // namespace contimg::ops
