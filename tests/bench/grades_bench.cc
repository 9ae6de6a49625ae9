// Grades of good and spoiled tiles: `./run bench grades [TILES] [--figures]`. TILES good ones and TILES/10 of each of
// ten ways to spoil one (default 200) are imaged; prints how each kind is graded, by which gates, and how the figures
// of the gates are distributed. docs/imaging.md has the table.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "config/error.h"
#include "config/machine.h"
#include "image/image_stage.h"
#include "tests/e2e/graded_tiles.h"

namespace {

namespace fs = std::filesystem;
using contimg::oracle::Spoiling;

struct Tally {
  std::map<std::string, int> grades;  // "A" … "F", "refused"
  std::map<std::string, int> reasons;
  std::map<std::string, std::vector<double>> figures;
};

void ImageOne(Spoiling spoiling, unsigned number, const fs::path& folder, bool list, Tally& tally) {
  contimg::oracle::GradedTile tile = contimg::oracle::GradedTileMaker(spoiling, number).Make();
  contimg::image::ImageRequest request;
  request.prefix = folder / "tile";
  request.overwrite = true;
  request.durable = false;
  request.settings.size = contimg::oracle::kGradedSize;
  request.settings.cell_arcsec = contimg::oracle::kGradedCellArcsec;
  request.telescope.beam = "none";
  if (tile.cut_clean_short) request.settings.max_major_cycles = 1;
  if (!tile.catalogue.empty()) {
    request.settings.catalogue_file = folder / "sky.csv";
    std::ofstream(request.settings.catalogue_file) << tile.catalogue;
  }
  contimg::RunContext context;
  context.threads = contimg::AvailableProcessors();
  try {
    const contimg::image::ImageReport report = contimg::image::RunImage(tile.block, request, context);
    ++tally.grades[report.quality.grade];
    for (const auto& gate : report.quality.gates) {
      tally.figures[gate.name].push_back(gate.value);
      if (gate.grade != "A") ++tally.reasons[gate.name];
    }
    if (list) {
      fmt::print("  {} {}: {}\n", NameOf(spoiling), number, report.quality.grade);
      for (const std::string& reason : report.quality.reasons) fmt::print("     {}\n", reason);
    }
  } catch (const contimg::Error& error) {
    ++tally.grades["refused"];
    if (list) fmt::print("  {} {}: refused: {}\n", NameOf(spoiling), number, error.what());
  }
}

void PrintFigures(const Tally& tally) {
  for (auto [name, values] : tally.figures) {
    std::sort(values.begin(), values.end());
    const auto at = [&values = values](double part) {
      return values[static_cast<std::size_t>(part * static_cast<double>(values.size() - 1) + 0.5)];
    };
    fmt::print("    {:<18} {:>4} tiles  {:9.4g} {:9.4g} {:9.4g} {:9.4g} {:9.4g}\n", name, values.size(), at(0),
               at(0.02), at(0.5), at(0.98), at(1));
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::set<std::string> words(argv + 1, argv + argc);
  const unsigned tiles = argc > 1 ? static_cast<unsigned>(std::max(10, std::atoi(argv[1]))) : 200;
  const bool list = words.count("--list") > 0;
  const fs::path folder = fs::temp_directory_path() / fmt::format("contimg-grades-{}", getpid());
  fs::create_directories(folder);
  std::map<std::string, Tally> tallies;
  std::vector<Spoiling> kinds{Spoiling::kNone};
  kinds.insert(kinds.end(), contimg::oracle::kSpoilings.begin(), contimg::oracle::kSpoilings.end());
  fmt::print("{:<16} {:>4} {:>4} {:>4} {:>4} {:>8}   gates missed\n", "", "A", "B", "C", "F", "refused");
  unsigned good_below_b = 0, spoiled_unnoticed = 0;
  for (const Spoiling kind : kinds) {
    Tally tally;
    const unsigned n = kind == Spoiling::kNone ? tiles : tiles / 10;
    for (unsigned i = 0; i < n; ++i) ImageOne(kind, i, folder, list, tally);
    std::string reasons;
    for (const auto& [name, count] : tally.reasons) reasons += fmt::format("{} {}, ", name, count);
    fmt::print("{:<16} {:>4} {:>4} {:>4} {:>4} {:>8}   {}\n", NameOf(kind), tally.grades["A"], tally.grades["B"],
               tally.grades["C"], tally.grades["F"], tally.grades["refused"], reasons);
    std::fflush(stdout);
    const unsigned passed = static_cast<unsigned>(tally.grades["A"] + tally.grades["B"]);
    (kind == Spoiling::kNone ? good_below_b : spoiled_unnoticed) += kind == Spoiling::kNone ? n - passed : passed;
    tallies[NameOf(kind)] = std::move(tally);
  }
  fmt::print("good below B: {} of {}; spoiled A or B: {} of {}\n", good_below_b, tiles, spoiled_unnoticed,
             tiles / 10 * 10);
  if (words.count("--figures") > 0) {
    for (const auto& [kind, tally] : tallies) {
      fmt::print("{}: lowest, 2 %, median, 98 %, highest\n", kind);
      PrintFigures(tally);
    }
  }
  fs::remove_all(folder);
  return good_below_b * 50 > tiles || spoiled_unnoticed * 50 > tiles / 10 * 10 ? 1 : 0;
}
