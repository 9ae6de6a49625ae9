// The visibilities of a tile a few integrations at a time: those of a block in memory, or read from a file whenever
// they are gone through, so that a tile need not fit into memory. C++17-clean.
#pragma once

#include <cstddef>
#include <functional>

#include "ingest/visibility_block.h"

namespace contimg {

// Integrations [first_time, end_time).
struct VisibilityPart {
  std::size_t first_time = 0, end_time = 0;
  const Visibility* vis = nullptr;  // [time − first_time][baseline][channel][pol]
  bool Has(std::size_t time) const { return time >= first_time && time < end_time; }
};

class VisibilityParts {
 public:
  virtual ~VisibilityParts() = default;
  // Calls use(part) for each part, in ascending order of time; a part is gone when the call returns. The values are the
  // same each time. Where the input has no row they are 0. Throws Error{kIo, kBusy, kCancelled} and what `use` throws.
  virtual void ForEach(const std::function<void(const VisibilityPart&)>& use) const = 0;
};

// All at once.
class VisibilitiesInMemory final : public VisibilityParts {
 public:
  explicit VisibilitiesInMemory(const VisibilityBlock& block) : block_(block) {}  // must outlive this
  void ForEach(const std::function<void(const VisibilityPart&)>& use) const override {
    use({0, block_.n_times(), block_.vis.data()});
  }

 private:
  const VisibilityBlock& block_;
};

}  // namespace contimg
