// One object on its way to one remote: to a part name, read back, to its name, its manifest beside it, read again.
// Every step may be repeated after a kill.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "config/run_context.h"
#include "ops/archive/manifest.h"
#include "ops/archive/remote.h"

namespace contimg::ops {

struct Outgoing {
  std::function<void(const Remote& remote, const std::string& part)> put;  // the object itself
  std::filesystem::path file;                                              // empty: it is not on this disk
  std::filesystem::path manifest_file;
  Manifest manifest;
};

class Sender {
 public:
  // `owner`: of part names; with the id of the object's row they are of nobody else.
  Sender(std::string owner, const RunContext& context) : owner_(std::move(owner)), context_(context) {}

  // `copied` is called when object and manifest have their names, before they are read again.
  // Error{kIo, kTimeout}: another try may help. Error{kBadInput}: another object has the name.
  void Send(const Remote& remote, const Outgoing& outgoing, std::int64_t id, const std::function<void()>& copied) const;
  // What nobody will finish. One that cannot be removed is in nobody's way.
  void DropParts(const Remote& remote, const std::string& object, std::int64_t id) const;

 private:
  std::string PartOf(const std::string& object, std::int64_t id) const;
  void SendFile(const Remote& remote, const std::function<void(const Remote&, const std::string&)>& put,
                const std::string& sha256, const std::string& object, std::int64_t id,
                const std::function<bool()>& is_same) const;
  std::string owner_;
  const RunContext& context_;
};

}  // namespace contimg::ops
