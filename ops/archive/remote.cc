#include "ops/archive/remote.h"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>
#include <utility>

#include "config/error.h"
#include "config/os.h"
#include "config/text.h"
#include "ops/archive/stage_name.h"
#include "ops/base/sha256.h"

namespace contimg::ops {
namespace {

constexpr const char* kMark = "contimg-archive.json";
constexpr const char* kMarkText = "{\"contimg_archive\": 1}\n";
constexpr std::string_view kPart = ".part-";
constexpr std::size_t kTrialBytes = 1000;
constexpr double kFirstDelayS = 1, kLongestDelayS = 60;
constexpr std::size_t kMostTogether = 128;
constexpr std::uint64_t kMostBytesTogether = 256'000'000;

std::string PartFolder(const std::string& owner) { return std::string(kPart) + owner; }

std::string Lines(const ObjectNames& names) {
  std::string lines;
  for (const std::string& name : names) lines += name + "\n";
  return lines;
}

std::string Subject(const ObjectNames& names) {
  return names.size() == 1 ? names.front() : fmt::format("{} and {} more", names.front(), names.size() - 1);
}

}  // namespace

bool IsPart(const std::string& path) { return path.compare(0, kPart.size(), kPart) == 0; }

bool Together::Takes(std::uint64_t bytes) {
  const bool takes = n_ < kMostTogether && bytes_ + bytes <= kMostBytesTogether;
  n_ = takes ? n_ + 1 : 1;
  bytes_ = takes ? bytes_ + bytes : bytes;
  return takes;
}

std::string Remote::Address(const std::string& object) const {
  const char last = remote_.target.back();
  return remote_.target + (last == ':' || last == '/' ? "" : "/") + object;
}

Remote Remote::Below(const std::string& folder) const {
  Remote below = *this;
  below.remote_.target = Address(folder);
  return below;
}

// False: there is no such thing.
bool Remote::Call(const std::string& object, const char* doing, const std::vector<std::string>& words,
                  const Rclone::Sink& sink, std::string_view input) const {
  const std::string subject = remote_.name + ": " + object;
  RcloneEnd end;
  try {
    end = rclone_.Run(words, remote_.timeout_s, sink, input);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kTimeout) throw;
    throw Error(ErrorKind::kTimeout, kArchiveStage, subject, fmt::format("{}: rclone {}", doing, error.message()));
  }
  if (end.kind == RcloneEnd::Kind::kOk) return true;
  if (end.kind == RcloneEnd::Kind::kMissing) return false;
  if (end.words.find("didn't find section in config file") != std::string::npos) {
    throw Error(
        ErrorKind::kUsage, kArchiveStage, remote_.name,
        fmt::format("expected the remote of {} in {}, found none", remote_.target, rclone_.options().config.string()));
  }
  for (const char* full : {"no space left", "remaining disk space", "quota", "insufficient storage"}) {
    if (end.words.find(full) == std::string::npos) continue;
    throw Error(ErrorKind::kResource, kArchiveStage, subject, fmt::format("{}: {} is full", doing, remote_.target));
  }
  for (const char* damaged : {"failed to authenticate decrypted block", "to be encrypted", "not an encrypted file"}) {
    if (end.words.find(damaged) == std::string::npos) continue;
    throw Error(ErrorKind::kBadInput, kArchiveStage, subject,
                "cannot be decrypted: it is damaged, or the password is another");
  }
  throw Error(end.kind == RcloneEnd::Kind::kFatal ? ErrorKind::kUsage : ErrorKind::kIo, kArchiveStage, subject,
              fmt::format("{} (rclone status {}{}{})", doing, end.status, end.words.empty() ? "" : ": ", end.words));
}

void Remote::PutParts(const std::string& from, const ObjectNames& names, const std::string& owner) const {
  if (names.empty()) return;
  Call(Subject(names), "cannot copy it there",
       {"copy", "--ignore-times", "--files-from-raw=-", from, Address(PartFolder(owner))}, {}, Lines(names));
}

void Remote::PutPart(const Remote& other, const std::string& its, const std::string& object,
                     const std::string& owner) const {
  Call(object, "cannot copy it there",
       {"copyto", "--ignore-times", other.Address(its), Address(PartFolder(owner) + "/" + object)}, {});
}

// rclone moves nothing into a folder around the one it comes from: each folder at the root by itself.
void Remote::NameParts(const ObjectNames& names, const std::string& owner) const {
  std::map<std::string, ObjectNames> folders;
  for (const std::string& name : names) {
    const std::size_t slash = name.find('/');
    if (slash != std::string::npos) {
      folders[name.substr(0, slash)].push_back(name.substr(slash + 1));
    } else {
      Call(name, "cannot give it its name",
           {"moveto", "--ignore-existing", Address(PartFolder(owner) + "/" + name), Address(name)}, {});
    }
  }
  for (const auto& [folder, below] : folders) {
    Call(
        folder + "/" + Subject(below), "cannot give it its name",
        {"move", "--ignore-existing", "--files-from-raw=-", Address(PartFolder(owner) + "/" + folder), Address(folder)},
        {}, Lines(below));
  }
}

void Remote::RemoveParts(const ObjectNames& names, const std::string& owner) const {
  const std::string folder = PartFolder(owner);
  std::vector<std::string> words{"delete", Address(folder)};
  if (!names.empty()) words.emplace_back("--files-from-raw=-");
  Call(folder, "cannot remove what is unfinished", words, {}, Lines(names));
}

void Remote::RemovePartFolder(const std::string& owner) const { RemoveEmptyFolders(PartFolder(owner)); }

void Remote::Remove(const ObjectNames& names) const {
  if (names.empty()) return;
  Call(Subject(names), "cannot remove it", {"delete", "--files-from-raw=-", remote_.target}, {}, Lines(names));
}

void Remote::RemoveEmptyFolders(const std::string& folder) const {
  Call(folder, "cannot remove what is empty", {"rmdirs", Address(folder)}, {});
}

std::map<std::string, std::uint64_t> Remote::Sizes(const ObjectNames& names) const {
  std::map<std::string, std::uint64_t> sizes;
  if (names.empty()) return sizes;
  for (RemoteFile& file : List(names)) sizes[std::move(file.path)] = file.bytes;
  return sizes;
}

std::map<std::string, std::string> Remote::Hashes(const ObjectNames& names, const std::string& folder,
                                                  bool told) const {
  std::map<std::string, std::string> hashes;
  if (names.empty()) return hashes;
  std::string text;
  std::optional<Error> trouble;
  std::vector<std::string> words{"hashsum", "sha256", "--files-from-raw=-", folder};
  if (!told) words.emplace_back("--download");
  try {
    Call(
        Subject(names), told ? "cannot ask for its SHA-256" : "cannot read it", words,
        [&](const char* data, std::size_t size) { text.append(data, size); }, Lines(names));
  } catch (const Error& error) {  // of one of them, perhaps
    if (error.kind() == ErrorKind::kCancelled || error.kind() == ErrorKind::kTimeout) throw;
    trouble = error;
  }
  constexpr std::size_t kDigits = 64;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.size() < kDigits + 3 || line.find_first_not_of("0123456789abcdef") != kDigits) continue;
    hashes[line.substr(kDigits + 2)] = line.substr(0, kDigits);
  }
  if (hashes.empty() && trouble && trouble->kind() != ErrorKind::kBadInput && !told) throw *trouble;
  return hashes;
}

std::map<std::string, std::string> Remote::Digests(const ObjectNames& names, const std::string& owner) const {
  const std::string folder = owner.empty() ? remote_.target : Address(PartFolder(owner));
  std::map<std::string, std::string> digests;
  if (by_hash_) digests = Hashes(names, folder, true);
  ObjectNames left;  // a remote may know none
  for (const std::string& name : names) {
    if (digests.count(name) == 0) left.push_back(name);
  }
  digests.merge(Hashes(left, folder, false));
  return digests;
}

std::optional<Digest> Remote::Look(const std::string& object) const {
  if (by_hash_) {
    std::string told;
    try {
      const bool there = Call(object, "cannot ask for its SHA-256", {"hashsum", "sha256", Address(object)},
                              [&](const char* data, std::size_t size) { told.append(data, size); });
      if (!there) return std::nullopt;
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kIo) throw;
      told.clear();  // tells none, or does not answer: then reading fails, too
    }
    const std::string hash = told.substr(0, 64);
    if (hash.size() == 64 && hash.find_first_not_of("0123456789abcdef") == std::string::npos) return Digest{hash, {}};
  }
  Sha256 sha256;
  std::uint64_t bytes = 0;
  const bool there = Read(object, [&](const char* data, std::size_t size) {
    sha256.Add(data, size);
    bytes += size;
  });
  if (!there) return std::nullopt;
  return Digest{sha256.Hex(), bytes};
}

std::optional<std::uint64_t> Remote::SizeOf(const std::string& object) const {
  std::string told;
  const bool there = Call(object, "cannot look for it", {"lsjson", "--stat", Address(object)},
                          [&](const char* data, std::size_t size) { told.append(data, size); });
  const nlohmann::json json = nlohmann::json::parse(told, nullptr, false);
  if (!there || !json.is_object() || json.value("IsDir", false)) return std::nullopt;
  return static_cast<std::uint64_t>(std::max<std::int64_t>(json.value("Size", std::int64_t{0}), 0));
}

std::string Remote::DamageOf(const std::string& object, const std::string& sha256, std::uint64_t bytes) const {
  std::optional<Digest> found;
  try {
    Retrying([&] {
      found = Look(object);
      if (!found) RequireMark();
    });
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::kBadInput) {
      RequireMark();  // which can be decrypted
      return error.message();
    }
    if (error.kind() != ErrorKind::kIo && error.kind() != ErrorKind::kTimeout) throw;
    const auto size = SizeOf(object);  // one that is cut off may fail to be read
    if (!size || *size == bytes) throw;
    RequireMark();
    return fmt::format("expected {} bytes, found {}", bytes, *size);
  }
  if (!found) return "is not there any more";
  if (found->sha256 != sha256) return fmt::format("expected SHA-256 {}, found {}", sha256, found->sha256);
  return "";
}

bool Remote::Read(const std::string& object, const Rclone::Sink& sink) const {
  return Call(object, "cannot read it", {"cat", Address(object)}, sink);
}

bool Remote::ReadPart(const std::string& object, std::uint64_t offset, std::uint64_t bytes,
                      const Rclone::Sink& sink) const {
  if (bytes == 0) return SizeOf(object).has_value();
  return Call(object, "cannot read it",
              {"cat", fmt::format("--offset={}", offset), fmt::format("--count={}", bytes), Address(object)}, sink);
}

void Remote::Fetch(const ObjectNames& names, const std::filesystem::path& folder) const {
  if (names.empty()) return;
  Call(Subject(names), "cannot fetch it",
       {"copy", "--ignore-times", "--files-from-raw=-", remote_.target, folder.string()}, {}, Lines(names));
}

std::vector<RemoteFile> Remote::List(const ObjectNames& names) const {
  std::string told;
  std::vector<RemoteFile> files;
  std::vector<std::string> words{"lsjson", "-R", "--files-only", "--no-mimetype", "--no-modtime", remote_.target};
  if (!names.empty()) words.emplace_back("--files-from-raw=-");
  if (!Call(
          names.empty() ? "" : Subject(names), "cannot list it", words,
          [&](const char* data, std::size_t size) { told.append(data, size); }, Lines(names))) {
    return files;
  }
  const nlohmann::json list = nlohmann::json::parse(told, nullptr, false);
  if (!list.is_array())
    throw Error(ErrorKind::kIo, kArchiveStage, remote_.name, "cannot list it: the answer is no list");
  for (const nlohmann::json& each : list) {
    const auto size = each.value("Size", std::int64_t{-1});
    files.push_back({each.value("Path", ""), size < 0 ? 0 : static_cast<std::uint64_t>(size)});
  }
  return files;
}

bool Remote::Answers() const {
  return Call("", "cannot list it", {"lsjson", "--no-mimetype", "--no-modtime", remote_.target}, {});
}

void Remote::TryOut(const std::string& owner) const {
  const std::string text(kTrialBytes, 'x');
  const std::string object = PartFolder(owner) + "/trial";
  Call(object, "cannot write there", {"rcat", Address(object)}, {}, text);
  std::string back;
  const bool there = Read(object, [&](const char* data, std::size_t size) { back.append(data, size); });
  if (!there || back != text) {
    throw Error(ErrorKind::kIo, kArchiveStage, remote_.name + ": " + object,
                fmt::format("wrote {} bytes and read back {}", text.size(), there ? "others" : "nothing"));
  }
  RemoveParts({}, owner);
  RemovePartFolder(owner);
}

void Remote::RequireMark() const { RequireMark(true, {}); }

void Remote::RequireMark(bool in_use, const std::filesystem::path& folder) const {
  std::string text;
  const bool there = Read(kMark, [&](const char* data, std::size_t size) { text.append(data, size); });
  if (there && nlohmann::json::parse(text, nullptr, false).is_object()) return;
  if (there || in_use) {
    throw Error(ErrorKind::kIo, kArchiveStage, remote_.name,
                fmt::format("expected the mark {} at {}, found {}: is it mounted, is it the same place as before?",
                            kMark, remote_.target, there ? "another file" : "none"));
  }
  const std::filesystem::path file = folder / (std::string(".") + kMark);
  RealOs().CreateDirectories(folder);
  WriteFileAtomically(RealOs(), file, kMarkText);
  Call(kMark, "cannot copy it there", {"copyto", "--ignore-times", file.string(), Address(kMark)}, {});
  RealOs().RemoveAll(file);
}

void Remote::Retrying(const std::function<void()>& attempt) const {
  double delay_s = kFirstDelayS;
  for (int left = remote_.retries;; --left) {
    try {
      return attempt();
    } catch (const Error& error) {
      const bool passing = error.kind() == ErrorKind::kIo || error.kind() == ErrorKind::kTimeout;
      if (left <= 0 || !passing || error.stage() != kArchiveStage) throw;  // the disk here is no matter of waiting
    }
    for (double waited = 0; waited < delay_s; waited += 0.1) {
      const auto* cancelled = rclone_.options().cancelled;
      if (cancelled != nullptr && cancelled->load(std::memory_order_relaxed)) {
        throw Error(ErrorKind::kCancelled, kArchiveStage, "", "cancelled on request");
      }
      ::poll(nullptr, 0, 100);
    }
    delay_s = std::min(2 * delay_s, kLongestDelayS);
  }
}

}  // namespace contimg::ops
