#include "ops/worker/solved_names.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <string_view>

#include "config/error.h"
#include "config/product_paths.h"
#include "config/unfinished.h"
#include "ops/base/link_target.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;
constexpr const char* kSolveStage = "solve";
constexpr std::string_view kCalibrator = "calibrator:";

void MakeLink(const fs::path& target, const fs::path& link, Os& os) {
  if (IsTaken(link) && !LinkTarget(link)) return;
  os.CreateDirectories(link.parent_path());
  const Unfinished made(link, os);
  if (::symlink(target.lexically_relative(link.parent_path()).c_str(), made.path().c_str()) != 0) {
    throw SystemError(kSolveStage, link.string(), "cannot make the link", errno);
  }
  os.Rename(made.path(), link);
}

}  // namespace

std::string CalibratorName(const SolvedSet& solved) {
  if (solved.model.rfind(kCalibrator, 0) != 0) return "";
  const std::string stamp = solved.prefix.filename().string().substr(0, 19);
  if (!IsTimestamp(stamp)) return "";
  std::string source = solved.model.substr(kCalibrator.size());
  std::replace_if(
      source.begin(), source.end(), [](unsigned char c) { return c == '/' || std::isspace(c) || std::iscntrl(c); },
      '_');
  return fmt::format("{}_{}{}{}_{:+05.1f}", source, stamp.substr(11, 2), stamp.substr(14, 2), stamp.substr(17, 2),
                     solved.dec_deg);
}

void NameSolvedSet(const SolvedSet& solved, Os& os) {
  const fs::path beside = solved.prefix.string() + ".ms";
  if (beside == solved.measurement_set) return;
  MakeLink(solved.measurement_set, beside, os);
  const std::string name = CalibratorName(solved);
  if (!name.empty()) MakeLink(beside, solved.prefix.parent_path().parent_path() / "by-name" / name, os);
}

}  // namespace contimg::ops
