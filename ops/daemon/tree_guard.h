// The daemon's hold on its directory trees: whose they are, whether they are there, whether they can be written.
//
// At the very first start of an empty state its trees are marked (ops/job/tree_marker.h); ever after the markers are
// demanded. A state from before there were markers takes its trees once, when the products it has recorded lie there.
// What is marked: the scratch directory, and every other root that lies outside it or on another disk.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "config/os.h"
#include "config/product_paths.h"
#include "config/settings.h"
#include "ops/job/tree_marker.h"
#include "ops/records/health.h"

namespace contimg::ops {

// Looks at directories and trees as a start would and changes nothing on disk (what a state from before there were
// markers has recorded is compared at the start only). Throws as config/settings_loader.h's CheckPaths, and Error{kIo},
// or kBusy while another daemon works in a tree, with one sentence that says what is wrong and what cures it.
void CheckDirectories(const Settings& settings);

// `contimg scratch adopt`: gives the trees to this state whatever lies there. The state must not be in use (the caller
// holds its InstanceLock). Trees of another state are refused (kUsage) unless `take_over`, and while a daemon works in
// them (kBusy) always. Returns the roots that were marked.
std::vector<std::filesystem::path> AdoptTrees(const ProductPaths& paths, Os& os, bool take_over);

class TreeGuard {
 public:
  // Demands the markers, or makes those of a first start; then the standing directories that are missing. Throws as
  // CheckDirectories does. The caller holds the InstanceLock of the state.
  TreeGuard(const Settings& settings, Os& os);

  const ExpectedTrees& expected() const { return expected_; }
  // A few stats: are the markers still the files they were? Otherwise as Look. Never throws.
  bool AreThere();
  // Reads the markers, takes the lock again after a disk came back, tries whether trees can be written. Never throws.
  const std::vector<HealthFacts::Tree>& Look();
  bool well() const;
  const std::vector<HealthFacts::Tree>& trees() const { return trees_; }

 private:
  struct Seen {
    std::uint64_t device = 0, inode = 0;
  };
  HealthFacts::Tree LookAt(std::size_t i);

  ExpectedTrees expected_;
  std::vector<Seen> seen_;                // of the markers, parallel to the expected roots
  std::vector<HealthFacts::Tree> trees_;  // parallel as well
  std::filesystem::path input_;
  TreeLock lock_;  // on the marker of the scratch directory
};

}  // namespace contimg::ops
