#include "ops/mosaics/restore_mosaic.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "config/error.h"
#include "config/product_kind.h"
#include "config/product_paths.h"
#include "config/time.h"
#include "mosaic/table/fits_table.h"
#include "ops/mosaics/windows.h"
#include "state/mosaic_store.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;
using state::MosaicRow;
using state::MosaicTileRow;
using state::ProductRow;

constexpr double kRoundingDays = 1.01 / kSecondsPerDay;

template <class Value>
const std::vector<Value>& ColumnOf(const mosaic::Table& table, const std::string& name, const fs::path& path) {
  for (const mosaic::TableColumn& column : table.columns) {
    if (column.name != name) continue;
    if (const auto* values = std::get_if<std::vector<Value>>(&column.values)) return *values;
  }
  throw Error(ErrorKind::kBadInput, "mosaic", path.string(), fmt::format("expected a column {}, found none", name));
}

std::optional<double> IfAny(double value) { return std::isnan(value) ? std::nullopt : std::optional(value); }

std::vector<MosaicTileRow> TilesIn(const fs::path& path, state::ProductStore& products) {
  const mosaic::Table table = mosaic::ReadFitsTable(path);
  const auto &paths = ColumnOf<std::string>(table, "path", path),
             &refusals = ColumnOf<std::string>(table, "refusal", path),
             &whys = ColumnOf<std::string>(table, "why", path);
  const auto &mjd = ColumnOf<double>(table, "mjd", path), &scale = ColumnOf<double>(table, "scale", path),
             &error = ColumnOf<double>(table, "scale_error", path);
  const auto &used = ColumnOf<std::int64_t>(table, "used", path),
             &references = ColumnOf<std::int64_t>(table, "scale_references", path);
  std::vector<MosaicTileRow> rows;
  for (std::size_t i = 0; i < table.rows(); ++i) {
    MosaicTileRow& row = rows.emplace_back();
    const auto name = ParseProductName(paths[i]);
    row.group_id = name ? name->timestamp : fs::path(paths[i]).filename().string();
    if (const auto image = products.FindByPath(paths[i])) {
      row.image_id = image->id;
      row.checksum = image->checksum;
    }
    row.mjd = std::isnan(mjd[i]) ? 0 : mjd[i];
    row.used = used[i] != 0;
    if (!row.used) row.refusal = refusals[i];
    row.why = whys[i];
    row.n_references = static_cast<int>(references[i]);
    if (row.n_references > 0) row.scale = IfAny(scale[i]), row.scale_error = IfAny(error[i]);
  }
  return rows;
}

// The window of a deep one: the service's own where all its tiles are in one, else what they span.
void SetDeepWindow(MosaicRow& row, const std::vector<MosaicTileRow>& tiles, const MosaicSettings& settings) {
  const auto inside = [&](const MosaicWindow& window) {
    const double length_h = HoursInto(window.lst_start_h, window.lst_end_h);
    return std::all_of(tiles.begin(), tiles.end(), [&](const MosaicTileRow& tile) {
      return HoursInto(window.lst_start_h, LstHours(tile.mjd, row.strip_deg)) < length_h;
    });
  };
  for (const MosaicWindow& window : WindowsAt(tiles.front().mjd, row.strip_deg, settings)) {
    if (!inside(window)) continue;
    row.lst_start_h = window.lst_start_h;
    row.lst_end_h = window.lst_end_h;
    return;
  }
  constexpr double kDayHours = 24;
  double first = 0, last = 0;  // hours from the first tile
  const double middle = LstHours(tiles.front().mjd, row.strip_deg);
  for (const MosaicTileRow& tile : tiles) {
    const double hours = std::remainder(LstHours(tile.mjd, row.strip_deg) - middle, kDayHours);
    first = std::min(first, hours), last = std::max(last, hours);
  }
  constexpr double kSecondH = 1 / kSecondsPerHour;
  row.lst_start_h = HoursInto(0, middle + first);
  row.lst_end_h = HoursInto(0, middle + last + kSecondH);
}

MosaicRow RowOfName(const std::string& name, const std::vector<MosaicTileRow>& tiles, const MosaicSettings& settings) {
  const auto span = ParseMosaicName(name);
  if (!span) throw Error(ErrorKind::kBadInput, "mosaic", name, "is no name of a mosaic");
  MosaicRow row = RecordOf(WindowOf(*span, settings));
  if (tiles.empty()) return row;
  const auto [first, last] =
      std::minmax_element(tiles.begin(), tiles.end(), [](const auto& a, const auto& b) { return a.mjd < b.mjd; });
  if (std::abs(first->mjd - row.start_mjd) < kRoundingDays && std::abs(last->mjd - row.end_mjd) < kRoundingDays) {
    row.kind = "deep";
    SetDeepWindow(row, tiles, settings);
  }
  return row;
}

bool IsOfImage(const std::string& kind) {
  return kind == ToString(ProductKind::kMosaicPicture) || kind == ToString(ProductKind::kMosaicMetrics) ||
         kind == ToString(ProductKind::kMosaicPhotometry) || kind == ToString(ProductKind::kMosaicSources);
}

}  // namespace

std::vector<std::string> RestoreMosaicRecord(state::ProductStore& products, const std::string& name,
                                             const MosaicSettings& settings, double now, Os& os) {
  state::MosaicStore store(products.database());
  const auto known = store.Find(name);
  const bool stands = known && known->version > 0;
  const auto n_known = static_cast<int>(known ? store.Tiles(known->id).size() : 0);
  if (stands && n_known >= known->n_used + known->n_refused) return {};
  state::ProductQuery query;
  query.group_id = name;
  query.status = "present";
  std::vector<ProductRow> rows = products.List(query);
  const auto of = [&](ProductKind kind) {
    return std::find_if(rows.begin(), rows.end(), [&](const ProductRow& row) { return row.kind == ToString(kind); });
  };
  const auto table = of(ProductKind::kTileTable), figures = of(ProductKind::kMosaicMetrics),
             image = of(ProductKind::kMosaic);
  if (table == rows.end() || image == rows.end()) return {};
  const std::vector<MosaicTileRow> tiles = TilesIn(table->path, products);
  std::vector<std::string> groups;
  for (const MosaicTileRow& tile : tiles) groups.push_back(tile.group_id);
  if (stands) {
    store.SaveTiles(known->id, tiles);
    return groups;
  }
  MosaicRow row = RowOfName(name, tiles, settings);
  row.image_id = image->id;
  std::string quality;
  if (figures != rows.end()) {
    const auto value = nlohmann::json::parse(os.ReadFile(figures->path), nullptr, false);
    if (value.is_object() && value.contains("quality") && value["quality"].is_object()) {
      row.grade = value["quality"].value("grade", "");
      quality = value.dump();
    }
  }
  std::vector<std::int64_t> parents;
  for (const MosaicTileRow& tile : tiles) {
    if (tile.used && tile.image_id) parents.push_back(*tile.image_id);
  }
  products.database().Write([&] {
    for (ProductRow& product : rows) {
      const bool graded = product.kind == ToString(ProductKind::kMosaic) ||
                          product.kind == ToString(ProductKind::kMosaicPicture) ||
                          product.kind == ToString(ProductKind::kMosaicMetrics);
      if (graded && !quality.empty()) {
        product.qa_grade = row.grade;
        product.qa_json = quality;
      }
      product.start_mjd = row.start_mjd;
      product.end_mjd = row.end_mjd;
      products.Save(product, now);
      products.SetParents(product.id, IsOfImage(product.kind) ? std::vector<std::int64_t>{*row.image_id} : parents);
    }
    store.Close(row, tiles, now);
  });
  return groups;
}

}  // namespace contimg::ops
