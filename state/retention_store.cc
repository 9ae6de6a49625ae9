#include "state/retention_store.h"

#include <algorithm>
#include <array>

#include "config/product_paths.h"
#include "state/query.h"

namespace contimg::state {
namespace {

constexpr std::array<std::string_view, 5> kPurgeStates{"planned", "hidden", "removed", "undone", "restored"};

const std::string kColumns = R"sql(p.id, p.kind, p.path, p.group_id, p.start_mjd, p.size_bytes, p.created_at,
    p.updated_at, p.status = 'present', n.product_id IS NOT NULL
    FROM products p LEFT JOIN pins n ON n.product_id = p.id)sql";

StoredProduct ReadStored(Query& query) {
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
  row.pinned = query.Flag();
  return row;
}

}  // namespace

std::string_view ToString(PurgeState state) { return kPurgeStates.at(static_cast<std::size_t>(state)); }

std::vector<StoredProduct> RetentionStore::Present(const std::vector<std::string_view>& kinds) {
  std::vector<StoredProduct> products;
  db_->Read([&] {
    for (const std::string_view kind : kinds) {
      Query query(*db_, "SELECT " + kColumns + " WHERE p.status = 'present' AND p.kind = ?");
      query.Bind(kind);
      while (query.Next()) products.push_back(ReadStored(query));
    }
  });
  std::sort(products.begin(), products.end(),
            [](const StoredProduct& a, const StoredProduct& b) { return a.id < b.id; });
  return products;
}

std::optional<StoredProduct> RetentionStore::Find(std::int64_t id) {
  Query query(*db_, "SELECT " + kColumns + " WHERE p.id = ?");
  query.Bind(id);
  return query.Next() ? std::optional(ReadStored(query)) : std::nullopt;
}

std::optional<StoredProduct> RetentionStore::FindByPath(std::string_view path) {
  Query query(*db_, "SELECT " + kColumns + " WHERE p.path = ?");
  query.Bind(path);
  return query.Next() ? std::optional(ReadStored(query)) : std::nullopt;
}

VerifiedCopies RetentionStore::CopiesOf(std::int64_t id) {
  Query query(*db_, R"sql(SELECT count(DISTINCT remote), coalesce(min(remote || ':' || object), '') FROM product_copies
      WHERE product_id = ? AND state = 'verified' AND lossy = 0)sql");
  query.Bind(id);
  query.Next();
  const int n = query.Int();
  return {n, query.Text()};
}

std::vector<std::int64_t> RetentionStore::Parents(std::int64_t id) {
  Query query(*db_, "SELECT parent_id FROM lineage WHERE child_id = ?");
  return query.Bind(id).Integers();
}

std::vector<std::int64_t> RetentionStore::Children(std::int64_t id) {
  Query query(*db_, "SELECT child_id FROM lineage WHERE parent_id = ?");
  return query.Bind(id).Integers();
}

std::vector<StoredProduct> RetentionStore::RecordedSince(double since) {
  Query query(*db_, "SELECT " + kColumns + " WHERE p.created_at >= ?");
  query.Bind(since);
  std::vector<StoredProduct> products;
  while (query.Next()) products.push_back(ReadStored(query));
  return products;
}

// Without looking at each row: what is new stands at the end of its table.
double RetentionStore::NewestChange() {
  Query query(*db_, R"sql(SELECT coalesce(max(at), 0) FROM (
      SELECT max(updated_at) AS at FROM (SELECT updated_at FROM products ORDER BY id DESC LIMIT 1000)
      UNION ALL SELECT max(finished_at) FROM (SELECT finished_at FROM jobs ORDER BY id DESC LIMIT 1000)
      UNION ALL SELECT max(at) FROM (SELECT at FROM purges ORDER BY id DESC LIMIT 1000)))sql");
  query.Next();
  return query.Number();
}

std::string RetentionStore::NewestGroup() {
  Query query(*db_, "SELECT DISTINCT group_id FROM products WHERE group_id < ':' ORDER BY group_id DESC");
  while (query.Next()) {
    if (std::string group = query.Text(); IsTimestamp(group)) return group;
  }
  return "";
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
