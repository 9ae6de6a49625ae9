// The second half of the daemon: takes ready groups and tasks from the database, has them worked on, records what
// became of them.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "config/os.h"
#include "config/settings.h"
#include "ops/base/clock.h"
#include "ops/calibration/scheduler.h"
#include "ops/daemon/sky_watch.h"
#include "ops/daemon/write_queue.h"
#include "ops/job/executor.h"
#include "state/product_store.h"
#include "state/task_store.h"

namespace contimg::ops {

struct DispatchContext {
  state::GroupStore& store;
  WriteQueue& writes;
  Metrics& metrics;
  DaemonClock& clock;
  Os& os;
  ProductPaths paths;
  CalibrationScheduler& calibration;
  std::string owner;                                            // of leases: "contimg-stream <host> <pid>"
  ExpectedTrees trees = {};                                     // of the jobs
  std::function<void(const std::string& group)> measured = {};  // its tables of photometry are among the products
  std::function<void(const std::string& group)> imaged = {};    // an image is among its products
  // How long products.sqlite3 is waited for within one turn of the loop; what it holds up is tried again.
  double products_timeout_s = 0.1;
};

class Dispatcher {
 public:
  Dispatcher(const DispatchContext& context, const Settings& settings);
  // Set once, before the first Tick.
  void SetExecutor(std::unique_ptr<Executor> executor) { executor_ = std::move(executor); }
  // The events that the executor must be made with.
  Executor::Events Events();

  // At the start, before anything else runs: ends workers of a daemon that was killed, takes over what they still
  // finished, and makes everything else ready again. Throws Error when the queue cannot be read; where it cannot be
  // written yet, Tick goes on with it, and nothing is started before.
  void Recover();
  // Called about ten times a second. `may_start`: work on groups may begin.
  void Tick(bool may_start);
  void Apply(const Settings& settings) {
    settings_ = settings;
    executor_->Apply(settings);
  }

  // Asks all workers to end; their groups and tasks become ready again. Done when n_running() is 0.
  void StopAll();
  std::size_t n_running() const { return executor_->n_running(); }
  std::vector<RunningJob> Running() const { return executor_->Running(); }
  const SkyWatch& sky() const { return sky_; }

  // Workers that died of a signal or at a limit, of the last hour; oldest first.
  struct Death {
    double at = 0;     // unix_s
    std::string row;   // the group or task
    std::string what;  // row and sentence
  };
  const std::deque<Death>& deaths() const { return deaths_; }
  // When a job last ended well; unix_s, 0: not since the start.
  double last_success_at() const { return last_success_at_; }

 private:
  // What a worker was started for.
  struct Work {
    JobId job;
    state::WorkRow row;                    // as it was taken
    std::optional<state::GroupRow> group;  // when it is one
  };
  struct Active {
    Work work;
    std::string stage;
    double fraction = 0;
    bool changed = false;
    bool lost = false;  // the operator took it away
  };
  state::WorkTable& TableOf(const JobId& job) {
    return job.is_group() ? static_cast<state::WorkTable&>(context_.store) : tasks_;
  }
  std::filesystem::path FolderOf(const JobId& job) const;
  bool StillOurs(const Work& work);
  std::size_t CountRunning(bool groups) const;

  void FinishRecovery();
  void CompleteFailedLogs();
  void LookAtRunning(double steady);
  void TakeBackExpired();
  void StartNext(bool groups_too);
  std::optional<Work> TakeNext(bool group);
  bool StartWork(const Work& work);  // false: it could not be, and nothing else should be tried now
  void StartGroup(const state::GroupRow& row, const std::filesystem::path& folder, JobRequest& request);
  void StartTask(const Work& work, const std::filesystem::path& folder, JobRequest& request);
  void PutBack(const Work& work, Active& former);
  void Finished(const JobOutcome& outcome);
  void RecordSuccess(const Work& work, const JobReport& report, const JobOutcome& outcome);
  void RecordGroup(const Work& work, const JobReport& report, state::TransitionDetails& details, double now);
  void RecordJob(const state::GroupRow& row, const JobReport& report, const JobOutcome& outcome);
  state::ProductStore& Products();
  std::filesystem::path KeepWhatIsLeft(const std::string& group);
  void RecordFailure(const Work& work, const JobOutcome& outcome, const std::vector<std::string>& inputs);
  void KeepLeases();
  void ReleaseWaiting();
  std::vector<state::SubbandFileRow> InputsAsTheyAre(const state::GroupRow& row);
  // `flagged`: its Measurement Set waits for calibration.
  Job MakeJob(const state::GroupRow& row, bool flagged);

  DispatchContext context_;
  state::TaskStore tasks_;
  Settings settings_;
  std::unique_ptr<Executor> executor_;
  std::unique_ptr<state::ProductStore> products_;  // opened when first needed
  std::map<std::string, Active> active_;           // by the job's id
  // Rows of work whose workers have ended and whose end is not on record yet.
  std::set<std::string> unrecorded_;
  bool recovering_ = false;
  SkyWatch sky_;
  double next_look_ = 0, next_heartbeat_ = 0, next_reclaim_ = 0, next_start_ = 0;
  std::uint64_t seen_commits_ = 0;
  bool stopping_ = false, might_start_ = false;
  std::deque<Death> deaths_;
  double last_success_at_ = 0;
  std::mt19937_64 random_{std::random_device{}()};
};

}  // namespace contimg::ops
