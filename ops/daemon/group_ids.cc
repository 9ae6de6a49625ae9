#include "ops/daemon/group_ids.h"

namespace contimg::ops {
namespace {

using ingest::GroupKey;

}  // namespace

std::string GroupIds::FreeFor(UtcTime stamp, GroupKey key) const {
  for (double offset = 0;; offset += 1) {
    std::string id = (stamp + offset).Iso8601();
    const auto taken = keys_.find(id);
    if (taken == keys_.end() || taken->second == key) return id;
  }
}

void GroupIds::Set(GroupKey key, const std::string& id) {
  Forget(key);
  ids_[key] = id;
  keys_[id] = key;
}

void GroupIds::Forget(GroupKey key) {
  const auto id = ids_.find(key);
  if (id == ids_.end()) return;
  keys_.erase(id->second);
  ids_.erase(id);
}

void GroupIds::ForgetAllBut(const ingest::GroupAssembler& known) {
  for (auto at = ids_.begin(); at != ids_.end();) {
    if (known.Find(at->first) != nullptr) {
      ++at;
      continue;
    }
    keys_.erase(at->second);
    at = ids_.erase(at);
  }
}

std::optional<GroupKey> GroupIds::Find(const std::string& id) const {
  const auto key = keys_.find(id);
  return key == keys_.end() ? std::nullopt : std::optional(key->second);
}

}  // namespace contimg::ops
