// What becomes of writes that fail: nothing half, nothing in the way of others, nothing silent.
#include "ops/daemon/write_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <SQLiteCpp/SQLiteCpp.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "tests/temporary_folder.h"

namespace contimg::ops {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class WriteQueueTest : public ::testing::Test {
 protected:
  static state::EventRow Event(const std::string& detail) {
    state::EventRow event;
    event.kind = "note";
    event.detail = detail;
    return event;
  }
  QueuedWrite Write(const std::string& name) {
    QueuedWrite write;
    write.what = name;
    write.write = [name](state::GroupStore& store) { store.AddEvent(Event(name)); };
    write.after = [this, name] { told_.push_back(name + " written"); };
    write.refused = [this, name](const std::string& why) {
      told_.push_back(name + " refused");
      why_ = why;
    };
    return write;
  }
  // Writes its first half and throws.
  template <typename Thrown>
  QueuedWrite HalfAWrite(const std::string& name, const Thrown& thrown) {
    QueuedWrite write = Write(name);
    write.write = [name, thrown](state::GroupStore& store) {
      store.AddEvent(Event(name));
      throw thrown;
    };
    return write;
  }
  std::vector<std::string> Recorded() {
    std::vector<std::string> details;
    for (const state::EventRow& event : store_.Events("")) details.push_back(event.detail);
    return details;
  }

  TemporaryFolder folder_{"writes"};
  state::GroupStore store_{folder_.path() / "ingest.sqlite3", {.busy_timeout_s = 0.02}};
  Metrics metrics_;
  double steady_ = 100;
  DaemonClock clock_{[this] { return steady_; }, [this] { return steady_; }};
  WriteQueue queue_{store_, metrics_, clock_};
  std::vector<std::string> told_;
  std::string why_;
};

TEST_F(WriteQueueTest, ARefusedWriteLeavesNothingHalfAndIsToldOnce) {
  queue_.Add(Write("a"));
  queue_.Add(HalfAWrite("b", Error(ErrorKind::kUsage, "state", "g", "the operator was faster")));
  queue_.Add(Write("c"));
  EXPECT_TRUE(queue_.Flush());
  EXPECT_THAT(Recorded(), ElementsAre("a", "c"));
  EXPECT_THAT(told_, ElementsAre("a written", "b refused", "c written"));
  EXPECT_EQ(why_, "g: the operator was faster");
  EXPECT_TRUE(queue_.empty());
}

TEST_F(WriteQueueTest, AnUnexpectedExceptionDoesNotBlockTheOthers) {
  queue_.Add(HalfAWrite("a", std::runtime_error("not thought of")));
  queue_.Add(Write("b"));
  EXPECT_TRUE(queue_.Flush());
  EXPECT_THAT(Recorded(), ElementsAre("b"));
  EXPECT_THAT(told_, ElementsAre("a refused", "b written"));
  EXPECT_THAT(why_, HasSubstr("not thought of"));
}

TEST_F(WriteQueueTest, DamageElsewhereDoesNotBlockTheOthers) {
  queue_.Add(HalfAWrite("a", Error(ErrorKind::kBadInput, "worker", "report.json", "is no JSON")));
  queue_.Add(Write("b"));
  EXPECT_TRUE(queue_.Flush());
  EXPECT_THAT(told_, ElementsAre("a refused", "b written"));
}

TEST_F(WriteQueueTest, ALockedDatabaseDelaysAllInOrderAndIsNotAskedEachTime) {
  SQLite::Database blocker(store_.database().path().string(), SQLite::OPEN_READWRITE);
  blocker.exec("BEGIN IMMEDIATE");
  int n_tries = 0;
  QueuedWrite first = Write("a");
  first.write = [&](state::GroupStore& store) {
    ++n_tries;
    store.AddEvent(Event("a"));
  };
  queue_.Add(std::move(first));
  queue_.Add(Write("b"));
  EXPECT_FALSE(queue_.Flush());
  EXPECT_THAT(queue_.trouble(), HasSubstr("locked by another process"));
  EXPECT_EQ(queue_.trouble_kind(), ErrorKind::kBusy);
  blocker.exec("ROLLBACK");
  EXPECT_FALSE(queue_.Flush());  // not a second later yet
  EXPECT_EQ(n_tries, 0);
  steady_ += 1;
  EXPECT_TRUE(queue_.Flush());
  EXPECT_THAT(Recorded(), ElementsAre("a", "b"));
  EXPECT_EQ(queue_.trouble(), "");
}

TEST_F(WriteQueueTest, WhatCannotBePreparedWaitsBesideTheOthers) {
  bool busy = true;
  int n_prepared = 0;
  QueuedWrite done = Write("done");
  done.prepare = [&] {
    if (busy) throw Error(ErrorKind::kBusy, "state", "products.sqlite3", "is locked");
    ++n_prepared;
  };
  queue_.Add(std::move(done));
  queue_.Add(Write("other"));
  EXPECT_TRUE(queue_.Flush());
  EXPECT_TRUE(queue_.settled());
  EXPECT_FALSE(queue_.empty());
  EXPECT_THAT(told_, ElementsAre("other written"));
  EXPECT_THAT(queue_.trouble(), HasSubstr("products.sqlite3: is locked"));
  busy = false;
  steady_ += 1;
  EXPECT_TRUE(queue_.Flush());
  EXPECT_EQ(n_prepared, 1);
  EXPECT_THAT(told_, ElementsAre("other written", "done written"));
  EXPECT_EQ(queue_.trouble(), "");
}

TEST_F(WriteQueueTest, OneThatCanNeverBePreparedDoesNotKeepTheNextFromItsTurn) {
  QueuedWrite stuck = Write("stuck"), next = Write("next"), wrong = Write("wrong");
  stuck.prepare = [] { throw Error(ErrorKind::kIo, "ops", "job.json", "cannot be read"); };
  wrong.prepare = [] { throw std::runtime_error("not thought of"); };
  next.prepare = [] {};
  queue_.Add(std::move(stuck));
  queue_.Add(std::move(wrong));
  queue_.Add(std::move(next));
  for (int i = 0; i < 3; ++i, steady_ += 1) queue_.Flush();
  EXPECT_THAT(told_, ElementsAre("wrong refused", "next written"));
  EXPECT_EQ(queue_.size(), 1u);
}

TEST_F(WriteQueueTest, WhatFollowsARecordEndsNobodyElse) {
  QueuedWrite first = Write("a");
  first.after = [] { throw Error(ErrorKind::kIo, "ops", "log", "no space left"); };
  queue_.Add(std::move(first));
  queue_.Add(Write("b"));
  EXPECT_TRUE(queue_.Flush());
  EXPECT_THAT(told_, ElementsAre("b written"));
  EXPECT_TRUE(queue_.empty());
}

}  // namespace
}  // namespace contimg::ops
