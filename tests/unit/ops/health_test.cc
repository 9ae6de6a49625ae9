#include "ops/records/health.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <iterator>
#include <set>
#include <string>

namespace contimg::ops {
namespace {

using testing::HasSubstr;
using Level = HealthFacts::Disk::Level;
using Tree = HealthFacts::Tree;
constexpr double kNow = 1.8e9;

HealthFacts Well() {
  HealthFacts facts;
  facts.now = kNow;
  facts.incoming = "/stage/incoming";
  facts.last_file_at = kNow - 100;
  facts.no_data_after_s = 3600;
  facts.behind_after_s = 3600;
  return facts;
}

HealthFacts::Groups Some(std::int64_t n, ErrorKind kind) {
  HealthFacts::Groups groups;
  groups.n = n;
  groups.most_attempts = 1;
  groups.newest = "2025-10-13T13:28:03";
  groups.newest_cause = "why";
  groups.newest_kind = kind;
  return groups;
}

HealthFacts::Quarantine Quarantined(std::size_t n, std::size_t n_last_hour, const std::string& newest,
                                    std::optional<ErrorKind> kind = std::nullopt, const std::string& from = "") {
  HealthFacts::Quarantine quarantine;
  quarantine.n_files = n;
  quarantine.n_last_hour = n_last_hour;
  quarantine.oldest_at = kNow - 10;
  quarantine.newest = newest;
  quarantine.newest_reason = "no HDF5";
  quarantine.newest_kind = kind;
  quarantine.newest_from = from;
  return quarantine;
}

TEST(JudgeHealth, NothingWrongIsWell) {
  const HealthFacts facts = Well();
  EXPECT_TRUE(JudgeHealth(facts).empty());
  const HealthVerdict verdict = Summarise(facts, {});
  EXPECT_TRUE(verdict.ready);
  EXPECT_EQ(verdict.words, "All is well");
}

struct Case {
  HealthCode code;
  HealthSeverity severity;
  const char* words;  // in the sentence
  const char* cure;
  std::function<void(HealthFacts&)> worsen;
};

const std::vector<Case>& Cases() {
  constexpr HealthSeverity kAmber = HealthSeverity::kAmber, kRed = HealthSeverity::kRed;
  static const std::vector<Case> cases{
      {HealthCode::kTreeMissing, kRed, "scratch directory /stage has no marker", "",
       [](HealthFacts& f) {
         f.trees.push_back({"scratch", "/stage", Tree::State::kMissing, "has no marker", ""});
       }},
      {HealthCode::kTreeForeign, kRed, "belongs to /other", "",
       [](HealthFacts& f) {
         f.trees.push_back({"scratch", "/stage", Tree::State::kForeign, "belongs to /other", ""});
       }},
      {HealthCode::kTreeReadOnly, kRed, "is read-only", "",
       [](HealthFacts& f) {
         f.trees.push_back({"scratch", "/stage", Tree::State::kReadOnly, "is read-only", ""});
       }},
      {HealthCode::kDiskFull, kAmber, "1 GB free; the input of done groups",
       "df -h /stage/ms && du -sh /stage/incoming /stage/ms",
       [](HealthFacts& f) {
         f.disks.push_back({"scratch", Level::kWarning, "1 GB free", "/stage/ms"});
       }},
      {HealthCode::kDiskFull, kRed, "1 GB free", "df -h /stage/images && du -sh /stage/images",
       [](HealthFacts& f) {
         f.disks.push_back({"images", Level::kCritical, "1 GB free", "/stage/images"});
       }},
      {HealthCode::kStagingFull, kRed, "full", "df -h /dev/shm/contimg && ls -lA /dev/shm/contimg",
       [](HealthFacts& f) {
         f.disks.push_back({"staging", Level::kCritical, "full", "/dev/shm/contimg"});
       }},
      {HealthCode::kStateFull, kRed, "full", "df -h /state && du -sh /state",
       [](HealthFacts& f) {
         f.disks.push_back({"state", Level::kCritical, "full", "/state"});
       }},
      {HealthCode::kDiskWillFill, kAmber, "no room for new work in 2 h", "contimg storage report",
       [](HealthFacts& f) {
         f.forecast = {7200, 259200};
       }},
      {HealthCode::kCopiesLost, kAmber,
       "1 archived object is gone or damaged, and no other copy has taken its place: the", "contimg archive --apply",
       [](HealthFacts& f) {
         f.archive.n_lost = 1;
         f.archive.lost = "lake:images/a.tar";
       }},
      {HealthCode::kCopiesLost, kRed, "lake:images/a.tar; 2 products are not on disk and have no whole copy any more",
       "contimg archive list --state lost",
       [](HealthFacts& f) {
         f.archive.n_lost = 3;
         f.archive.n_gone = 2;
         f.archive.lost = "lake:images/a.tar";
       }},
      {HealthCode::kIntegrityDamaged, kAmber,
       "2 products on disk are not what was recorded: the newest, /x: expected a, found b; of each there is a copy",
       "contimg verify --failed",
       [](HealthFacts& f) {
         f.integrity = {2, 0, "/x", "expected a, found b", kNow};
       }},
      {HealthCode::kIntegrityDamaged, kRed, "1 product on disk is not what was recorded: the newest, /x: expected",
       "contimg verify --failed",
       [](HealthFacts& f) {
         f.integrity = {1, 1, "/x", "expected a, found b", kNow};
       }},
      {HealthCode::kArchiveBehind, kAmber,
       "products of 5.0 GB wait for verified copies, and none was archived for 10.0 d", "contimg archive --apply",
       [](HealthFacts& f) {
         f.archive.backlog_bytes = 5'000'000'000;
         f.archive.run = {kNow - 864000, 777600, true};
       }},
      {HealthCode::kArchiveBehind, kAmber, "wait for verified copies, and nothing was ever archived",
       "contimg archive --apply",
       [](HealthFacts& f) {
         f.archive.backlog_bytes = 5'000'000'000;
         f.archive.run = {kNow - 864000, 777600, false};
       }},
      // The remote refuses; nothing waits, then much does and nothing may leave a disk that is low.
      {HealthCode::kArchiveBehind, kAmber, "the last run of the archive failed: lake: no answer",
       "contimg archive --apply", [](HealthFacts& f) { f.archive.failure = "lake: no answer"; }},
      {HealthCode::kBackupBehind, kAmber, "the last backup of the databases is 2.0 days old", "contimg backup",
       [](HealthFacts& f) {
         f.backup = {kNow - 172800, 129600, true};
       }},
      {HealthCode::kBackupBehind, kAmber, "no backup of the databases was made since the first start, 2.0 days ago",
       "contimg backup",
       [](HealthFacts& f) {
         f.backup = {kNow - 172800, 129600, false};
       }},
      {HealthCode::kBackupBehind, kAmber, "backups did not get to lake: no answer; no backup was taken to lake for 3.0",
       "contimg backup",
       [](HealthFacts& f) {
         f.shipping = {"lake", {kNow - 259200, 129600, true}, "no answer", kNow - 5};
       }},
      {HealthCode::kBackupBehind, kAmber, "no backup was ever taken to lake", "contimg backup",
       [](HealthFacts& f) {
         f.shipping = {"lake", {kNow - 259200, 129600, false}, "", 0};
       }},
      {HealthCode::kIncomingMissing, kRed, "/stage/incoming is not there", "",
       [](HealthFacts& f) { f.incoming_trouble = "is not there"; }},
      {HealthCode::kFilesQuarantined, kAmber, "1 file in quarantine since 2027-01-15T07:59:50Z",
       "mv -n '/q/a b' '/stage/incoming/a b'", [](HealthFacts& f) { f.quarantine = Quarantined(1, 1, "/q/a b"); }},
      {HealthCode::kFilesQuarantined, kRed, "5 files in quarantine", "mv -n /q/a.1 /stage/incoming/a",
       [](HealthFacts& f) { f.quarantine = Quarantined(5, 3, "/q/a.1", ErrorKind::kTimeout, "/stage/incoming/a"); }},
      // The same bytes come back at once, and the only copy is not to be removed by pasting.
      {HealthCode::kFilesQuarantined, kAmber, "get it anew from the correlator, then remove this one", "",
       [](HealthFacts& f) { f.quarantine = Quarantined(1, 1, "/q/a", ErrorKind::kBadInput, "/stage/incoming/a"); }},
      // One of that name has come meanwhile: nothing is moved onto it.
      {HealthCode::kFilesQuarantined, kAmber, "another copy has come, /stage/incoming/a, and is looked into", "",
       [](HealthFacts& f) {
         f.quarantine = Quarantined(1, 1, "/q/a", ErrorKind::kTimeout, "/stage/incoming/a");
         f.quarantine.other = "/stage/incoming/a";
       }},
      {HealthCode::kFilesQuarantined, kAmber, "another copy has been taken, /stage/incoming/a: remove this one",
       "rm /q/a /q/a.reason",
       [](HealthFacts& f) {
         f.quarantine = Quarantined(1, 1, "/q/a", ErrorKind::kBadInput, "/stage/incoming/a");
         f.quarantine.other = "/stage/incoming/a";
         f.quarantine.other_recorded = true;
       }},
      {HealthCode::kNamesUnknown, kAmber, "2 files in /stage/incoming with a name that is not recognised (x.h5)", "",
       [](HealthFacts& f) {
         f.n_unknown_names = 2;
         f.unknown_name_example = "x.h5";
       }},
      {HealthCode::kNamesUnknown, kRed, "16 files", "", [](HealthFacts& f) { f.n_unknown_names = 16; }},
      {HealthCode::kFilesUnreadable, kAmber, "1 file cannot be read yet", "",
       [](HealthFacts& f) { f.n_unreadable = 1; }},
      {HealthCode::kGroupsFailing, kAmber,
       "1 group failed and is tried again, once so far: the newest, 2025-10-13T13:28:03: why", "",
       [](HealthFacts& f) { f.failing = Some(1, ErrorKind::kIo); }},
      {HealthCode::kGroupsFailing, kRed, "3 groups failed", "",
       [](HealthFacts& f) { f.failing = Some(3, ErrorKind::kIo); }},
      {HealthCode::kGroupsFailing, kRed, "up to 3 attempts", "",
       [](HealthFacts& f) {
         f.failing = Some(1, ErrorKind::kIo);
         f.failing.most_attempts = 3;
       }},
      {HealthCode::kGroupsDead, kAmber, "1 group given up", "contimg queue requeue 2025-10-13T13:28:03",
       [](HealthFacts& f) { f.dead = Some(1, ErrorKind::kIo); }},
      {HealthCode::kGroupsDead, kAmber, "2 groups given up", "contimg queue requeue --state dead --error-kind io",
       [](HealthFacts& f) { f.dead = Some(2, ErrorKind::kIo); }},
      {HealthCode::kGroupsDead, kAmber, "1 group given up", "contimg queue show 2025-10-13T13:28:03",
       [](HealthFacts& f) { f.dead = Some(1, ErrorKind::kBadInput); }},
      {HealthCode::kGroupsDead, kAmber, "2 groups given up", "",
       [](HealthFacts& f) { f.dead = Some(2, ErrorKind::kIncomplete); }},
      {HealthCode::kGroupsDead, kRed, "the last 3 to end one after the other",
       "contimg queue requeue --state dead --error-kind crash",
       [](HealthFacts& f) {
         f.dead = Some(7, ErrorKind::kCrash);
         f.dead.n_in_a_row = 3;
       }},
      {HealthCode::kGroupsHeld, kAmber, "1 group held for a decision; the newest, 2025-10-13T13:28:03: why",
       "contimg queue release 2025-10-13T13:28:03", [](HealthFacts& f) { f.held = Some(1, ErrorKind::kIo); }},
      {HealthCode::kTasksFailing, kAmber, "backup/b was given up after 2 attempts: io: no room; 1 other before it",
       "contimg queue requeue backup/b",
       [](HealthFacts& f) {
         f.tasks = {{"backup/b", "dead", "io: no room", "contimg queue requeue backup/b", kNow, 2},
                    {"backup/a", "failed", "io: no room", "", kNow, 1}};
       }},
      {HealthCode::kTasksFailing, kAmber, "backup/b is held: the disk is away", "contimg queue release backup/b",
       [](HealthFacts& f) {
         f.tasks = {{"backup/b", "held", "the disk is away", "contimg queue release backup/b", kNow, 1}};
       }},
      {HealthCode::kTasksFailing, kRed, "backup/b was given up", "contimg queue requeue backup/b",
       [](HealthFacts& f) {
         f.tasks.assign(3, {"backup/b", "dead", "io: no room", "contimg queue requeue backup/b", kNow, 2});
       }},
      {HealthCode::kCalibrationMissing, kAmber, "no BP table", "contimg cal gaps",
       [](HealthFacts& f) { f.calibration.missing = "no BP table serves groups"; }},
      {HealthCode::kCalibrationMissing, kRed, "3 groups wait for calibration: no table",
       "contimg queue list --state awaiting_calibration",
       [](HealthFacts& f) {
         f.calibration.n_waiting_groups = 3;
         f.calibration.waiting_reason = "no table";
       }},
      {HealthCode::kCalibrationExpiring, kAmber, "the last G table serves for 17 min more", "",
       [](HealthFacts& f) {
         f.calibration.expires_in_s = 1000;
         f.calibration.expiring = "G";
       }},
      {HealthCode::kCalibrationDamaged, kAmber, "1 calibration table is damaged: x.gpcal", "cure",
       [](HealthFacts& f) {
         f.calibration.n_damaged = 1;
         f.calibration.damaged = "x.gpcal";
         f.calibration.damaged_cure = "cure";
       }},
      {HealthCode::kCalibrationFailed, kAmber, "the last solve of calibration failed, on G", "",
       [](HealthFacts& f) {
         f.calibration.n_failed_solves = 1;
         f.calibration.failed_solve = "on G";
       }},
      {HealthCode::kDatabaseBusy, kAmber, "is locked; 2 changes wait", "",
       [](HealthFacts& f) {
         f.database_trouble = "is locked";
         f.database_trouble_kind = ErrorKind::kBusy;
         f.database_trouble_since = kNow - 5;
         f.n_writes_waiting = 2;
       }},
      {HealthCode::kDatabaseBusy, kRed, "is locked", "",
       [](HealthFacts& f) {
         f.database_trouble = "is locked";
         f.database_trouble_kind = ErrorKind::kBusy;
         f.database_trouble_since = kNow - 100;
       }},
      {HealthCode::kDatabaseBusy, kRed, "No space left", "",
       [](HealthFacts& f) {
         f.database_trouble = "No space left";
         f.database_trouble_kind = ErrorKind::kIo;
       }},
      {HealthCode::kDatabaseDamaged, kRed, "malformed", "",
       [](HealthFacts& f) {
         f.database_trouble = "malformed";
         f.database_trouble_kind = ErrorKind::kBadInput;
       }},
      {HealthCode::kBehindSky, kAmber, "12 groups wait for a worker, the longest for 2.0 h", "",
       [](HealthFacts& f) {
         f.n_waiting = 12;
         f.longest_wait_s = 7200;
       }},
      {HealthCode::kNoData, kAmber, "no file has come in for 2.8 h", "",
       [](HealthFacts& f) { f.last_file_at = kNow - 10000; }},
      {HealthCode::kAntennasWithoutSky, kAmber, "2 antennas without sky signal: 3, 7", "",
       [](HealthFacts& f) {
         f.n_antennas_without_sky = 2;
         f.antennas_without_sky = "3, 7";
       }},
      {HealthCode::kWorkersKilled, kAmber, "1 worker died", "", [](HealthFacts& f) { f.killed.n_last_hour = 1; }},
      {HealthCode::kWorkersKilled, kRed, "3 workers died", "", [](HealthFacts& f) { f.killed.n_last_hour = 3; }},
      {HealthCode::kClockStepped, kAmber, "stepped back by 10 min", "", [](HealthFacts& f) { f.clock_step_s = -600; }},
      {HealthCode::kClockStepped, kAmber, "stepped forward by 10 min", "",
       [](HealthFacts& f) { f.clock_step_s = 600; }},
      {HealthCode::kProductsMissing, kAmber, "1 product recorded and missing", "contimg products list --status missing",
       [](HealthFacts& f) { f.n_products_missing = 1; }},
      {HealthCode::kProductsUnknown, kAmber, "2 products on disk", "",
       [](HealthFacts& f) { f.n_products_unknown = 2; }},
      {HealthCode::kListeningOpenly, kAmber, "0.0.0.0:9110", "",
       [](HealthFacts& f) { f.listens_openly = "0.0.0.0:9110"; }},
      {HealthCode::kLoopFailing, kAmber, "1 failure in the service's own loop", "",
       [](HealthFacts& f) { f.n_loop_errors = 1; }},
      {HealthCode::kLoopFailing, kRed, "3 failures", "", [](HealthFacts& f) { f.n_loop_errors = 3; }},
  };
  return cases;
}

TEST(JudgeHealth, EachTroubleIsOneSentenceWithItsSeverityAndCure) {
  std::set<HealthCode> tried;
  for (const Case& each : Cases()) {
    HealthFacts facts = Well();
    each.worsen(facts);
    const auto findings = JudgeHealth(facts);
    ASSERT_EQ(findings.size(), 1u) << ToString(each.code);
    EXPECT_EQ(ToString(findings[0].code), ToString(each.code));
    EXPECT_EQ(ToString(findings[0].severity), ToString(each.severity)) << findings[0].sentence;
    EXPECT_THAT(findings[0].sentence, HasSubstr(each.words));
    EXPECT_EQ(findings[0].cure, each.cure);
    const HealthVerdict verdict = Summarise(facts, findings);
    EXPECT_EQ(verdict.ready, each.severity == HealthSeverity::kAmber) << findings[0].sentence;
    EXPECT_EQ(verdict.words, each.severity == HealthSeverity::kRed ? "Not working" : "Needs a look");
    tried.insert(each.code);
  }
  for (const HealthCode code : AllHealthCodes()) EXPECT_EQ(tried.count(code), 1u) << ToString(code);
}

// One cause is one finding: workers that died of a group that was given up, files of it that lie in quarantine.
TEST(JudgeHealth, TellsOneCauseOnceAndNamesWhereElseItShows) {
  HealthFacts facts = Well();
  facts.dead = Some(1, ErrorKind::kCrash);
  facts.killed.n_last_hour = 2;
  facts.killed.newest = "2025-10-13T13:28:03: the worker died of signal 9";
  facts.killed.of = {"2025-10-13T13:28:03"};
  auto findings = JudgeHealth(facts);
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].code, HealthCode::kGroupsDead);
  EXPECT_THAT(findings[0].sentence, HasSubstr("2 workers died at it within the last hour"));
  facts.killed.of.insert("2025-10-13T13:33:12");  // another one, too: that is more than this group
  EXPECT_EQ(JudgeHealth(facts).size(), 2u);
  facts.killed = {};
  facts.quarantine = Quarantined(1, 1, "/q/a");
  facts.quarantine.n_of_group = {{"2025-10-13T13:28:03", 1}};
  findings = JudgeHealth(facts);
  ASSERT_EQ(findings.size(), 2u);
  EXPECT_THAT(findings[1].sentence, HasSubstr("2025-10-13T13:28:03: why; 1 file of it is in quarantine"));
}

// Nothing that waits, is not overdue yet or is never to be: all is well.
TEST(JudgeHealth, CopiesAreWaitedForInPatience) {
  HealthFacts facts = Well();
  facts.archive.backlog_bytes = 5'000'000'000;
  facts.archive.blocked_bytes = 7;
  facts.archive.run = {kNow - 700000, 777600, true};
  facts.backup = {kNow - 100000, 129600, true};
  facts.forecast = {300000, 259200};
  EXPECT_TRUE(JudgeHealth(facts).empty());
  facts.archive.backlog_bytes = 0;  // overdue, and nothing waits
  facts.archive.run.since = 1;
  facts.backup = {1, 0, false};
  facts.forecast = {0, 0};
  EXPECT_TRUE(JudgeHealth(facts).empty());
}

// A remote that refuses is amber as long as the work goes on, and red when the disk fills for want of copies.
TEST(JudgeHealth, ARemoteThatRefusesIsRedWhenNothingMayLeaveALowDisk) {
  HealthFacts facts = Well();
  facts.archive.failure = "lake: no answer";
  facts.archive.backlog_bytes = 5'000'000'000;
  facts.archive.blocked_bytes = 2'000'000'000;
  EXPECT_EQ(JudgeHealth(facts).front().severity, HealthSeverity::kAmber);
  facts.disks.push_back({"scratch", Level::kWarning, "1 GB free", "/stage/ms"});
  const auto findings = JudgeHealth(facts);
  ASSERT_EQ(findings.size(), 2u);
  EXPECT_EQ(findings[0].code, HealthCode::kArchiveBehind);
  EXPECT_EQ(findings[0].severity, HealthSeverity::kRed);
  EXPECT_THAT(findings[0].sentence,
              HasSubstr("no answer; products of 5.0 GB wait for verified copies; the scratch disk "
                        "is low, and cleanup may not let go of 2.0 GB"));
  facts.forecast = {7200, 259200};  // it is low already: told once
  EXPECT_EQ(JudgeHealth(facts).size(), 2u);
}

TEST(JudgeHealth, RedComesFirst) {
  HealthFacts facts = Well();
  for (const Case& each : Cases()) each.worsen(facts);
  const auto findings = JudgeHealth(facts);
  EXPECT_TRUE(std::is_sorted(findings.begin(), findings.end(), [](const auto& a, const auto& b) {
    return a.severity == HealthSeverity::kRed && b.severity == HealthSeverity::kAmber;
  }));
  EXPECT_EQ(findings.front().code, HealthCode::kTreeMissing);
}

TEST(Summarise, CatchingUpAndStoppingAreNotReady) {
  HealthFacts facts = Well();
  facts.caught_up = false;
  facts.n_pending_files = 12;
  EXPECT_EQ(Summarise(facts, {}).why_not, "12 files of the incoming directory are still to be looked into");
  facts.stopping = true;
  EXPECT_EQ(Summarise(facts, {}).words, "Stopping");
  EXPECT_FALSE(Summarise(facts, {}).ready);
}

TEST(HealthMemory, KeepsSinceWhenAndTellsWhatComesAndGoes) {
  HealthMemory memory;
  std::vector<HealthFinding> findings{{HealthSeverity::kAmber, HealthCode::kDiskFull, "low", "", 0}};
  auto changes = memory.Remember(findings, 100);
  ASSERT_EQ(changes.size(), 1u);
  EXPECT_EQ(findings[0].since, 100);
  findings = {{HealthSeverity::kAmber, HealthCode::kDiskFull, "lower", "", 0}};
  EXPECT_TRUE(memory.Remember(findings, 200).empty());  // other words are no news
  EXPECT_EQ(findings[0].since, 100);
  findings = {{HealthSeverity::kRed, HealthCode::kDiskFull, "full", "", 0}};
  changes = memory.Remember(findings, 300);
  ASSERT_EQ(changes.size(), 1u);
  EXPECT_EQ(changes[0].finding.severity, HealthSeverity::kRed);
  findings.clear();
  changes = memory.Remember(findings, 400);
  ASSERT_EQ(changes.size(), 1u);
  EXPECT_TRUE(changes[0].gone);
  findings = {{HealthSeverity::kAmber, HealthCode::kDiskFull, "low", "", 0}};
  EXPECT_EQ(memory.Remember(findings, 500).size(), 1u);
  EXPECT_EQ(findings[0].since, 500);
}

TEST(HealthJson, ReadsBackWhatItWrote) {
  HealthFacts facts = Well();
  for (const Case& each : Cases()) each.worsen(facts);
  std::vector<HealthFinding> findings = JudgeHealth(facts);
  HealthMemory().Remember(findings, kNow);
  const auto back = FindingsOf({{"health", ToJson(findings)}});
  ASSERT_EQ(back.size(), findings.size());
  for (std::size_t i = 0; i < back.size(); ++i) {
    EXPECT_EQ(back[i].code, findings[i].code);
    EXPECT_EQ(back[i].severity, findings[i].severity);
    EXPECT_EQ(back[i].sentence, findings[i].sentence);
    EXPECT_EQ(back[i].cure, findings[i].cure);
    EXPECT_NEAR(back[i].since, findings[i].since, 1);
  }
  EXPECT_TRUE(FindingsOf(nlohmann::ordered_json::parse(R"({"health": [{"code": "of another version"}, 7]})")).empty());
  EXPECT_TRUE(FindingsOf(nlohmann::ordered_json::object()).empty());
}

}  // namespace
}  // namespace contimg::ops
