// The outbox (<scratch>/archive): objects on this disk, made and on record as staged, until they are where they should
// be.
#pragma once

#include <filesystem>
#include <mutex>
#include <string>
#include <vector>

#include "config/product_paths.h"
#include "config/run_context.h"
#include "ops/archive/archiver.h"
#include "ops/archive/manifest.h"
#include "ops/archive/object.h"
#include "ops/archive/sender.h"
#include "state/archive_store.h"
#include "state/product_store.h"

namespace contimg::ops {

// An object and its manifest on their way. <outbox>/<manifest.object>.json is there, and <outbox>/<manifest.object>,
// unless the object lies at another remote.
struct Outgoing : Delivery {
  // `at`, `its`: where the object lies, and its name there.
  explicit Outgoing(Manifest of, const Remote* at = nullptr, const std::string& its = "");

  Manifest manifest;
  bool is_replica() const { return files.front().at != nullptr; }
};
using OutgoingSet = std::vector<const Outgoing*>;

// Threads share it; `databases` is locked where it reads or writes records.
class Outbox {
 public:
  Outbox(const ProductPaths& paths, ImagesAs images, state::ProductStore& products, std::mutex& databases,
         const RunContext& context);

  const std::filesystem::path& folder() const { return folder_; }
  // Makes the object of these products and puts it on record at each of the remotes. Errors as MakeObject.
  Outgoing Stage(const PlannedObject& planned, const std::vector<const Remote*>& remotes);
  // Puts a copy of an object of another remote on record: its manifest alone is here.
  Outgoing StageReplica(const state::ArchiveRow& source, const Remote& at, const Remote& to);
  void Drop(const Outgoing& sent);

 private:
  void CheckUnchanged(const PlannedObject& planned);
  double MadeAt(const Manifest& manifest);
  std::string NameFor(const PlannedObject& planned, const std::string& sha256,
                      const std::vector<const Remote*>& remotes);
  std::string ReplicaName(const state::ArchiveRow& source, const std::string& to);
  void GiveUpEarlier(const PlannedObject& planned, const Outgoing& staged, const Remote& remote);
  void Record(const PlannedObject& planned, const Outgoing& staged, const Remote& remote);

  const ProductPaths& paths_;
  ImagesAs images_;
  state::ProductStore& products_;
  state::ArchiveStore store_;
  std::mutex& mutex_;
  const RunContext& context_;
  Os& os_;
  std::filesystem::path folder_;
};

}  // namespace contimg::ops
