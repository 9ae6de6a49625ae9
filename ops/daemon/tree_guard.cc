#include "ops/daemon/tree_guard.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <functional>
#include <optional>
#include <utility>

#include "config/error.h"
#include "config/settings_loader.h"
#include "config/time.h"
#include "ops/base/host_name.h"
#include "ops/base/log.h"
#include "state/product_store.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;

constexpr const char* kStage = "tree";
constexpr const char* kAdopt = "contimg scratch adopt";

struct Root {
  const char* name;
  fs::path path;
};

std::vector<Root> RootsOf(const ProductPaths& paths) {
  const DirectoryRoots& r = paths.roots();
  return {{"scratch", r.scratch}, {"incoming", r.input}, {"output", r.output}, {"images", r.images}, {"tmp", r.tmp}};
}

bool Contains(const std::vector<fs::path>& roots, const fs::path& root) {
  return std::any_of(roots.begin(), roots.end(),
                     [&](const fs::path& each) { return each.lexically_normal() == root.lexically_normal(); });
}

std::optional<std::uint64_t> DeviceOf(const fs::path& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return std::nullopt;
  return info.st_dev;
}

// Roots that carry a marker of their own. A disk inside the scratch tree is known as one only when it is mounted, so
// what was marked once stays in the list.
std::vector<Root> MarkedRoots(const ProductPaths& paths, const std::optional<StateIdentity>& own) {
  std::vector<Root> marked;
  const fs::path& scratch = paths.roots().scratch;
  for (const Root& root : RootsOf(paths)) {
    const bool here = root.path.lexically_normal() == scratch.lexically_normal();
    const bool again =
        std::any_of(marked.begin(), marked.end(), [&](const Root& each) { return each.path == root.path; });
    if (again) continue;
    const auto device = DeviceOf(root.path), scratch_device = DeviceOf(scratch);
    const bool apart = !IsBelow(root.path, scratch) || (device && scratch_device && *device != *scratch_device);
    if (here || apart || (own && Contains(own->roots, root.path))) marked.push_back(root);
  }
  return marked;
}

// How many of the newest recorded products below `root` are on disk.
struct Share {
  int n = 0, n_there = 0;
};
using Recorded = std::function<Share(const fs::path& root)>;

Share CountRecorded(state::ProductStore& store, const fs::path& root) {
  constexpr int kLookedAt = 50, kListed = 5000;
  state::ProductQuery query;
  query.status = "present";
  query.limit = kListed;
  Share share;
  for (const state::ProductRow& row : store.List(query)) {
    if (row.kind == ToString(ProductKind::kUvh5) || !IsBelow(row.path, root)) continue;
    std::error_code error;
    if (fs::exists(row.path, error)) ++share.n_there;
    if (++share.n == kLookedAt) break;
  }
  return share;
}

struct MarkerPlan {
  StateIdentity identity;
  std::vector<Root> demanded;  // the marker must be there
  std::vector<Root> unmarked;  // gets one
};

// What is demanded of the trees; refuses what is not this state's. `recorded` may be empty: then nothing is compared.
MarkerPlan MakePlan(const ProductPaths& paths, const Recorded& recorded) {
  const fs::path& state = paths.roots().state;
  const std::optional<StateIdentity> own = ReadStateIdentity(state);
  MarkerPlan plan;
  if (own) plan.identity = *own;
  for (const Root& root : RootsOf(paths)) {
    const auto nearest = NearestTreeMarker(root.path);
    if (!nearest || (own && nearest->second.identity == own->identity)) continue;
    throw Error(IsTreeLocked(nearest->first) ? ErrorKind::kBusy : ErrorKind::kIo, kStage, root.path.string(),
                fmt::format("expected the {} directory of the state directory {} and found that it belongs to {}; "
                            "give each state directory a tree of its own, or take this one over while no daemon works "
                            "there: {} --take-over",
                            root.name, state.string(), OwnerWords(nearest->first, nearest->second), kAdopt));
  }
  for (const Root& root : MarkedRoots(paths, own)) {
    if (ReadTreeMarker(root.path)) {
      plan.demanded.push_back(root);
      continue;
    }
    const bool demanded =
        own && own->complete && (root.path == paths.roots().scratch || Contains(own->roots, root.path));
    if (demanded) {
      throw Error(
          ErrorKind::kIo, kStage, root.path.string(),
          fmt::format("expected the {} directory with the marker {} of the state directory {} (identity {}) and "
                      "found no marker: most likely its disk is not mounted; mount it, or, if this tree is "
                      "meant: {}",
                      root.name, TreeMarkerFile("").string(), state.string(), own->identity, kAdopt));
    }
    const Share share = recorded ? recorded(root.path) : Share();
    if (2 * share.n_there < share.n) {
      throw Error(
          ErrorKind::kIo, kStage, root.path.string(),
          fmt::format("expected the newest {} products that the state directory {} has recorded there and found "
                      "{}: most likely the disk is not mounted; mount it, or, if this tree is meant: {}",
                      share.n, state.string(), share.n_there, kAdopt));
    }
    plan.unmarked.push_back(root);
  }
  return plan;
}

TreeMarker MarkerOf(const StateIdentity& identity, const ProductPaths& paths) {
  return {identity.identity, paths.roots().state, HostName(), ::getpid(), identity.since};
}

// Gives the roots their markers and notes them; a crash in between is taken up by the next start.
void Mark(const ProductPaths& paths, Os& os, StateIdentity& identity, const std::vector<Root>& roots) {
  const std::string now = UtcTime::Now().Iso8601() + "Z";
  if (identity.identity.empty()) identity = {NewIdentity(), now, false, {}};
  std::vector<fs::path> marked;
  for (const Root& root : roots) {
    // A disk that only gives input may be read-only: then nothing is demanded of it.
    if (root.path == paths.roots().input && ::access(root.path.c_str(), W_OK) != 0) continue;
    if (!Contains(identity.roots, root.path)) identity.roots.push_back(root.path);
    marked.push_back(root.path);
  }
  if (marked.empty()) return;
  identity.complete = false;
  WriteStateIdentity(os, paths.roots().state, identity);
  for (const fs::path& root : marked) {
    TreeLock().Take(root, MarkerOf(identity, paths));
    Log(LogLevel::kInfo, "",
        fmt::format("{} is marked as a tree of {} (identity {})", root.string(), paths.roots().state.string(),
                    identity.identity));
  }
  identity.complete = true;
  WriteStateIdentity(os, paths.roots().state, identity);
}

}  // namespace

void CheckDirectories(const Settings& settings) {
  const ProductPaths paths(Roots(settings));
  if (paths.roots().scratch.is_absolute() && paths.roots().state.is_absolute()) MakePlan(paths, {});
  CheckPaths(settings);
}

std::vector<fs::path> AdoptTrees(const ProductPaths& paths, Os& os, bool take_over) {
  StateIdentity identity = ReadStateIdentity(paths.roots().state).value_or(StateIdentity());
  const std::vector<Root> roots = MarkedRoots(paths, identity);
  std::vector<fs::path> marked;
  for (const Root& root : roots) marked.push_back(root.path);
  for (const Root& root : RootsOf(paths)) {
    const auto nearest = NearestTreeMarker(root.path);
    if (!nearest || nearest->second.identity == identity.identity) continue;
    const bool at_work = IsTreeLocked(nearest->first), whole = Contains(marked, nearest->first);
    if (take_over && whole && !at_work) continue;
    const char* cure = at_work     ? ""
                       : take_over ? "; only a whole tree can be taken over, and this is a part of one"
                                   : "; to take it away from there: --take-over";
    throw Error(at_work ? ErrorKind::kBusy : ErrorKind::kUsage, kStage, root.path.string(),
                fmt::format("belongs to {}{}", OwnerWords(nearest->first, nearest->second), cure));
  }
  Mark(paths, os, identity, roots);
  return marked;
}

TreeGuard::TreeGuard(const Settings& settings, Os& os) : input_(Roots(settings).input) {
  const ProductPaths paths(Roots(settings));
  std::optional<state::ProductStore> products;
  const fs::path database = paths.Database(StateDatabase::kProducts);
  std::error_code error;
  MarkerPlan plan = MakePlan(paths, [&](const fs::path& root) {
    if (!products && fs::exists(database, error)) products.emplace(database);
    return products ? CountRecorded(*products, root) : Share();
  });
  MakeDirectories(settings);
  Mark(paths, os, plan.identity, plan.unmarked);
  expected_.identity = plan.identity.identity;
  for (const Root& root : MarkedRoots(paths, plan.identity)) {
    if (!ReadTreeMarker(root.path)) continue;  // input that cannot be written
    expected_.roots.push_back(root.path);
    trees_.push_back({root.name, root.path.string(), HealthFacts::Tree::State::kWell, "", ""});
  }
  seen_.resize(expected_.roots.size());
  try {
    lock_.Take(paths.roots().scratch, MarkerOf(plan.identity, paths));
  } catch (const Error& failure) {
    if (failure.kind() == ErrorKind::kBusy) throw;
    lock_.TakeAsItIs(paths.roots().scratch);  // a full disk must not keep the service from starting
  }
  Look();
}

HealthFacts::Tree TreeGuard::LookAt(std::size_t i) {
  using State = HealthFacts::Tree::State;
  const fs::path& root = expected_.roots[i];
  HealthFacts::Tree tree = trees_[i];
  tree.state = State::kWell;
  tree.finding.clear();
  seen_[i] = {};
  try {
    const auto marker = ReadTreeMarker(root);
    if (!marker) {
      tree.state = State::kMissing;
      tree.finding =
          fmt::format("has no marker ({}): most likely its disk is not mounted", TreeMarkerFile("").string());
    } else if (marker->identity != expected_.identity) {
      tree.state = State::kForeign;
      tree.finding = "belongs to " + OwnerWords(root, *marker);
    } else if (root != input_ && ::access(root.c_str(), W_OK | X_OK) != 0) {
      tree.state = State::kReadOnly;
      tree.finding = fmt::format("cannot be written: {}", std::strerror(errno));
    }
    if (tree.name == "scratch" && tree.state != State::kMissing && tree.state != State::kForeign &&
        !lock_.Holds(root)) {
      lock_.TakeAsItIs(root);  // the disk has come back
    }
    struct stat info {};
    if (tree.state != State::kMissing && ::stat(TreeMarkerFile(root).c_str(), &info) == 0) {
      seen_[i] = {info.st_dev, info.st_ino};
    }
  } catch (const Error& error) {
    tree.state = error.kind() == ErrorKind::kBusy ? State::kForeign : State::kMissing;
    tree.finding = fmt::format("cannot be used: {}", error.message());
  } catch (const std::exception& error) {
    tree.state = State::kMissing;
    tree.finding = fmt::format("cannot be looked at: {}", error.what());
  }
  return tree;
}

const std::vector<HealthFacts::Tree>& TreeGuard::Look() {
  for (std::size_t i = 0; i < trees_.size(); ++i) trees_[i] = LookAt(i);
  return trees_;
}

bool TreeGuard::AreThere() {
  for (std::size_t i = 0; i < trees_.size(); ++i) {
    struct stat info {};
    const bool same = ::stat(TreeMarkerFile(expected_.roots[i]).c_str(), &info) == 0 && info.st_ino != 0 &&
                      info.st_dev == seen_[i].device && info.st_ino == seen_[i].inode;
    if (!same) trees_[i] = LookAt(i);
  }
  return well();
}

bool TreeGuard::well() const {
  return std::all_of(trees_.begin(), trees_.end(),
                     [](const HealthFacts::Tree& tree) { return tree.state == HealthFacts::Tree::State::kWell; });
}

}  // namespace contimg::ops
