// The calibration of a drift across one bright source, with workers of the test's own: what the tests of the scheduler
// share.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "calibrate/casacore/calibration_table.h"
#include "config/time.h"
#include "config/units.h"
#include "ops/calibration/scheduler.h"
#include "ops/records/registration.h"
#include "ops/worker/measure_table.h"
#include "state/group_store.h"
#include "state/source_store.h"
#include "tests/unit/state/temporary_database.h"

namespace contimg::ops {

class CalibrationSchedulerTest : public ::testing::Test {
 protected:
  static constexpr double kTile = 309.24;  // s
  static inline const UtcTime kStart = UtcTime::FromIso8601("2025-10-13T13:00:00");

  CalibrationSchedulerTest() {
    DirectoryRoots roots;
    roots.scratch = place_.directory() / "scratch";
    roots.state = place_.directory() / "state";
    roots.output = roots.scratch / "ms";
    std::filesystem::create_directories(roots.state);
    paths_ = std::make_unique<ProductPaths>(roots);
    settings_.paths.scratch_dir = roots.scratch.string();
    settings_.paths.state_dir = roots.state.string();
    settings_.calibrate.max_declination_offset_deg = 2.5;
    // A bright source in the beam of every tile of the test, and one on another strip.
    state::SourceStore sources(paths_->Database(StateDatabase::kMasterSources));
    state::SourceRow row;
    row.catalogue = "nvss";
    row.name = "bright";
    row.ra_deg = 200;
    row.dec_deg = 16;
    row.flux_jy = 5;
    sources.Save({row});
    groups_ = std::make_unique<state::GroupStore>(paths_->Database(StateDatabase::kIngest));
    Open();
  }

  // Solutions of six antennas, all 1 with a signal-to-noise ratio of 100.
  static calibrate::SolutionSet Solutions(calibrate::SolutionKind kind, double mid_mjd, double dec_deg,
                                          const std::string& refant) {
    calibrate::SolutionSet s;
    s.kind = kind;
    for (const char* name : {"24", "25", "26", "27", "28", "29"}) {
      const double x = static_cast<double>(s.antennas.size()) * 30;
      s.antennas.push_back({name, {-2409000 + x, -4478000, 3838000}, 4.65});
    }
    s.windows.push_back({{1.400e9, 1.401e9, 1.402e9, 1.403e9}, 1e6, 1.4015e9});
    s.intervals.push_back({mid_mjd * 86400, kTile});
    s.field_dec_rad = Angle::Degrees(dec_deg).rad();
    s.field_name = "field";
    s.source_ms = "tile.ms";
    for (std::size_t a = 0; a < s.antennas.size(); ++a) {
      if (s.antennas[a].name == refant) s.reference_antenna = static_cast<int>(a);
    }
    s.Allocate();
    for (std::size_t i = 0; i < s.size(); ++i) {
      s.value[i] = 1;
      s.error[i] = 0.01f;
      s.snr[i] = 100;
      s.flag[i] = calibrate::kSolved;
    }
    if (kind == calibrate::SolutionKind::kBandpass) s.normalisation.assign(s.antennas.size() * s.n_receptors, 1);
    return s;
  }

  static TableFacts Measured(const std::filesystem::path& path) {
    const calibrate::SolutionSet solutions = calibrate::ReadCalibrationTable(path);
    return FactsOf(path, solutions, calibrate::MeasureQuality(solutions, nullptr, 0, 0));
  }

  void Open() {
    scheduler_.reset();
    scheduler_ = std::make_unique<CalibrationScheduler>(*paths_, RealOs(), metrics_, settings_);
  }

  // The n-th tile of the drift as a running group.
  state::GroupRow Group(int n, double dec_deg = 16, int antennas = 60) {
    const UtcTime begin = kStart + n * kTile;
    const std::string id = begin.Iso8601();
    state::GroupRow row;
    row.id = id;
    row.state = state::GroupState::kReady;
    row.subbands_expected = 16;
    groups_->Create(row, "test", now_);
    GroupObservation seen;
    seen.mid_mjd = (begin + kTile / 2).mjd();
    seen.duration_s = kTile;
    seen.ra_deg = 199.5 + 0.01 * n;  // near enough to the source in all of them
    seen.dec_deg = seen.app_dec_deg = dec_deg;
    seen.antennas = antennas;
    seen.dish_m = 4.65;
    seen.baseline_deciles_m = {300, 500, 700, 900, 1100, 1300, 1500, 1700, 1900, 2100, 2600};
    seen.integration_s = kTile / 24;
    seen.channel_width_hz = 244140.625;
    seen.low_hz = 1.311e9;
    seen.high_hz = 1.4986e9;
    seen.subbands = 16;
    scheduler_->Observed(id, seen);
    return Take(id);
  }
  std::vector<HealthFinding> Health() {
    HealthFacts facts;
    facts.now = now_;
    facts.calibration = scheduler_->Facts();
    return JudgeHealth(facts);
  }
  state::GroupRow Take(const std::string& id) { return groups_->Acquire(id, "test", 100, now_).value(); }

  Job Plan(const state::GroupRow& row, bool flagged = false) {
    Job job;
    job.group = row.id;
    job.measurement_set = paths_->ScienceMs(row.id);
    const std::filesystem::path folder = paths_->Jobs(row.id);
    std::filesystem::create_directories(folder);
    scheduler_->PlanJob(row, flagged, folder, job, now_);
    std::ofstream(JobFile(folder)) << ToJson(job);
    return job;
  }

  // What a worker would report after the job's solve.
  JobReport Solve(const Job& job, bool accepted = true, const std::string& refant = "24") {
    JobReport report;
    report.group = job.group;
    report.ok = true;
    const double mid = (UtcTime::FromIso8601(job.group) + kTile / 2).mjd();
    std::filesystem::create_directories(job.solve->prefix.parent_path());
    for (const std::string& kind : job.solve->kinds) {
      JobCalibration made;
      made.kind = kind;
      made.path = job.solve->prefix.string() + (kind == "K" ? ".kcal" : kind == "BP" ? ".bpcal" : ".gpcal");
      made.interval = job.solve->interval;
      made.model = job.solve->model;
      made.reference_antenna = refant;
      made.accepted = accepted || kind != "G";
      if (!made.accepted) made.failures = {"median SNR is 3.0, the limit is 10.0"};
      calibrate::WriteCalibrationTable(Solutions(KindOf(kind), mid, 16, refant), made.path);
      made.table = Measured(made.path);
      report.calibration.push_back(made);
      if (accepted) report.applied.push_back(made.path);
    }
    if (accepted) {
      for (const JobTable& table : job.solve->apply) report.applied.push_back(table.path);
    } else {
      for (const JobTable& table : job.tables) report.applied.push_back(table.path);
      if (job.tables.empty()) report.next_state = "awaiting_calibration";
    }
    return report;
  }

  void Finish(const state::GroupRow& row, const JobReport& report) {
    const auto error = scheduler_->Record(row, report, now_);
    ASSERT_FALSE(error) << error->what();
    state::TransitionDetails details;
    details.actor = "test";
    groups_->Transition(row.id, state::ParseGroupState(report.next_state), details, now_);
  }

  // A group that waits, as a job without tables leaves it.
  std::string Waiting(int n, double dec_deg = 16) {
    const auto row = Group(n, dec_deg, 3);  // three antennas: no solve on it
    const Job job = Plan(row);
    EXPECT_FALSE(job.solve);
    JobReport report;
    report.group = row.id;
    report.ok = true;
    report.next_state = "awaiting_calibration";
    Finish(row, report);
    return row.id;
  }

  // The groups that Tick lets go, with the words for them.
  std::map<std::string, CalibrationScheduler::Release> Released() {
    std::map<std::string, CalibrationScheduler::Release> out;
    for (int i = 0; i < 100; ++i) {
      scheduler_->Tick(*groups_, now_, [&](const auto& release) { out[release.group] = release; });
    }
    return out;
  }

  state::TemporaryDatabase place_;
  std::unique_ptr<ProductPaths> paths_;
  Settings settings_;
  Metrics metrics_;
  std::unique_ptr<state::GroupStore> groups_;
  std::unique_ptr<CalibrationScheduler> scheduler_;
  double now_ = 1.76e9;
};

}  // namespace contimg::ops
