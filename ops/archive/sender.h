// Objects on their way to one remote: to a folder of parts, read back, to their names, each its manifest beside it,
// read again. Small ones go many at a time, one call of rclone for each step. Every step may be repeated after a kill.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "config/error.h"
#include "config/run_context.h"
#include "ops/archive/manifest.h"
#include "ops/archive/remote.h"

namespace contimg::ops {

// <outbox>/<manifest.object>.json is there, and <outbox>/<manifest.object>, unless the object lies at another remote.
struct Outgoing {
  Manifest manifest;
  const Remote* at = nullptr;
  std::string its;  // its name there
};
using OutgoingSet = std::vector<const Outgoing*>;
using SendFailures = std::map<const Outgoing*, Error>;

class Sender {
 public:
  // `owner`: of parts, which are of nobody else.
  Sender(std::filesystem::path outbox, std::string owner, const RunContext& context)
      : outbox_(std::move(outbox)), owner_(std::move(owner)), context_(context) {}

  // `copied` is called with those that have their names, and manifests, before they are read again. What is not
  // among the failures has been read twice then. Failures are Error{kBadInput}: another object has the name;
  // Error{kResource}: the remote is full; Error{kIo, kTimeout}: another try may help, and the remote's number of them
  // is used up. Throws Error{kCancelled}.
  SendFailures Send(const Remote& remote, OutgoingSet set, const std::function<void(const OutgoingSet&)>& copied) const;
  // What is left of parts, in nobody's way when it cannot be removed: of these objects; of killed runs; empty folders.
  void DropParts(const Remote& remote, const OutgoingSet& set) const;
  void DropAllParts(const Remote& remote) const;
  void DropEmptyFolder(const Remote& remote) const;

 private:
  struct File {
    const Outgoing* of;
    bool is_manifest;
    std::string name, sha256;
  };
  void Attempt(const Remote& remote, const OutgoingSet& set, const std::function<void(const OutgoingSet&)>& copied,
               SendFailures& failures) const;
  void Put(const Remote& remote, const std::vector<File>& files, SendFailures& failures) const;
  void Trying(const std::function<void()>& removal) const;
  bool IsSame(const Remote& remote, const File& file, const std::map<std::string, std::string>& digests) const;

  std::filesystem::path outbox_;
  std::string owner_;
  const RunContext& context_;
};

}  // namespace contimg::ops
