#include "state/product_store.h"

#include <fmt/format.h>

#include "state/query.h"
#include "state/schema/schemas.h"
#include "state/stage_name.h"

namespace contimg::state {
namespace {

const std::string kJobColumns =
    "id, group_id, kind, settings_hash, settings_json, program_version, host, command, started_at, finished_at, "
    "outcome, "
    "error, peak_memory_bytes, timings_json, job_json, report_json, sky_model, instruction_set";
const std::string kProductColumns =
    "p.id, p.kind, p.path, p.group_id, p.start_mjd, p.end_mjd, p.ra_deg, p.dec_deg, p.size_bytes, p.checksum, "
    "p.qa_json, "
    "p.qa_grade, p.status, p.archive_path, p.job_id, p.created_at, p.updated_at, p.sha256";

JobRow ReadJob(Query& query) {
  JobRow row;
  row.id = query.Integer();
  row.group_id = query.Text();
  row.kind = query.Text();
  row.settings_hash = query.Text();
  row.settings_json = query.Text();
  row.program_version = query.Text();
  row.host = query.Text();
  row.command = query.Text();
  row.started_at = query.Number();
  row.finished_at = query.Number();
  row.outcome = query.Text();
  row.error = query.Text();
  row.peak_memory_bytes = query.Integer();
  row.timings_json = query.Text();
  row.job_json = query.Text();
  row.report_json = query.Text();
  row.sky_model = query.Text();
  row.instruction_set = query.Text();
  return row;
}

ProductRow ReadProduct(Query& query) {
  ProductRow row;
  row.id = query.Integer();
  row.kind = query.Text();
  row.path = query.Text();
  row.group_id = query.Text();
  row.start_mjd = query.Number();
  row.end_mjd = query.Number();
  row.ra_deg = query.OptionalNumber();
  row.dec_deg = query.OptionalNumber();
  row.size_bytes = query.Integer();
  row.checksum = query.Text();
  row.qa_json = query.Text();
  row.qa_grade = query.Text();
  row.status = query.Text();
  row.archive_path = query.Text();
  row.job_id = query.OptionalInteger();
  row.created_at = query.Number();
  row.updated_at = query.Number();
  row.sha256 = query.OptionalText();
  return row;
}

std::vector<ProductRow> ReadProducts(Query& query) {
  std::vector<ProductRow> rows;
  while (query.Next()) rows.push_back(ReadProduct(query));
  return rows;
}

Error Unknown(const char* what, std::int64_t id) {
  return Error(ErrorKind::kUsage, kStage, fmt::format("{} {}", what, id), fmt::format("no such {}", what));
}

}  // namespace

ProductStore::ProductStore(const std::filesystem::path& path, const DatabaseOptions& options)
    : db_(path, ProductsSchema(), options) {}

std::int64_t ProductStore::AddJob(const JobRow& row) {
  std::int64_t id = 0;
  db_.Write([&] {
    Query query(
        db_,
        "INSERT INTO jobs (group_id, kind, settings_hash, settings_json, program_version, host, command, "
        "started_at, finished_at, outcome, error, peak_memory_bytes, timings_json, job_json, report_json, sky_model, "
        "instruction_set) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    query
        .Bind(row.group_id, row.kind, row.settings_hash, row.settings_json, row.program_version, row.host, row.command,
              row.started_at, row.finished_at, row.outcome, row.error, row.peak_memory_bytes, row.timings_json,
              row.job_json, row.report_json, row.sky_model, row.instruction_set)
        .Run();
    id = db_.handle().getLastInsertRowid();
  });
  return id;
}

std::optional<JobRow> ProductStore::FindJob(std::int64_t id) {
  Query query(db_, "SELECT " + kJobColumns + " FROM jobs WHERE id = ?");
  query.Bind(id);
  if (!query.Next()) return std::nullopt;
  return ReadJob(query);
}

std::vector<JobRow> ProductStore::JobsOf(std::string_view group_id) {
  Query query(db_, "SELECT " + kJobColumns + " FROM jobs WHERE group_id = ? ORDER BY id DESC");
  query.Bind(group_id);
  std::vector<JobRow> rows;
  while (query.Next()) rows.push_back(ReadJob(query));
  return rows;
}

std::int64_t ProductStore::Save(const ProductRow& row, double now) {
  std::int64_t id = 0;
  db_.Write([&] {
    Query query(
        db_,
        "INSERT INTO products (kind, path, group_id, start_mjd, end_mjd, ra_deg, dec_deg, size_bytes, checksum, "
        "qa_json, qa_grade, status, archive_path, job_id, created_at, updated_at, sha256) VALUES (?, ?, ?, ?, ?, ?, ?, "
        "?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (path) DO UPDATE SET kind = excluded.kind, group_id = "
        "excluded.group_id, start_mjd = excluded.start_mjd, end_mjd = excluded.end_mjd, ra_deg = "
        "excluded.ra_deg, dec_deg = excluded.dec_deg, size_bytes = excluded.size_bytes, checksum = "
        "excluded.checksum, qa_json = excluded.qa_json, qa_grade = excluded.qa_grade, status = excluded.status, "
        "archive_path = excluded.archive_path, job_id = excluded.job_id, updated_at = excluded.updated_at, "
        "sha256 = COALESCE(excluded.sha256, CASE WHEN products.checksum = excluded.checksum AND products.checksum <> "
        "'' "
        "THEN products.sha256 END) RETURNING id");
    query.Bind(row.kind, row.path, row.group_id, row.start_mjd, row.end_mjd, row.ra_deg, row.dec_deg, row.size_bytes,
               row.checksum, row.qa_json, row.qa_grade, row.status, row.archive_path, row.job_id, now, now, row.sha256);
    query.Next();
    id = query.Integer();
  });
  return id;
}

void ProductStore::SetStatus(std::int64_t id, std::string_view status, std::string_view archive_path, double now) {
  int changed = 0;
  db_.Write([&] {
    Query query(db_, "UPDATE products SET status = ?, archive_path = ?, updated_at = ? WHERE id = ?");
    changed = query.Bind(status, archive_path, now, id).Run();
  });
  if (changed == 0) throw Unknown("product", id);
}

bool ProductStore::ReplaceStatus(std::int64_t id, std::string_view seen, std::string_view status, double now) {
  int changed = 0;
  db_.Write([&] {
    Query query(db_, "UPDATE products SET status = ?, archive_path = '', updated_at = ? WHERE id = ? AND status = ?");
    changed = query.Bind(status, now, id, seen).Run();
  });
  return changed > 0;
}

void ProductStore::SetSha256(std::int64_t id, std::string_view sha256, double now) {
  int changed = 0;
  db_.Write([&] {
    Query query(db_, "UPDATE products SET sha256 = ?, updated_at = ? WHERE id = ?");
    changed = query.Bind(sha256, now, id).Run();
  });
  if (changed == 0) throw Unknown("product", id);
}

void ProductStore::SetFirstChecksum(std::int64_t id, std::string_view checksum, double now) {
  db_.Write([&] {
    Query query(db_, "UPDATE products SET checksum = ?, updated_at = ? WHERE id = ? AND checksum = ''");
    query.Bind(checksum, now, id).Run();
  });
}

void ProductStore::SetChecked(std::int64_t id, double now) {
  db_.Write([&] {
    Query query(db_, "UPDATE products SET checked_at = ? WHERE id = ?");
    query.Bind(now, id).Run();
  });
}

std::optional<ProductRow> ProductStore::Find(std::int64_t id) {
  Query query(db_, "SELECT " + kProductColumns + " FROM products p WHERE id = ?");
  query.Bind(id);
  if (!query.Next()) return std::nullopt;
  return ReadProduct(query);
}

std::optional<ProductRow> ProductStore::FindByPath(std::string_view path) {
  Query query(db_, "SELECT " + kProductColumns + " FROM products p WHERE path = ?");
  query.Bind(path);
  if (!query.Next()) return std::nullopt;
  return ReadProduct(query);
}

std::vector<ProductRow> ProductStore::List(const ProductQuery& selection) {
  // Only the conditions that are set are written, so that the planner can use its indices.
  std::string where = "WHERE ?1 = ?1 AND ?2 = ?2 AND ?3 = ?3";
  if (!selection.kind.empty()) where += " AND kind = ?1";
  if (!selection.group_id.empty()) where += " AND group_id = ?2";
  if (!selection.status.empty()) where += " AND status = ?3";
  if (selection.from_mjd) where += " AND end_mjd >= ?4";
  if (selection.before_mjd) where += " AND start_mjd < ?5";
  Query query(db_, "SELECT " + kProductColumns + " FROM products p " + where +
                       " AND ?4 IS ?4 AND ?5 IS ?5 ORDER BY start_mjd " +
                       (selection.newest_first ? "DESC, id DESC" : "ASC, id ASC") + " LIMIT ?6");
  query.Bind(selection.kind, selection.group_id, selection.status, selection.from_mjd, selection.before_mjd,
             selection.limit > 0 ? selection.limit : -1);
  return ReadProducts(query);
}

std::vector<ProductEntry> ProductStore::ByPath(std::string_view after, std::string_view before, int limit) {
  Query query(db_, before.empty()
                       ? "SELECT id, path, kind, group_id, status FROM products WHERE path > ?1 AND ?2 = '' ORDER "
                         "BY path LIMIT ?3"
                       : "SELECT id, path, kind, group_id, status FROM products WHERE path > ?1 AND path < ?2 "
                         "ORDER BY path LIMIT ?3");
  query.Bind(after, before, limit);
  std::vector<ProductEntry> names;
  while (query.Next()) {
    ProductEntry name;
    name.id = query.Integer();
    name.path = query.Text();
    name.kind = query.Text();
    name.group_id = query.Text();
    name.status = query.Text();
    names.push_back(std::move(name));
  }
  return names;
}

std::vector<ProductRow> ProductStore::WithoutCopyAt(std::string_view remote, bool lossy_counts) {
  Query query(db_,
              "SELECT " + kProductColumns +
                  " FROM products p WHERE p.status = 'present' AND NOT EXISTS (SELECT 1 FROM product_copies c "
                  "WHERE c.product_id = p.id AND c.remote = ? AND (c.lossy = 0 OR ?)) ORDER BY p.group_id, p.path");
  query.Bind(remote, lossy_counts);
  return ReadProducts(query);
}

std::vector<ProductRow> ProductStore::LeastRecentlyChecked(std::int64_t limit) {
  Query query(db_, "SELECT " + kProductColumns +
                       " FROM products p WHERE p.status = 'present' AND p.checksum <> '' ORDER BY p.checked_at, p.id "
                       "LIMIT ?");
  query.Bind(limit);
  return ReadProducts(query);
}

std::map<std::string, double> ProductStore::NewestData() {
  // From kind to kind by the index: millions of rows are not read.
  Query query(db_, R"sql(WITH RECURSIVE kinds (kind) AS (SELECT min(kind) FROM products
      UNION ALL SELECT (SELECT min(kind) FROM products WHERE kind > kinds.kind) FROM kinds WHERE kinds.kind IS NOT NULL)
      SELECT kind, (SELECT max(start_mjd) FROM products WHERE kind = kinds.kind) FROM kinds WHERE kind IS NOT NULL)sql");
  std::map<std::string, double> newest;
  while (query.Next()) {
    std::string kind = query.Text();
    newest[std::move(kind)] = query.Number();
  }
  return newest;
}

std::int64_t ProductStore::Count(std::string_view status, std::string_view except_kind) {
  Query query(db_, "SELECT count(*) FROM products WHERE status = ? AND kind <> ?");
  query.Bind(status, except_kind);
  query.Next();
  return query.Integer();
}

void ProductStore::Link(std::int64_t child, const std::vector<std::int64_t>& parents) {
  db_.Write([&] {
    for (const std::int64_t parent : parents) {
      bool circle = parent == child;
      for (const AncestorRow& ancestor : Ancestors(parent)) circle = circle || ancestor.product.id == child;
      if (circle) {
        throw Error(ErrorKind::kUsage, kStage, fmt::format("product {}", child),
                    fmt::format("cannot be made from product {}, which rests on it", parent));
      }
      Query query(db_, "INSERT INTO lineage (child_id, parent_id) VALUES (?, ?) ON CONFLICT DO NOTHING");
      query.Bind(child, parent).Run();
    }
  });
}

void ProductStore::SetParents(std::int64_t child, const std::vector<std::int64_t>& parents) {
  db_.Write([&] {
    Query query(db_, "DELETE FROM lineage WHERE child_id = ?");
    query.Bind(child).Run();
    Link(child, parents);
  });
}

std::vector<ProductRow> ProductStore::Parents(std::int64_t id) {
  Query query(db_, "SELECT " + kProductColumns +
                       " FROM lineage l JOIN products p ON p.id = l.parent_id WHERE l.child_id = ? ORDER BY p.id");
  query.Bind(id);
  return ReadProducts(query);
}

std::vector<ProductRow> ProductStore::Children(std::int64_t id) {
  Query query(db_, "SELECT " + kProductColumns +
                       " FROM lineage l JOIN products p ON p.id = l.child_id WHERE l.parent_id = ? ORDER BY p.id");
  query.Bind(id);
  return ReadProducts(query);
}

std::vector<AncestorRow> ProductStore::Ancestors(std::int64_t id) {
  Query query(db_,
              "WITH RECURSIVE up (depth, child_id, id) AS (SELECT 1, child_id, parent_id FROM lineage WHERE child_id = "
              "?1 UNION SELECT up.depth + 1, l.child_id, l.parent_id FROM lineage l JOIN up ON l.child_id = up.id) "
              "SELECT min(up.depth), up.child_id, " +
                  kProductColumns +
                  " FROM up JOIN products p ON p.id = up.id GROUP BY up.child_id, up.id ORDER BY 1, up.child_id, p.id");
  query.Bind(id);
  std::vector<AncestorRow> rows;
  while (query.Next()) {
    AncestorRow row;
    row.depth = query.Int();
    row.child_id = query.Integer();
    row.product = ReadProduct(query);
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace contimg::state
