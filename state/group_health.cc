#include "state/group_health.h"

#include <algorithm>

#include "state/query.h"

namespace contimg::state {
namespace {

// Groups with an error that somebody or something will try again. A requeue by the operator starts the count afresh, so
// that its first attempt is none of them.
#define CONTIMG_FAILING                                                                                               \
  "FROM groups WHERE error_kind IS NOT NULL AND (state = 'failed' OR (state = 'ready' AND attempts > 0) OR (state = " \
  "'running' AND attempts > 1))"

void ReadNewest(Query& query, GroupTrouble& trouble) {
  if (!query.Next()) return;
  trouble.newest = query.Text();
  if (const auto word = query.OptionalText()) trouble.kind = ParseErrorKind(*word);
  trouble.cause = query.Text();
}

}  // namespace

GroupTrouble FailingGroups(GroupStore& store) {
  GroupTrouble trouble;
  {
    Query query(store.database(),
                "SELECT count(*), coalesce(max(attempts - (state = 'running')), 0), coalesce(min(CASE WHEN state <> "
                "'running' THEN next_attempt_at END), 0) " CONTIMG_FAILING);
    if (query.Next()) {
      trouble.n = query.Integer();
      trouble.most_attempts = query.Int();
      trouble.next_attempt_at = query.Number();
    }
  }
  if (trouble.n == 0) return trouble;
  Query newest(store.database(), "SELECT id, error_kind, error " CONTIMG_FAILING " ORDER BY id DESC LIMIT 1");
  ReadNewest(newest, trouble);
  return trouble;
}

#undef CONTIMG_FAILING

GroupTrouble DeadGroups(GroupStore& store) {
  GroupTrouble trouble;
  {
    Query query(store.database(),
                "SELECT count(*), coalesce(max(attempts), 0), coalesce(min(updated_at), 0) FROM groups WHERE state = "
                "'dead'");
    if (query.Next()) {
      trouble.n = query.Integer();
      trouble.most_attempts = query.Int();
      trouble.since = query.Number();
    }
  }
  if (trouble.n == 0) return trouble;
  Query newest(store.database(),
               "SELECT id, error_kind, error FROM groups WHERE state = 'dead' ORDER BY id DESC LIMIT 1");
  ReadNewest(newest, trouble);
  return trouble;
}

std::int64_t CountDeadSince(GroupStore& store, double unix_s) {
  Query query(store.database(), "SELECT count(*) FROM groups WHERE state = 'dead' AND updated_at > ?1");
  query.Bind(unix_s);
  return query.Next() ? query.Integer() : 0;
}

GroupTrouble HeldGroups(GroupStore& store) {
  GroupTrouble trouble;
  {
    Query query(store.database(), "SELECT count(*), coalesce(min(updated_at), 0) FROM groups WHERE state = 'held'");
    if (query.Next()) {
      trouble.n = query.Integer();
      trouble.since = query.Number();
    }
  }
  if (trouble.n == 0) return trouble;
  Query newest(
      store.database(),
      "SELECT id, error_kind, coalesce((SELECT detail FROM events WHERE group_id = groups.id AND to_state = "
      "'held' ORDER BY events.id DESC LIMIT 1), '') FROM groups WHERE state = 'held' ORDER BY id DESC LIMIT 1");
  ReadNewest(newest, trouble);
  return trouble;
}

std::vector<LostWorker> LostWorkers(GroupStore& store, double unix_s) {
  Query query(
      store.database(),
      "SELECT events.at, groups.id, groups.error FROM groups JOIN events ON events.group_id = groups.id WHERE "
      "groups.state IN ('failed', 'dead') AND groups.error_kind IN ('crash', 'timeout') AND groups.updated_at > "
      "?1 AND events.at > ?1 AND events.kind = 'state' AND events.from_state = 'running' AND events.to_state IN "
      "('failed', 'dead') AND substr(events.detail, 1, length(groups.error)) = groups.error ORDER BY events.id");
  query.Bind(unix_s);
  std::vector<LostWorker> lost;
  while (query.Next()) {
    LostWorker each;
    each.at = query.Number();
    each.id = query.Text();
    each.cause = query.Text();
    lost.push_back(std::move(each));
  }
  return lost;
}

WaitingGroups GroupsThatWait(GroupStore& store, double now) {
  Query query(store.database(),
              "SELECT count(*), coalesce(min(max(next_attempt_at, first_file_at)), 0) FROM groups WHERE state IN "
              "('ready', 'failed') AND next_attempt_at <= ?1");
  query.Bind(now);
  WaitingGroups waiting;
  if (!query.Next()) return waiting;
  waiting.n = query.Integer();
  const double since = query.Number();
  if (waiting.n > 0) waiting.longest_s = std::max(0.0, now - since);
  return waiting;
}

}  // namespace contimg::state
