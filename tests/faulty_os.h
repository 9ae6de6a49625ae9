// The real operating system with one fault: the n-th call that changes something fails, or ends the process there.
// Calls are counted from 1; every call of Os and OsFile that can lose or expose a product counts. Calls that only look
// (status, list, read, space) have a count and a fault of their own: FailReads. Syncs count and can fail, but are not
// carried out: no test cuts the power, and a disk takes milliseconds for each.
#pragma once

#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "config/error.h"
#include "config/os.h"

namespace contimg::testkit {

class FaultyOs : public Os {
 public:
  enum class Fault {
    kNone,
    kFailBefore,  // the call throws and does nothing
    kKillBefore,  // SIGKILL before the call
    kKillAfter,   // SIGKILL when the call has been carried out
  };
  FaultyOs() = default;
  FaultyOs(Fault fault, int at, int error_number = 0) : fault_(fault), at_(at), error_number_(error_number) {}

  int n_calls() const { return n_calls_; }
  // "rename new", "sync file"…: the calls so far, in order.
  const std::vector<std::string>& calls() const { return calls_; }
  // The name of the call at which the fault came; empty when it did not come.
  const std::string& fault_at() const { return fault_at_; }
  // From now on the n-th looking call fails (kAlways: each of them); 0: none does.
  static constexpr int kAlways = -1;
  void FailReads(int at, int error_number = EIO) {
    const std::lock_guard<std::mutex> lock(mutex_);
    read_at_ = at;
    read_error_ = error_number;
    n_reads_ = 0;
    read_fault_at_.clear();
  }
  // Looking calls since FailReads, and the one that failed ("status /a/b"; the last one of kAlways).
  int n_reads() const { return n_reads_; }
  const std::string& read_fault_at() const { return read_fault_at_; }
  // Instead of the true free space.
  void SetSpace(const DiskSpace& space) { space_ = std::make_unique<DiskSpace>(space); }

  std::unique_ptr<OsFile> Create(const Path& path) override {
    std::unique_ptr<OsFile> file;
    Do("create", path, [&] { file = real_.Create(path); });
    return std::make_unique<File>(*this, path, std::move(file));
  }
  std::unique_ptr<OsFile> OpenForUpdate(const Path& path) override {
    std::unique_ptr<OsFile> file;
    Do("open", path, [&] { file = real_.OpenForUpdate(path); });
    return std::make_unique<File>(*this, path, std::move(file));
  }
  void CreateDirectories(const Path& path) override {
    Do("create directories", path, [&] { real_.CreateDirectories(path); });
  }
  void Rename(const Path& from, const Path& to) override {
    Do("rename", to, [&] { real_.Rename(from, to); });
  }
  void RenameNew(const Path& from, const Path& to) override {
    Do("rename new", to, [&] { real_.RenameNew(from, to); });
  }
  void Exchange(const Path& a, const Path& b) override {
    Do("exchange", b, [&] { real_.Exchange(a, b); });
  }
  void HardLink(const Path& from, const Path& to) override {
    Do("link", to, [&] { real_.HardLink(from, to); });
  }
  void CopyFile(const Path& from, const Path& to) override {
    Do("copy", to, [&] { real_.CopyFile(from, to); });
  }
  void RemoveAll(const Path& path) override {
    Do("remove", path, [&] { real_.RemoveAll(path); });
  }
  void SyncFile(const Path& path) override {
    Do("sync file", path, [] {});
  }
  void SyncDirectory(const Path& path) override {
    Do("sync directory", path, [] {});
  }
  DiskSpace Space(const Path& path) override {
    Look("space", path);
    return space_ ? *space_ : real_.Space(path);
  }
  FileStatus Status(const Path& path) override {
    Look("status", path);
    return real_.Status(path);
  }
  std::vector<Path> List(const Path& directory) override {
    Look("list", directory);
    return real_.List(directory);
  }
  std::string ReadFile(const Path& path) override {
    Look("read", path);
    return real_.ReadFile(path);
  }

 private:
  class File final : public OsFile {
   public:
    File(FaultyOs& os, Path path, std::unique_ptr<OsFile> file)
        : os_(os), path_(std::move(path)), file_(std::move(file)) {}
    void WriteAt(const void* data, std::size_t size, std::uint64_t offset) override {
      os_.Do("write", path_, [&] { file_->WriteAt(data, size, offset); });
    }
    void BypassCache() override { file_->BypassCache(); }
    void Resize(std::uint64_t size) override {
      os_.Do("resize", path_, [&] { file_->Resize(size); });
    }
    void Reserve(std::uint64_t size) override {
      os_.Do("reserve", path_, [&] { file_->Reserve(size); });
    }
    void Sync() override {
      os_.Do("sync", path_, [] {});
    }
    void Close() override {
      os_.Do("close", path_, [&] { file_->Close(); });
    }

   private:
    FaultyOs& os_;
    Path path_;
    std::unique_ptr<OsFile> file_;
  };

  void Do(const char* what, const Path& path, const std::function<void()>& call) {
    bool here = false;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      calls_.emplace_back(what);
      here = ++n_calls_ == at_ && fault_ != Fault::kNone;
    }
    if (here) fault_at_ = std::string(what) + " " + path.string();
    if (here && fault_ == Fault::kFailBefore) throw SystemError("files", path.string(), "cannot do", error_number_);
    if (here && fault_ == Fault::kKillBefore) ::kill(::getpid(), SIGKILL);
    call();
    if (here && fault_ == Fault::kKillAfter) ::kill(::getpid(), SIGKILL);
  }

  void Look(const char* what, const Path& path) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (++n_reads_ != read_at_ && read_at_ != kAlways) return;
    read_fault_at_ = std::string(what) + " " + path.string();
    throw SystemError("files", path.string(), std::string("cannot ") + what, read_error_);
  }

  Os& real_ = RealOs();
  Fault fault_ = Fault::kNone;
  int at_ = 0;
  int error_number_ = 0;
  std::mutex mutex_;
  int n_calls_ = 0;
  int read_at_ = 0, read_error_ = 0, n_reads_ = 0;
  std::string read_fault_at_;
  std::vector<std::string> calls_;
  std::string fault_at_;
  std::unique_ptr<DiskSpace> space_;
};

}  // namespace contimg::testkit
