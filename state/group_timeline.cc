#include "state/group_timeline.h"

#include <algorithm>

#include "state/query.h"

namespace contimg::state {

std::vector<GroupMark> GroupMarks(GroupStore& store, const std::string& id_from, const std::string& id_before,
                                  int limit) {
  Query query(store.database(),
              "SELECT id, state, subbands_present, subbands_expected, started_at, finished_at FROM groups WHERE id >= "
              "?1 AND id < ?2 ORDER BY id DESC LIMIT ?3");
  query.Bind(id_from, id_before, limit > 0 ? limit : -1);
  std::vector<GroupMark> marks;
  while (query.Next()) {
    GroupMark mark;
    mark.id = query.Text();
    mark.state = ParseGroupState(query.Text());
    mark.subbands_present = query.Int();
    mark.subbands_expected = query.Int();
    mark.started_at = query.Number();
    mark.finished_at = query.Number();
    marks.push_back(std::move(mark));
  }
  std::reverse(marks.begin(), marks.end());
  return marks;
}

std::vector<GroupBin> GroupBins(GroupStore& store, const std::string& id_from, const std::string& id_before,
                                int id_characters) {
  // groups_by_state holds both columns, so the table itself is not read.
  Query query(store.database(),
              "SELECT substr(id, 1, ?3) AS bin, state, count(*) FROM groups INDEXED BY groups_by_state WHERE state IN "
              "('collecting', 'ready', 'running', 'awaiting_calibration', 'done', 'failed', 'dead', 'held', "
              "'cancelled') AND id >= ?1 AND id < ?2 GROUP BY bin, state ORDER BY bin");
  query.Bind(id_from, id_before, id_characters);
  std::vector<GroupBin> bins;
  while (query.Next()) {
    GroupBin bin;
    bin.bin = query.Text();
    bin.state = ParseGroupState(query.Text());
    bin.count = query.Integer();
    bins.push_back(std::move(bin));
  }
  return bins;
}

}  // namespace contimg::state
