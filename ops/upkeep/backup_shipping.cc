#include "ops/upkeep/backup_shipping.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
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
constexpr const char* kBackupsThere = "backups";

// What is below kBackupsThere, by backup: file → bytes.
std::map<std::string, std::map<std::string, std::uint64_t>> ListThere(const Remote& below) {
  std::map<std::string, std::map<std::string, std::uint64_t>> found;
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
  delivery.files.push_back(file("backup.json", FileSha256(backup.folder / "backup.json")));
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
    if (has_sums && std::find(there.begin(), there.end(), name) == there.end()) {
      Ship(below, backup, name == options.verified, options.owner, context);
      shipped.push_back(name);
    }
    context.reporter->Progress(kShipping, ++n_done / static_cast<double>(here.size()));
  }
  return shipped;
}

Backup FetchBackup(const Remote& remote, const std::string& name, const fs::path& directory,
                   const RunContext& context) {
  Os& os = OsOr(context.os);
  const Remote below = remote.Below(kBackupsThere);
  std::map<std::string, std::map<std::string, std::uint64_t>> there;
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
  for (const auto& [file, size] : found->second) {
    context.CheckCancelled(kShipping);
    if (file.empty() || file[0] == '.' || file.find('/') != std::string::npos) continue;  // nothing of a backup
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
