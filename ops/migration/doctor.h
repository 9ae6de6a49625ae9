// `contimg doctor`: looks at an installation as an experienced operator would, and says for each thing whether it is in
// order and, if not, the command that cures it. Changes nothing.
#pragma once

#include <atomic>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "config/os.h"
#include "config/product_paths.h"
#include "config/settings.h"

namespace contimg::ops {

enum class Verdict { kOk, kWarn, kFail };
std::string_view ToString(Verdict verdict);  // "ok", "warn", "fail"

struct DoctorLine {
  std::string name;  // "database products"
  Verdict verdict = Verdict::kOk;
  std::string sentence;  // what was found
  std::string cure;      // a command; empty when it is in order
};

struct DoctorRequest {
  const Settings& settings;
  const ProductPaths& paths;
  double now = 0;              // unix_s
  std::string proc = "/proc";  // for tests
};

// State and disks: where the state lies, free space, staging, locks of the output's file system, inotify, the clock.
std::vector<DoctorLine> ExamineMachine(const DoctorRequest& request, Os& os);
// Databases, an unfinished restore, backups.
std::vector<DoctorLine> ExamineState(const DoctorRequest& request, Os& os);
// Records without files, files without records, measurements of no product, links that lead nowhere.
std::vector<DoctorLine> ExamineRecords(const DoctorRequest& request, Os& os);
// What `--network` adds, the only part that asks another machine: rclone, its configuration, and every remote of the
// settings: whether it answers, is the one on which copies are recorded, and takes, gives back and removes 1 kB among
// the parts of `owner`. No call takes longer than a minute, or the remote's timeout_s. Error{kCancelled}.
std::vector<DoctorLine> ExamineNetwork(const DoctorRequest& request, const std::string& owner,
                                       const std::atomic<bool>* cancelled, Os& os);

// The links in the days of the calibrators and in by-name (ops/worker/solved_names.h), sorted.
std::vector<std::filesystem::path> CalibratorLinks(const ProductPaths& paths, Os& os);

}  // namespace contimg::ops
