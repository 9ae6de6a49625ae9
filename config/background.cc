#include "config/background.h"

#include <algorithm>
#include <utility>

#include "config/step_back.h"

namespace contimg {

class Background::Task {
 public:
  std::function<void(std::size_t)> body;
  std::function<void()> after;
  std::size_t count = 0;
  std::size_t next = 0;     // index to hand out
  std::size_t running = 0;  // handed out and not back
  bool in_order = false;
  bool done = false;
  std::exception_ptr failure;

  bool HasMore() const { return next < count && !failure; }
  bool CanGoOn() const { return HasMore() && (!in_order || running == 0); }
};

Background::Handle Background::Add(std::size_t count, std::function<void(std::size_t)> body,
                                   std::function<void()> after) {
  auto task = std::make_shared<Task>();
  task->count = std::max<std::size_t>(count, 1);
  task->body = count > 0 ? std::move(body) : [](std::size_t) {};
  task->after = std::move(after);
  return Add(task);
}

Background::Handle Background::AddInOrder(std::size_t count, std::function<void(std::size_t)> body) {
  auto task = std::make_shared<Task>();
  task->count = std::max<std::size_t>(count, 1);
  task->body = count > 0 ? std::move(body) : [](std::size_t) {};
  task->in_order = true;
  return Add(task);
}

Background::Handle Background::Add(const Handle& task) {
  const std::lock_guard lock(mutex_);
  if (ending_) return task;
  waiting_.push_back(task);
  ++unfinished_;
  if (threads_.size() < static_cast<std::size_t>(most_threads_)) threads_.emplace_back([this] { Serve(); });
  changed_.notify_all();
  return task;
}

Background::Handle Background::Add(std::function<void()> body) {
  return Add(1, [body = std::move(body)](std::size_t) { body(); });
}

// One index of the task, and what follows the last. False: there is none to hand out.
bool Background::WorkAt(const Handle& task, Lock& lock) {
  if (!task->CanGoOn()) return false;
  const std::size_t index = task->next++;
  ++task->running;
  if (!task->HasMore()) std::erase(waiting_, task);
  const auto guarded = [&](const auto& work) {
    lock.unlock();
    std::exception_ptr failure;
    try {
      work();
    } catch (...) {
      failure = std::current_exception();
    }
    lock.lock();
    if (!failure || task->failure) return;
    task->failure = failure;
    std::erase(waiting_, task);  // no index goes out any more
  };
  guarded([&] { task->body(index); });
  --task->running;
  if (task->in_order) changed_.notify_all();  // its next index
  if (task->running > 0 || task->HasMore()) return true;
  guarded([&] {
    if (!task->failure && task->after) task->after();
    task->body = nullptr;
    task->after = nullptr;
  });
  task->done = true;
  if (task->failure && !failure_) failure_ = task->failure;
  --unfinished_;
  changed_.notify_all();
  return true;
}

void Background::WorkOrSleep(Lock& lock) {
  const auto next = std::find_if(waiting_.begin(), waiting_.end(), [](const Handle& t) { return t->CanGoOn(); });
  if (next == waiting_.end()) {
    changed_.wait(lock);
  } else {
    WorkAt(Handle(*next), lock);
  }
}

void Background::Serve() {
  StepBack();
  Lock lock(mutex_);
  while (!ending_) WorkOrSleep(lock);
}

void Background::Wait(const Handle& task) {
  Lock lock(mutex_);
  while (!task->done) {
    if (!WorkAt(task, lock)) changed_.wait(lock);
  }
  if (task->failure) std::rethrow_exception(task->failure);
}

void Background::WaitForAll() {
  Lock lock(mutex_);
  while (unfinished_ > 0) WorkOrSleep(lock);
  if (failure_) std::rethrow_exception(failure_);
}

void Background::RethrowFailure() {
  const std::lock_guard lock(mutex_);
  if (failure_) std::rethrow_exception(failure_);
}

Background::~Background() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
    changed_.notify_all();
  }
  for (std::thread& thread : threads_) thread.join();
}

}  // namespace contimg
