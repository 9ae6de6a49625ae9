// What is not finished yet: under which name it is made, and whether who makes it lives. C++17-clean.
//
// A product beside its final name and a staging folder belong to one living process, and a lock file beside them says
// so: flock(2), which the kernel drops with its holder. Process numbers would say nothing across name spaces
// (containers), hosts (shared disks) and users (hidden /proc): docs/decisions/0003-staging-locks.md. What has no living
// owner is swept.
#pragma once

#include <filesystem>

#include "config/descriptor.h"
#include "config/os.h"

namespace contimg {

class OwnerLock {
 public:
  enum class Answer {
    kOurs,     // nobody else has it, and nobody else gets it until destruction
    kTaken,    // its owner lives
    kUnknown,  // a file system without locks, or a folder in which this user may not make one: who works there cannot
               // be told
  };
  OwnerLock() = default;
  // Asks for the lock on `file`, which is made when it is not there. Does not wait.
  explicit OwnerLock(std::filesystem::path file);
  OwnerLock(OwnerLock&&) = default;
  OwnerLock& operator=(OwnerLock&& other) noexcept;
  ~OwnerLock();  // removes the file if it is ours

  Answer answer() const { return answer_; }
  int error_number() const { return error_number_; }  // why it is unknown

 private:
  void Release() noexcept;
  std::filesystem::path file_;
  Descriptor descriptor_;
  Answer answer_ = Answer::kUnknown;
  int error_number_ = 0;
};

// The hidden name beside `final_path` ('.<name>.part-<pid>', with a further number when another owner has that one)
// under which its content is made, this process's own until destruction, which removes what is still there. A slash at
// the end of `final_path` does not count. Its folder must exist; throws SystemError's kinds when nothing can be made
// there.
class Unfinished {
 public:
  explicit Unfinished(const std::filesystem::path& final_path, Os& os = RealOs());
  Unfinished(const Unfinished&) = delete;
  Unfinished& operator=(const Unfinished&) = delete;
  ~Unfinished();

  const std::filesystem::path& path() const { return path_; }  // with a folder always; nothing is there at first
  void Keep() { keep_ = true; }  // what is there outlives this object; without an owner it is swept one day

 private:
  std::filesystem::path path_;
  OwnerLock lock_;
  bool keep_ = false;
};

// True for such names and their lock files, whoever made them.
bool IsUnfinishedName(const std::filesystem::path& path);

// Removes what stands in `directory` under such names without a living owner; returns how many products. Nothing is
// removed where the owner cannot be told. Never throws for a missing directory.
int SweepUnfinished(const std::filesystem::path& directory, Os& os);
// The same of what was to be `final_path` alone: for folders of others.
int SweepUnfinishedOf(const std::filesystem::path& final_path, Os& os);

}  // namespace contimg
