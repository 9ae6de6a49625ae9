// Decides when a file that was noticed is looked into, how often, and when it is given up: the memory of the watcher.
//
// Pure: the caller reports what it saw and carries out what is due. Not thread-safe. "Now" is any clock that does not
// step back, in seconds.
//
// A file that was closed or moved into place is looked into at once. One found by listing must first show the same
// size and modification time twice, `settle_s` apart. A file that cannot be read is tried again with a growing delay,
// for ever if need be while it keeps changing, and is given up once it has been unreadable and unchanged for
// `give_up_s`.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace contimg::ingest {

struct IntakeRules {
  double settle_s = 2;
  double first_retry_s = 1;  // doubled each time
  double longest_retry_s = 60;
  double give_up_s = 600;
};

struct FileVersion {
  std::uint64_t size = 0;
  std::int64_t mtime_ns = 0;
  friend bool operator==(const FileVersion&, const FileVersion&) = default;
};

class FileIntake {
 public:
  explicit FileIntake(IntakeRules rules) : rules_(rules) {}

  // A close or move event: due now, even if the file was accepted before (it may have been rewritten).
  void Finished(const std::string& name, double now);
  // Seen in a listing. Ignored when this version was settled (accepted, refused or given up) already.
  void Listed(const std::string& name, const FileVersion& version, double now);

  // The next file to look into, due at or before `now`; it stays out of the line until one of the answers below.
  std::optional<std::string> NextDue(double now);

  // A listed file must have the same version when it comes due, or it waits again; true: read it now.
  bool Settled(const std::string& name, const FileVersion& version, double now);

  // Answers.
  void Accepted(const std::string& name, const FileVersion& version);  // done with it, whatever became of it
  // It could not be read. False: it has been unchanged and unreadable for too long, give it up (the caller moves it
  // aside and calls Gone); true: it will come up again.
  // `why`: a sentence, remembered until it is read or gone.
  bool Unreadable(const std::string& name, const FileVersion& version, double now, const std::string& why = "");
  void Gone(const std::string& name);  // no such file any more
  // It could not be looked into, for a reason that is not the file's: it comes up again at `due`.
  void Later(const std::string& name, double due);

  bool Knows(const std::string& name) const { return accepted_.count(name) != 0 || pending_.count(name) != 0; }
  // Files accepted before a restart.
  void Remember(const std::string& name, const FileVersion& version) { accepted_[name] = version; }
  std::size_t n_pending() const { return pending_.size(); }
  // Files that have failed at least once and wait to be tried again.
  std::size_t n_retrying() const { return n_failed_; }
  // One of them, "name: why"; empty: none.
  std::string AnyRetrying() const;
  // How often the file, as it is now, could not be read.
  int Failures(const std::string& name) const;
  // Pending files that have not been looked into even once.
  std::size_t n_unseen() const { return pending_.size() - n_failed_; }
  // Files accepted and not forgotten since.
  std::size_t n_accepted() const { return accepted_.size(); }
  // Forgets the accepted files that are not among `names`: those of a listing, months of files having come and gone.
  void KeepOnly(const std::unordered_set<std::string>& names);
  void SetRules(const IntakeRules& rules) { rules_ = rules; }

 private:
  struct Pending {
    bool trusted = false;         // closed or moved: no need to settle
    bool finished_again = false;  // an event arrived while the file was being looked into
    bool in_hand = false;
    int failures = 0;
    double due = 0;
    double unreadable_since = 0;  // of this version
    std::string why;              // it could not be read, the last time
    FileVersion version;          // at the last look
  };
  void Schedule(const std::string& name, Pending& pending, double due);

  IntakeRules rules_;
  std::unordered_map<std::string, Pending> pending_;
  std::set<std::pair<double, std::string>> line_;  // (due, name)
  std::unordered_map<std::string, FileVersion> accepted_;
  std::size_t n_failed_ = 0;  // of pending_, with failures > 0
};

}  // namespace contimg::ingest
