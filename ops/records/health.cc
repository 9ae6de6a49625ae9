#include "ops/records/health.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "config/text.h"
#include "config/time.h"
#include "ops/base/shell_word.h"
#include "ops/base/words.h"

namespace contimg::ops {
namespace {

// From so many on, one accident has become a pattern.
constexpr std::int64_t kRepeats = 3;
constexpr double kExpiresSoonS = kSecondsPerHour;  // the last table of a kind
constexpr double kBusyLongS = 10;                  // the queue cannot be written

std::string Span(double s) {
  if (s < 120) return fmt::format("{:.0f} s", s);
  if (s < 7200) return fmt::format("{:.0f} min", s / 60);
  if (s < 2 * kSecondsPerDay) return fmt::format("{:.1f} h", s / kSecondsPerHour);
  return fmt::format("{:.1f} days", s / kSecondsPerDay);
}

std::string At(double unix_s) { return UtcTime::FromUnix(unix_s).Iso8601() + "Z"; }

// A requeue helps when what was wrong may have passed; the same bytes give the same answer.
std::string CureOfDead(const HealthFacts::Groups& dead) {
  const bool by_kind = dead.newest_kind.has_value();
  if (by_kind && *dead.newest_kind == ErrorKind::kIncomplete) return "";
  if (by_kind && *dead.newest_kind == ErrorKind::kBadInput) return "contimg queue show " + dead.newest;
  if (dead.n == 1) return "contimg queue requeue " + dead.newest;  // as its page says
  if (!by_kind) return "contimg queue requeue --state dead";
  return fmt::format("contimg queue requeue --state dead --error-kind {}", ToString(*dead.newest_kind));
}

// What to do about the newest file in quarantine, and the command for it. No command takes the place of a file, and the
// last copy of a subband is nothing that a command shown removes.
std::pair<std::string, std::string> CureOfQuarantined(const HealthFacts::Quarantine& q, const std::string& incoming) {
  if (q.newest.empty()) return {"move it back to try again or remove it", ""};
  if (q.other_recorded) {
    return {fmt::format("another copy has been taken, {}: remove this one", q.other),
            "rm " + ShellWord(q.newest) + (q.newest_from.empty() ? "" : " " + ShellWord(q.newest + ".reason"))};
  }
  if (!q.other.empty()) {
    return {fmt::format("another copy has come, {}, and is looked into: when it is taken, remove this one", q.other),
            ""};
  }
  if (q.newest_kind == ErrorKind::kBadInput) {
    return {"the same bytes are refused again: get it anew from the correlator, then remove this one", ""};
  }
  const std::string to =
      q.newest_from.empty() ? incoming + "/" + q.newest.substr(q.newest.rfind('/') + 1) : q.newest_from;
  return {"move it back to try again", fmt::format("mv -n {} {}", ShellWord(q.newest), ShellWord(to))};
}

class Judge {
 public:
  explicit Judge(const HealthFacts& facts) : facts_(facts) {}

  std::vector<HealthFinding> All() {
    Trees();
    Disks();
    Database();
    Copies();
    Incoming();
    Groups();
    Calibration();
    Machine();
    const auto rank = [](const HealthFinding& finding) {
      const auto& all = AllHealthCodes();
      return std::pair(finding.severity != HealthSeverity::kRed,
                       std::find(all.begin(), all.end(), finding.code) - all.begin());
    };
    std::stable_sort(findings_.begin(), findings_.end(),
                     [&](const auto& a, const auto& b) { return rank(a) < rank(b); });
    return std::move(findings_);
  }

 private:
  // The files of a group that lie in quarantine, and the workers that died of it: the same cause seen elsewhere.
  std::string InQuarantine(const std::string& group) const {
    const auto found = facts_.quarantine.n_of_group.find(group);
    if (found == facts_.quarantine.n_of_group.end()) return "";
    return fmt::format("; {} of it {} in quarantine", Counted(static_cast<std::int64_t>(found->second), "file"),
                       found->second == 1 ? "is" : "are");
  }
  std::string DiedOf(const std::string& group) const {
    if (facts_.killed.of != std::set<std::string>{group} || facts_.killed.n_last_hour < 2) return "";
    return fmt::format("; {} died at it within the last hour", Counted(facts_.killed.n_last_hour, "worker"));
  }

  void Add(bool red, HealthCode code, std::string sentence, std::string cure = "", double since = 0) {
    findings_.push_back(
        {red ? HealthSeverity::kRed : HealthSeverity::kAmber, code, std::move(sentence), std::move(cure), since});
  }

  void Trees() {
    for (const HealthFacts::Tree& tree : facts_.trees) {
      if (tree.state == HealthFacts::Tree::State::kWell) continue;
      const HealthCode code = tree.state == HealthFacts::Tree::State::kForeign    ? HealthCode::kTreeForeign
                              : tree.state == HealthFacts::Tree::State::kReadOnly ? HealthCode::kTreeReadOnly
                                                                                  : HealthCode::kTreeMissing;
      Add(true, code,
          fmt::format("the {} directory {} {}; no new work starts until it is right", tree.name, tree.path,
                      tree.finding),
          tree.cure);
    }
  }

  void Disks() {
    for (const HealthFacts::Disk& disk : facts_.disks) {
      if (disk.level == HealthFacts::Disk::Level::kGood) continue;
      const HealthCode code = disk.name == "staging" ? HealthCode::kStagingFull
                              : disk.name == "state" ? HealthCode::kStateFull
                                                     : HealthCode::kDiskFull;
      // What lies there; what may go is a person's decision, and no command that is shown removes anything.
      const std::string path = ShellWord(disk.path);
      std::string sentence = disk.sentence, look;
      if (disk.name == "scratch") {
        sentence += "; the input of done groups (contimg queue list --state done) is the first that may go";
        look = fmt::format("df -h {0} && du -sh {1} {0}", path, ShellWord(facts_.incoming));
      } else if (disk.name == "staging") {
        look = fmt::format("df -h {0} && ls -lA {0}", path);
      } else {
        look = fmt::format("df -h {0} && du -sh {0}", path);
      }
      Add(disk.level == HealthFacts::Disk::Level::kCritical, code, sentence, disk.path.empty() ? "" : look);
    }
    const HealthFacts::Forecast& forecast = facts_.forecast;
    if (forecast.full_in_s && *forecast.full_in_s < forecast.limit_s && !ScratchIsLow()) {
      Add(false, HealthCode::kDiskWillFill,
          fmt::format("the scratch disk will have no room for new work in {}, by what it did in the last days",
                      Duration(*forecast.full_in_s)),
          "contimg storage report");
    }
  }

  void Database() {
    if (facts_.database_trouble.empty()) return;
    const bool damaged = facts_.database_trouble_kind == ErrorKind::kBadInput;
    const double stands_s = facts_.database_trouble_since > 0 ? facts_.now - facts_.database_trouble_since : 0;
    std::string sentence =
        fmt::format("the queue cannot be {}: {}", damaged ? "used" : "written", facts_.database_trouble);
    if (facts_.n_writes_waiting > 0) {
      sentence += fmt::format("; {} wait", Counted(static_cast<std::int64_t>(facts_.n_writes_waiting), "change"));
    }
    // What another program locks for a moment is amber; nothing is lost while it waits.
    const bool red = facts_.database_trouble_kind != ErrorKind::kBusy || stands_s >= kBusyLongS;
    Add(red, damaged ? HealthCode::kDatabaseDamaged : HealthCode::kDatabaseBusy, std::move(sentence), "",
        facts_.database_trouble_since);
  }

  bool ScratchIsLow() const {
    return std::any_of(facts_.disks.begin(), facts_.disks.end(), [](const HealthFacts::Disk& disk) {
      return disk.name == "scratch" && disk.level != HealthFacts::Disk::Level::kGood;
    });
  }
  bool Overdue(const HealthFacts::Waiting& waiting) const {
    return waiting.overdue_after_s > 0 && waiting.since > 0 && facts_.now - waiting.since > waiting.overdue_after_s;
  }

  void Copies() {
    const HealthFacts::Archive& archive = facts_.archive;
    if (archive.n_lost > 0) {
      std::string sentence =
          fmt::format("{} {} gone or damaged, and no other copy has taken its place: the newest, {}",
                      Counted(archive.n_lost, "archived object"), archive.n_lost == 1 ? "is" : "are", archive.lost);
      if (archive.n_gone > 0) {
        sentence += fmt::format("; {} not on disk and {} no whole copy any more",
                                archive.n_gone == 1 ? "1 product is" : fmt::format("{} products are", archive.n_gone),
                                archive.n_gone == 1 ? "has" : "have");
      }
      Add(archive.n_gone > 0, HealthCode::kCopiesLost, std::move(sentence),
          archive.n_gone > 0 ? "contimg archive list --state lost" : "contimg archive --apply", archive.lost_since);
    }
    const HealthFacts::Integrity& integrity = facts_.integrity;
    if (integrity.n > 0) {
      std::string sentence =
          fmt::format("{} on disk {} not what was recorded: the newest, {}: {}", Counted(integrity.n, "product"),
                      integrity.n == 1 ? "is" : "are", integrity.newest, integrity.difference);
      sentence += integrity.n_only == 0 ? "; of each there is a copy: move it away, then contimg restore"
                                        : fmt::format("; of {} there is no copy", integrity.n_only);
      Add(integrity.n_only > 0, HealthCode::kIntegrityDamaged, std::move(sentence), "contimg verify --failed",
          integrity.since);
    }
    const bool waits = archive.backlog_bytes > 0;
    if (!archive.failure.empty() || (waits && Overdue(archive.run))) {
      std::string sentence;
      if (!archive.failure.empty()) sentence = "the last run of the archive failed: " + archive.failure;
      if (waits) {
        sentence += fmt::format("{}products of {} wait for verified copies", sentence.empty() ? "" : "; ",
                                Bytes(static_cast<double>(archive.backlog_bytes)));
        if (Overdue(archive.run)) {
          sentence += archive.run.ever
                          ? fmt::format(", and none was archived for {}", Span(facts_.now - archive.run.since))
                          : std::string(", and nothing was ever archived");
        }
      }
      const bool red = waits && archive.blocked_bytes > 0 && ScratchIsLow();
      if (red) {
        sentence += fmt::format("; the scratch disk is low, and cleanup may not let go of {}",
                                Bytes(static_cast<double>(archive.blocked_bytes)));
      }
      Add(red, HealthCode::kArchiveBehind, std::move(sentence), "contimg archive --apply",
          archive.failure.empty() ? archive.run.since + archive.run.overdue_after_s : archive.failed_at);
    }
    const HealthFacts::Waiting& backup = facts_.backup;
    if (Overdue(backup)) {
      Add(false, HealthCode::kBackupBehind,
          backup.ever ? fmt::format("the last backup of the databases is {} old", Span(facts_.now - backup.since))
                      : fmt::format("no backup of the databases was made since the first start, {} ago",
                                    Span(facts_.now - backup.since)),
          "contimg backup", backup.since + backup.overdue_after_s);
      return;
    }
    const HealthFacts::Shipping& shipping = facts_.shipping;
    if (shipping.remote.empty() || (shipping.failure.empty() && !Overdue(shipping.run))) return;
    std::string sentence;
    if (!shipping.failure.empty())
      sentence = fmt::format("backups did not get to {}: {}", shipping.remote, shipping.failure);
    if (Overdue(shipping.run)) {
      if (!sentence.empty()) sentence += "; ";
      sentence += shipping.run.ever ? fmt::format("no backup was taken to {} for {}", shipping.remote,
                                                  Span(facts_.now - shipping.run.since))
                                    : fmt::format("no backup was ever taken to {}", shipping.remote);
    }
    Add(false, HealthCode::kBackupBehind, std::move(sentence), "contimg backup",
        shipping.failure.empty() ? shipping.run.since + shipping.run.overdue_after_s : shipping.failed_at);
  }

  void Incoming() {
    if (!facts_.incoming_trouble.empty()) {
      Add(true, HealthCode::kIncomingMissing,
          fmt::format("the incoming directory {} {}; no data come in", facts_.incoming, facts_.incoming_trouble), "",
          facts_.incoming_lost_at);
    }
    if (facts_.n_unknown_names > 0) {
      const auto n = static_cast<std::int64_t>(facts_.n_unknown_names);
      Add(n >= facts_.subbands_per_group, HealthCode::kNamesUnknown,
          fmt::format("{} in {} with a name that is not recognised ({}): expected names like "
                      "2025-10-13T13:28:03_sb00.hdf5",
                      Counted(n, "file"), facts_.incoming, facts_.unknown_name_example));
    }
    const HealthFacts::Quarantine& q = facts_.quarantine;
    if (q.n_files > 0) {
      const auto [advice, command] = CureOfQuarantined(q, facts_.incoming);
      Add(static_cast<std::int64_t>(q.n_last_hour) >= kRepeats, HealthCode::kFilesQuarantined,
          fmt::format("{} in quarantine since {}, {} within the last hour; the newest, {}: {}; {}",
                      Counted(static_cast<std::int64_t>(q.n_files), "file"), At(q.oldest_at), q.n_last_hour, q.newest,
                      q.newest_reason, advice),
          command, q.oldest_at);
    }
    if (facts_.n_unreadable > 0) {
      Add(false, HealthCode::kFilesUnreadable,
          fmt::format("{} cannot be read yet and will be tried again ({})",
                      Counted(static_cast<std::int64_t>(facts_.n_unreadable), "file"), facts_.unreadable_example));
    }
    if (facts_.no_data_after_s > 0 && facts_.last_file_at > 0 &&
        facts_.now - facts_.last_file_at > facts_.no_data_after_s) {
      Add(false, HealthCode::kNoData,
          fmt::format("no file has come in for {} (the last one at {})", Span(facts_.now - facts_.last_file_at),
                      At(facts_.last_file_at)),
          "", facts_.last_file_at);
    }
  }

  void Groups() {
    const HealthFacts::Groups &failing = facts_.failing, &dead = facts_.dead, &held = facts_.held;
    if (failing.n > 0) {
      std::string sentence = fmt::format(
          "{} failed and {} tried again, {}: the newest, {}: {}", Counted(failing.n, "group"),
          failing.n == 1 ? "is" : "are",
          failing.most_attempts == 1 ? "once so far" : fmt::format("up to {} attempts so far", failing.most_attempts),
          failing.newest, failing.newest_cause);
      sentence += InQuarantine(failing.newest) + DiedOf(failing.newest);
      if (failing.next_attempt_at > facts_.now) {
        sentence += fmt::format("; next in {}", Span(failing.next_attempt_at - facts_.now));
      }
      Add(failing.n >= kRepeats || failing.most_attempts >= kRepeats, HealthCode::kGroupsFailing, std::move(sentence),
          "", failing.since);
    }
    if (dead.n > 0) {
      Add(dead.n_in_a_row >= kRepeats, HealthCode::kGroupsDead,
          fmt::format("{} given up{}; the newest, {}: {}", Counted(dead.n, "group"),
                      dead.n_in_a_row >= kRepeats
                          ? fmt::format(", the last {} to end one after the other", dead.n_in_a_row)
                          : "",
                      dead.newest, dead.newest_cause) +
              InQuarantine(dead.newest) + DiedOf(dead.newest),
          CureOfDead(dead), dead.since);
    }
    if (held.n > 0) {
      Add(false, HealthCode::kGroupsHeld,
          fmt::format("{} held for a decision; the newest, {}: {}", Counted(held.n, "group"), held.newest,
                      held.newest_cause),
          "contimg queue release " + held.newest, held.since);
    }
    if (!facts_.tasks.empty()) {
      const HealthFacts::Task& newest = facts_.tasks.front();
      const auto n_dead = std::count_if(facts_.tasks.begin(), facts_.tasks.end(),
                                        [](const HealthFacts::Task& task) { return task.state == "dead"; });
      std::string what = newest.state == "dead"
                             ? fmt::format("was given up after {}", Counted(newest.attempts, "attempt"))
                         : newest.state == "held" ? "is held"
                                                  : "failed and is tried again";
      if (!newest.cause.empty()) what += ": " + newest.cause;
      if (facts_.tasks.size() > 1) {
        what += fmt::format("; {} before it", Counted(static_cast<std::int64_t>(facts_.tasks.size()) - 1, "other"));
      }
      Add(n_dead >= kRepeats, HealthCode::kTasksFailing, fmt::format("{} {}", newest.id, what), newest.cure,
          newest.since);
    }
    if (facts_.behind_after_s > 0 && facts_.longest_wait_s > facts_.behind_after_s / 2) {
      Add(false, HealthCode::kBehindSky,
          fmt::format("{} for a worker, the longest for {}: work falls behind the sky",
                      facts_.n_waiting == 1 ? "1 group waits" : fmt::format("{} groups wait", facts_.n_waiting),
                      Span(facts_.longest_wait_s)));
    }
  }

  void Calibration() {
    const HealthFacts::Calibration& cal = facts_.calibration;
    if (cal.n_damaged > 0) {
      Add(cal.n_waiting_groups > 0, HealthCode::kCalibrationDamaged,
          fmt::format(
              "{} damaged: {}",
              cal.n_damaged == 1 ? "1 calibration table is" : fmt::format("{} calibration tables are", cal.n_damaged),
              cal.damaged),
          cal.damaged_cure);
    }
    if (!cal.missing.empty()) {
      Add(cal.n_waiting_groups >= kRepeats, HealthCode::kCalibrationMissing, cal.missing, "contimg cal gaps");
    }
    if (cal.n_waiting_groups > 0) {
      Add(cal.n_waiting_groups >= kRepeats, HealthCode::kCalibrationMissing,
          fmt::format("{} for calibration{}",
                      cal.n_waiting_groups == 1 ? "1 group waits" : fmt::format("{} groups wait", cal.n_waiting_groups),
                      cal.waiting_reason.empty() ? "" : ": " + cal.waiting_reason),
          "contimg queue list --state awaiting_calibration");
    }
    if (cal.n_failed_solves > 0) {
      Add(cal.n_failed_solves >= kRepeats, HealthCode::kCalibrationFailed,
          fmt::format("the last {} of calibration failed, {}",
                      cal.n_failed_solves == 1 ? "solve" : fmt::format("{} solves", cal.n_failed_solves),
                      cal.failed_solve),
          "", cal.failed_solve_at);
    }
    if (cal.missing.empty() && cal.expires_in_s >= 0 && cal.expires_in_s < kExpiresSoonS) {
      Add(false, HealthCode::kCalibrationExpiring,
          fmt::format("the last {} table serves for {} more", cal.expiring, Span(cal.expires_in_s)));
    }
  }

  void Machine() {
    // Where all died of one group that is told of already, that is one cause and one finding.
    const std::set<std::string>& of = facts_.killed.of;
    const auto told = [&](const HealthFacts::Groups& groups) { return groups.n > 0 && *of.begin() == groups.newest; };
    const bool told_already = of.size() == 1 && (told(facts_.dead) || told(facts_.failing));
    if (facts_.killed.n_last_hour > 0 && !(told_already && facts_.killed.n_last_hour < kRepeats)) {
      Add(facts_.killed.n_last_hour >= kRepeats, HealthCode::kWorkersKilled,
          fmt::format("{} died within the last hour; the newest: {}", Counted(facts_.killed.n_last_hour, "worker"),
                      facts_.killed.newest),
          "", facts_.killed.newest_at);
    }
    if (facts_.n_antennas_without_sky > 0) {
      Add(false, HealthCode::kAntennasWithoutSky,
          fmt::format("{} without sky signal: {}", Counted(facts_.n_antennas_without_sky, "antenna"),
                      facts_.antennas_without_sky));
    }
    if (facts_.n_products_missing > 0) {
      Add(false, HealthCode::kProductsMissing,
          fmt::format("{} recorded and missing on disk", Counted(facts_.n_products_missing, "product")),
          "contimg products list --status missing");
    }
    if (facts_.n_products_unknown > 0) {
      Add(false, HealthCode::kProductsUnknown,
          fmt::format("{} on disk of no known group (named in the log)",
                      Counted(facts_.n_products_unknown, "product")));
    }
    if (facts_.clock_step_s != 0) {
      Add(false, HealthCode::kClockStepped,
          facts_.clock_step_s < 0
              ? fmt::format("the system's clock has stepped back by {}{}", Span(-facts_.clock_step_s),
                            facts_.clock_still_behind ? "; records go on at a steady pace until it has caught up" : "")
              : fmt::format("the system's clock has stepped forward by {}", Span(facts_.clock_step_s)),
          "", facts_.clock_stepped_at);
    }
    if (facts_.n_loop_errors > 0) {
      Add(facts_.n_loop_errors >= kRepeats, HealthCode::kLoopFailing,
          fmt::format("{} in the service's own loop within the last hour; the newest: {}",
                      Counted(facts_.n_loop_errors, "failure"), facts_.loop_error),
          "", facts_.loop_error_at);
    }
    if (!facts_.listens_openly.empty()) {
      Add(false, HealthCode::kListeningOpenly,
          fmt::format("pages and API answer on every address of this machine ({}) without authentication: anyone who "
                      "reaches it can read them",
                      facts_.listens_openly));
    }
  }

  const HealthFacts& facts_;
  std::vector<HealthFinding> findings_;
};

}  // namespace

std::vector<HealthFinding> JudgeHealth(const HealthFacts& facts) { return Judge(facts).All(); }

HealthVerdict Summarise(const HealthFacts& facts, const std::vector<HealthFinding>& findings) {
  HealthVerdict verdict;
  if (!findings.empty()) verdict.severity = findings.front().severity;
  if (facts.stopping) {
    verdict = {false, "it is stopping", "Stopping", verdict.severity};
  } else if (verdict.severity == HealthSeverity::kRed) {
    verdict = {false, findings.front().sentence, "Not working", verdict.severity};
  } else if (!facts.caught_up) {
    verdict.ready = false;
    verdict.words = "Catching up";
    verdict.why_not = fmt::format("{} of the incoming directory {} still to be looked into",
                                  Counted(static_cast<std::int64_t>(facts.n_pending_files), "file"),
                                  facts.n_pending_files == 1 ? "is" : "are");
  } else if (!findings.empty()) {
    verdict.words = "Needs a look";
  }
  return verdict;
}

}  // namespace contimg::ops
