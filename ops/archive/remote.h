// One place for copies (a table of archive.remotes), as the archiver sees it. A mark at its root, contimg-archive.json,
// is made with the first object: a remote on which there should be objects and whose mark is missing is not mounted, or
// another one, and nothing on it is lost.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
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

// Objects by their names: many in one call, for starting rclone takes as long as copying some megabytes.
using ObjectNames = std::vector<std::string>;

// How many go together: of small ones many, of large ones one, so that what is lost when a call is ended stays small.
class Together {
 public:
  // Whether one more of this size goes with those before it. Where not, it is the first of the next.
  bool Takes(std::uint64_t bytes);

 private:
  std::size_t n_ = 0;
  std::uint64_t bytes_ = 0;
};

// Calls fail with Error{kIo} (no answer, refused; worth another try), Error{kTimeout}, Error{kResource} (full),
// Error{kUsage} (no such remote in rclone's configuration), Error{kCancelled}; the subject is "<name>: <object>".
class Remote {
 public:
  // `by_hash`: digests as the remote tells them, where it does.
  Remote(ArchiveRemote remote, Rclone rclone, bool by_hash)
      : remote_(std::move(remote)), rclone_(std::move(rclone)), by_hash_(by_hash) {}

  const ArchiveRemote& about() const { return remote_; }
  // A folder of it, as a remote.
  Remote Below(const std::string& folder) const;

  // What is not finished, or not compared yet, lies in a folder of its own, which is nobody else's ("…/.part-<owner>").
  // Objects come there from a folder (of this disk, or of another remote) in which they have the same names, or one by
  // one. What is there is replaced. One that is not in `from` is passed over.
  void PutParts(const std::string& from, const ObjectNames& names, const std::string& owner) const;
  void PutPart(const Remote& other, const std::string& its, const std::string& object, const std::string& owner) const;
  // Parts get their names; what has a name already stays what it is.
  void NameParts(const ObjectNames& names, const std::string& owner) const;
  // Of these names; empty: all.
  void RemoveParts(const ObjectNames& names, const std::string& owner) const;
  // The folder of parts, where nothing is left in it.
  void RemovePartFolder(const std::string& owner) const;
  // Files of ours alone, by their whole names; those that are gone already are passed over.
  void Remove(const ObjectNames& names) const;
  void RemoveEmptyFolders(const std::string& folder) const;  // it and those below
  // Those of `names` that are there.
  std::map<std::string, std::uint64_t> Sizes(const ObjectNames& names) const;
  // Name → SHA-256 of those that could be read; of parts with an owner. Throws when none could for want of an answer.
  std::map<std::string, std::string> Digests(const ObjectNames& names, const std::string& owner = "") const;
  // Nothing: there is no such object.
  std::optional<Digest> Look(const std::string& object) const;
  std::optional<std::uint64_t> SizeOf(const std::string& object) const;
  // In which way an object is not what it should be, gone among them; empty: it is whole. Retries. Throws when that
  // cannot be told: no answer, the mark is not there.
  std::string DamageOf(const std::string& object, const std::string& sha256, std::uint64_t bytes) const;
  // `bytes` bytes from `offset` on, or all of it. False: there is no such object.
  bool Read(const std::string& object, const Rclone::Sink& sink) const;
  bool ReadPart(const std::string& object, std::uint64_t offset, std::uint64_t bytes, const Rclone::Sink& sink) const;
  // Those of `names` that are there, into a folder of this disk, under the same names.
  void Fetch(const ObjectNames& names, const std::filesystem::path& folder) const;
  std::vector<RemoteFile> List(const ObjectNames& names = {}) const;  // empty: all

  // Whether its root is there. Asks for one level of what is in it.
  bool Answers() const;
  // Writes a little among the parts of `owner`, reads it back and removes it.
  void TryOut(const std::string& owner) const;

  // Throws Error{kIo} when the mark is not there though objects should be.
  void RequireMark() const;
  // The same, and makes it, by way of a file in `folder`, where there are none yet.
  void RequireMark(bool in_use, const std::filesystem::path& folder) const;

  // Runs `attempt` again, with growing delays, while it fails for a passing reason, remote.retries times at most.
  void Retrying(const std::function<void()>& attempt) const;

 private:
  std::string Address(const std::string& object) const;
  bool Call(const std::string& object, const char* doing, const std::vector<std::string>& words,
            const Rclone::Sink& sink, std::string_view input = {}) const;
  std::map<std::string, std::string> Hashes(const ObjectNames& names, const std::string& folder, bool told) const;
  ArchiveRemote remote_;
  Rclone rclone_;
  bool by_hash_;
};

// Whether a path at a remote is that of a part.
bool IsPart(const std::string& path);

}  // namespace contimg::ops
