#include "ops/migration/doctor.h"

#include <fmt/format.h>
#include <sys/statfs.h>
#include <sys/timex.h>

#include <algorithm>
#include <charconv>
#include <functional>
#include <iterator>
#include <set>
#include <utility>

#include "config/text.h"
#include "config/time.h"
#include "config/unfinished.h"
#include "ops/base/link_target.h"
#include "ops/base/words.h"
#include "ops/migration/tree_stamp.h"
#include "ops/upkeep/backup.h"
#include "ops/upkeep/restore_state.h"
#include "state/database.h"
#include "state/group_store.h"
#include "state/product_store.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;

constexpr double kTileBytes = 4e9;  // of a Measurement Set of full size, in staging
constexpr double kStaleBackupS = 1.5 * kSecondsPerDay;
constexpr std::int64_t kFewWatches = 64;

// One examination; what it throws is its finding.
void Look(std::vector<DoctorLine>& lines, const std::string& name, const std::function<DoctorLine()>& look) {
  DoctorLine line;
  try {
    line = look();
  } catch (const Error& error) {
    line = {"", Verdict::kFail, error.what(), "ls -ld " + error.subject()};
  }
  line.name = name;
  lines.push_back(std::move(line));
}

DoctorLine Well(std::string sentence) { return {"", Verdict::kOk, std::move(sentence), ""}; }
DoctorLine Warn(std::string sentence, std::string cure) {
  return {"", Verdict::kWarn, std::move(sentence), std::move(cure)};
}
DoctorLine Fail(std::string sentence, std::string cure) {
  return {"", Verdict::kFail, std::move(sentence), std::move(cure)};
}

// Magic numbers of statfs(2): file systems whose locks and syncs are another machine's word.
const char* NetworkName(const fs::path& path) {
  struct statfs info {};
  if (::statfs(path.c_str(), &info) != 0) return nullptr;
  switch (static_cast<std::uint32_t>(info.f_type)) {
    case 0x6969:
      return "NFS";
    case 0xff534d42:
    case 0xfe534d42:
    case 0x517b:
      return "SMB";
    case 0x65735546:
      return "FUSE";
    case 0x0bd00bd0:
      return "Lustre";
    case 0x47504653:
      return "GPFS";
    case 0xc36400:
      return "Ceph";
    default:
      return nullptr;
  }
}

std::int64_t NumberIn(const fs::path& file, Os& os) {
  std::int64_t value = -1;
  try {
    const std::string text = os.ReadFile(file);
    std::from_chars(text.data(), text.data() + text.size(), value);
  } catch (const Error&) {
    // No such limit on this kernel.
  }
  return value;
}

std::vector<fs::path> Days(const fs::path& root, Os& os) {
  std::vector<fs::path> days;
  if (!IsDirectory(root, os)) return days;
  for (const fs::path& day : os.List(root)) {
    if (day.extension() != ".ms" && IsDirectory(day, os)) days.push_back(day);
  }
  std::sort(days.begin(), days.end());
  return days;
}

// "/a/b, /a/c and 12 others"
std::string Some(const std::vector<std::string>& all) {
  constexpr std::size_t kShown = 2;
  std::string text;
  for (std::size_t i = 0; i < std::min(all.size(), kShown); ++i) text += (i > 0 ? ", " : "") + all[i];
  if (all.size() > kShown) text += fmt::format(" and {} more", all.size() - kShown);
  return text;
}

}  // namespace

std::string_view ToString(Verdict verdict) {
  switch (verdict) {
    case Verdict::kOk:
      return "ok";
    case Verdict::kWarn:
      return "warn";
    case Verdict::kFail:
      break;
  }
  return "fail";
}

std::vector<DoctorLine> ExamineMachine(const DoctorRequest& request, Os& os) {
  std::vector<DoctorLine> lines;
  const DirectoryRoots& roots = request.paths.roots();
  Look(lines, "place of the state", [&]() -> DoctorLine {
    const std::string move = "contimg config show paths";
    if (!IsDirectory(roots.state, os)) {
      return Fail(fmt::format("{} is not there", roots.state.string()), "contimg doctor --fix");
    }
    if (const char* network = NetworkName(roots.state)) {
      return Warn(fmt::format("{} lies on {}, where a lock may not hold and a sync may not reach the disk",
                              roots.state.string(), network),
                  move);
    }
    if (IsDirectory(roots.scratch, os) && SameFileSystem(roots.state, roots.scratch, os)) {
      return Warn(fmt::format("{} lies on the scratch disk, which fills up and wears out first", roots.state.string()),
                  move);
    }
    return Well(fmt::format("{} is a disk apart from the scratch disk", roots.state.string()));
  });
  Look(lines, "backups apart", [&]() -> DoctorLine {
    const fs::path backups = BackupDirectory(request.settings, request.paths);
    if (!IsDirectory(backups, os)) return Fail(backups.string() + " is not there", "contimg doctor --fix");
    if (SameFileSystem(backups, roots.state, os)) {
      return Warn(fmt::format("{} shares the disk of the state and is lost with it", backups.string()),
                  "contimg config show backup");
    }
    return Well(backups.string() + " is another disk than the state's");
  });
  Look(lines, "staging", [&]() -> DoctorLine {
    if (!IsDirectory(roots.staging, os)) return Warn(roots.staging.string() + " is not there", "contimg doctor --fix");
    const DiskSpace space = os.Space(roots.staging);
    const std::string size = Bytes(static_cast<double>(space.total_bytes));
    if (static_cast<double>(space.total_bytes) < kTileBytes) {
      return Warn(
          fmt::format("{} holds {}: a tile of full size ({}) is put together on the scratch disk, which is slower",
                      roots.staging.string(), size, Bytes(kTileBytes)),
          "mount -o remount,size=16G /dev/shm");
    }
    return Well(fmt::format("{} holds {}", roots.staging.string(), size));
  });
  Look(lines, "locks of the output", [&]() -> DoctorLine {
    const OwnerLock lock(roots.output / ".contimg-doctor.lock");
    if (lock.answer() == OwnerLock::Answer::kUnknown) {
      return Warn(fmt::format("{} takes no locks ({}): leftovers of killed workers are not swept there",
                              roots.output.string(), std::generic_category().message(lock.error_number())),
                  "findmnt --target " + roots.output.string());
    }
    return Well(roots.output.string() + " takes locks");
  });
  Look(lines, "inotify", [&]() -> DoctorLine {
    const std::int64_t watches = NumberIn(fs::path(request.proc) / "sys/fs/inotify/max_user_watches", os);
    const std::int64_t instances = NumberIn(fs::path(request.proc) / "sys/fs/inotify/max_user_instances", os);
    if ((watches >= 0 && watches < kFewWatches) || instances == 0) {
      return Warn(
          fmt::format("{} watches and {} instances a user: new files are found by listing alone", watches, instances),
          "sysctl fs.inotify.max_user_watches=65536 fs.inotify.max_user_instances=128");
    }
    return Well(fmt::format("{} watches a user", watches));
  });
  Look(lines, "clock", [&]() -> DoctorLine {
    struct timex clock {};
    const bool synchronised = ::adjtimex(&clock) >= 0 && (clock.status & STA_UNSYNC) == 0;
    if (!synchronised) {
      return Warn("the kernel's clock is not synchronised: names, ages and apparent places follow it",
                  "timedatectl set-ntp true");
    }
    return Well("the kernel's clock is synchronised");
  });
  return lines;
}

std::vector<DoctorLine> ExamineState(const DoctorRequest& request, Os& os) {
  std::vector<DoctorLine> lines;
  Look(lines, "restore", [&]() -> DoctorLine {
    if (const auto folder = UnfinishedRestore(request.paths.roots().state, os)) {
      return Fail(folder->string() + " waits to take its place: a restore was cut short",
                  "contimg restore-state --apply");
    }
    return Well("none is unfinished");
  });
  for (const fs::path& file : BackupOf(request.settings, request.paths).databases) {
    const std::string name = file.stem().string();
    Look(lines, "database " + name, [&]() -> DoctorLine {
      if (!Exists(file, os)) {
        // Made by the first import, the first start.
        return Warn(file.string() + " is not there yet",
                    name == "master_sources" ? "contimg catalog import --help" : "contimg doctor --rebuild --apply");
      }
      state::DatabaseOptions options = state::DatabaseOptions::ForOneLook();
      options.any_version = true;
      const state::Schema& schema = SchemaOf(file);
      try {
        state::Database database(file, schema, options);
        database.Check();
        const int newest = static_cast<int>(schema.migrations.size());
        if (database.version() < newest) {
          return Warn(
              fmt::format("has schema version {}, this program's is {}: it is brought up to date by the next start",
                          database.version(), newest),
              "systemctl restart contimg-stream");
        }
        return Well(fmt::format("version {}, {}", database.version(), Bytes(static_cast<double>(FileSize(file, os)))));
      } catch (const Error& error) {
        return Fail(error.what(), error.kind() == ErrorKind::kBadInput
                                      ? fmt::format("contimg restore-state latest --database {} --apply", name)
                                  : error.kind() == ErrorKind::kUsage ? std::string("contimg --version")
                                                                      : "fuser -v " + file.string());
      }
    });
  }
  Look(lines, "backups", [&]() -> DoctorLine {
    const std::vector<Backup> backups = ListBackups(BackupDirectory(request.settings, request.paths), os);
    if (backups.empty()) return Warn("there is none yet", "contimg backup");
    const double age_s = request.now - backups.back().made_at;
    if (age_s < 0) {
      return Warn(fmt::format("the newest, {}, is of a time to come: a clock was ahead, or this one is behind",
                              backups.back().folder.filename().string()),
                  "date");
    }
    const std::string newest =
        fmt::format("{}, the newest {}", Counted(static_cast<std::int64_t>(backups.size()), "backup"), Ago(age_s));
    return age_s > kStaleBackupS ? Warn(newest, "contimg backup") : Well(newest);
  });
  return lines;
}

std::vector<fs::path> CalibratorLinks(const ProductPaths& paths, Os& os) {
  std::vector<fs::path> links;
  const fs::path root = paths.roots().output / "calibrators";
  if (!IsDirectory(root, os)) return links;
  for (const fs::path& folder : os.List(root)) {
    if (!IsDirectory(folder, os)) continue;
    for (const fs::path& entry : os.List(folder)) {
      if (LinkTarget(entry)) links.push_back(entry);
    }
  }
  std::sort(links.begin(), links.end());
  return links;
}

std::vector<DoctorLine> ExamineRecords(const DoctorRequest& request, Os& os) {
  std::vector<DoctorLine> lines;
  const ProductPaths& paths = request.paths;
  const fs::path database = paths.Database(StateDatabase::kProducts);
  std::set<std::string> recorded;
  Look(lines, "records without files", [&]() -> DoctorLine {
    if (!Exists(database, os)) return Well("nothing is on record");
    state::ProductStore products(database, state::DatabaseOptions::ForOneLook());
    constexpr int kPage = 1000;
    std::vector<std::string> gone;
    for (std::string after;;) {
      const auto page = products.ByPath(after, "", kPage);
      for (const state::ProductEntry& each : page) {
        recorded.insert(each.path);
        if (each.status == "present" && !Exists(each.path, os)) gone.push_back(each.path);
      }
      if (page.size() < kPage) break;
      after = page.back().path;
    }
    if (!gone.empty()) {
      return Warn(fmt::format("{} on record as present not there: {}",
                              Counted(static_cast<std::int64_t>(gone.size()), "product", "products") +
                                  (gone.size() == 1 ? " is" : " are"),
                              Some(gone)),
                  "contimg doctor --fix");
    }
    return Well(fmt::format("{} on record", Counted(static_cast<std::int64_t>(recorded.size()), "product")));
  });
  Look(lines, "files without records", [&]() -> DoctorLine {
    std::vector<std::string> strange;
    const DirectoryRoots& roots = paths.roots();
    for (const fs::path& root : {roots.output / "science", roots.output / "calibrators", roots.output / "failed",
                                 roots.images / "single", roots.images / "qa"}) {
      for (const fs::path& day : Days(root, os)) {
        for (const fs::path& entry : os.List(day)) {
          const auto name = ParseProductName(entry);
          // The names under which a solved Measurement Set is also known, and logs, are no products of their own.
          if (!name || name->kind == ProductKind::kCalibratorMs || name->kind == ProductKind::kFailedLog) continue;
          if (recorded.count(entry.string()) == 0) strange.push_back(entry.string());
        }
      }
    }
    const fs::path mosaics = roots.images / "mosaics";
    for (const fs::path& entry : IsDirectory(mosaics, os) ? os.List(mosaics) : std::vector<fs::path>()) {
      if (ParseProductName(entry) && recorded.count(entry.string()) == 0) strange.push_back(entry.string());
    }
    std::sort(strange.begin(), strange.end());
    if (strange.empty()) return Well("every product in the tree is on record");
    return Warn(fmt::format("{} not on record: {}",
                            Counted(static_cast<std::int64_t>(strange.size()), "product") +
                                (strange.size() == 1 ? " is" : " are"),
                            Some(strange)),
                "contimg doctor --rebuild --apply");
  });
  Look(lines, "links", [&]() -> DoctorLine {
    std::vector<std::string> broken;
    const std::vector<fs::path> links = CalibratorLinks(paths, os);
    for (const fs::path& link : links) {
      if (!Exists(link, os)) broken.push_back(link.string());
    }
    const auto n = static_cast<std::int64_t>(links.size());
    if (broken.empty()) return Well(fmt::format("{} to calibrators lead somewhere", Counted(n, "link")));
    return Warn(fmt::format("{} nowhere: {}",
                            Counted(static_cast<std::int64_t>(broken.size()), "link") +
                                (broken.size() == 1 ? " leads" : " lead"),
                            Some(broken)),
                "contimg doctor --fix");
  });
  return lines;
}

}  // namespace contimg::ops
