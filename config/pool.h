// Objects that threads borrow in turn, so that the memory in them is used again.
#pragma once

#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace contimg {

// Makes a T when all that there are are lent out. Outlives what it lends. Thread-safe.
template <typename T>
class Pool {
 public:
  struct GiveBack {
    Pool* pool;
    void operator()(T* object) const {
      std::unique_ptr<T> owned(object);
      const std::lock_guard lock(pool->mutex_);
      pool->free_.push_back(std::move(owned));
    }
  };
  using Loan = std::unique_ptr<T, GiveBack>;  // comes back by itself

  Loan Take() {
    const std::lock_guard lock(mutex_);
    if (free_.empty()) return Loan(new T(), GiveBack{this});
    Loan loan(free_.back().release(), GiveBack{this});
    free_.pop_back();
    return loan;
  }

 private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<T>> free_;
};

}  // namespace contimg
