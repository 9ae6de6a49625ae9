#include "ops/archive/fetched_objects.h"

#include <algorithm>

#include "config/error.h"
#include "config/os.h"
#include "ops/archive/stage_name.h"

namespace contimg::ops {
namespace {

constexpr std::uint64_t kLeastPart = 2;  // of what is fetched at least one part in so many is wanted

std::uint64_t BytesOf(const state::ArchiveRow& row) {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(row.bytes, 0));
}

}  // namespace

FetchedObjects::FetchedObjects(std::vector<Wanted> wanted, const std::vector<Remote>& remotes,
                               std::filesystem::path folder, const RunContext& context)
    : wanted_(std::move(wanted)), remotes_(remotes), folder_(std::move(folder)), context_(context) {
  for (const Wanted& each : wanted_) bytes_wanted_[{each.copy.remote, each.copy.object}] += each.bytes;
}

bool FetchedObjects::IsForMany(const Wanted& wanted) const {
  const Name name{wanted.copy.remote, wanted.copy.object};
  return asked_.count(name) == 0 && failed_.count(name.first) == 0 &&
         kLeastPart * bytes_wanted_.at(name) >= BytesOf(wanted.copy);
}

std::optional<std::filesystem::path> FetchedObjects::Bring(std::size_t i) {
  const state::ArchiveRow& first = wanted_.at(i).copy;
  if (IsForMany(wanted_[i])) {
    Together together;
    ObjectNames objects;
    std::uint64_t bytes = 0;
    std::size_t n_products = 0;
    for (std::size_t k = i; k < wanted_.size(); ++k) {
      const state::ArchiveRow& copy = wanted_[k].copy;
      if (copy.remote != first.remote) continue;
      if (std::find(objects.begin(), objects.end(), copy.object) == objects.end()) {
        if (!IsForMany(wanted_[k])) continue;
        if (!together.Takes(BytesOf(copy))) break;
        objects.push_back(copy.object);
        bytes += BytesOf(copy);
      }
      ++n_products;
    }
    for (const std::string& object : objects) asked_.insert({first.remote, object});
    if (n_products > 1) Fetch(first.remote, objects, bytes);
  }
  const auto here = here_.find(first.remote);
  if (here == here_.end()) return std::nullopt;
  std::filesystem::path file = here->second->path() / first.object;
  if (!IsFile(file)) return std::nullopt;
  return file;
}

void FetchedObjects::Fetch(const std::string& remote, const ObjectNames& objects, std::uint64_t bytes) {
  Os& os = OsOr(context_.os);
  here_.erase(remote);
  try {
    const auto at =
        std::find_if(remotes_.begin(), remotes_.end(), [&](const Remote& each) { return each.about().name == remote; });
    if (at == remotes_.end()) return;
    os.CreateDirectories(folder_);
    SweepUnfinished(folder_, os);
    CheckRoom(os, folder_, bytes, kArchiveStage, folder_.string());
    const auto& here = here_[remote] = std::make_unique<Unfinished>(folder_ / "restore", os);
    at->Fetch(objects, here->path());
  } catch (const Error& error) {  // each by itself, then
    if (error.kind() == ErrorKind::kCancelled) throw;
    failed_.insert(remote);
  }
}

}  // namespace contimg::ops
