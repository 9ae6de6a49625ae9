#include "ops/daemon/watermarks.h"

#include <fmt/format.h>

#include <algorithm>

#include "config/error.h"

namespace contimg::ops {
namespace {

double UsedFraction(const DiskSpace& space) {
  if (space.total_bytes == 0) return 0;
  return 1 - static_cast<double>(space.free_bytes) / static_cast<double>(space.total_bytes);
}

bool BelowLimit(const DiskSpace& space, std::int64_t free_limit, double used_limit) {
  constexpr double kLargeEnough = 10;
  const auto limit = static_cast<double>(free_limit);
  if (static_cast<double>(space.total_bytes) >= kLargeEnough * limit) {
    return static_cast<double>(space.free_bytes) < limit;
  }
  return UsedFraction(space) > used_limit;
}

// The file system of a directory that need not exist yet.
std::filesystem::path ExistingPart(std::filesystem::path path) {
  while (!path.empty() && path != path.root_path() && !std::filesystem::exists(path)) path = path.parent_path();
  return path;
}

// The databases must always be able to grow.
DiskLevel StateLevel(const DiskSpace& space) {
  constexpr std::uint64_t kLeastBytes = 200'000'000;
  return space.free_bytes < std::min(kLeastBytes, space.total_bytes / 20) ? DiskLevel::kCritical : DiskLevel::kGood;
}

}  // namespace

DiskLevel ScratchLevel(const DiskSpace& space, const DiskSettings& settings) {
  if (BelowLimit(space, settings.critical_free_bytes, settings.critical_used_fraction)) return DiskLevel::kCritical;
  if (BelowLimit(space, settings.warn_free_bytes, settings.warn_used_fraction)) return DiskLevel::kWarning;
  return DiskLevel::kGood;
}

DiskLevel StagingLevel(const DiskSpace& space, const DiskSettings& settings) {
  const double used = UsedFraction(space);
  if (used > settings.staging_critical_used_fraction) return DiskLevel::kCritical;
  if (used > settings.staging_warn_used_fraction) return DiskLevel::kWarning;
  return DiskLevel::kGood;
}

DiskReport LookAtDisks(Os& os, const DirectoryRoots& roots, const DiskSettings& settings) {
  DiskReport report;
  const auto judge = [&](const char* name, const char* what, const std::filesystem::path& path, DiskSpace& space,
                         auto level_of) {
    DiskLevel& level = report.levels[name];
    try {
      space = os.Space(ExistingPart(path));
      level = level_of(space);
      if (level == DiskLevel::kGood) return;
      const std::string figures =
          fmt::format("{} ({}) has {:.1f} GB free of {:.1f} GB", what, path.string(),
                      static_cast<double>(space.free_bytes) * 1e-9, static_cast<double>(space.total_bytes) * 1e-9);
      if (level == DiskLevel::kCritical) {
        report.dispatch_allowed = false;
        report.troubles.push_back(figures + ": no new work starts until there is room");
      } else {
        report.troubles.push_back(figures);
      }
    } catch (const Error& error) {
      level = DiskLevel::kCritical;
      report.dispatch_allowed = false;
      report.troubles.push_back(fmt::format("{} cannot be measured: {}: no new work starts", what, error.what()));
    }
  };
  const auto scratch_level = [&](const DiskSpace& space) { return ScratchLevel(space, settings); };
  judge("scratch", "the scratch disk", roots.output, report.scratch, scratch_level);
  if (!roots.images.empty() && !SameFileSystem(ExistingPart(roots.images), ExistingPart(roots.output))) {
    DiskSpace images;
    judge("images", "the disk of the images", roots.images, images, scratch_level);
  }
  judge("staging", "the staging memory", roots.staging, report.staging,
        [&](const DiskSpace& space) { return StagingLevel(space, settings); });
  judge("state", "the state disk", roots.state, report.state, StateLevel);
  return report;
}

}  // namespace contimg::ops
