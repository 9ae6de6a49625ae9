// Brings the records of products and the products on disk into agreement, a little at a time: after a start and once a
// day. Between them a crash, a person with `rm`, or a restored database may have come.
//
// - A record whose file is gone becomes `missing`; one whose file has come back becomes `present` again. Archived and
//   removed products are not expected on disk.
// - A product on disk without a record gets one when its group is known and at rest; the job that made it stays
// unknown.
//   What a group that is still to be worked on has left is its next attempt's business.
// - A group that is done without a record or a product of its Measurement Set gets a record that says `missing`.
// - A product of no known group is counted and named in the log; it is a person's to judge.
//
// Nothing on disk is touched and no work is started: `contimg queue requeue` makes a missing product again. Every
// change is an event in its group's trail. Steps do not block for longer than one directory listing.
#pragma once

#include <cstdint>
#include <filesystem>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "config/os.h"
#include "config/product_paths.h"
#include "ops/base/log.h"
#include "state/group_store.h"
#include "state/product_store.h"

namespace contimg::ops {

class Reconciler {
 public:
  struct Figures {
    std::int64_t n_records = 0;  // looked at
    std::int64_t n_entries = 0;  // names on disk looked at
    std::int64_t n_lost = 0;     // records that became missing
    std::int64_t n_found = 0;    // missing products that were there again
    std::int64_t n_adopted = 0;  // products that got a record
    std::int64_t n_strange = 0;  // products of no known group
  };

  // Opens a connection of its own to products.sqlite3; Error as state/database.h says.
  Reconciler(ProductPaths paths, state::GroupStore& groups, Os& os = RealOs());

  // Begins a round; a round that is under way is left as it is.
  void Begin();
  bool active() const { return phase_ != Phase::kIdle; }
  // Goes on for about `budget_s`. True when this step ended the round. `now` in seconds since 1970 is for the records.
  // Error: a database or directory cannot be used now; the next step tries the same again.
  bool Step(double budget_s, double now);

  // Between rounds, while products are missing: those that are there again (made anew, put back) become present, and
  // the rest is counted, so that a cure shows within seconds. Error as Step.
  void LookForMissing(double now);

  // Of the round under way or the last one.
  const Figures& figures() const { return figures_; }
  // Products recorded as missing, input files aside; counted at the end of a round and by LookForMissing.
  std::int64_t n_missing() const { return n_missing_; }

 private:
  enum class Phase { kIdle, kRecords, kDirectories, kGroups };
  void StepRecords(double now);
  void StepDirectories(double now);
  void StepGroups(double now);
  void Adopt(const std::vector<std::filesystem::path>& paths, double now);
  bool KeptForALook(const std::string& group, double now);
  bool OnDisk(const std::filesystem::path& path);
  bool HasProducts(const std::string& group);  // recorded ones, input files aside
  void Note(const std::string& group, const std::string& detail, LogLevel level, double now);
  void WriteNotes();
  std::string Making(const std::string& group);
  void LogSome(LogLevel level, const std::string& group, const std::string& sentence);

  ProductPaths paths_;
  Os& os_;
  state::GroupStore& groups_;
  state::ProductStore products_;
  Phase phase_ = Phase::kIdle;
  std::string after_;                               // the path or group id that was looked at last
  std::vector<std::filesystem::path> directories_;  // still to be listed
  std::vector<std::filesystem::path> unrecorded_;   // found there
  std::vector<std::pair<state::EventRow, LogLevel>> notes_;
  std::filesystem::path listed_;  // whose names are in names_
  std::set<std::string> names_;
  Figures figures_;
  std::int64_t n_missing_ = 0;
  int n_logged_ = 0;
};

}  // namespace contimg::ops
