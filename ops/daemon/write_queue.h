// Writes to the queue's database, in order and never lost: a locked database or a full disk delays them, the daemon
// goes on meanwhile. Many small writes become one transaction, and each of them is all or nothing by itself.
//
// What a write says may rest on records in other databases (a group is done when its products are on record): those are
// made by its `prepare`, before it and outside of its transaction. One that cannot be prepared now waits beside the
// others, which go on.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <utility>

#include "config/error.h"
#include "ops/base/clock.h"
#include "ops/metrics/metrics.h"
#include "state/group_store.h"

namespace contimg::ops {

struct QueuedWrite {
  std::string what;                               // names it in the log ("2025-…: ready")
  std::function<void()> prepare = {};             // may be run again until it has returned once; or none
  std::function<void(state::GroupStore&)> write;  // may be run several times until its transaction commits
  std::function<void()> after = {};               // runs once, when it has been written; or none
  // Runs once, instead of `after`, when it never will be: nothing of it was written. `why`: one sentence. Without one
  // the refusal is logged.
  std::function<void(const std::string& why)> refused = {};
};

class WriteQueue {
 public:
  WriteQueue(state::GroupStore& store, Metrics& metrics, const DaemonClock& clock)
      : store_(store), metrics_(metrics), clock_(clock) {}

  void Add(QueuedWrite write);
  void Add(std::string what, std::function<void(state::GroupStore&)> write, std::function<void()> after = {}) {
    Add({std::move(what), {}, std::move(write), std::move(after), {}});
  }
  // Asks whoever calls Flush to do so soon: work waits for what was added.
  void Hurry() {
    if (on_hurry_) on_hurry_();
  }
  void SetHurry(std::function<void()> on_hurry) { on_hurry_ = std::move(on_hurry); }
  // Tries to write everything. False: the queue's database could not be written (the reason was logged); it is tried
  // again, by a call a second later or more, so that a lock held by somebody else does not stop the caller each time.
  // A write that fails for a reason of its own (the operator was faster, a rule of the schema, an unexpected exception)
  // is undone, refused and dropped.
  bool Flush();
  // Nothing waits for the queue's own database. What cannot be prepared yet may still wait.
  bool settled() const { return writes_.empty(); }
  bool empty() const { return writes_.empty() && unprepared_.empty(); }
  std::size_t size() const { return writes_.size() + unprepared_.size(); }
  // Transactions committed so far: tells whether anything may have changed.
  std::uint64_t n_committed() const { return n_committed_; }
  // Sentence about why the last Flush left something; empty when it did not.
  const std::string& trouble() const { return trouble_.empty() ? unprepared_trouble_ : trouble_; }
  ErrorKind trouble_kind() const { return trouble_.empty() ? unprepared_kind_ : trouble_kind_; }

 private:
  struct Ended {
    QueuedWrite write;
    std::string refusal;  // empty: written
  };
  void Prepare();
  bool WriteBatch();
  void Tell(Ended& ended);

  state::GroupStore& store_;
  Metrics& metrics_;
  const DaemonClock& clock_;
  std::deque<QueuedWrite> unprepared_, writes_;
  std::function<void()> on_hurry_;
  std::string trouble_, unprepared_trouble_;
  ErrorKind trouble_kind_ = ErrorKind::kBusy, unprepared_kind_ = ErrorKind::kBusy;
  double next_write_ = 0, next_prepare_ = 0;  // steady clock
  std::uint64_t n_committed_ = 0;
};

}  // namespace contimg::ops
