// Writes to the queue's database, in order and never lost: a locked database or a full disk delays them, the daemon
// goes on meanwhile. Many small writes become one transaction.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <utility>

#include "config/error.h"
#include "ops/metrics/metrics.h"
#include "state/group_store.h"

namespace contimg::ops {

class WriteQueue {
 public:
  WriteQueue(state::GroupStore& store, Metrics& metrics) : store_(store), metrics_(metrics) {}

  // `write` may be run several times until its transaction commits; `after` runs once, when it has. `what` names it in
  // the log ("2025-…: ready").
  void Add(std::string what, std::function<void(state::GroupStore&)> write, std::function<void()> after = {});
  // Asks whoever calls Flush to do so soon: work waits for what was added.
  void Hurry() {
    if (on_hurry_) on_hurry_();
  }
  void SetHurry(std::function<void()> on_hurry) { on_hurry_ = std::move(on_hurry); }
  // Tries to write everything. False: something is left (the reason was logged). A write that the store refuses as
  // wrong use (the operator was faster) is logged and dropped, so is one that fails for another reason of its own.
  bool Flush();
  bool empty() const { return writes_.empty(); }
  std::size_t size() const { return writes_.size(); }
  // Transactions committed so far: tells whether anything may have changed.
  std::uint64_t n_committed() const { return n_committed_; }
  // Sentence about why the last Flush failed; empty when it did not.
  const std::string& trouble() const { return trouble_; }
  ErrorKind trouble_kind() const { return trouble_kind_; }

 private:
  struct Pending {
    std::string what;
    std::function<void(state::GroupStore&)> write;
    std::function<void()> after;
  };
  state::GroupStore& store_;
  Metrics& metrics_;
  std::deque<Pending> writes_;
  std::function<void()> on_hurry_;
  std::string trouble_;
  ErrorKind trouble_kind_ = ErrorKind::kBusy;
  std::uint64_t n_committed_ = 0;
};

}  // namespace contimg::ops
