// `contimg demo`: the pipeline on a simulated drift scan, in a folder of its own. The real daemon takes the files in
// and converts them; then every tile is imaged and its sources are compared with what was simulated.
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "config/error.h"
#include "config/product_paths.h"
#include "config/units.h"
#include "image/fits_image.h"
#include "image/sky_coordinates.h"
#include "ops/cli/commands.h"
#include "ops/cli/program_options.h"
#include "ops/daemon/child_process.h"
#include "state/group_store.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

struct DemoArgs {
  std::string folder = "contimg-demo";
  int tiles = 3;
  bool full = false;
};

double SecondsSince(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

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

struct TileResult {
  std::string group;
  std::size_t n_sources = 0;      // simulated ones bright enough to be compared
  double median_ratio = 0;        // measured / (simulated × beam × smearing)
  double median_offset_beam = 0;  // of positions, in beams
  double rms_jy = 0;
  double image_s = 0;
  fs::path picture;
};

double Median(std::vector<double> values) {
  if (values.empty()) return NAN;
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

// Peaks of the restored image near the simulated sources above 20 times the noise, against truth.
void Compare(const fs::path& truth_file, const fs::path& prefix, TileResult& tile) {
  const nlohmann::json metrics = nlohmann::json::parse(std::ifstream(prefix.string() + ".metrics.json"));
  const nlohmann::json truth = nlohmann::json::parse(std::ifstream(truth_file));
  const image::FitsImage picture = image::ReadFitsImage(prefix.string() + ".image.fits");
  const image::FitsImage smear = image::ReadFitsImage(prefix.string() + ".smear.fits");
  tile.rms_jy = metrics.at("quality").at("rms_jy");
  const image::ImageGeometry& geometry = picture.header.geometry;
  const image::GaussianBeam beam = picture.header.beam.value();
  const double beam_px = std::sqrt(beam.major_rad * beam.minor_rad) / geometry.cell_rad;
  const auto nx = static_cast<std::ptrdiff_t>(geometry.nx), ny = static_cast<std::ptrdiff_t>(geometry.ny);
  std::vector<double> ratios, offsets;
  for (std::size_t i = 0; i < truth.at("sources").size(); ++i) {
    const double apparent = truth.at("apparent_jy")[i];
    if (apparent < 20 * tile.rms_jy) continue;
    const auto cosines = image::CosinesOfDirection(
        picture.header.centre, {Angle::Degrees(truth["sources"][i][0]), Angle::Degrees(truth["sources"][i][1])});
    if (!cosines) continue;
    const image::PixelPosition at = image::DirectionToPixel(geometry, cosines->l, cosines->m);
    const std::ptrdiff_t x0 = std::lround(at.x), y0 = std::lround(at.y);
    const auto reach = static_cast<std::ptrdiff_t>(std::ceil(beam_px / 2));
    if (x0 < reach + 1 || y0 < reach + 1 || x0 + reach + 1 >= nx || y0 + reach + 1 >= ny) continue;
    std::ptrdiff_t bx = x0, by = y0;
    const auto pixel = [&](std::ptrdiff_t x, std::ptrdiff_t y) {
      return static_cast<double>(picture.pixels[static_cast<std::size_t>(y * nx + x)]);
    };
    for (std::ptrdiff_t y = y0 - reach; y <= y0 + reach; ++y) {
      for (std::ptrdiff_t x = x0 - reach; x <= x0 + reach; ++x) {
        if (pixel(x, y) > pixel(bx, by)) bx = x, by = y;
      }
    }
    // A parabola through the peak and its neighbours on each axis.
    const auto top = [&](double a, double b, double c) { return (a - c) / (2 * (a - 2 * b + c)); };
    const double dx = top(pixel(bx - 1, by), pixel(bx, by), pixel(bx + 1, by));
    const double dy = top(pixel(bx, by - 1), pixel(bx, by), pixel(bx, by + 1));
    const double peak = pixel(bx, by) - 0.25 * ((pixel(bx - 1, by) - pixel(bx + 1, by)) * dx +
                                                (pixel(bx, by - 1) - pixel(bx, by + 1)) * dy);
    const double loss = smear.pixels[static_cast<std::size_t>(y0 * nx + x0)];
    ratios.push_back(peak / (apparent * loss));
    offsets.push_back(std::hypot(static_cast<double>(bx) + dx - at.x, static_cast<double>(by) + dy - at.y) / beam_px);
  }
  tile.n_sources = ratios.size();
  tile.median_ratio = Median(ratios);
  tile.median_offset_beam = Median(offsets);
}

// Waits until every group has come to an end; prints a line when the picture changes.
void WaitForGroups(const fs::path& database, std::size_t expected, Step& daemon) {
  std::string shown;
  for (;;) {
    if (!daemon.Running()) daemon.Fail();
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    if (!fs::exists(database)) continue;
    state::GroupStore store(database);
    std::size_t done = 0, dead = 0, known = 0;
    for (const auto& group : store.List({})) {
      ++known;
      done += group.state == state::GroupState::kDone ? 1 : 0;
      dead += group.state == state::GroupState::kDead ? 1 : 0;
    }
    const std::string line = fmt::format("  {} of {} groups known, {} converted", known, expected, done);
    if (line != shown) fmt::print("{}\n", line);
    shown = line;
    if (dead > 0)
      throw Error(ErrorKind::kBug, "demo", database.string(), "holds a dead group; see `contimg queue list`");
    if (done == expected) return;
  }
}

void Demo(const DemoArgs& args) {
  const fs::path self = fs::read_symlink("/proc/self/exe");
  const fs::path folder = fs::absolute(args.folder);
  const fs::path mark = folder / ".contimg-demo";
  if (fs::exists(folder) && !fs::is_empty(folder) && !fs::exists(mark)) {
    throw Error(ErrorKind::kUsage, "demo", folder.string(),
                "is not empty and not of an earlier demo; name another --dir");
  }
  fs::remove_all(folder);
  fs::create_directories(folder / "sky");
  std::ofstream(mark) << "made by contimg demo; removed by its next run\n";
  for (const char* name : {"scratch", "state"}) fs::create_directories(folder / name);
  ::setenv("CONTIMG_SCRATCH_DIR", (folder / "scratch").c_str(), 1);
  ::setenv("CONTIMG_STATE_DIR", (folder / "state").c_str(), 1);
  ::setenv("CONTIMG_HTTP_LISTEN", "127.0.0.1:9119", 1);
  ::setenv("CONTIMG_INGEST_STABLE_S", "1", 1);
  // A demonstration machine has small disks: only the relative watermark counts.
  ::setenv("CONTIMG_DISK_CRITICAL_USED_FRACTION", "0.99", 1);
  DirectoryRoots roots;
  roots.scratch = folder / "scratch";
  roots.state = folder / "state";
  roots.images = folder / "scratch" / "images";
  roots.output = folder / "scratch" / "ms";
  const ProductPaths paths(roots);
  const fs::path incoming = folder / "scratch" / "incoming";
  fs::create_directories(incoming);

  const auto start = Clock::now();
  fmt::print("contimg demo: {} tiles in {}\n1. the daemon starts; status at http://127.0.0.1:9119/api/v1/status\n",
             args.tiles, folder.string());
  Step daemon({(self.parent_path() / "contimg-stream").string(), "--log-level", "info"}, folder / "daemon.log");

  fmt::print("2. the correlator (simulated) writes {} subband files a tile into {}\n", 16, incoming.string());
  std::vector<std::string> simulate{self.string(),  "simulate",
                                    "--out",        incoming.string(),
                                    "--truth",      (folder / "sky").string(),
                                    "--dec",        "37.2",
                                    "--random-sky", "30",
                                    "--tiles",      std::to_string(args.tiles)};
  if (!args.full) simulate.insert(simulate.end(), {"--antennas", "48", "--channels", "12", "--integrations", "12"});
  Step(simulate, folder / "simulate.log").Finish();

  fmt::print("3. the daemon groups, converts and publishes\n");
  WaitForGroups(paths.Database(StateDatabase::kIngest), static_cast<std::size_t>(args.tiles), daemon);
  const double converted_s = SecondsSince(start);

  fmt::print("4. every tile is imaged and compared with what was simulated\n");
  std::vector<TileResult> tiles;
  std::vector<fs::path> truths;
  for (const auto& entry : fs::directory_iterator(folder / "sky")) truths.push_back(entry.path());
  std::sort(truths.begin(), truths.end());
  for (const fs::path& truth : truths) {
    TileResult tile;
    tile.group = truth.stem().string().substr(std::string("truth_").size());
    const fs::path prefix = paths.ImagePrefix(tile.group);
    fs::create_directories(prefix.parent_path());
    const auto image_start = Clock::now();
    std::vector<std::string> command{self.string(), "image", paths.ScienceMs(tile.group).string(), "--out",
                                     prefix.string()};
    if (!args.full) command.insert(command.end(), {"--size", "2048", "--cell", "6"});
    Step(command, folder / "image.log").Finish();
    tile.image_s = SecondsSince(image_start);
    tile.picture = prefix.string() + ".qa.png";
    Compare(truth, prefix, tile);
    tiles.push_back(tile);
    fmt::print("  {} imaged\n", tile.group);
  }

  fmt::print("\n{:<20} {:>8} {:>11} {:>13} {:>12} {:>8}\n", "tile", "sources", "flux ratio", "offset (beam)",
             "rms (mJy)", "image s");
  for (const TileResult& tile : tiles) {
    fmt::print("{:<20} {:>8} {:>11.4f} {:>13.4f} {:>12.3f} {:>8.1f}\n", tile.group, tile.n_sources, tile.median_ratio,
               tile.median_offset_beam, tile.rms_jy * 1e3, tile.image_s);
  }
  fmt::print(
      "\nsources: simulated ones above 20 times the noise; flux ratio and offset: medians against truth × beam × "
      "smearing\n{:.1f} s until all tiles were converted, {:.1f} s in all\n",
      converted_s, SecondsSince(start));
  for (const TileResult& tile : tiles) fmt::print("picture: {}\n", tile.picture.string());
  fmt::print("look further: contimg inspect {}\n", paths.ScienceMs(tiles.front().group).string());
}

}  // namespace

void AddDemoCommand(CLI::App& app) {
  auto args = std::make_shared<DemoArgs>();
  CLI::App* command =
      app.add_subcommand("demo",
                         "The pipeline on a simulated drift scan, in a folder of its own: the daemon converts, "
                         "every tile is imaged and compared with what was simulated");
  command->add_option("--dir", args->folder, "folder to work in; an earlier demo there is replaced")
      ->capture_default_str();
  command->add_option("--tiles", args->tiles, "tiles to simulate")->check(CLI::Range(1, 100))->capture_default_str();
  command->add_flag("--full", args->full, "tiles of full size (2.2 GB each) instead of small ones");
  command->callback([args] { Demo(*args); });
}

}  // namespace contimg::ops
