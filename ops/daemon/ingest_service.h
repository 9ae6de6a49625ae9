// The first half of the daemon: from files on disk to ready groups in the database. Wires the watcher, the memory of
// files, the header checks, the assembler and the writes together; decisions are made there, this carries them out
// (decision_records.h says what becomes of each). ingest_from_records.cc holds what goes the other way: what the
// records know of groups.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/os.h"
#include "config/settings.h"
#include "ingest/file_intake.h"
#include "ingest/file_watcher.h"
#include "ingest/group_assembler.h"
#include "ops/base/clock.h"
#include "ops/daemon/background.h"
#include "ops/daemon/group_ids.h"
#include "ops/daemon/header_checker.h"
#include "ops/daemon/write_queue.h"
#include "state/cal_table_store.h"

namespace contimg::ops {

struct IngestContext {
  boost::asio::io_context& io;
  state::GroupStore& store;
  WriteQueue& writes;
  Metrics& metrics;
  DaemonClock& clock;
  Os& os;
  Background& background;
  ProductPaths paths;
  std::filesystem::path program;  // the contimg binary, for header checks
  ingest::WatcherOptions watcher;
  // A file has joined a group; what its header says. May be empty.
  std::function<void(const std::string& group, const GroupObservation& seen)> observed;
};

class IngestService {
 public:
  IngestService(const IngestContext& context, const Settings& settings);

  // Restores open groups from the database and lists the incoming directory. Throws Error when the database cannot be
  // read.
  void Start();
  // Called about ten times a second: everything that is due.
  void Tick();
  void Apply(const Settings& settings);

  // True once every file that was there at the start has been looked into; only then deadlines are enforced.
  bool caught_up() const { return caught_up_; }
  bool directory_present() const { return directory_present_ && !watcher_.missing(); }
  bool polling() const { return watcher_.polling(); }
  std::size_t n_collecting() const { return assembler_.n_collecting(); }
  std::size_t n_pending() const { return intake_.n_pending() + results_.size(); }
  std::size_t n_retrying() const { return intake_.n_retrying(); }
  std::string AnyRetrying() const { return intake_.AnyRetrying(); }
  std::size_t n_incoming() const { return n_listed_; }
  std::optional<double> last_file_unix() const { return last_file_unix_; }

 private:
  void TakeWatchReport(const ingest::WatchReport& report);
  void AwaitEvents();
  void List();
  void OfferDueFiles();
  void ProcessResults();
  void Process(const CheckResult& result);  // Error: not now, try again
  void CompareAside(const ingest::SubbandFile& known, const CheckResult& arrived);
  void LaterBecause(const std::string& name, const Error& error);
  void Unreadable(const CheckResult& result, const std::optional<ingest::ListedFile>& now_on_disk);
  void CarryOut(const ingest::Decision& decision);
  // Takes over what an operator has decided in the records about groups that are open.
  void FollowOperator();
  // Makes groups known that the records have at about the times of the file.
  void RestoreNeighbours(const ingest::SubbandFile& file);
  void Restore(const state::GroupRow& row);
  void RestoreAnew(const state::GroupRow& row);
  void Forget(ingest::GroupKey key);
  void Withdraw(const state::SubbandFileRow& former);

  IngestContext context_;
  Settings settings_;
  ingest::FileWatcher watcher_;
  ingest::FileIntake intake_;
  ingest::GroupAssembler assembler_;
  HeaderChecker checker_;
  std::unique_ptr<boost::asio::posix::stream_descriptor> events_;  // a duplicate of the watcher's descriptor
  int events_of_ = -1;
  std::deque<CheckResult> results_;
  std::map<std::string, bool> compared_;  // whether two files hold the same bytes: verdicts not yet used
  GroupIds ids_;
  double next_check_ = 0, next_list_ = 0, next_follow_ = 0;
  state::Database::ChangeMark followed_;
  bool list_soon_ = false;
  bool look_closely_ = true;  // the next listing compares known files with their records, too
  bool caught_up_ = false;
  bool first_listing_done_ = false;
  bool directory_present_ = false;
  std::size_t n_listed_ = 0;
  std::optional<double> last_file_unix_;
};

}  // namespace contimg::ops
