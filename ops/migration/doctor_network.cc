// What `contimg doctor --network` asks: the remotes to which copies go.
#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "ops/archive/archiver.h"
#include "ops/archive/remote.h"
#include "ops/base/shell_word.h"
#include "ops/migration/doctor.h"

namespace contimg::ops {
namespace {

constexpr double kPatienceS = 60;  // of one call; a transfer may take an hour, an answer may not

DoctorLine ExamineRcloneConfig(const std::string& file, Os& os) {
  DoctorLine line{"rclone's configuration", Verdict::kOk, file + " can be read", ""};
  if (!Exists(file, os)) {
    line.verdict = Verdict::kFail;
    line.sentence = fmt::format("{} is not there: expected the remotes that archive.remotes names in it", file);
    line.cure = "rclone config --config " + ShellWord(file);
    return line;
  }
  try {
    os.ReadFile(file);
  } catch (const Error& error) {
    line.verdict = Verdict::kFail;
    line.sentence = error.what();
    line.cure = "ls -l " + ShellWord(file);
  }
  return line;
}

bool SaysNoEntry(const std::string& sentence) {
  for (const char* word : {"401", "403", "Unauthorized", "unable to authenticate", "AccessDenied", "InvalidAccessKey",
                           "SignatureDoesNotMatch"}) {
    if (sentence.find(word) != std::string::npos) return true;
  }
  return false;
}

// What shows more, or mends it.
std::string CureOf(const Error& error, const ArchiveRemote& remote, const std::string& config) {
  const std::string with = (config.empty() ? "" : " --config " + ShellWord(config)) + " ";
  switch (error.kind()) {
    case ErrorKind::kUsage:
    case ErrorKind::kBadInput:
      return "rclone config" + with.substr(0, with.size() - 1);
    case ErrorKind::kResource:
      return "rclone about" + with + ShellWord(remote.target);
    default:
      if (SaysNoEntry(error.what())) return "rclone config" + with.substr(0, with.size() - 1);
      return "rclone lsf -vv --retries 1" + with + ShellWord(remote.target);
  }
}

// Nothing: no database says.
bool CopiesOnRecord(const DoctorRequest& request, const Remote& remote, Os& os) {
  const std::filesystem::path database = request.paths.Database(StateDatabase::kProducts);
  if (!Exists(database, os)) return false;
  state::ProductStore products(database, state::DatabaseOptions::ForOneLook());
  state::ArchiveStore archives(products.database());
  return HoldsCopies(archives, remote);
}

DoctorLine ExamineRemote(const DoctorRequest& request, const Remote& remote, const std::string& owner, Os& os) {
  const ArchiveRemote& about = remote.about();
  const std::string& config = request.settings.archive.rclone_config;
  DoctorLine line{"remote " + about.name, Verdict::kOk, "", ""};
  try {
    const bool in_use = CopiesOnRecord(request, remote, os);
    const bool there = remote.Answers();
    if (in_use) remote.RequireMark();
    if (!there) {  // not made by a mere look
      line.verdict = Verdict::kWarn;
      line.sentence = fmt::format("{} answers, and nothing is there yet: the first copy makes it", about.target);
      line.cure = "contimg archive --apply";
      return line;
    }
    remote.TryOut(owner);
    line.sentence = fmt::format("{} takes, gives back and removes 1 kB", about.target);
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::kCancelled) throw;
    line.verdict = Verdict::kFail;
    line.sentence = error.what();
    line.cure = CureOf(error, about, config);
  }
  return line;
}

}  // namespace

std::vector<DoctorLine> ExamineNetwork(const DoctorRequest& request, const std::string& owner,
                                       const std::atomic<bool>* cancelled, Os& os) {
  const ArchiveSettings& archive = request.settings.archive;
  std::vector<ArchiveRemote> remotes = RemotesOf(archive);
  if (remotes.empty()) {
    return {{"remotes", Verdict::kWarn, "archive.remotes is not set: nothing is copied to another place",
             "contimg config show archive"}};
  }
  RcloneOptions options;
  options.program = FindRclone();
  options.config = archive.rclone_config;
  options.cancelled = cancelled;
  if (options.program.empty()) {
    return {{"rclone", Verdict::kFail, "rclone is not installed, and nothing else copies to archives",
             "apt install rclone"}};
  }
  std::vector<DoctorLine> lines;
  const bool described = std::any_of(remotes.begin(), remotes.end(), [](const ArchiveRemote& each) {
    return each.target.front() != '/' && each.target.front() != ':';
  });
  if (described && !archive.rclone_config.empty()) lines.push_back(ExamineRcloneConfig(archive.rclone_config, os));
  for (ArchiveRemote& each : remotes) {
    each.timeout_s = std::min(each.timeout_s, kPatienceS);
    const bool backups = each.name == request.settings.backup.remote;
    lines.push_back(ExamineRemote(request, Remote(each, Rclone(options), false), owner, os));
    if (backups) lines.back().sentence += " (backup.remote)";
  }
  return lines;
}

}  // namespace contimg::ops
