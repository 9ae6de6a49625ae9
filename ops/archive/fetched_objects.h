// Many products come back in few calls of rclone, for starting it takes as long as copying some megabytes: small
// objects of which at least half is wanted come whole, many in one call, into a hidden folder, and products are put
// together from there. Nothing is judged by that: what is not here, or not as it should be, is read at the remote.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "config/run_context.h"
#include "config/unfinished.h"
#include "ops/archive/remote.h"
#include "state/archive_store.h"

namespace contimg::ops {

class FetchedObjects {
 public:
  struct Wanted {
    state::ArchiveRow copy;
    std::uint64_t bytes = 0;  // of it
  };
  // `wanted`: what will be asked for, in that order. `folder`: where the hidden one may be.
  FetchedObjects(std::vector<Wanted> wanted, const std::vector<Remote>& remotes, std::filesystem::path folder,
                 const RunContext& context);

  // The object of wanted[i], whole, with others that will be asked for; nothing when it is better read by itself, or
  // did not come. Stays until the next of its remote that was not here. Throws Error{kCancelled}.
  std::optional<std::filesystem::path> Bring(std::size_t i);

 private:
  using Name = std::pair<std::string, std::string>;  // (remote, object)
  bool IsForMany(const Wanted& wanted) const;
  void Fetch(const std::string& remote, const ObjectNames& objects, std::uint64_t bytes);

  std::vector<Wanted> wanted_;
  const std::vector<Remote>& remotes_;
  std::filesystem::path folder_;
  const RunContext& context_;
  std::map<Name, std::uint64_t> bytes_wanted_;
  std::set<Name> asked_;
  std::set<std::string> failed_;                             // remotes
  std::map<std::string, std::unique_ptr<Unfinished>> here_;  // remote → folder of what came last
};

}  // namespace contimg::ops
