#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>
#include <tuple>

#include "config/error.h"
#include "config/os.h"
#include "config/product_class.h"
#include "config/time.h"
#include "ops/archive/archiver.h"
#include "ops/archive/manifest.h"

namespace contimg::ops {
namespace {

bool Contains(const std::vector<std::string>& list, std::string_view word) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

// Why a product is not archived now; empty: nothing speaks against it.
class Judge {
 public:
  Judge(const ArchiveSelection& selection, const DirectoryRoots& roots, state::GroupStore* groups, double now)
      : selection_(selection), roots_(roots), groups_(groups), now_(now) {}

  std::string Reason(const state::ProductRow& row) {
    if (now_ - row.created_at < selection_.after_days * kSecondsPerDay) {
      return fmt::format("younger than {:g} days", selection_.after_days);
    }
    if (!AtRest(row.group_id)) return "of groups that are not done";
    if (!InTree(row.path, roots_)) return "outside the directories of this installation";
    return "";
  }

 private:
  bool AtRest(const std::string& group) {
    if (groups_ == nullptr || group.empty()) return true;
    const auto [at, fresh] = at_rest_.try_emplace(group, true);
    if (fresh) {
      const auto row = groups_->Find(group);  // one that the queue does not know is nobody's work
      at->second = !row || row->state == state::GroupState::kDone;
    }
    return at->second;
  }
  const ArchiveSelection& selection_;
  const DirectoryRoots& roots_;
  state::GroupStore* groups_;
  double now_;
  std::map<std::string, bool> at_rest_;
};

}  // namespace

std::uint64_t PlannedObject::bytes() const {
  std::uint64_t sum = 0;
  for (const state::ProductRow& row : products)
    sum += static_cast<std::uint64_t>(std::max<std::int64_t>(row.size_bytes, 0));
  return sum;
}

ArchivePlan PlanArchive(const ArchiveSelection& selection, const std::vector<ArchiveRemote>& remotes,
                        const DirectoryRoots& roots, state::ProductStore& products, state::GroupStore* groups,
                        double now) {
  for (const std::string& name : selection.remotes) {
    const bool known = std::any_of(remotes.begin(), remotes.end(), [&](const auto& each) { return each.name == name; });
    if (!known) throw Error(ErrorKind::kUsage, "archive", name, "is none of archive.remotes");
  }
  ArchivePlan plan;
  Judge judge(selection, roots, groups, now);
  // One object for all remotes that lack the same products: (class, group or product, products) → place in the plan.
  std::map<std::tuple<std::string, std::string, std::vector<std::int64_t>>, std::size_t> places;
  std::set<std::int64_t> kept;
  for (const ArchiveRemote& remote : remotes) {
    if (!selection.remotes.empty() && !Contains(selection.remotes, remote.name)) continue;
    std::map<std::pair<std::string, std::string>, std::vector<state::ProductRow>> sets;
    for (state::ProductRow& row : products.WithoutCopyAt(remote.name, selection.lossy_counts)) {
      const auto kind = FindProductKind(row.kind);
      if (!kind) continue;  // of a newer version
      const std::string product_class(ProductClass(*kind, row.path, roots));
      if (!Contains(remote.classes, product_class)) continue;
      if (!selection.classes.empty() && !Contains(selection.classes, product_class)) continue;
      if (!selection.groups.empty() && !Contains(selection.groups, row.group_id)) continue;
      if (const std::string reason = judge.Reason(row); !reason.empty()) {
        if (!kept.insert(row.id).second) continue;
        state::ArchiveSum& sum = plan.kept[reason];
        ++sum.n;
        sum.bytes += row.size_bytes;
        continue;
      }
      std::string subject = row.group_id.empty() ? fmt::format("product {}", row.id) : row.group_id;
      sets[{product_class, std::move(subject)}].push_back(std::move(row));
    }
    for (auto& [key, rows] : sets) {
      std::vector<std::int64_t> ids;
      for (const state::ProductRow& row : rows) ids.push_back(row.id);
      const auto [at, fresh] = places.try_emplace({key.first, key.second, std::move(ids)}, plan.objects.size());
      if (fresh) plan.objects.push_back({key.first, rows.front().group_id, std::move(rows), {}});
      plan.objects[at->second].remotes.push_back(remote.name);
    }
  }
  state::ArchiveStore store(products.database());
  for (const ArchiveRemote& remote : remotes) {
    if (!selection.remotes.empty() && !Contains(selection.remotes, remote.name)) continue;
    for (state::ArchiveRow& source : store.SourcesFor(remote.name)) {
      const bool known =
          std::any_of(remotes.begin(), remotes.end(), [&](const auto& each) { return each.name == source.remote; });
      if (!known || !Contains(remote.classes, source.product_class)) continue;
      if (!selection.classes.empty() && !Contains(selection.classes, source.product_class)) continue;
      if (!selection.groups.empty() && !Contains(selection.groups, source.group_id)) continue;
      plan.replicas.push_back({std::move(source), remote.name});
    }
  }
  std::stable_sort(plan.objects.begin(), plan.objects.end(), [](const PlannedObject& a, const PlannedObject& b) {
    return a.products.front().start_mjd < b.products.front().start_mjd;
  });
  if (selection.limit > 0 && plan.objects.size() > static_cast<std::size_t>(selection.limit)) {
    plan.objects.resize(static_cast<std::size_t>(selection.limit));
  }
  if (selection.limit > 0) {
    const std::size_t left = static_cast<std::size_t>(selection.limit) - plan.objects.size();
    plan.replicas.resize(std::min(plan.replicas.size(), left));
  }
  return plan;
}

std::map<std::string, state::ArchiveSum> ArchiveBacklog(const Settings& settings, state::ProductStore& products) {
  const std::vector<ArchiveRemote> remotes = RemotesOf(settings.archive);
  std::map<std::string, state::ArchiveSum> backlog;
  state::ArchiveStore store(products.database());
  for (const auto& [word, sum] :
       store.Backlog(static_cast<int>(settings.archive.copies), settings.archive.images == "rice")) {
    const auto kind = FindProductKind(word);
    if (!kind) continue;
    const std::string product_class(ProductClass(*kind, {}, Roots(settings)));
    const bool archived = std::any_of(remotes.begin(), remotes.end(),
                                      [&](const auto& each) { return Contains(each.classes, product_class); });
    if (!archived) continue;
    backlog[product_class].n += sum.n;
    backlog[product_class].bytes += sum.bytes;
  }
  return backlog;
}

std::vector<Remote> OpenRemotes(const Settings& settings, const std::atomic<bool>* cancelled) {
  RcloneOptions options;
  options.program = FindRclone();
  options.config = settings.archive.rclone_config;
  options.bandwidth = settings.archive.bandwidth;
  options.cancelled = cancelled;
  std::vector<Remote> remotes;
  for (ArchiveRemote& each : RemotesOf(settings.archive)) {
    remotes.emplace_back(std::move(each), Rclone(options), settings.archive.verify == "hash");
  }
  if (remotes.empty()) {
    throw Error(ErrorKind::kUsage, "archive", "archive.remotes", "is not set: there is no place for copies");
  }
  if (options.program.empty()) {
    throw Error(ErrorKind::kUsage, "archive", "rclone", "is not installed, and nothing else copies to archives");
  }
  return remotes;
}

void CheckRemotes(const Settings& settings) {
  const std::string& file = settings.archive.rclone_config;
  std::optional<std::vector<std::string>> known;
  const std::vector<ArchiveRemote> remotes = RemotesOf(settings.archive);
  if (remotes.empty()) return;
  RcloneOptions options;
  options.program = FindRclone();
  options.bandwidth = settings.archive.bandwidth;
  if (Rclone(options).Run({"version"}, 60).kind != RcloneEnd::Kind::kOk) {  // it reads its options, and no more
    throw Error(ErrorKind::kUsage, "archive", "archive.bandwidth",
                fmt::format("expected a limit as rclone takes it (20M), found '{}'", options.bandwidth));
  }
  for (const ArchiveRemote& remote : remotes) {
    if (remote.target.front() == '/' || remote.target.front() == ':' || file.empty()) continue;
    if (!known) known = Exists(file) ? ConfiguredRemotes(file) : std::vector<std::string>{};
    const std::string section = remote.target.substr(0, remote.target.find_first_of(":,"));
    if (std::find(known->begin(), known->end(), section) == known->end()) {
      throw Error(ErrorKind::kUsage, "archive", "archive.remotes",
                  fmt::format("expected the remote {} of {} in {}, found none", section, remote.target, file));
    }
  }
}

bool HoldsCopies(state::ArchiveStore& store, const Remote& remote) {
  return !store.List({remote.about().name, "", "", state::ArchiveState::kCopied, 1}).empty() ||
         !store.List({remote.about().name, "", "", state::ArchiveState::kVerified, 1}).empty();
}

const Remote& FindRemote(const std::vector<Remote>& remotes, const std::string& name) {
  for (const Remote& remote : remotes) {
    if (remote.about().name == name) return remote;
  }
  throw Error(ErrorKind::kUsage, "archive", name, "is none of archive.remotes");
}

}  // namespace contimg::ops
