// One place for copies (a table of archive.remotes), as the archiver sees it. A mark at its root, contimg-archive.json,
// is made with the first object: a remote on which there should be objects and whose mark is missing is not mounted, or
// another one, and nothing on it is lost.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "config/archive_remotes.h"
#include "ops/archive/rclone.h"

namespace contimg::ops {

struct Digest {
  std::string sha256;
  std::optional<std::uint64_t> bytes;  // when it was read and not told
};

struct RemoteFile {
  std::string path;
  std::uint64_t bytes = 0;
};

// Calls fail with Error{kIo} (no answer, refused; worth another try), Error{kTimeout}, Error{kResource} (full),
// Error{kUsage} (no such remote in rclone's configuration), Error{kCancelled}; the subject is "<name>: <object>".
class Remote {
 public:
  // `by_hash`: digests as the remote tells them, where it does.
  Remote(ArchiveRemote remote, Rclone rclone, bool by_hash)
      : remote_(std::move(remote)), rclone_(std::move(rclone)), by_hash_(by_hash) {}

  const ArchiveRemote& about() const { return remote_; }

  // Copies a local file to exactly this name. What is there is replaced: for our own part names.
  void Put(const std::filesystem::path& file, const std::string& object) const;
  // The same from another remote, directly.
  void PutFrom(const Remote& other, const std::string& its, const std::string& object) const;
  void Move(const std::string& from, const std::string& to) const;
  void RemovePart(
      const std::string& part) const;  // nothing there: no error. Error{kBug} for a name that is no part name
  // Nothing: there is no such object.
  std::optional<Digest> Look(const std::string& object) const;
  bool Exists(const std::string& object) const { return SizeOf(object).has_value(); }
  std::optional<std::uint64_t> SizeOf(const std::string& object) const;
  // In which way an object is not what it should be, gone among them; empty: it is whole. Retries. Throws when that
  // cannot be told: no answer, the mark is not there.
  std::string DamageOf(const std::string& object, const std::string& sha256, std::uint64_t bytes) const;
  // `bytes` bytes from `offset` on, or all of it. False: there is no such object.
  bool Read(const std::string& object, const Rclone::Sink& sink) const;
  bool ReadPart(const std::string& object, std::uint64_t offset, std::uint64_t bytes, const Rclone::Sink& sink) const;
  std::vector<RemoteFile> List() const;

  // Throws Error{kIo} when the mark is not there though objects should be.
  void RequireMark() const;
  // The same, and makes it, by way of a file in `folder`, where there are none yet.
  void RequireMark(bool in_use, const std::filesystem::path& folder) const;

  // Runs `attempt` again, with growing delays, while it fails for a passing reason, remote.retries times at most.
  void Retrying(const std::function<void()>& attempt) const;

 private:
  std::string Address(const std::string& object) const;
  bool Call(const std::string& object, const char* doing, std::vector<std::string> words,
            const Rclone::Sink& sink) const;
  ArchiveRemote remote_;
  Rclone rclone_;
  bool by_hash_;
};

// "<object>.part-<owner>": what is not finished, or not compared yet.
std::string PartName(const std::string& object, const std::string& owner);
bool IsPartName(const std::string& object);

}  // namespace contimg::ops
