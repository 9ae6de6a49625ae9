#include "ops/cli/stage_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "ops/base/job_stages.h"

namespace contimg::ops {
namespace {

constexpr std::size_t kDateChars = 11;  // "2026-01-25T"

}  // namespace

std::string StageTable(const std::vector<StageSeconds>& tiles) {
  std::set<std::string> ran;
  for (const StageSeconds& tile : tiles) {
    for (const auto& [stage, seconds] : tile.seconds) ran.insert(stage);
  }
  std::vector<std::string> stages(ran.begin(), ran.end());
  std::stable_sort(stages.begin(), stages.end(),
                   [](const auto& a, const auto& b) { return StageRank(a) < StageRank(b); });
  std::string table = fmt::format("{:<10}", "seconds");
  for (const std::string& stage : stages) table += fmt::format(" {:>7}", stage);
  table += "\n";
  for (const StageSeconds& tile : tiles) {
    table += fmt::format("{:<10}", tile.group.size() > kDateChars ? tile.group.substr(kDateChars) : tile.group);
    for (const std::string& stage : stages) {
      const auto at = tile.seconds.find(stage);
      table += fmt::format(" {:>7}", at == tile.seconds.end() ? "-" : fmt::format("{:.1f}", at->second));
    }
    table += "\n";
  }
  return table;
}

}  // namespace contimg::ops
