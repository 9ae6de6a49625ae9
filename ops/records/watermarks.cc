#include "ops/records/watermarks.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <exception>
#include <functional>

#include "config/error.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;

double UsedFraction(const DiskSpace& space) {
  if (space.total_bytes == 0) return 0;
  return 1 - static_cast<double>(space.free_bytes) / static_cast<double>(space.total_bytes);
}

// What a limit is when it is set, and what goes by the size of the disk when it is not.
struct LimitRule {
  const char* name;
  std::int64_t free_bytes;
  double used_fraction;
  std::uint64_t default_bytes;
  double default_fraction;  // free
};

DiskLimit LimitOf(const LimitRule& rule, std::uint64_t total_bytes) {
  const auto total = static_cast<double>(total_bytes);
  const auto part = [&](double free_fraction) {
    return static_cast<std::uint64_t>(std::llround(free_fraction * total));
  };
  DiskLimit limit;
  if (rule.free_bytes > 0) {
    limit = {static_cast<std::uint64_t>(rule.free_bytes), fmt::format("disk.{}_free_bytes", rule.name)};
  }
  if (rule.used_fraction > 0 && (limit.rule.empty() || part(1 - rule.used_fraction) > limit.free_bytes)) {
    limit = {part(1 - rule.used_fraction), fmt::format("disk.{}_used_fraction", rule.name)};
  }
  if (!limit.rule.empty()) return limit;
  if (rule.default_bytes <= part(rule.default_fraction)) return {rule.default_bytes, "default"};
  return {part(rule.default_fraction), fmt::format("default: {:.0f} % of the disk", 100 * rule.default_fraction)};
}

// The file system of a directory that need not exist yet.
fs::path ExistingPart(fs::path path, Os& os) {
  while (!path.empty() && path != path.root_path() && !Exists(path, os)) path = path.parent_path();
  return path;
}

// The databases must always be able to grow.
DiskLevel StateLevel(const DiskSpace& space) {
  constexpr std::uint64_t kLeastBytes = 200'000'000;
  return space.free_bytes < std::min(kLeastBytes, space.total_bytes / 20) ? DiskLevel::kCritical : DiskLevel::kGood;
}

}  // namespace

std::string SpaceWords(std::uint64_t bytes) {
  const auto value = static_cast<double>(bytes);
  return value >= 1e9 ? fmt::format("{:.1f} GB", value * 1e-9) : fmt::format("{:.1f} MB", value * 1e-6);
}

DiskLimits ScratchLimits(std::uint64_t total_bytes, const DiskSettings& settings) {
  DiskLimits limits;
  limits.critical = LimitOf(
      {"critical", settings.critical_free_bytes, settings.critical_used_fraction, 100'000'000'000, 0.05}, total_bytes);
  limits.warning =
      LimitOf({"warn", settings.warn_free_bytes, settings.warn_used_fraction, 200'000'000'000, 0.10}, total_bytes);
  return limits;
}

std::string Describe(const DiskLimits& limits) {
  return fmt::format("alert below {} free ({}), no new work below {} ({})", SpaceWords(limits.warning.free_bytes),
                     limits.warning.rule, SpaceWords(limits.critical.free_bytes), limits.critical.rule);
}

DiskLevel ScratchLevel(const DiskSpace& space, const DiskSettings& settings) {
  const DiskLimits limits = ScratchLimits(space.total_bytes, settings);
  if (space.free_bytes < limits.critical.free_bytes) return DiskLevel::kCritical;
  if (space.free_bytes < limits.warning.free_bytes) return DiskLevel::kWarning;
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
  const auto judge = [&](const char* name, const char* what, const fs::path& path, const auto& level_of,
                         const auto& rule_of) {
    DiskReport::Disk& disk = report.disks[name];
    disk.path = path.string();
    try {
      disk.space = os.Space(ExistingPart(path, os));
      disk.level = level_of(disk.space);
      disk.rule = rule_of(disk.space);
      if (disk.level != DiskLevel::kGood) {
        disk.sentence = fmt::format("{} (that of {}) has {} free of {}", what, path.string(),
                                    SpaceWords(disk.space.free_bytes), SpaceWords(disk.space.total_bytes));
        if (disk.level == DiskLevel::kCritical) {
          disk.sentence += fmt::format(": no new work starts until there is room ({})", disk.rule);
        }
      }
    } catch (const std::exception& error) {
      disk.level = DiskLevel::kCritical;
      disk.sentence = fmt::format("{} cannot be measured: {}: no new work starts", what, error.what());
    }
    report.dispatch_allowed = report.dispatch_allowed && disk.level != DiskLevel::kCritical;
  };
  const auto scratch_level = [&](const DiskSpace& space) { return ScratchLevel(space, settings); };
  const auto scratch_rule = [&](const DiskSpace& space) {
    return Describe(ScratchLimits(space.total_bytes, settings));
  };
  judge("scratch", "the scratch disk", roots.output, scratch_level, scratch_rule);
  bool images_apart = false;
  try {
    images_apart =
        !roots.images.empty() && !SameFileSystem(ExistingPart(roots.images, os), ExistingPart(roots.output, os), os);
  } catch (const std::exception&) {
    images_apart = true;  // what is wrong with it is said below
  }
  if (images_apart) judge("images", "the disk of the images", roots.images, scratch_level, scratch_rule);
  judge(
      "staging", "the staging memory", roots.staging,
      [&](const DiskSpace& space) { return StagingLevel(space, settings); },
      [&](const DiskSpace&) {
        return fmt::format("alert above {:.0f} % used, no new work above {:.0f} %",
                           100 * settings.staging_warn_used_fraction, 100 * settings.staging_critical_used_fraction);
      });
  judge("state", "the state disk", roots.state, StateLevel, [](const DiskSpace& space) {
    return fmt::format("no new work below {} free",
                       SpaceWords(std::min<std::uint64_t>(200'000'000, space.total_bytes / 20)));
  });
  return report;
}

}  // namespace contimg::ops
