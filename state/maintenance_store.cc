#include "state/maintenance_store.h"

#include <fmt/format.h>

#include <array>

#include "state/clock_slack.h"
#include "state/query.h"
#include "state/schema/schemas.h"

namespace contimg::state {
namespace {

constexpr std::array<std::string_view, 5> kOutcomes{"running", "ok", "failed", "refused", "cancelled"};

RunOutcome ParseOutcome(std::string_view word) {
  for (std::size_t i = 0; i < kOutcomes.size(); ++i) {
    if (kOutcomes[i] == word) return static_cast<RunOutcome>(i);
  }
  throw Error(ErrorKind::kBadInput, "state", std::string(word), "is no outcome of a maintenance run");
}

std::string Selected(std::string_view condition) {
  return fmt::format(
      R"sql(SELECT id, kind, actor, host, pid, dry_run, started_at, updated_at, finished_at, outcome, error,
      progress, figures_json FROM maintenance_runs {})sql",
      condition);
}

std::vector<MaintenanceRow> ReadRows(Query& query) {
  std::vector<MaintenanceRow> rows;
  while (query.Next()) {
    MaintenanceRow row;
    row.id = query.Integer();
    row.kind = query.Text();
    row.actor = query.Text();
    row.host = query.Text();
    row.pid = query.Int();
    row.dry_run = query.Flag();
    row.started_at = query.Number();
    row.updated_at = query.Number();
    row.finished_at = query.OptionalNumber();
    row.outcome = ParseOutcome(query.View());
    row.error = query.Text();
    row.progress = query.Number();
    row.figures_json = query.Text();
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace

std::string_view ToString(RunOutcome outcome) { return kOutcomes.at(static_cast<std::size_t>(outcome)); }

MaintenanceStore::MaintenanceStore(const std::filesystem::path& path, const DatabaseOptions& options)
    : db_(path, OperationsSchema(), options) {}

std::int64_t MaintenanceStore::Begin(const MaintenanceRow& row, double now,
                                     const std::function<void(std::int64_t id)>& claim) {
  std::int64_t id = 0;
  db_.Write([&] {
    Query query(db_, R"sql(INSERT INTO maintenance_runs (kind, actor, host, pid, dry_run, started_at, updated_at,
        finished_at, outcome, error, progress, figures_json) VALUES (?, ?, ?, ?, ?, ?, ?, NULL, 'running', '', 0, '{}')
        RETURNING id)sql");
    query.Bind(row.kind, row.actor, row.host, row.pid, row.dry_run, now, now);
    query.Next();
    id = query.Integer();
    if (claim) claim(id);
  });
  return id;
}

void MaintenanceStore::SetProgress(std::int64_t id, double progress, double now) {
  db_.Write([&] {
    Query(db_, "UPDATE maintenance_runs SET progress = ?, updated_at = ? WHERE id = ?").Bind(progress, now, id).Run();
  });
}

void MaintenanceStore::Finish(std::int64_t id, RunOutcome outcome, std::string_view error,
                              std::string_view figures_json, double now) {
  db_.Write([&] {
    Query(db_,
          R"sql(UPDATE maintenance_runs SET outcome = ?, error = ?, figures_json = ?, updated_at = ?, finished_at = ?,
        progress = CASE WHEN ?1 = 'ok' THEN 1 ELSE progress END WHERE id = ?)sql")
        .Bind(ToString(outcome), error, figures_json, now, now, id)
        .Run();
  });
}

int MaintenanceStore::CloseAbandoned(const std::function<bool(const MaintenanceRow&)>& lives, double now) {
  std::vector<std::int64_t> gone;
  {
    Query query(db_, Selected("WHERE outcome = 'running'"));
    for (const MaintenanceRow& row : ReadRows(query)) {
      if (!lives(row)) gone.push_back(row.id);
    }
  }
  if (gone.empty()) return 0;  // and nobody waits for the database
  int n = 0;
  db_.Write([&] {
    n = 0;
    for (const std::int64_t id : gone) {
      n += Query(db_, R"sql(UPDATE maintenance_runs SET outcome = 'failed', finished_at = ?,
          error = 'its process ended without a word' WHERE id = ? AND outcome = 'running')sql")
               .Bind(now, id)
               .Run();
    }
  });
  return n;
}

std::vector<MaintenanceRow> MaintenanceStore::List(std::string_view kind, int limit) {
  Query query(db_, Selected("WHERE ?1 = '' OR kind = ?1 ORDER BY id DESC LIMIT ?2"));
  query.Bind(kind, limit > 0 ? limit : -1);
  return ReadRows(query);
}

std::vector<MaintenanceRow> MaintenanceStore::LastEnded() {
  Query query(db_, Selected(R"sql(WHERE id IN (SELECT max(id) FROM maintenance_runs
      WHERE finished_at IS NOT NULL AND dry_run = 0 GROUP BY kind) ORDER BY kind)sql"));
  return ReadRows(query);
}

std::map<std::string, double> MaintenanceStore::LastSuccess(double now) {
  Query query(db_, R"sql(SELECT kind, max(finished_at) FROM maintenance_runs WHERE outcome = 'ok' AND dry_run = 0
      AND finished_at <= ? GROUP BY kind)sql");
  query.Bind(now + kClockSlackS);
  std::map<std::string, double> last;
  while (query.Next()) {
    std::string kind = query.Text();
    last[std::move(kind)] = query.Number();
  }
  return last;
}

std::map<std::pair<std::string, std::string>, std::int64_t> MaintenanceStore::Counts() {
  Query query(db_, R"sql(SELECT kind, outcome, count(*) FROM maintenance_runs WHERE outcome <> 'running' AND dry_run = 0
      GROUP BY kind, outcome)sql");
  std::map<std::pair<std::string, std::string>, std::int64_t> counts;
  while (query.Next()) {
    std::string kind = query.Text();
    std::string outcome = query.Text();
    counts[{std::move(kind), std::move(outcome)}] = query.Integer();
  }
  return counts;
}

std::map<std::string, std::int64_t> MaintenanceStore::SumFigures(std::string_view kind, std::string_view object) {
  Query query(db_,
              R"sql(SELECT figure.key, sum(figure.value) FROM maintenance_runs, json_each(figures_json, ?2) AS figure
      WHERE kind = ?1 AND dry_run = 0 AND figure.type IN ('integer', 'real') GROUP BY figure.key)sql");
  query.Bind(kind, object);
  std::map<std::string, std::int64_t> sums;
  while (query.Next()) {
    std::string key = query.Text();
    sums[std::move(key)] = query.Integer();
  }
  return sums;
}

std::optional<MaintenanceRow> MaintenanceStore::LastWith(std::string_view kind, std::string_view figure) {
  Query query(db_, Selected(R"sql(WHERE kind = ?1 AND outcome = 'ok' AND dry_run = 0
      AND json_type(figures_json, ?2) IS NOT NULL ORDER BY id DESC LIMIT 1)sql"));
  query.Bind(kind, figure);
  std::vector<MaintenanceRow> rows = ReadRows(query);
  if (rows.empty()) return std::nullopt;
  return std::move(rows.front());
}

bool MaintenanceStore::Report(const IntegrityFinding& finding) {
  bool added = false;
  db_.Write([&] {
    {
      Query known(db_, "SELECT 1 FROM integrity_findings WHERE place = ? AND subject = ? AND resolved_at IS NULL");
      if (known.Bind(finding.place, finding.subject).Next()) return;
    }
    Query(db_, "INSERT INTO integrity_findings (at, place, subject, detail) VALUES (?, ?, ?, ?)")
        .Bind(finding.at, finding.place, finding.subject, finding.detail)
        .Run();
    added = true;
  });
  return added;
}

void MaintenanceStore::Resolve(std::string_view place, std::string_view subject, double now) {
  db_.Write([&] {
    Query(db_, R"sql(UPDATE integrity_findings SET resolved_at = ? WHERE place = ? AND subject = ?
        AND resolved_at IS NULL)sql")
        .Bind(now, place, subject)
        .Run();
  });
}

std::vector<IntegrityFinding> MaintenanceStore::OpenFindings() {
  Query query(db_,
              "SELECT id, at, place, subject, detail FROM integrity_findings WHERE resolved_at IS NULL ORDER BY id");
  std::vector<IntegrityFinding> findings;
  while (query.Next()) {
    IntegrityFinding finding;
    finding.id = query.Integer();
    finding.at = query.Number();
    finding.place = query.Text();
    finding.subject = query.Text();
    finding.detail = query.Text();
    findings.push_back(std::move(finding));
  }
  return findings;
}

std::map<std::string, std::int64_t> MaintenanceStore::FindingCounts() {
  Query query(db_, "SELECT place, count(*) FROM integrity_findings GROUP BY place");
  std::map<std::string, std::int64_t> counts;
  while (query.Next()) {
    std::string place = query.Text();
    counts[std::move(place)] = query.Integer();
  }
  return counts;
}

}  // namespace contimg::state
