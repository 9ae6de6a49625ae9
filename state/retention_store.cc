#include "state/retention_store.h"

#include <array>
#include <unordered_map>

#include "state/query.h"

namespace contimg::state {
namespace {

constexpr std::array<std::string_view, 5> kPurgeStates{"planned", "hidden", "removed", "undone", "restored"};

}  // namespace

std::string_view ToString(PurgeState state) { return kPurgeStates.at(static_cast<std::size_t>(state)); }

std::vector<StoredProduct> RetentionStore::Products() {
  std::vector<StoredProduct> products;
  db_->Read([&] {
    std::unordered_map<std::int64_t, std::pair<int, std::string>> copies;
    {
      Query query(*db_,
                  R"sql(SELECT product_id, count(DISTINCT remote), min(remote || ':' || object) FROM product_copies
          WHERE state = 'verified' AND lossy = 0 GROUP BY product_id)sql");
      while (query.Next()) {
        const std::int64_t id = query.Integer();
        const int n = query.Int();
        copies[id] = {n, query.Text()};
      }
    }
    std::unordered_map<std::int64_t, bool> pins;
    for (const PinRow& pin : Pins()) pins[pin.product_id] = true;
    Query query(*db_, R"sql(SELECT id, kind, path, group_id, start_mjd, size_bytes, created_at, updated_at,
        status = 'present' FROM products ORDER BY id)sql");
    while (query.Next()) {
      StoredProduct row;
      row.id = query.Integer();
      row.kind = query.Text();
      row.path = query.Text();
      row.group_id = query.Text();
      row.start_mjd = query.Number();
      row.bytes = query.Integer();
      row.created_at = query.Number();
      row.updated_at = query.Number();
      row.present = query.Flag();
      if (const auto found = copies.find(row.id); found != copies.end()) {
        row.verified_copies = found->second.first;
        row.copy = found->second.second;
      }
      row.pinned = pins.count(row.id) > 0;
      products.push_back(std::move(row));
    }
  });
  return products;
}

std::vector<std::pair<std::int64_t, std::int64_t>> RetentionStore::Lineage() {
  Query query(*db_, "SELECT child_id, parent_id FROM lineage ORDER BY child_id, parent_id");
  std::vector<std::pair<std::int64_t, std::int64_t>> edges;
  while (query.Next()) {
    const std::int64_t child = query.Integer();
    edges.emplace_back(child, query.Integer());
  }
  return edges;
}

double RetentionStore::NewestChange() {
  Query query(*db_, "SELECT coalesce(max(updated_at), 0) FROM products");
  query.Next();
  return query.Number();
}

void RetentionStore::Plan(std::vector<PurgeRow>& rows, double now) {
  db_->Write([&] {
    for (PurgeRow& row : rows) {
      Query query(*db_, R"sql(INSERT INTO purges (product_id, class, path, bytes, rule, actor, state, at)
          VALUES (?, ?, ?, ?, ?, ?, 'planned', ?) RETURNING id)sql");
      query.Bind(row.product_id, row.product_class, row.path, row.bytes, row.rule, row.actor, now);
      query.Next();
      row.id = query.Integer();
      row.at = now;
      row.state = PurgeState::kPlanned;
    }
  });
}

void RetentionStore::Advance(const std::vector<PurgeRow>& rows, PurgeState to, double now) {
  db_->Write([&] {
    for (const PurgeRow& row : rows) {
      const bool ends = to == PurgeState::kRemoved || to == PurgeState::kUndone;
      Query(*db_, "UPDATE purges SET state = ?, finished_at = ? WHERE id = ?")
          .Bind(ToString(to), ends ? std::optional<double>(now) : std::nullopt, row.id)
          .Run();
      if (!row.product_id) continue;
      if (to == PurgeState::kHidden) {
        Query(*db_, R"sql(UPDATE products SET updated_at = ?2, (status, archive_path) = (
            SELECT CASE WHEN count(*) > 0 THEN 'archived' ELSE 'removed' END, coalesce(min(remote || ':' || object), '')
            FROM product_copies WHERE product_id = ?1 AND state = 'verified' AND lossy = 0) WHERE id = ?1)sql")
            .Bind(*row.product_id, now)
            .Run();
      } else if (to == PurgeState::kUndone) {
        Query(*db_,
              "UPDATE products SET status = 'present', archive_path = '', updated_at = ? WHERE id = ? AND status <> "
              "'present'")
            .Bind(now, *row.product_id)
            .Run();
      }
    }
  });
}

std::vector<PurgeRow> RetentionStore::Open() {
  Query query(*db_, R"sql(SELECT id, product_id, class, path, bytes, rule, actor, state = 'hidden', at FROM purges
      WHERE state IN ('planned', 'hidden') ORDER BY id)sql");
  std::vector<PurgeRow> rows;
  while (query.Next()) {
    PurgeRow row;
    row.id = query.Integer();
    row.product_id = query.OptionalInteger();
    row.product_class = query.Text();
    row.path = query.Text();
    row.bytes = query.Integer();
    row.rule = query.Text();
    row.actor = query.Text();
    row.state = query.Flag() ? PurgeState::kHidden : PurgeState::kPlanned;
    row.at = query.Number();
    rows.push_back(std::move(row));
  }
  return rows;
}

std::map<std::string, std::int64_t> RetentionStore::RemovedBytes() {
  Query query(*db_, "SELECT class, sum(bytes) FROM purges WHERE state IN ('removed', 'restored') GROUP BY class");
  std::map<std::string, std::int64_t> bytes;
  while (query.Next()) {
    std::string name = query.Text();
    bytes[std::move(name)] = query.Integer();
  }
  return bytes;
}

void RetentionStore::Pin(std::int64_t product_id, std::string_view reason, std::string_view actor, double now) {
  db_->Write([&] {
    Query(*db_, R"sql(INSERT INTO pins (product_id, reason, actor, at) VALUES (?, ?, ?, ?)
        ON CONFLICT (product_id) DO UPDATE SET reason = excluded.reason, actor = excluded.actor, at = excluded.at)sql")
        .Bind(product_id, reason, actor, now)
        .Run();
  });
}

bool RetentionStore::Unpin(std::int64_t product_id) {
  int n = 0;
  db_->Write([&] { n = Query(*db_, "DELETE FROM pins WHERE product_id = ?").Bind(product_id).Run(); });
  return n > 0;
}

std::vector<PinRow> RetentionStore::Pins() {
  Query query(*db_, "SELECT product_id, reason, actor, at FROM pins ORDER BY product_id");
  std::vector<PinRow> pins;
  while (query.Next()) {
    PinRow pin;
    pin.product_id = query.Integer();
    pin.reason = query.Text();
    pin.actor = query.Text();
    pin.at = query.Number();
    pins.push_back(std::move(pin));
  }
  return pins;
}

}  // namespace contimg::state
