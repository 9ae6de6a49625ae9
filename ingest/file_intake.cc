#include "ingest/file_intake.h"

#include <algorithm>
#include <cmath>
#include <iterator>

namespace contimg::ingest {

void FileIntake::Schedule(const std::string& name, Pending& pending, double due) {
  line_.erase({pending.due, name});
  pending.due = due;
  if (!pending.in_hand) line_.emplace(due, name);
}

void FileIntake::Finished(const std::string& name, double now) {
  Pending& pending = pending_[name];
  pending.trusted = true;
  if (pending.in_hand) {
    pending.finished_again = true;
    return;
  }
  Schedule(name, pending, now);
}

void FileIntake::Listed(const std::string& name, const FileVersion& version, double now) {
  const auto known = accepted_.find(name);
  if (known != accepted_.end() && known->second == version) return;
  const auto [at, inserted] = pending_.try_emplace(name);
  if (!inserted) return;  // its time will come
  at->second.version = version;
  Schedule(name, at->second, now + rules_.settle_s);
}

std::optional<std::string> FileIntake::NextDue(double now) {
  if (line_.empty() || line_.begin()->first > now) return std::nullopt;
  std::string name = line_.begin()->second;
  line_.erase(line_.begin());
  pending_.at(name).in_hand = true;
  return name;
}

bool FileIntake::Settled(const std::string& name, const FileVersion& version, double now) {
  const auto at = pending_.find(name);
  if (at == pending_.end()) return false;
  Pending& pending = at->second;
  if (pending.trusted || pending.version == version) return true;
  pending.version = version;
  pending.in_hand = false;
  Schedule(name, pending, now + rules_.settle_s);
  return false;
}

void FileIntake::Accepted(const std::string& name, const FileVersion& version) {
  accepted_[name] = version;
  const auto at = pending_.find(name);
  if (at == pending_.end()) return;
  Pending& pending = at->second;
  if (pending.failures > 0) --n_failed_;
  if (pending.finished_again) {  // written once more while it was being read
    pending = Pending();
    pending.trusted = true;
    Schedule(name, pending, 0);
    return;
  }
  line_.erase({pending.due, name});
  pending_.erase(at);
}

bool FileIntake::Unreadable(const std::string& name, const FileVersion& version, double now, const std::string& why) {
  Pending& pending = pending_[name];
  if (pending.failures == 0) ++n_failed_;
  if (pending.failures == 0 || !(pending.version == version) || pending.finished_again) {
    pending.failures = 0;
    pending.unreadable_since = now;
    pending.version = version;
  }
  const bool again_at_once = pending.finished_again;
  pending.finished_again = false;
  ++pending.failures;
  pending.why = why;
  if (now - pending.unreadable_since >= rules_.give_up_s) return false;
  const double delay =
      std::min(rules_.longest_retry_s, rules_.first_retry_s * std::exp2(std::min(pending.failures - 1, 20)));
  pending.in_hand = false;
  // The last try is made when the time is up, not a whole delay later.
  const double last = pending.unreadable_since + rules_.give_up_s;
  Schedule(name, pending, again_at_once ? now : std::min(now + delay, std::max(last, now)));
  return true;
}

void FileIntake::Later(const std::string& name, double due) {
  const auto at = pending_.find(name);
  if (at == pending_.end()) return;
  at->second.in_hand = false;
  at->second.finished_again = false;
  Schedule(name, at->second, due);
}

void FileIntake::Gone(const std::string& name) {
  accepted_.erase(name);
  const auto at = pending_.find(name);
  if (at == pending_.end()) return;
  if (at->second.failures > 0) --n_failed_;
  line_.erase({at->second.due, name});
  pending_.erase(at);
}

std::string FileIntake::AnyRetrying() const {
  if (n_failed_ == 0) return "";
  const auto at =
      std::find_if(pending_.begin(), pending_.end(), [](const auto& entry) { return entry.second.failures > 0; });
  if (at == pending_.end()) return "";
  return at->second.why.empty() ? at->first : at->first + ": " + at->second.why;
}

int FileIntake::Failures(const std::string& name) const {
  const auto at = pending_.find(name);
  return at == pending_.end() ? 0 : at->second.failures;
}

void FileIntake::KeepOnly(const std::unordered_set<std::string>& names) {
  for (auto at = accepted_.begin(); at != accepted_.end();) {
    at = names.count(at->first) != 0 ? std::next(at) : accepted_.erase(at);
  }
}

}  // namespace contimg::ingest
