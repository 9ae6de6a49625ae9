#include "ops/upkeep/backup_shipping.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "config/error.h"
#include "config/os.h"
#include "config/unfinished.h"
#include "ops/archive/sender.h"
#include "ops/base/sha256.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;

constexpr const char* kShipping = "backup";
constexpr const char* kWholeMark = "SHA256SUMS";
constexpr const char* kListFile = "backup.json";
constexpr const char* kBackupsThere = "backups";

using FilesThere = std::map<std::string, std::uint64_t>;  // file → bytes

// What is below kBackupsThere, by backup.
std::map<std::string, FilesThere> ListThere(const Remote& below) {
  std::map<std::string, FilesThere> found;
  for (const RemoteFile& file : below.List()) {
    const std::size_t slash = file.path.find('/');
    if (slash == std::string::npos || !IsBackupName(file.path.substr(0, slash))) continue;
    found[file.path.substr(0, slash)][file.path.substr(slash + 1)] = file.bytes;
  }
  return found;
}

void Ship(const Remote& below, const Backup& backup, bool verified, const std::string& owner,
          const RunContext& context) {
  Os& os = OsOr(context.os);
  if (!verified) VerifyBackup(backup.folder, os);
  const std::string name = backup.folder.filename().string();
  Delivery delivery;
  const auto file = [&](const std::string& each, const std::string& sha256) {
    return Delivery::File{name + "/" + each, sha256, nullptr, ""};
  };
  for (const auto* each : {&backup.databases, &backup.files}) {
    for (const BackedUpFile& listed : *each) delivery.files.push_back(file(listed.file, listed.sha256));
  }
  delivery.files.push_back(file(kListFile, FileSha256(backup.folder / kListFile)));
  delivery.mark = file(kWholeMark, FileSha256(backup.folder / kWholeMark));
  const Sender sender(backup.folder.parent_path(), owner, context);
  const SendFailures failures = sender.Send(below, {&delivery}, {});
  sender.DropAllParts(below);
  sender.DropEmptyFolder(below);
  if (failures.empty()) return;
  const Error& failure = failures.begin()->second;
  if (verified && failure.kind() == ErrorKind::kIo) VerifyBackup(backup.folder, os);  // is it the one here that is bad?
  throw Error(failure.kind(), kShipping, failure.subject(), failure.message());
}

// Nothing: there is no such file.
std::optional<std::string> TextThere(const Remote& below, const std::string& object) {
  std::string text;
  bool there = false;
  below.Retrying([&] {
    text.clear();
    there = below.Read(object, [&](const char* data, std::size_t size) { text.append(data, size); });
  });
  if (!there) return std::nullopt;
  return text;
}

// What its backup.json says, when that is one of ours: as its SHA256SUMS says, unless that went already.
std::optional<Backup> OursThere(const Remote& below, const std::string& name, bool whole, const RunContext& context) {
  const std::string subject = below.about().name + ": backups/" + name;
  try {
    const auto list = TextThere(below, name + "/" + kListFile);
    if (!list) return std::nullopt;
    Backup backup = ParseBackup(*list, subject + "/" + kListFile);
    if (!whole) return backup;
    Sha256 sha256;
    sha256.Add(*list);
    const auto sums = ParseBackupSums(TextThere(below, name + "/" + kWholeMark).value_or(""), subject);
    const auto expected = sums.find(kListFile);
    if (expected != sums.end() && expected->second == sha256.Hex()) return backup;
    context.reporter->Warn(kShipping, subject + ": backup.json is not that of SHA256SUMS: nothing of it is removed");
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kBadInput && error.kind() != ErrorKind::kUsage) throw;
    context.reporter->Warn(kShipping, fmt::format("{}: nothing of it is removed", error.what()));
  }
  return std::nullopt;
}

void RequireWhole(const Remote& below, const std::string& name) {
  const std::string subject = below.about().name + ": backups/" + name;
  const auto sums = ParseBackupSums(TextThere(below, name + "/" + kWholeMark).value_or(""), subject);
  ObjectNames objects;
  for (const auto& each : sums) objects.push_back(name + "/" + each.first);
  std::map<std::string, std::string> found;
  below.Retrying([&] { found = below.Digests(objects); });
  for (const auto& [file, sha256] : sums) {
    const auto digest = found.find(name + "/" + file);
    if (digest != found.end() && digest->second == sha256) continue;
    throw Error(
        ErrorKind::kBadInput, kShipping, subject,
        fmt::format("is the newest backup there and is damaged, so no older one is removed: expected SHA-256 {} "
                    "of {}, found {}",
                    sha256, file, digest == found.end() ? "nothing" : digest->second));
  }
  if (sums.empty()) throw Error(ErrorKind::kBadInput, kShipping, subject, "has an empty SHA256SUMS");
}

}  // namespace

std::vector<std::string> BackupsAt(const Remote& remote) {
  std::vector<std::string> names;
  for (const auto& [name, files] : ListThere(remote.Below(kBackupsThere))) {
    if (files.count(kWholeMark) > 0) names.push_back(name);
  }
  return names;
}

std::vector<std::string> ShipBackups(const Remote& remote, const fs::path& directory, const ShippingOptions& options,
                                     const RunContext& context) {
  Os& os = OsOr(context.os);
  const Remote below = remote.Below(kBackupsThere);
  std::vector<Backup> here = ListBackups(directory, os);
  std::reverse(here.begin(), here.end());
  std::vector<std::string> there, shipped;
  remote.Retrying([&] { there = BackupsAt(remote); });
  remote.Retrying([&] { remote.RequireMark(options.in_use || !there.empty(), directory); });
  double n_done = 0;
  for (const Backup& backup : here) {
    context.CheckCancelled(kShipping);
    const std::string name = backup.folder.filename().string();
    const bool has_sums = Exists(backup.folder / kWholeMark, os);  // format 1 had none
    const bool stays =
        !MayBackupGo(static_cast<std::size_t>(&backup - here.data()), backup.made_at, options.keep_days, options.now);
    if (has_sums && stays && std::find(there.begin(), there.end(), name) == there.end()) {
      Ship(below, backup, name == options.verified, options.owner, context);
      shipped.push_back(name);
    }
    context.reporter->Progress(kShipping, ++n_done / static_cast<double>(here.size()));
  }
  return shipped;
}

std::vector<std::string> PruneBackupsAt(const Remote& remote, const ShippingOptions& options,
                                        const std::vector<std::string>& fresh, const RunContext& context) {
  std::vector<std::string> removed;
  if (options.keep_days <= 0) return removed;
  const Remote below = remote.Below(kBackupsThere);
  std::map<std::string, FilesThere> there;
  remote.Retrying([&] { there = ListThere(below); });
  std::size_t n_newer = 0;
  std::string newest;
  std::vector<std::pair<std::string, Backup>> going;
  for (auto at = there.rbegin(); at != there.rend(); ++at) {  // the newest first
    const auto& [name, files] = *at;
    context.CheckCancelled(kShipping);
    const bool whole = files.count(kWholeMark) > 0;
    if (whole && newest.empty()) newest = name;
    const auto listed =
        MayBackupGo(n_newer, 0, options.keep_days, options.now) ? OursThere(below, name, whole, context) : std::nullopt;
    if (listed && MayBackupGo(n_newer, listed->made_at, options.keep_days, options.now))
      going.emplace_back(name, *listed);
    if (whole) ++n_newer;
  }
  if (going.empty()) return removed;
  if (std::find(fresh.begin(), fresh.end(), newest) == fresh.end()) RequireWhole(below, newest);
  std::reverse(going.begin(), going.end());
  for (const auto& [name, backup] : going) {
    context.CheckCancelled(kShipping);
    ObjectNames files;
    for (const auto* each : {&backup.databases, &backup.files}) {
      for (const BackedUpFile& file : *each) files.push_back(name + "/" + file.file);
    }
    below.Retrying([&, &name = name] {
      below.Remove({name + "/" + kWholeMark});
      below.Remove(files);
      below.Remove({name + "/" + kListFile});
      below.RemoveEmptyFolders(name);
    });
    removed.push_back(name);
  }
  return removed;
}

Backup FetchBackup(const Remote& remote, const std::string& name, const fs::path& directory,
                   const RunContext& context) {
  Os& os = OsOr(context.os);
  const Remote below = remote.Below(kBackupsThere);
  std::map<std::string, FilesThere> there;
  remote.Retrying([&] { there = ListThere(below); });
  std::string wanted = name;
  if (name == "latest") {
    wanted.clear();
    for (const auto& [each, files] : there) {
      if (files.count(kWholeMark) > 0) wanted = each;
    }
  }
  const auto found = there.find(wanted);
  if (found == there.end() || found->second.count(kWholeMark) == 0) {
    throw Error(ErrorKind::kUsage, kShipping, remote.about().name,
                fmt::format("expected a whole backup '{}', found none: contimg backup list --remote {}", name,
                            remote.about().name));
  }
  if (!IsDirectory(directory, os)) {
    throw Error(ErrorKind::kIo, kShipping, directory.string(),
                "expected the directory of the backups, found none: mount its disk or make it (backup.dir)");
  }
  SweepUnfinished(directory, os);
  const fs::path final_path = directory / wanted;
  if (Exists(final_path, os)) return VerifyBackup(final_path, os);
  std::uint64_t bytes = 0;
  for (const auto& [file, size] : found->second) bytes += size;
  CheckRoom(os, directory, bytes, kShipping, final_path.string());
  const Unfinished unfinished(final_path, os);
  os.CreateDirectories(unfinished.path());
  double n_done = 0;
  const auto sums = ParseBackupSums(TextThere(below, wanted + "/" + kWholeMark).value_or(""),
                                    remote.about().name + ": backups/" + wanted);
  for (const auto& [file, size] : found->second) {
    context.CheckCancelled(kShipping);
    if (file.empty() || file[0] == '.' || file.find('/') != std::string::npos) continue;  // nothing of a backup
    if (file != kWholeMark && sums.count(file) == 0) continue;                            // nobody answers for it
    const std::string object = wanted + "/" + file;
    below.Retrying([&, &file = file] {
      os.RemoveAll(unfinished.path() / file);
      const auto out = os.Create(unfinished.path() / file);
      std::uint64_t at = 0;
      if (!below.Read(object, [&](const char* data, std::size_t n) {
            out->WriteAt(data, n, at);
            at += n;
          })) {
        throw Error(ErrorKind::kBadInput, kShipping, remote.about().name + ": backups/" + object,
                    "is not there any more");
      }
      out->Sync();
      out->Close();
    });
    context.reporter->Progress(kShipping, ++n_done / static_cast<double>(found->second.size()));
  }
  Backup backup = VerifyBackup(unfinished.path(), os);
  Publish(os, unfinished.path(), final_path);
  backup.folder = final_path;
  return backup;
}

}  // namespace contimg::ops
