// Notices files in one directory: by inotify where that works, by listing where it does not.
//
// inotify reports nothing that another machine writes to a network file system, drops events when its queue overflows,
// and loses sight of a directory that is unmounted or replaced. The watcher reports each of these as "list the
// directory again" and puts the watch back; the caller lists the directory at start and from time to time anyway.
//
// The descriptor can be waited on (it becomes readable); no call blocks for longer than a directory listing. Not
// thread-safe.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "config/descriptor.h"
#include "config/os.h"

namespace contimg::ingest {

enum class WatchMode {
  kAuto,     // inotify, or polling on network file systems and when no watch can be had
  kInotify,  // inotify even on a network file system
  kPoll,     // listing only
};

struct WatcherOptions {
  WatchMode mode = WatchMode::kAuto;
  // inotify_add_watch(2); replaced by tests.
  std::function<int(int fd, const char* path, std::uint32_t mask)> add_watch;
};

// What happened since the last call.
struct WatchReport {
  std::vector<std::string> finished;  // names closed after writing or moved into the directory, in order
  bool list_again = false;            // something may have been missed
  std::vector<std::string> warnings;  // sentences for the log
};

// An entry of the directory.
struct ListedFile {
  std::string name;
  std::uint64_t size = 0;
  std::int64_t mtime_ns = 0;
};

class FileWatcher {
 public:
  // Does not touch the directory yet.
  FileWatcher(std::filesystem::path directory, WatcherOptions options);
  ~FileWatcher();
  FileWatcher(const FileWatcher&) = delete;
  FileWatcher& operator=(const FileWatcher&) = delete;

  // Sets the watch up or up again; call at start and every few seconds. Notices a missing, replaced or newly mounted
  // directory and keeps trying. Never throws for the state of the directory.
  WatchReport Check();
  // Reads the pending events without blocking.
  WatchReport Drain();
  // The inotify descriptor, −1 while polling.
  int descriptor() const { return inotify_.get(); }
  // True while files are found by listing only.
  bool polling() const { return watch_ < 0; }
  // True when the last Check found no directory.
  bool missing() const { return missing_reported_; }

  // The regular files whose names IsSubbandFileName accepts and for which `wanted` is true, sorted by name. Throws
  // Error{kIo} when the directory cannot be read. Entries that vanish meanwhile, or cannot be looked at now, are left
  // out.
  std::vector<ListedFile> List(const std::function<bool(const std::string& name)>& wanted) const;

  const std::filesystem::path& directory() const { return directory_; }

 private:
  void Unwatch();
  bool IsNetworkFileSystem() const;

  std::filesystem::path directory_;
  WatcherOptions options_;
  Descriptor inotify_;
  int watch_ = -1;
  std::uint64_t device_ = 0, inode_ = 0;  // of the watched directory
  bool missing_reported_ = false;
  bool polling_reported_ = false;
};

// Size and modification time of a regular file; nullopt when there is none. Throws Error{kIo} when that cannot be told.
std::optional<ListedFile> Stat(const std::filesystem::path& path, Os& os = RealOs());

// True for YYYY-MM-DDTHH:MM:SS_sbNN.hdf5 and YYYY-MM-DD_HH_MM_SS_sbNN.hdf5, the names of finished subband files.
// `…_incomplete.hdf5`, rsync's dotted temporaries and everything else are false.
bool IsSubbandFileName(const std::string& name);

}  // namespace contimg::ingest
