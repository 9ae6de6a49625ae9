#include "ops/daemon/health_watch.h"

#include <dirent.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <memory>
#include <sstream>
#include <string_view>

#include "config/product_paths.h"
#include "config/time.h"
#include "config/unfinished.h"
#include "ingest/file_watcher.h"
#include "ops/base/log.h"
#include "ops/http/http_server.h"
#include "ops/records/cure.h"
#include "ops/upkeep/backup.h"
#include "state/group_health.h"
#include "state/task_store.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;

constexpr double kHealthLookS = 2, kHourS = kSecondsPerHour;
constexpr const char* kReasonEnding = ".reason";

double SystemSeconds() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

HealthFacts::Groups FactsOf(const state::GroupTrouble& trouble) {
  HealthFacts::Groups groups;
  groups.n = trouble.n;
  groups.most_attempts = trouble.most_attempts;
  groups.newest = trouble.newest;
  groups.newest_cause = trouble.cause;
  groups.newest_kind = trouble.kind;
  groups.since = trouble.since;
  groups.next_attempt_at = trouble.next_attempt_at;
  return groups;
}

}  // namespace

std::string IncomingTrouble(const fs::path& directory) {
  struct stat info {};
  if (::stat(directory.c_str(), &info) != 0) {
    return errno == ENOENT ? "is not there" : fmt::format("cannot be used: {}", std::strerror(errno));
  }
  if (!S_ISDIR(info.st_mode)) return "is not a directory";
  if (::access(directory.c_str(), R_OK | X_OK) != 0) return fmt::format("cannot be read: {}", std::strerror(errno));
  return "";
}

HealthFacts::Quarantine LookIntoQuarantine(const fs::path& directory, double now, Os& os) {
  HealthFacts::Quarantine found;
  found.directory = directory.string();
  if (!IsDirectory(directory, os)) return found;
  double newest_at = 0;
  for (const fs::path& day : os.List(directory)) {
    if (!IsDirectory(day, os)) continue;
    for (const fs::path& file : os.List(day)) {
      const FileStatus data = os.Status(file);
      if (data.type != FileStatus::Type::kFile || file.extension() == kReasonEnding || IsUnfinishedName(file)) continue;
      // When it was moved there is when its reason was written; where none could be, the file's own time is all there
      // is.
      const FileStatus reason = os.Status(file.string() + kReasonEnding);
      const bool told = reason.type == FileStatus::Type::kFile;
      const double at = std::floor(1e-9 * static_cast<double>(told ? reason.mtime_ns : data.mtime_ns));
      ++found.n_files;
      if (const auto name = ParseIncomingName(file)) ++found.n_of_group[name->timestamp];
      if (at > now - kHourS) ++found.n_last_hour;
      if (found.oldest_at == 0 || at < found.oldest_at) found.oldest_at = at;
      if (at < newest_at || (at == newest_at && file.string() < found.newest)) continue;
      newest_at = at;
      found.newest = file.string();
      found.newest_reason = told ? "" : "no reason could be written beside it";
      found.newest_from.clear();
    }
  }
  const fs::path reason = found.newest + kReasonEnding;
  if (!found.newest.empty() && found.newest_reason.empty()) {
    std::istringstream text(os.ReadFile(reason));
    std::getline(text, found.newest_reason);
    for (std::string line; std::getline(text, line);) {
      if (line.rfind("from ", 0) == 0) found.newest_from = line.substr(5);
    }
    // "…: what is wrong (bad_input)"
    const std::string& words = found.newest_reason;
    if (const std::size_t mark = words.rfind('('); mark != std::string::npos && words.back() == ')') {
      try {
        found.newest_kind = ParseErrorKind(words.substr(mark + 1, words.size() - mark - 2));
      } catch (const Error&) {
        // Words of another version.
      }
    }
  }
  return found;
}

void FindOtherCopy(HealthFacts::Quarantine& q, const fs::path& incoming, state::GroupStore& store, Os& os) {
  if (q.newest.empty()) return;
  const fs::path from = q.newest_from.empty() ? incoming / fs::path(q.newest).filename() : fs::path(q.newest_from);
  const auto recorded = [&](const state::SubbandFileRow& row) {
    if (row.status != "present" && row.status != "late") return false;
    const FileStatus now = os.Status(row.path);
    constexpr double kMtimeToleranceS = 1e-3;  // records keep times as doubles
    return now.type == FileStatus::Type::kFile && static_cast<std::int64_t>(now.size) == row.size_bytes &&
           std::abs(1e-9 * static_cast<double>(now.mtime_ns) - row.mtime) < kMtimeToleranceS;
  };
  const FileStatus same_name = os.Status(from);
  if (same_name.type == FileStatus::Type::kFile) {
    const auto row = store.FindFile(from.string());
    q.other = from.string();
    q.other_recorded = row && recorded(*row);
    if (q.other_recorded) return;
  }
  const auto name = ParseIncomingName(from);
  if (!name) return;
  for (const state::SubbandFileRow& row : store.Files(name->timestamp)) {
    if (row.subband != name->subband || !recorded(row)) continue;
    q.other = row.path;
    q.other_recorded = true;
  }
}

std::pair<std::size_t, std::string> CountUnknownNames(const fs::path& directory) {
  static constexpr std::array<std::string_view, 5> kEndings{".hdf5", ".h5", ".uvh5", ".hdf", ".he5"};
  std::pair<std::size_t, std::string> found;
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::opendir(directory.c_str()), ::closedir);
  if (stream == nullptr) return found;
  while (const dirent* entry = ::readdir(stream.get())) {
    const std::string_view name(entry->d_name);
    const bool data = std::any_of(kEndings.begin(), kEndings.end(), [&](std::string_view ending) {
      return name.size() > ending.size() && name.substr(name.size() - ending.size()) == ending;
    });
    if (name.front() == '.' || !data || ParseIncomingName(std::string(name))) continue;
    ++found.first;
    if (found.second.empty() || name < found.second) found.second = name;
  }
  return found;
}

HealthWatch::HealthWatch(const Sources& sources, const Settings& settings) : sources_(sources), settings_(settings) {
  state::GroupQuery query;
  query.states = {state::GroupState::kDone};
  query.limit = 100;
  for (const state::GroupRow& row : sources_.store.List(query))
    last_done_at_ = std::max(last_done_at_, row.finished_at);
}

void HealthWatch::LookAtDisks() {
  const DirectoryRoots& roots = sources_.paths.roots();
  sources_.trees.Look();
  disks_ = ops::LookAtDisks(sources_.os, roots, settings_.disk);
  for (const auto& [name, disk] : disks_.disks) {
    sources_.metrics.SetDisk(name, disk.space.free_bytes, disk.space.total_bytes);
  }
  // Those that stop no work: for dashboards alone.
  for (const auto& [name, path] :
       {std::pair{"incoming", roots.input}, {"backups", BackupDirectory(settings_, sources_.paths)}}) {
    try {
      const DiskSpace space = sources_.os.Space(path);
      sources_.metrics.SetDisk(name, space.free_bytes, space.total_bytes);
    } catch (const std::exception&) {
      sources_.metrics.SetDisk(name, 0, 0);  // not there yet, or not mounted: the tree guard and the backup say so
    }
  }
  try {
    quarantine_ = LookIntoQuarantine(sources_.paths.Quarantine(), sources_.clock.Unix(), sources_.os);
    FindOtherCopy(quarantine_, roots.input, sources_.store, sources_.os);
    unknown_names_ = CountUnknownNames(roots.input);
  } catch (const std::exception& error) {
    LogNowAndThen(LogLevel::kWarning, fmt::format("quarantine and incoming cannot be looked at: {}", error.what()));
  }
}

void HealthWatch::Tick(bool stopping) {
  stopping_ = stopping;
  sources_.trees.AreThere();
  const double steady = sources_.clock.Steady(), now = sources_.clock.Unix();
  if (steady >= next_look_) {
    next_look_ = steady + kHealthLookS;
    incoming_trouble_ = IncomingTrouble(sources_.paths.roots().input);
    if (incoming_trouble_.empty()) {
      incoming_lost_at_ = 0;
    } else if (incoming_lost_at_ == 0) {
      incoming_lost_at_ = now;
    }
  }
  constexpr double kStepS = 2;  // less is the discipline of NTP
  const double offset = SystemSeconds() - steady;
  if (clock_offset_ && std::abs(offset - *clock_offset_) > kStepS) {
    clock_step_s_ = offset - *clock_offset_;
    clock_stepped_at_ = now;
  }
  clock_offset_ = offset;
  if (sources_.writes.trouble().empty()) {
    writes_fail_since_ = 0;
  } else if (writes_fail_since_ == 0) {
    writes_fail_since_ = now;
  }
}

void HealthWatch::LookAtQueue() {
  failing_ = FactsOf(state::FailingGroups(sources_.store));
  failing_.since = 0;
  dead_ = FactsOf(state::DeadGroups(sources_.store));
  held_ = FactsOf(state::HeldGroups(sources_.store));
  tasks_.clear();
  for (const state::TaskRow& row : state::TaskStore(sources_.store.database()).Troubled()) {
    const Cure cure = CureOf(row);
    HealthFacts::Task task{row.id,         std::string(ToString(row.state)),
                           row.error,      cure.commands.empty() ? "" : cure.commands.back(),
                           row.updated_at, row.attempts};
    if (row.error_kind) task.cause = fmt::format("{}: {}", ToString(*row.error_kind), row.error);
    tasks_.push_back(std::move(task));
  }
  last_done_at_ = std::max(last_done_at_, sources_.dispatcher.last_success_at());
  if (dead_.n > 0) dead_.n_in_a_row = state::CountDeadSince(sources_.store, last_done_at_);
}

void HealthWatch::Failed(const std::exception& error) {
  const double now = sources_.clock.Unix();
  if (const auto* ours = dynamic_cast<const Error*>(&error)) {
    if (ours->stage() == "state") {
      const double since = database_failure_ ? database_failure_->since : now;
      database_failure_ = Failure{ours->what(), ours->kind(), since};
      return;
    }
  }
  loop_errors_.emplace_back(now, error.what());
  if (loop_errors_.size() > 1000) loop_errors_.pop_front();
}

HealthFacts HealthWatch::Facts() {
  HealthFacts facts;
  facts.now = sources_.clock.Unix();
  facts.stopping = stopping_;
  facts.caught_up = sources_.ingest.caught_up();
  facts.n_pending_files = sources_.ingest.n_pending();
  facts.trees = sources_.trees.trees();
  for (const auto& [name, disk] : disks_.disks) {
    const auto level = disk.level == DiskLevel::kCritical  ? HealthFacts::Disk::Level::kCritical
                       : disk.level == DiskLevel::kWarning ? HealthFacts::Disk::Level::kWarning
                                                           : HealthFacts::Disk::Level::kGood;
    facts.disks.push_back({name, level, disk.sentence, disk.path});
  }
  facts.incoming = sources_.paths.roots().input.string();
  facts.incoming_trouble = incoming_trouble_;
  facts.incoming_lost_at = incoming_lost_at_;
  facts.last_file_at = sources_.ingest.last_file_unix().value_or(0);
  facts.no_data_after_s = settings_.ingest.no_data_after_s;
  facts.n_unreadable = sources_.ingest.n_retrying();
  facts.unreadable_example = sources_.ingest.AnyRetrying();
  facts.n_unknown_names = unknown_names_.first;
  facts.unknown_name_example = unknown_names_.second;
  facts.subbands_per_group = static_cast<int>(settings_.ingest.expected_subbands);
  facts.quarantine = quarantine_;
  facts.failing = failing_;
  facts.dead = dead_;
  facts.held = held_;
  facts.tasks = tasks_;
  if (!sources_.writes.trouble().empty()) {
    facts.database_trouble = sources_.writes.trouble();
    facts.database_trouble_kind = sources_.writes.trouble_kind();
    facts.database_trouble_since = writes_fail_since_;
    facts.n_writes_waiting = sources_.writes.size();
  } else if (database_failure_) {
    facts.database_trouble = database_failure_->words;
    facts.database_trouble_kind = database_failure_->kind;
    facts.database_trouble_since = database_failure_->since;
  } else {
    try {
      const state::WaitingGroups waiting = state::GroupsThatWait(sources_.store, facts.now);
      facts.n_waiting = waiting.n;
      facts.longest_wait_s = waiting.longest_s;
      facts.behind_after_s = settings_.queue.behind_after_s;
    } catch (const Error& error) {
      facts.database_trouble = error.what();
      facts.database_trouble_kind = error.kind();
    }
  }
  sources_.upkeep.Tell(facts);
  facts.calibration = sources_.calibration.Facts();
  if (settings_.calibrate.policy == "uncalibrated") facts.calibration.missing.clear();  // as it was asked for
  const auto& deaths = sources_.dispatcher.deaths();
  for (const Dispatcher::Death& death : deaths) {
    if (death.at <= facts.now - kHourS) continue;
    ++facts.killed.n_last_hour;
    facts.killed.of.insert(death.row);
    facts.killed.newest = death.what;
    facts.killed.newest_at = death.at;
  }
  const nlohmann::ordered_json sky = sources_.dispatcher.sky().Status();
  facts.n_antennas_without_sky = static_cast<int>(sky.at("antennas").size());
  const auto words = sources_.dispatcher.sky().Troubles();
  if (!words.empty()) facts.antennas_without_sky = words.front();
  const double behind = sources_.clock.StepBack();
  if (behind > 1) {
    facts.clock_step_s = -behind;
    facts.clock_still_behind = true;
    facts.clock_stepped_at = clock_stepped_at_;
  } else if (clock_step_s_ != 0 && facts.now - clock_stepped_at_ < kHourS) {
    facts.clock_step_s = clock_step_s_;
    facts.clock_stepped_at = clock_stepped_at_;
  }
  facts.n_products_missing = sources_.reconciler.n_missing();
  facts.n_products_unknown = sources_.reconciler.figures().n_strange;
  if (settings_.http.enabled && ListensOpenly(settings_.http.listen)) facts.listens_openly = settings_.http.listen;
  while (!loop_errors_.empty() && loop_errors_.front().first < facts.now - kHourS) loop_errors_.pop_front();
  facts.n_loop_errors = static_cast<std::int64_t>(loop_errors_.size());
  if (!loop_errors_.empty()) {
    facts.loop_error = loop_errors_.back().second;
    facts.loop_error_at = loop_errors_.back().first;
  }
  return facts;
}

HealthWatch::Judgement HealthWatch::Judge() {
  const HealthFacts facts = Facts();
  Judgement judgement;
  judgement.findings = JudgeHealth(facts);
  for (const HealthMemory::Change& change : memory_.Remember(judgement.findings, facts.now)) {
    const HealthFinding& finding = change.finding;
    if (change.gone) {
      Log(LogLevel::kInfo, "", fmt::format("health: {} is over", ToString(finding.code)));
    } else {
      Log(finding.severity == HealthSeverity::kRed ? LogLevel::kError : LogLevel::kWarning, "",
          fmt::format("health: {}: {}{}", ToString(finding.code), finding.sentence,
                      finding.cure.empty() ? "" : fmt::format(" ({})", finding.cure)));
    }
  }
  judgement.verdict = Summarise(facts, judgement.findings);
  return judgement;
}

}  // namespace contimg::ops
