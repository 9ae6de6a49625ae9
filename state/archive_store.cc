#include "state/archive_store.h"

#include <fmt/format.h>

#include <array>

#include "state/query.h"

namespace contimg::state {
namespace {

constexpr std::array<std::string_view, 5> kArchiveStates{"staged", "copied", "verified", "lost", "retired"};
const std::string kArchiveColumns =
    "a.id, a.remote, a.object, a.class, a.group_id, a.format, a.bytes, a.sha256, a.lossy, a.manifest_json, a.state, "
    "a.attempts, a.error, a.made_at, a.copied_at, a.verified_at, a.checked_at";
// The same without manifests, which are long: for lists.
const std::string kShortColumns =
    "a.id, a.remote, a.object, a.class, a.group_id, a.format, a.bytes, a.sha256, a.lossy, '{}', a.state, a.attempts, "
    "a.error, a.made_at, a.copied_at, a.verified_at, a.checked_at";

ArchiveRow ReadArchive(Query& query) {
  ArchiveRow row;
  row.id = query.Integer();
  row.remote = query.Text();
  row.object = query.Text();
  row.product_class = query.Text();
  row.group_id = query.Text();
  row.format = query.Text();
  row.bytes = query.Integer();
  row.sha256 = query.Text();
  row.lossy = query.Flag();
  row.manifest_json = query.Text();
  row.state = ParseArchiveState(query.View());
  row.attempts = query.Int();
  row.error = query.Text();
  row.made_at = query.Number();
  row.copied_at = query.OptionalNumber();
  row.verified_at = query.OptionalNumber();
  row.checked_at = query.OptionalNumber();
  return row;
}

std::vector<ArchiveRow> ReadArchives(Query& query) {
  std::vector<ArchiveRow> rows;
  while (query.Next()) rows.push_back(ReadArchive(query));
  return rows;
}

std::optional<ArchiveRow> ReadOne(Query& query) {
  if (!query.Next()) return std::nullopt;
  return ReadArchive(query);
}

}  // namespace

std::string_view ToString(ArchiveState state) { return kArchiveStates.at(static_cast<std::size_t>(state)); }

ArchiveState ParseArchiveState(std::string_view word) {
  for (std::size_t i = 0; i < kArchiveStates.size(); ++i) {
    if (kArchiveStates[i] == word) return static_cast<ArchiveState>(i);
  }
  throw Error(ErrorKind::kUsage, "state", std::string(word),
              "is no state of an archived object: expected staged, copied, verified, lost or retired");
}

std::int64_t ArchiveStore::Save(const ArchiveRow& row, const std::vector<ArchiveMember>& members) {
  std::int64_t id = 0;
  db_.Write([&] {
    const auto known = Find(row.remote, row.object);
    if (known && known->sha256 != row.sha256 && known->state != ArchiveState::kStaged) {
      throw Error(ErrorKind::kUsage, "state", row.remote + ": " + row.object,
                  "is the name of an object with other content, and names are not used again");
    }
    {
      Query query(db_, R"sql(INSERT INTO archives (remote, object, class, group_id, format, bytes, sha256, lossy,
          manifest_json, state, attempts, error, made_at, copied_at, verified_at, checked_at)
          VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (remote, object) DO UPDATE SET
          class = excluded.class, group_id = excluded.group_id, format = excluded.format, bytes = excluded.bytes,
          sha256 = excluded.sha256, lossy = excluded.lossy, manifest_json = excluded.manifest_json,
          state = excluded.state, attempts = excluded.attempts, error = excluded.error, made_at = excluded.made_at,
          copied_at = excluded.copied_at, verified_at = excluded.verified_at, checked_at = excluded.checked_at
          RETURNING id)sql");
      query.Bind(row.remote, row.object, row.product_class, row.group_id, row.format, row.bytes, row.sha256, row.lossy,
                 row.manifest_json, ToString(row.state), row.attempts, row.error, row.made_at, row.copied_at,
                 row.verified_at, row.checked_at);
      query.Next();
      id = query.Integer();
    }
    Query(db_, "DELETE FROM archive_members WHERE archive_id = ?").Bind(id).Run();
    for (const ArchiveMember& member : members) AddMember(id, member);
  });
  return id;
}

void ArchiveStore::AddMember(std::int64_t archive_id, const ArchiveMember& member) {
  db_.Write([&] {
    Query(db_, R"sql(INSERT OR REPLACE INTO archive_members (archive_id, product_id, member, bytes, sha256, checksum,
        lossy) VALUES (?, ?, ?, ?, ?, ?, ?))sql")
        .Bind(archive_id, member.product_id, member.member, member.bytes, member.sha256, member.checksum, member.lossy)
        .Run();
  });
}

void ArchiveStore::SetState(std::int64_t id, ArchiveState state, std::string_view error, double now) {
  db_.Write([&] {
    Query(db_, R"sql(UPDATE archives SET state = ?1, error = ?2,
        copied_at = CASE WHEN ?1 = 'copied' THEN ?3 ELSE copied_at END,
        verified_at = CASE WHEN ?1 = 'verified' THEN ?3 ELSE verified_at END,
        checked_at = CASE WHEN ?1 IN ('verified', 'lost') THEN ?3 ELSE checked_at END WHERE id = ?4)sql")
        .Bind(ToString(state), error, now, id)
        .Run();
  });
}

void ArchiveStore::SetAttempt(std::int64_t id, std::string_view error) {
  db_.Write(
      [&] { Query(db_, "UPDATE archives SET attempts = attempts + 1, error = ? WHERE id = ?").Bind(error, id).Run(); });
}

void ArchiveStore::SetChecked(std::int64_t id, double now) {
  db_.Write([&] { Query(db_, "UPDATE archives SET checked_at = ? WHERE id = ?").Bind(now, id).Run(); });
}

int ArchiveStore::RetireSuperseded() {
  int n = 0;
  db_.Write([&] {
    n = Query(db_, R"sql(UPDATE archives SET state = 'retired' WHERE state IN ('staged', 'copied', 'verified')
        AND NOT EXISTS (SELECT 1 FROM archive_members m JOIN products p ON p.id = m.product_id
                        WHERE m.archive_id = archives.id AND m.checksum = p.checksum))sql")
            .Run();
  });
  return n;
}

std::optional<ArchiveRow> ArchiveStore::Find(std::string_view remote, std::string_view object) {
  Query query(db_, "SELECT " + kArchiveColumns + " FROM archives a WHERE a.remote = ? AND a.object = ?");
  query.Bind(remote, object);
  return ReadOne(query);
}

std::optional<ArchiveRow> ArchiveStore::Find(std::int64_t id) {
  Query query(db_, "SELECT " + kArchiveColumns + " FROM archives a WHERE a.id = ?");
  query.Bind(id);
  return ReadOne(query);
}

std::vector<ArchiveRow> ArchiveStore::List(const ArchiveQuery& query) {
  Query rows(db_, "SELECT " + kShortColumns +
                      R"sql( FROM archives a WHERE (?1 = '' OR a.remote = ?1) AND (?2 = '' OR a.class = ?2)
      AND (?3 = '' OR a.group_id = ?3) AND (?4 = '' OR a.state = ?4) AND (?5 = '' OR a.object = ?5)
      ORDER BY a.id DESC LIMIT ?6)sql");
  rows.Bind(query.remote, query.product_class, query.group_id,
            query.state ? ToString(*query.state) : std::string_view(), query.object,
            query.limit > 0 ? query.limit : -1);
  return ReadArchives(rows);
}

std::vector<ArchiveMember> ArchiveStore::Members(std::int64_t archive_id) {
  Query query(db_,
              R"sql(SELECT product_id, member, bytes, sha256, checksum, lossy FROM archive_members WHERE archive_id = ?
      ORDER BY member)sql");
  query.Bind(archive_id);
  std::vector<ArchiveMember> members;
  while (query.Next()) {
    ArchiveMember member;
    member.product_id = query.Integer();
    member.member = query.Text();
    member.bytes = query.Integer();
    member.sha256 = query.Text();
    member.checksum = query.Text();
    member.lossy = query.Flag();
    members.push_back(std::move(member));
  }
  return members;
}

std::vector<ArchiveRow> ArchiveStore::OfGroup(std::string_view group_id, std::string_view product_class) {
  Query query(db_, "SELECT " + kShortColumns + " FROM archives a WHERE a.group_id = ? AND a.class = ? ORDER BY a.id");
  query.Bind(group_id, product_class);
  return ReadArchives(query);
}

std::vector<ArchiveRow> ArchiveStore::LeastRecentlyChecked() {
  Query query(db_, "SELECT " + kShortColumns +
                       " FROM archives a WHERE a.state IN ('copied', 'verified') ORDER BY a.checked_at, a.id");
  return ReadArchives(query);
}

std::map<std::pair<std::string, ArchiveState>, ArchiveSum> ArchiveStore::Totals() {
  Query query(db_, "SELECT remote, state, count(*), sum(bytes) FROM archives GROUP BY remote, state");
  std::map<std::pair<std::string, ArchiveState>, ArchiveSum> totals;
  while (query.Next()) {
    std::string remote = query.Text();
    ArchiveSum& sum = totals[{std::move(remote), ParseArchiveState(query.View())}];
    sum.n = query.Integer();
    sum.bytes = query.Integer();
  }
  return totals;
}

std::vector<ArchiveRow> ArchiveStore::CopiesOf(std::int64_t product_id) {
  Query query(db_, "SELECT " + kShortColumns +
                       R"sql(, c.lossy FROM product_copies c JOIN archives a ON a.id = c.archive_id WHERE
      c.product_id = ? ORDER BY c.lossy, c.state = 'verified' DESC, a.remote, a.id)sql");
  query.Bind(product_id);
  std::vector<ArchiveRow> rows;
  while (query.Next()) {
    rows.push_back(ReadArchive(query));
    rows.back().lossy = query.Flag();
  }
  return rows;
}

std::vector<ArchiveRow> ArchiveStore::SourcesFor(std::string_view remote) {
  Query query(db_, "SELECT " + kShortColumns +
                       R"sql( FROM archives a WHERE a.remote <> ?1 AND a.state IN ('copied', 'verified') AND EXISTS
      (SELECT 1 FROM product_copies c JOIN products p ON p.id = c.product_id WHERE c.archive_id = a.id
       AND (p.status IN ('archived', 'missing') OR (p.status = 'removed' AND c.lossy = 1)) AND NOT EXISTS
       (SELECT 1 FROM product_copies d WHERE d.product_id = p.id AND d.remote = ?1))
      ORDER BY a.state = 'verified' DESC, a.id)sql");
  query.Bind(remote);
  return ReadArchives(query);
}

std::map<std::string, ArchiveSum> ArchiveStore::Backlog(int copies, bool lossy_counts) {
  Query query(db_, R"sql(SELECT p.kind, count(*), sum(p.size_bytes) FROM products p WHERE p.status = 'present'
      AND (SELECT count(DISTINCT c.remote) FROM product_copies c WHERE c.product_id = p.id AND c.state = 'verified'
           AND (c.lossy = 0 OR ?)) < ?
      GROUP BY p.kind)sql");
  query.Bind(lossy_counts, copies);
  std::map<std::string, ArchiveSum> backlog;
  while (query.Next()) {
    ArchiveSum& sum = backlog[query.Text()];
    sum.n = query.Integer();
    sum.bytes = query.Integer();
  }
  return backlog;
}

std::vector<LostObject> ArchiveStore::NotMadeGood() {
  Query query(db_, R"sql(SELECT a.remote, a.object, sum(p.status <> 'present' AND NOT EXISTS
      (SELECT 1 FROM product_copies d WHERE d.product_id = p.id)), coalesce(a.checked_at, a.made_at)
      FROM archives a JOIN archive_members m ON m.archive_id = a.id
      JOIN products p ON p.id = m.product_id AND p.checksum = m.checksum
      WHERE a.state = 'lost' AND p.status <> 'removed' AND NOT EXISTS
      (SELECT 1 FROM product_copies c WHERE c.product_id = p.id AND c.remote = a.remote AND c.lossy <= m.lossy)
      GROUP BY a.id ORDER BY 4 DESC, a.id DESC)sql");
  std::vector<LostObject> lost;
  while (query.Next()) {
    LostObject object;
    object.remote = query.Text();
    object.object = query.Text();
    object.n_gone = query.Integer();
    object.since = query.Number();
    lost.push_back(std::move(object));
  }
  return lost;
}

void ArchiveStore::MarkRestored(std::int64_t product_id, double now) {
  db_.Write([&] {
    Query(db_, R"sql(UPDATE purges SET state = 'restored', finished_at = ?1 WHERE state = 'removed' AND id =
        (SELECT max(id) FROM purges WHERE product_id = ?2))sql")
        .Bind(now, product_id)
        .Run();
  });
}

}  // namespace contimg::state
