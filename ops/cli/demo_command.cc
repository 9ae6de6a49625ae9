// `contimg demo`: the whole pipeline on a simulated drift scan, in a folder of its own. The correlator is simulated,
// with corrupted gains and interference; the daemon is the real one. What it makes is compared with what was simulated.
#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "calibrate/sky_model.h"
#include "config/error.h"
#include "config/product_paths.h"
#include "config/robust_statistics.h"
#include "config/stopwatch.h"
#include "config/text.h"
#include "config/units.h"
#include "image/plane/sky_coordinates.h"
#include "image/products/fits_image.h"
#include "image/quality/image_quality.h"
#include "ops/base/child_process.h"
#include "ops/base/shell_word.h"
#include "ops/base/words.h"
#include "ops/cli/commands.h"
#include "ops/cli/demo_light_curve.h"
#include "ops/cli/demo_mosaic.h"
#include "ops/cli/program_options.h"
#include "ops/cli/setting_options.h"
#include "ops/cli/stage_table.h"
#include "ops/job/job.h"
#include "state/group_store.h"
#include "state/product_store.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;

struct DemoArgs {
  std::string folder = "contimg-demo";
  int tiles = 4;
  bool full = false, keep = false;
};

// A program of ours with its messages in a file; throws Error{kBug} quoting the file's end when it fails.
class Step {
 public:
  Step(std::vector<std::string> arguments, fs::path log) : name_(arguments[1]), log_(std::move(log)) {
    ChildOptions options;
    options.arguments = std::move(arguments);
    options.error_file = log_;
    child_ = StartChild(options);
    close_output_ = child_.output;
  }
  ~Step() {
    if (running_) {
      SignalGroup(child_.pid, SIGTERM);
      for (int i = 0; i < 100 && !TryWait(child_.pid); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    if (close_output_ >= 0) ::close(close_output_);
  }
  Step(const Step&) = delete;
  Step& operator=(const Step&) = delete;

  bool Running() {
    Drain();
    if (running_) end_ = TryWait(child_.pid);
    running_ = running_ && !end_;
    return running_;
  }
  void Finish() {
    while (Running()) std::this_thread::sleep_for(std::chrono::milliseconds(50));
    if (end_->exit_status != 0 || end_->signal != 0) Fail();
  }
  [[noreturn]] void Fail() const {
    std::ifstream file(log_);
    std::string line, last;
    while (std::getline(file, line)) last = line;
    throw Error(ErrorKind::kIo, "demo", name_, fmt::format("failed: {} (all of it in {})", last, log_.string()));
  }

 private:
  // Standard output is not needed, but a full pipe would stop the child.
  void Drain() {
    char buffer[4096];
    while (::read(child_.output, buffer, sizeof buffer) > 0) {
    }
  }

  std::string name_;
  fs::path log_;
  Child child_;
  int close_output_ = -1;
  bool running_ = true;
  std::optional<ChildEnd> end_;
};

// Where the scan begins: 3C286 crosses the meridian in the first tile and calibrates the others.
constexpr const char* kCalibrator = "3C286";
constexpr double kSmallestJy = 0.02, kLargestJy = 0.8;

// The sky of the scan: sources of random places and fluxes about the tiles' path, 3C286 among them, in sky.csv for the
// simulator. The same with the mean of the variable in catalogue.csv is what the pipeline may know.
std::size_t WriteSky(const fs::path& folder, const calibrate::FluxStandard& calibrator, const DemoVariable& variable,
                     int tiles) {
  std::mt19937_64 random(20251013);
  const auto uniform = [&] { return static_cast<double>(random() >> 11) * 0x1p-53; };
  const auto flux = [&](double ghz) {
    double log_flux = 0, power = 1;
    for (const double a : calibrator.coefficients) log_flux += a * power, power *= std::log10(ghz);
    return std::pow(10.0, log_flux);
  };
  std::ofstream file(folder / "sky.csv");
  file << "name,ra_deg,dec_deg,flux_jy,spectral_index\n";
  const double alpha = std::log(flux(1.498) / flux(1.311)) / std::log(1.498 / 1.311);
  file << fmt::format("{},{:.6f},{:.6f},{:.5f},{:.4f}\n", kCalibrator, calibrator.ra_deg, calibrator.dec_deg, flux(1.4),
                      alpha);
  const double width_deg = 5 + 1.3 * tiles, height_deg = 5;
  // About 15 sources a square degree above 20 mJy; counts fall with the power 0.9 of the flux.
  const auto n = static_cast<std::size_t>(15 * width_deg * height_deg);
  for (std::size_t i = 0; i < n; ++i) {
    const double dec = calibrator.dec_deg + (uniform() - 0.5) * height_deg;
    const double ra =
        calibrator.ra_deg + (uniform() * width_deg - 2.5) / std::cos(Angle::Degrees(calibrator.dec_deg).rad());
    const double jy = std::min(kLargestJy, kSmallestJy * std::pow(1 - uniform(), -1 / 0.9));
    file << fmt::format("demo{},{:.6f},{:.6f},{:.5f},-0.7\n", i, ra, dec, jy);
  }
  file.close();
  fs::copy_file(folder / "sky.csv", folder / "catalogue.csv");
  std::ofstream(folder / "catalogue.csv", std::ios::app) << variable.CatalogueLine() << "\n";
  return n + 2;
}

struct TileResult {
  std::string group, state, tables;
  std::size_t n_sources = 0;      // simulated ones bright enough to be compared
  std::size_t n_found = 0;        // of these, with a peak above five times the noise at their place
  double median_ratio = 0;        // measured / (simulated × beam × smearing)
  double median_offset_beam = 0;  // of positions, in beams
  double rms_jy = 0, over_thermal = 0;
  std::map<std::string, double> seconds;  // per stage
  double wait_s = 0;                      // from the first file to the record
  fs::path picture;
};

// Peaks of the restored image near the simulated sources above 20 times the noise, against truth.
void Compare(const fs::path& truth_file, const fs::path& prefix, TileResult& tile) {
  const nlohmann::json truth = nlohmann::json::parse(std::ifstream(truth_file));
  const image::FitsImage picture = image::ReadFitsImage(prefix.string() + "." + ProductSuffix(ProductKind::kImage));
  const image::FitsImage smear = image::ReadFitsImage(prefix.string() + "." + ProductSuffix(ProductKind::kSmear));
  const image::FitsImage pb = image::ReadFitsImage(prefix.string() + "." + ProductSuffix(ProductKind::kPb));
  const image::ImageGeometry& geometry = picture.header.geometry;
  const image::GaussianBeam beam = picture.header.beam.value();
  const double beam_px = std::sqrt(beam.major_rad * beam.minor_rad) / geometry.cell_rad;
  const auto nx = static_cast<std::ptrdiff_t>(geometry.nx), ny = static_cast<std::ptrdiff_t>(geometry.ny);
  std::vector<double> ratios, offsets;
  for (std::size_t i = 0; i < truth.at("sources").size(); ++i) {
    const double apparent = truth.at("apparent_jy")[i];
    if (apparent < 20 * tile.rms_jy) continue;
    ++tile.n_sources;
    const auto cosines = image::CosinesOfDirection(
        picture.header.centre, {Angle::Degrees(truth["sources"][i][0]), Angle::Degrees(truth["sources"][i][1])});
    if (!cosines) {
      --tile.n_sources;
      continue;
    }
    const image::PixelPosition at = image::DirectionToPixel(geometry, cosines->l, cosines->m);
    const std::ptrdiff_t x0 = std::lround(at.x), y0 = std::lround(at.y);
    const auto reach = static_cast<std::ptrdiff_t>(std::ceil(beam_px / 2));
    if (x0 < reach + 1 || y0 < reach + 1 || x0 + reach + 1 >= nx || y0 + reach + 1 >= ny) {
      --tile.n_sources;  // outside the image
      continue;
    }
    const image::CatalogueMatch found = image::FindPeak(
        {picture.pixels.data(), {static_cast<std::size_t>(ny), static_cast<std::size_t>(nx)}}, at, beam_px / 2);
    const double peak = found.measured_jy;
    // The flux at the frequency of the image.
    const double flux = truth["sources"][i][2].get<double>() *
                        std::pow(picture.header.frequency_hz / 1.4e9, truth["sources"][i][3].get<double>());
    const auto place = static_cast<std::size_t>(y0 * nx + x0);
    const double expected = flux * static_cast<double>(pb.pixels[place]) * static_cast<double>(smear.pixels[place]);
    if (peak > 5 * tile.rms_jy) ++tile.n_found;
    ratios.push_back(peak / expected);
    offsets.push_back(std::hypot(found.x - at.x, found.y - at.y) / beam_px);
  }
  tile.median_ratio = Median(ratios, std::nan(""));
  tile.median_offset_beam = Median(offsets, std::nan(""));
}

// Waits until every group has come to an end; prints a line when the picture changes.
void WaitForGroups(const fs::path& database, std::size_t expected, double limit_s, Step& daemon, Step& simulator) {
  const Stopwatch watch;
  std::string shown;
  for (;;) {
    if (!daemon.Running()) daemon.Fail();
    if (!simulator.Running()) simulator.Finish();  // throws unless it did all its work
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    if (!fs::exists(database)) continue;
    state::GroupStore store(database);
    std::size_t done = 0, known = 0;
    std::string line, dead;
    for (const auto& group : store.List({{}, "", "", {}, 0, 0, false})) {
      ++known;
      done += group.state == state::GroupState::kDone ? 1 : 0;
      if (group.state == state::GroupState::kDead) dead = group.id + ": " + group.error;
      if (group.state == state::GroupState::kRunning) line += fmt::format("; {} {}", group.id, group.stage);
    }
    line = fmt::format("   {} of {} tiles known, {} done{}", known, expected, done, line);
    if (line != shown) fmt::print("{}\n", line);
    std::fflush(stdout);
    shown = line;
    if (!dead.empty()) throw Error(ErrorKind::kBug, "demo", database.string(), "a tile was given up: " + dead);
    if (done == expected) return;
    if (watch.Seconds() > limit_s) {
      throw Error(ErrorKind::kTimeout, "demo", database.string(),
                  fmt::format("{} of {} tiles are not done after {:.0f} s; see `contimg queue list` and daemon.log",
                              expected - done, expected, limit_s));
    }
  }
}

// What the databases say about a tile.
void ReadRecords(const ProductPaths& paths, TileResult& tile) {
  state::GroupStore groups(paths.Database(StateDatabase::kIngest));
  if (const auto row = groups.Find(tile.group)) {
    tile.state = state::ToString(row->state);
    tile.wait_s = row->finished_at - row->first_file_at;
  }
  state::ProductStore products(paths.Database(StateDatabase::kProducts));
  const auto jobs = products.JobsOf(tile.group);
  if (jobs.empty()) return;
  const auto report = ParseJobReport(nlohmann::json::parse(jobs.front().report_json), tile.group);
  for (const auto& job : jobs) {  // a tile that waited for its calibration took two
    const nlohmann::json timings = nlohmann::json::parse(job.timings_json);
    for (const auto& [stage, figures] : timings.items()) {
      tile.seconds[stage] += figures.value("seconds", 0.0);
    }
  }
  for (const fs::path& table : report.applied) {
    const auto name = ParseProductName(table);
    if (name) tile.tables += std::string(ToString(name->cal_kind)) + " ";
  }
  if (!report.calibration.empty()) tile.tables += "(own)";
  if (report.quality.contains("quality")) {
    tile.rms_jy = report.quality["quality"].value("rms_jy", 0.0);
    tile.over_thermal = report.quality["quality"].value("rms_over_thermal", 0.0);
  }
}

// A port that is free now: the first choice when it is.
int FreePort(int wanted) {
  for (const int port : {wanted, 0}) {
    const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    const int on = 1;
    ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    socklen_t size = sizeof address;
    const bool bound = ::bind(socket, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
                       ::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size) == 0;
    ::close(socket);
    if (bound) return ntohs(address.sin_port);
  }
  return wanted;
}

// The daemon of an earlier `demo --keep` in this folder.
void StopKeptDaemon(const fs::path& pid_file) {
  pid_t pid = 0;
  if (!(std::ifstream(pid_file) >> pid) || pid <= 1) return;
  std::error_code gone;
  const fs::path program = fs::read_symlink(fmt::format("/proc/{}/exe", pid), gone);
  if (gone || program.filename().string().rfind("contimg-stream", 0) != 0) return;
  ::kill(pid, SIGTERM);
  for (int i = 0; i < 300 && ::kill(pid, 0) == 0; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(100));
}

// The daemon once more, as a process that outlives this one.
void LeaveDaemon(const fs::path& program, const fs::path& folder) {
  const pid_t child = ::fork();
  if (child < 0) throw SystemError("demo", program.string(), "cannot start", errno);
  if (child == 0) {
    ::setsid();
    const int log = ::open((folder / "daemon.log").c_str(), O_WRONLY | O_APPEND | O_CREAT, 0640);
    const int nothing = ::open("/dev/null", O_RDONLY);
    if (log < 0 || nothing < 0) ::_exit(127);
    ::dup2(nothing, 0);
    ::dup2(log, 1);
    ::dup2(log, 2);
    ::execl(program.c_str(), program.c_str(), nullptr);
    ::_exit(127);
  }
  std::ofstream(folder / "daemon.pid") << child << "\n";
  fmt::print("the daemon goes on as process {}; `kill {}` stops it\n", child, child);
}

// No line is longer than a narrow terminal.
void PrintResults(const std::vector<TileResult>& tiles) {
  fmt::print("\n{:<20} {:<14} {:>9} {:>7} {:>8} {:>8} {:>9}\n", "tile", "tables", "found", "flux", "offset", "rms",
             "rms over");
  fmt::print("{:<20} {:<14} {:>9} {:>7} {:>8} {:>8} {:>9}\n", "", "", "sources", "ratio", "(beam)", "(mJy)", "thermal");
  for (const TileResult& tile : tiles) {
    fmt::print("{:<20} {:<14} {:>9} {:>7.4f} {:>8.4f} {:>8.3f} {:>9.2f}\n", tile.group, tile.tables,
               fmt::format("{}/{}", tile.n_found, tile.n_sources), tile.median_ratio, tile.median_offset_beam,
               tile.rms_jy * 1e3, tile.over_thermal);
  }
  std::vector<StageSeconds> seconds;
  for (const TileResult& tile : tiles) seconds.push_back({tile.group, tile.seconds});
  fmt::print("\n{}", StageTable(seconds));
}

// An empty folder, where an earlier demo may have stood.
void PrepareFolder(const fs::path& folder) {
  const fs::path mark = folder / ".contimg-demo";
  if (fs::exists(folder) && !fs::is_empty(folder) && !fs::exists(mark)) {
    throw Error(ErrorKind::kUsage, "demo", folder.string(),
                "is not empty and not of an earlier demo; name another --dir");
  }
  StopKeptDaemon(folder / "daemon.pid");
  fs::remove_all(folder);
  fs::create_directories(folder / "sky");
  std::ofstream(mark) << "made by contimg demo; removed by its next run\n";
  for (const char* name : {"scratch", "state"}) fs::create_directories(folder / name);
}

// Settings of the demonstration, for this process, its children, and people who go on by hand.
void SetEnvironment(const fs::path& folder, int port, bool full) {
  const std::vector<std::pair<std::string, std::string>> environment = {
      {"CONTIMG_SCRATCH_DIR", folder / "scratch"},
      {"CONTIMG_STATE_DIR", folder / "state"},
      {"CONTIMG_HTTP_LISTEN", fmt::format("127.0.0.1:{}", port)},
      {"CONTIMG_INGEST_STABLE_S", "1"},
      {"CONTIMG_QUEUE_ORDER", "oldest"},
      // A demonstration machine has small disks: only the relative watermark counts.
      {"CONTIMG_DISK_CRITICAL_USED_FRACTION", "0.99"},
      // Fewer antennas see less far; their image is smaller.
      {"CONTIMG_IMAGE_SIZE", full ? "4800" : "2048"},
      {"CONTIMG_IMAGE_CELL_ARCSEC", full ? "3" : "5"},
  };
  for (const auto& [name, value] : environment) ::setenv(name.c_str(), value.c_str(), 1);
  {
    std::ofstream file(folder / "environment");
    for (const auto& [name, value] : environment) file << "export " << name << "=" << ShellWord(value) << "\n";
  }
}

std::vector<std::string> SimulateWords(const DemoArgs& args, const fs::path& self, const fs::path& folder,
                                       const fs::path& incoming, const calibrate::FluxStandard& calibrator,
                                       const DemoVariable& variable) {
  std::vector<std::string> simulate{self.string(), "simulate",
                                    "--out",       incoming.string(),
                                    "--truth",     (folder / "sky").string(),
                                    "--transit",   fmt::format("{:.6f},{:.6f}", calibrator.ra_deg, calibrator.dec_deg),
                                    "--catalog",   (folder / "sky" / "sky.csv").string(),
                                    "--source",    variable.SimulateWord(),
                                    "--gains",     "0.2,180",
                                    "--drift",     "0.02,10",
                                    "--delays",    "5",
                                    "--bandpass",  "0.05",
                                    "--rfi",       "4,3,1",
                                    "--dead",      "1",
                                    "--tiles",     std::to_string(args.tiles)};
  if (!args.full) simulate.insert(simulate.end(), {"--antennas", "40", "--channels", "12"});
  return simulate;
}

// What became of each tile, beside what was simulated.
std::vector<TileResult> ResultsOf(const ProductPaths& paths, const fs::path& truth_folder) {
  std::vector<TileResult> tiles;
  std::vector<fs::path> truths;
  for (const auto& entry : fs::directory_iterator(truth_folder)) {
    if (entry.path().filename().string().rfind("truth_", 0) == 0) truths.push_back(entry.path());
  }
  std::sort(truths.begin(), truths.end());
  for (const fs::path& truth : truths) {
    TileResult tile;
    tile.group = truth.stem().string().substr(std::string("truth_").size());
    ReadRecords(paths, tile);
    tile.picture = paths.QaPicture(tile.group);
    Compare(truth, paths.ImagePrefix(tile.group), tile);
    tiles.push_back(std::move(tile));
  }
  return tiles;
}

void Demo(const DemoArgs& args) {
  const fs::path self = fs::read_symlink("/proc/self/exe"), stream = self.parent_path() / "contimg-stream";
  const fs::path folder = fs::absolute(args.folder);
  PrepareFolder(folder);
  const int port = FreePort(9119);
  SetEnvironment(folder, port, args.full);
  const ProductPaths paths(Roots(CurrentSettings().values));
  const fs::path incoming = folder / "scratch" / "incoming";
  fs::create_directories(incoming);
  const calibrate::FluxStandard& calibrator = *calibrate::FindFluxStandard(kCalibrator);

  const Stopwatch watch;
  fmt::print("contimg demo: {} of five minutes each, in {}\n", Counted(args.tiles, "tile"), folder.string());
  fmt::print("   {}\n", args.keep ? "its daemon and status page stay when it ends (--keep)"
                                  : "its status page goes when it ends; --keep leaves it running");
  const DemoVariable variable({Angle::Degrees(calibrator.ra_deg), Angle::Degrees(calibrator.dec_deg)});
  const std::size_t n_sky = WriteSky(folder / "sky", calibrator, variable, args.tiles);
  fmt::print("1. a sky of {} sources, of which one varies; the pipeline gets a catalogue of it\n", n_sky);
  Step({self.string(), "catalog", "import", "csv", (folder / "sky" / "catalogue.csv").string(), "--name", "nvss"},
       folder / "catalog.log")
      .Finish();
  fmt::print("2. the daemon starts; status page: http://127.0.0.1:{}/\n", port);
  std::optional<Step> daemon;
  daemon.emplace(std::vector<std::string>{stream.string(), "--log-level", "info"}, folder / "daemon.log");

  fmt::print(
      "3. the correlator (simulated) writes 16 files a tile: {} transits in the first; gains of any phase, drifting; "
      "interference\n",
      kCalibrator);
  std::fflush(stdout);
  Step simulator(SimulateWords(args, self, folder, incoming, calibrator, variable), folder / "simulate.log");

  fmt::print("4. the daemon groups, flags, solves, calibrates, images, judges and records\n");
  WaitForGroups(paths.Database(StateDatabase::kIngest), static_cast<std::size_t>(args.tiles),
                (args.full ? 240 : 120) * (args.tiles + 1), *daemon, simulator);
  simulator.Finish();
  const double done_s = watch.Seconds();
  const std::string mosaic = AskForDemoMosaic(paths);
  if (!mosaic.empty()) fmt::print("5. the daemon makes a mosaic of the tiles\n");
  std::fflush(stdout);

  const std::vector<TileResult> tiles = ResultsOf(paths, folder / "sky");
  PrintResults(tiles);
  const auto seen = static_cast<std::size_t>(std::min(args.tiles, DemoVariable::kTiles));
  PrintDemoLightCurve(LightCurveOfDemo(paths, folder / "sky", variable, seen, 10));
  if (!mosaic.empty()) WaitForDemoMosaic(paths, mosaic, args.full ? 600 : 120);
  fmt::print(
      "\nsources: simulated ones above 20 times the noise; flux ratio and offset: medians\nagainst truth × beam × "
      "smearing\n{:.0f} s until all tiles were done, {:.0f} s in all\n",
      done_s, watch.Seconds());
  for (const TileResult& tile : tiles) fmt::print("picture: {}\n", tile.picture.string());
  const std::string exports = ShellWord((folder / "environment").string());
  const std::string contimg = fmt::format("(. {}; {}", exports, ShellWord(self.string()));
  fmt::print("where an image comes from:\n  {} products lineage {})\n", contimg,
             ShellWord(paths.Image(tiles.back().group, ProductKind::kImage).string()));
  if (!mosaic.empty()) PrintDemoMosaic(paths, mosaic, contimg, port);
  if (args.keep) {
    daemon.reset();
    LeaveDaemon(stream, folder);
    fmt::print("status page: http://127.0.0.1:{}/\n", port);
  } else {
    fmt::print(
        "the status page has ended with the daemon; this brings it back at http://127.0.0.1:{}/:\n  (. {}; {})\n", port,
        exports, ShellWord(stream.string()));
  }
}

}  // namespace

void AddDemoCommand(CLI::App& app) {
  auto args = std::make_shared<DemoArgs>();
  CLI::App* command = app.add_subcommand("demo",
                                         "The whole pipeline on a simulated drift scan, in a folder of its own: the "
                                         "daemon calibrates and images every tile, the result is compared with what "
                                         "was simulated");
  command->add_option("--dir", args->folder, "folder to work in; an earlier demo there is replaced")
      ->capture_default_str();
  command->add_option("--tiles", args->tiles, "tiles to simulate, the calibrator's included")
      ->check(Between(1, 100))
      ->capture_default_str();
  command->add_flag("--full", args->full, "tiles of full size (2.2 GB each) instead of small ones");
  command->add_flag("--keep", args->keep, "leave the daemon and its status page running");
  command->callback([args] { Demo(*args); });
}

}  // namespace contimg::ops
