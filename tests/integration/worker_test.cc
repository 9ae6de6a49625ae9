// The stages of a job on a small simulated tile: a calibrator with corrupted gains, from the correlator's files to an
// image; in one worker, and in two with the Measurement Set between them.
#include "ops/worker/worker.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "calibrate/casacore/calibration_table.h"
#include "config/os.h"
#include "config/product_paths.h"
#include "convert/measurement_set_reader.h"
#include "image/products/fits_image.h"
#include "ops/cli/compare_products.h"
#include "ops/job/job.h"
#include "tests/faulty_os.h"
#include "tests/integration/python_peer.h"
#include "tests/simulator/simulate.h"
#include "tests/temporary_folder.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;

constexpr double kFluxJy = 8;

class WorkerTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    input_folder_.emplace("worker-input");
    input_ = input_folder_->path();
    const simulator::ArrayConfig array = simulator::Dsa110Array(14);
    simulator::GroupSpec spec;
    spec.out_dir = input_;
    spec.n_integrations = 8;
    spec.n_channels = 12;
    spec.n_subbands = 2;
    spec.write_truth = false;
    const SkyDirection centre = simulator::FieldCentre(array, spec);
    simulator::Corruptions corruptions;
    corruptions.sefd_jy = 6500;
    corruptions.gain_amplitude = 0.2;
    corruptions.gain_phase_deg = 180;
    corruptions.delay_ns = 5;
    const simulator::GroupResult group = simulator::SimulateGroup({{{centre, kFluxJy, 0.0}}}, array, corruptions, spec);
    group_ = group.stamp;
    files_.clear();
    for (const auto& file : group.files) files_.push_back(file.path);
    std::ofstream(input_ / "sky.csv") << "name,ra_deg,dec_deg,flux_jy,spectral_index\n"
                                      << "cal," << std::to_string(centre.ra.deg()) << ","
                                      << std::to_string(centre.dec.deg()) << "," << kFluxJy << ",0\n";
  }
  static void TearDownTestSuite() { input_folder_.reset(); }

  Job MakeJob(std::vector<std::string> stages, const std::string& place = "a") const {
    Job job;
    job.group = group_;
    job.stages = std::move(stages);
    job.inputs = files_;
    job.expected_subbands = 2;
    job.threads = 2;
    const fs::path root = root_ / place;
    job.measurement_set = root / "ms" / (group_ + ".ms");
    job.staging_root = root / "staging";
    job.fallback_root = root / "fallback";
    job.image_prefix = root / "images" / group_;
    job.qa_prefix = root / "qa" / group_;
    job.sky_model = input_ / "sky.csv";
    job.take_existing = true;
    job.settings.image.size = 256;
    job.settings.image.cell_arcsec = 12;
    job.settings.image.min_uv_lambda = 0;
    job.settings.image.max_iterations = 500;
    job.settings.convert.durable = false;
    return job;
  }
  void AskToSolve(Job& job, const std::string& place = "a") const {
    JobSolve solve;
    solve.kinds = {"K", "BP", "G"};
    solve.model = "calibrator:cal";
    solve.interval = "24h";
    solve.prefix = root_ / place / "cal" / (group_ + "_24h");
    job.solve = solve;
  }
  static JobReport Run(const Job& job, Os* os = nullptr) {
    RunContext context;
    context.threads = job.threads;
    context.os = os;
    return RunJob(job, context);
  }
  static fs::path ProductOf(const JobReport& report, const std::string& kind) {
    for (const JobProduct& product : report.products) {
      if (ToString(product.kind) == kind) return product.path;
    }
    return {};
  }
  static float Peak(const fs::path& fits) {
    const image::FitsImage image = image::ReadFitsImage(fits);
    return *std::max_element(image.pixels.begin(), image.pixels.end());
  }
  static std::vector<JobTable> TablesOf(const JobReport& report) {
    std::vector<JobTable> tables;
    for (const JobProduct& product : report.products) {
      if (product.kind != ProductKind::kCalTable) continue;
      const std::string extension = product.path.extension();
      tables.push_back({0,
                        extension == ".kcal"    ? "K"
                        : extension == ".bpcal" ? "BP"
                                                : "G",
                        product.path, product.checksum});
    }
    return tables;
  }

  inline static std::optional<TemporaryFolder> input_folder_;
  static fs::path input_;
  static std::string group_;
  static std::vector<fs::path> files_;
  TemporaryFolder folder_{"worker"};
  const fs::path root_ = folder_.path();
};
fs::path WorkerTest::input_;
std::string WorkerTest::group_;
std::vector<fs::path> WorkerTest::files_;

TEST_F(WorkerTest, SolvesCalibratesAndImagesInOneGo) {
  Job job = MakeJob({"convert", "flag", "solve", "apply", "image"});
  AskToSolve(job);
  const JobReport report = Run(job);
  ASSERT_TRUE(report.ok) << report.error_message;
  EXPECT_EQ(report.next_state, "done");
  ASSERT_EQ(report.calibration.size(), 3u);
  for (const JobCalibration& table : report.calibration) {
    EXPECT_TRUE(table.accepted) << table.kind << ": " << (table.failures.empty() ? "" : table.failures.front());
    EXPECT_TRUE(fs::exists(table.path));
  }
  EXPECT_EQ(report.applied.size(), 3u);
  // 8 Jy at the centre of the drifting beam: 1.5 % is lost to the drift, the noise of the image is far below.
  EXPECT_NEAR(Peak(ProductOf(report, "image")), kFluxJy, 0.03 * kFluxJy);
  const auto info = convert::DescribeMeasurementSet(job.measurement_set);
  EXPECT_TRUE(info.has_corrected);
  ASSERT_TRUE(report.observation);
  EXPECT_GT(report.observation->end_mjd, report.observation->start_mjd);
  std::vector<std::string> names;
  for (const StageReport& stage : report.stages) {
    names.push_back(stage.name);
    EXPECT_GT(stage.peak_memory_bytes, 0u);
  }
  EXPECT_EQ(names, (std::vector<std::string>{"convert", "flag", "solve", "apply", "image", "write"}));
  for (const JobProduct& product : report.products) {
    EXPECT_GT(product.bytes, 0u) << product.path;
    EXPECT_EQ(product.checksum.empty(), product.kind == ProductKind::kUvh5) << product.path;
    EXPECT_EQ(product.parents.empty(), product.kind == ProductKind::kUvh5) << product.path;
  }
}

// What the daemon does when tables come late: the image must be the one that a single worker makes.
TEST_F(WorkerTest, GoesOnFromTheMeasurementSetWithTheSameResult) {
  Job solve = MakeJob({"convert", "flag", "solve", "apply", "image"}, "solve");
  AskToSolve(solve, "solve");
  const JobReport solved = Run(solve);
  ASSERT_TRUE(solved.ok) << solved.error_message;

  Job job = MakeJob({"convert", "flag", "apply", "image"});
  const JobReport waiting = Run(job);
  ASSERT_TRUE(waiting.ok) << waiting.error_message;
  EXPECT_EQ(waiting.next_state, "awaiting_calibration");
  EXPECT_TRUE(ProductOf(waiting, "image").empty());
  EXPECT_FALSE(convert::DescribeMeasurementSet(job.measurement_set).has_corrected);
  const JobReport repeated = Run(job);  // killed before its report: the set is taken as it is
  ASSERT_TRUE(repeated.ok) << repeated.error_message;
  EXPECT_EQ(repeated.next_state, "awaiting_calibration");
  EXPECT_EQ(repeated.stages.front().figures.value("taken", false), true);

  job.stages = {"apply", "image"};
  job.tables = TablesOf(solved);
  ASSERT_EQ(job.tables.size(), 3u);
  const JobReport late = Run(job);
  ASSERT_TRUE(late.ok) << late.error_message;
  EXPECT_EQ(late.next_state, "done");
  EXPECT_TRUE(convert::DescribeMeasurementSet(job.measurement_set).has_corrected);
  EXPECT_EQ(CompareProducts(ProductOf(solved, "image"), ProductOf(late, "image")), "");
  EXPECT_EQ(CompareProducts(ProductOf(solved, "image.pbcor"), ProductOf(late, "image.pbcor")), "");
  EXPECT_EQ(CompareProducts(solve.measurement_set, job.measurement_set), "");

  // Once more, as after a kill between Measurement Set and image: the corrected data are taken.
  const JobReport again = Run(job);
  ASSERT_TRUE(again.ok) << again.error_message;
  EXPECT_EQ(again.stages.front().figures.value("taken", false), true);
  EXPECT_EQ(CompareProducts(ProductOf(solved, "image"), ProductOf(again, "image")), "");
  EXPECT_EQ(CompareProducts(solve.measurement_set, job.measurement_set), "");
}

// Reprocessing with better tables: as if the bad ones had never been applied.
TEST_F(WorkerTest, ApplyingAnewForgetsTheApplyBefore) {
  Job solve = MakeJob({"convert", "flag", "solve", "apply"}, "solve");
  AskToSolve(solve, "solve");
  const JobReport solved = Run(solve);
  ASSERT_TRUE(solved.ok) << solved.error_message;
  const std::vector<JobTable> good = TablesOf(solved);

  // Tables of twice the gain in which an antenna has no solution.
  std::vector<JobTable> bad = good;
  calibrate::SolutionSet gain = calibrate::ReadCalibrationTable(good.back().path);
  ASSERT_EQ(gain.kind, calibrate::SolutionKind::kGain);
  for (auto& value : gain.value) value *= 2;
  for (std::size_t t = 0; t < gain.intervals.size(); ++t) {
    for (std::size_t c = 0; c < gain.n_cells(); ++c) {
      for (std::size_t r = 0; r < gain.n_receptors; ++r) gain.flag[gain.Index(t, 3, c, r)] = calibrate::kFlagged;
    }
  }
  bad.back() = {0, "G", root_ / "bad.gpcal", ""};
  calibrate::WriteCalibrationTable(gain, bad.back().path);
  Job job = MakeJob({"convert", "flag", "apply"});
  job.tables = bad;
  const JobReport first = Run(job);
  ASSERT_TRUE(first.ok) << first.error_message;
  EXPECT_GT(first.stages.back().figures.size(), 0u);
  job.stages = {"apply"};
  job.tables = good;
  const JobReport second = Run(job);
  ASSERT_TRUE(second.ok) << second.error_message;
  EXPECT_FALSE(second.stages.front().figures.contains("taken"));

  const auto read = [](const fs::path& ms) { return convert::ReadMeasurementSet(ms, {"CORRECTED_DATA", -1, {}}, {}); };
  const auto fresh = read(solve.measurement_set), again = read(job.measurement_set);
  ASSERT_EQ(fresh->shape(), again->shape());
  EXPECT_TRUE(std::equal(fresh->flag.begin(), fresh->flag.end(), again->flag.begin()));
  EXPECT_TRUE(std::equal(fresh->vis.begin(), fresh->vis.end(), again->vis.begin()));
  double worst = 0;
  for (std::size_t i = 0; i < fresh->weight.size(); ++i) {
    worst = std::max(worst, std::abs(static_cast<double>(again->weight[i]) / fresh->weight[i] - 1));
  }
  EXPECT_LT(worst, 2e-6);
}

// As `contimg apply` does: each kind by its own setting.
TEST_F(WorkerTest, InterpolatesEachKindAsItsSettingSays) {
  Job solve = MakeJob({"convert", "flag", "solve"}, "solve");
  AskToSolve(solve, "solve");
  const JobReport solved = Run(solve);
  ASSERT_TRUE(solved.ok) << solved.error_message;
  Job job = MakeJob({"convert", "flag", "apply"});
  job.tables = TablesOf(solved);
  ASSERT_TRUE(Run(job).ok);
  const auto said = [&](const std::string& line) {
    const auto history = convert::DescribeMeasurementSet(job.measurement_set).history;
    return std::count(history.begin(), history.end(), line);
  };
  const std::string prefix = job.tables.front().path.stem().string();
  EXPECT_EQ(said(fmt::format("BP {}.bpcal applied to DATA, nearest in time", prefix)), 1);
  EXPECT_EQ(said(fmt::format("G {}.gpcal applied to DATA, linear in time", prefix)), 1);
  EXPECT_EQ(said("weights scaled by the gains"), 1);
  // Another way of interpolation is another calibration: the tables are applied anew.
  job.stages = {"apply"};
  job.settings.calibrate.bandpass_interpolation = "linear";
  job.settings.calibrate.gain_interpolation = "nearest";
  const JobReport other = Run(job);
  ASSERT_TRUE(other.ok) << other.error_message;
  EXPECT_FALSE(other.stages.front().figures.contains("taken"));
  EXPECT_EQ(said(fmt::format("BP {}.bpcal applied to DATA, linear in time", prefix)), 1);
  EXPECT_EQ(said(fmt::format("G {}.gpcal applied to DATA, nearest in time", prefix)), 1);
}

template <typename T>
bool SameBits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
}

// The same tables to the last bit; the calibrator is a name that the list alone knows.
TEST_F(WorkerTest, SolvesAsTheCommandDoes) {
  for (const auto& [model, option] : {std::pair{"field", ""}, {"calibrator:cal", " --calibrator cal"}}) {
    SCOPED_TRACE(model);
    Job job = MakeJob({"convert", "flag", "solve"}, model);
    AskToSolve(job, model);
    job.solve->model = model;
    const JobReport report = Run(job);
    ASSERT_TRUE(report.ok) << report.error_message;
    ASSERT_EQ(report.calibration.size(), 3u) << (report.warnings.empty() ? "" : report.warnings.back());
    const fs::path hand = root_ / model / "hand";
    const PeerResult by_hand = RunCommand(fmt::format("{}/contimg solve {} --catalog {}{} --out {}", CONTIMG_BIN_DIR,
                                                      Quoted(job.measurement_set.string()),
                                                      Quoted(job.sky_model.string()), option, Quoted(hand.string())));
    ASSERT_EQ(by_hand.status, 0) << by_hand.output;
    for (const JobCalibration& made : report.calibration) {
      const calibrate::SolutionSet a = calibrate::ReadCalibrationTable(made.path);
      const calibrate::SolutionSet b = calibrate::ReadCalibrationTable(hand.string() + made.path.extension().string());
      EXPECT_TRUE(SameBits(a.value, b.value)) << made.kind;
      EXPECT_TRUE(SameBits(a.error, b.error)) << made.kind;
      EXPECT_TRUE(SameBits(a.snr, b.snr)) << made.kind;
      EXPECT_EQ(a.flag, b.flag) << made.kind;
    }
  }
}

// What `contimg solve --calmode p --maxuv …` does by hand.
TEST_F(WorkerTest, SolvesPhasesAloneOnShortBaselinesWhenItsSettingsSaySo) {
  Job job = MakeJob({"convert", "flag", "solve"});
  AskToSolve(job);
  job.settings.calibrate.gain_mode = "p";
  job.settings.calibrate.max_uv_lambda = 2000;
  const JobReport report = Run(job);
  ASSERT_TRUE(report.ok) << report.error_message;
  ASSERT_EQ(report.calibration.size(), 3u);
  const calibrate::SolutionSet gain = calibrate::ReadCalibrationTable(report.calibration.back().path);
  ASSERT_EQ(gain.kind, calibrate::SolutionKind::kGain);
  std::size_t usable = 0;
  for (std::size_t i = 0; i < gain.size(); ++i) {
    if (!gain.usable(i)) continue;
    ++usable;
    EXPECT_NEAR(std::abs(gain.value[i]), 1, 1e-5);
  }
  EXPECT_GT(usable, 0u);
  const auto& history = gain.history;
  EXPECT_TRUE(std::any_of(history.begin(), history.end(), [](const std::string& line) {
    return line.find(" to 2000 wavelengths") != std::string::npos;
  })) << ::testing::PrintToString(history);
}

TEST_F(WorkerTest, FallsBackToOlderTablesWhenItsSolutionIsRefused) {
  Job solve = MakeJob({"convert", "flag", "solve", "apply", "image"}, "solve");
  AskToSolve(solve, "solve");
  const JobReport solved = Run(solve);
  ASSERT_TRUE(solved.ok) << solved.error_message;

  Job job = MakeJob({"convert", "flag", "solve", "apply"});
  AskToSolve(job);
  job.tables = TablesOf(solved);
  job.settings.calibrate.min_snr = 900;  // of single channels: nothing reaches it
  const JobReport report = Run(job);
  ASSERT_TRUE(report.ok) << report.error_message;
  EXPECT_EQ(report.next_state, "done");
  ASSERT_FALSE(report.calibration.empty());
  EXPECT_TRUE(std::any_of(report.calibration.begin(), report.calibration.end(),
                          [](const JobCalibration& c) { return !c.accepted && !c.failures.empty(); }));
  ASSERT_EQ(report.applied.size(), 3u);
  EXPECT_EQ(report.applied.front(), job.tables.front().path);

  Job limited = MakeJob({"convert", "flag", "solve", "apply"}, "limited");
  AskToSolve(limited, "limited");
  limited.tables = job.tables;
  limited.settings.calibrate.max_uv_lambda = 1;  // leaves no baseline
  const JobReport served = Run(limited);
  ASSERT_TRUE(served.ok) << served.error_message;
  EXPECT_EQ(served.next_state, "done");
  EXPECT_NE(served.calibration.front().failures.front().find("leave 0 of"), std::string::npos);

  job.tables.clear();
  job.replace_existing = true;
  EXPECT_EQ(Run(job).next_state, "awaiting_calibration");
}

TEST_F(WorkerTest, RefusesATableThatWasChanged) {
  Job solve = MakeJob({"convert", "flag", "solve", "apply"}, "solve");
  AskToSolve(solve, "solve");
  const JobReport solved = Run(solve);
  ASSERT_TRUE(solved.ok) << solved.error_message;
  Job job = MakeJob({"convert", "flag", "apply", "image"});
  job.tables = TablesOf(solved);
  job.tables.back().checksum = "0123456789abcdef";
  const JobReport report = Run(job);
  EXPECT_FALSE(report.ok);
  // Not the group's fault: the next attempt is given another table.
  EXPECT_EQ(report.error_kind, ErrorKind::kIo);
  EXPECT_NE(report.error_message.find("checksum"), std::string::npos);
  EXPECT_FALSE(fs::exists(job.measurement_set));
  EXPECT_TRUE(!fs::exists(job.image_prefix.parent_path()) || fs::is_empty(job.image_prefix.parent_path()));
}

TEST_F(WorkerTest, ImagesUncalibratedDataWhenAskedTo) {
  const Job job = MakeJob({"convert", "flag", "image"});
  const JobReport report = Run(job);
  ASSERT_TRUE(report.ok) << report.error_message;
  EXPECT_EQ(report.next_state, "done");
  EXPECT_TRUE(report.applied.empty());
  EXPECT_FALSE(ProductOf(report, "image").empty());
  Job without = MakeJob({"convert", "flag", "image"}, "b");
  without.settings.image.enabled = false;
  const JobReport none = Run(without);
  ASSERT_TRUE(none.ok) << none.error_message;
  EXPECT_TRUE(ProductOf(none, "image").empty());
  EXPECT_FALSE(fs::exists(without.image_prefix.parent_path()));
}

TEST_F(WorkerTest, BandsAndSpectraAreReportedAsWhatTheyAre) {
  Job job = MakeJob({"convert", "flag", "image"});
  job.settings.image.spectral_channels = 2;
  job.settings.image.compress = true;
  const JobReport report = Run(job);
  ASSERT_TRUE(report.ok) << report.error_message;
  std::map<ProductKind, int> count;
  for (const JobProduct& product : report.products) {
    ++count[product.kind];
    if (!IsImage(product.kind)) continue;
    EXPECT_EQ(ParseProductName(product.path)->kind, product.kind) << product.path;
  }
  EXPECT_EQ(count[ProductKind::kImage], 1);
  EXPECT_EQ(count[ProductKind::kBand], 2);
  EXPECT_EQ(count[ProductKind::kAlpha], 1);
  EXPECT_EQ(count[ProductKind::kAlphaError], 1);
  for (const JobProduct& product : report.products) {
    if (product.kind != ProductKind::kQaPicture && product.kind != ProductKind::kQaMetrics) continue;
    EXPECT_EQ(product.parents, std::vector<fs::path>{ProductOf(report, "image")}) << product.path;
  }
}

// Killed at calls all over the job: what the next attempt makes is what an undisturbed one makes.
TEST_F(WorkerTest, AKilledJobIsMadeAnewWithTheSameResult) {
  Job solve = MakeJob({"convert", "flag", "solve", "apply", "image"}, "solve");
  AskToSolve(solve, "solve");
  const JobReport solved = Run(solve);
  ASSERT_TRUE(solved.ok) << solved.error_message;
  Job job = MakeJob({"convert", "flag", "apply", "image"});
  job.tables = TablesOf(solved);
  testkit::FaultyOs counting;
  ASSERT_TRUE(Run(job, &counting).ok);
  fs::remove_all(root_ / "a");
  const int calls = counting.n_calls();
  ASSERT_GT(calls, 20);
  int killed = 0;
  for (int at = 1; at <= calls; at += std::max(1, calls / 9)) {
    SCOPED_TRACE("call " + std::to_string(at));
    const pid_t child = ::fork();
    if (child == 0) {
      testkit::FaultyOs os(testkit::FaultyOs::Fault::kKillAfter, at);
      ::_exit(Run(job, &os).ok ? 0 : 1);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    killed += WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL ? 1 : 0;
    const JobReport report = Run(job);
    ASSERT_TRUE(report.ok) << report.error_message;
    EXPECT_EQ(CompareProducts(ProductOf(solved, "image"), ProductOf(report, "image")), "");
    EXPECT_EQ(CompareProducts(solve.measurement_set, job.measurement_set), "");
    EXPECT_EQ(std::distance(fs::directory_iterator(job.measurement_set.parent_path()), fs::directory_iterator()), 1);
    fs::remove_all(root_ / "a");
  }
  EXPECT_GT(killed, 5);
}

}  // namespace
}  // namespace contimg::ops
