#include "ops/job/tree_marker.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <random>

#include "config/descriptor.h"
#include "config/error.h"
#include "config/unfinished.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

constexpr const char* kStage = "tree";

// A small file whole; nothing when there is none.
std::optional<std::string> ReadSmallFile(const fs::path& path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) {
    if (errno == ENOENT || errno == ENOTDIR) return std::nullopt;
    throw SystemError(kStage, path.string(), "cannot open", errno);
  }
  std::string text(16384, '\0');
  const ssize_t n = ::read(file.get(), text.data(), text.size());
  if (n < 0) throw SystemError(kStage, path.string(), "cannot read", errno);
  text.resize(static_cast<std::size_t>(n));
  return text;
}

template <class Parse>
auto ParseJson(const fs::path& path, const std::string& text, const Parse& parse) {
  try {
    return parse(ordered_json::parse(text));
  } catch (const nlohmann::json::exception&) {
    throw Error(ErrorKind::kBadInput, kStage, path.string(),
                fmt::format("expected JSON with an identity and found {} bytes of something else", text.size()));
  }
}

TreeMarker ParseMarker(const fs::path& path, const std::string& text) {
  return ParseJson(path, text, [](const ordered_json& fields) {
    TreeMarker marker;
    marker.identity = fields.at("identity").get<std::string>();
    marker.state = fields.at("state").get<std::string>();
    marker.host = fields.at("host").get<std::string>();
    marker.pid = fields.at("pid").get<int>();
    marker.since = fields.at("since").get<std::string>();
    return marker;
  });
}

bool SameFile(int fd, const fs::path& path) {
  struct stat open {
  }, named{};
  return ::fstat(fd, &open) == 0 && ::stat(path.c_str(), &named) == 0 && open.st_dev == named.st_dev &&
         open.st_ino == named.st_ino;
}

enum class LockResult { kLocked, kHeld, kFailed };

// Opens `path` and locks it, without waiting. For reading only where that is enough, so that a disk can still be
// remounted read-only; network file systems want it open for writing.
LockResult OpenLocked(const fs::path& path, Descriptor& file) {
  for (const int mode : {O_RDONLY, O_RDWR}) {
    file = Descriptor(::open(path.c_str(), mode | O_CLOEXEC));
    if (file.get() < 0) return LockResult::kFailed;
    if (::flock(file.get(), LOCK_EX | LOCK_NB) == 0) return LockResult::kLocked;
    if (errno == EWOULDBLOCK) return LockResult::kHeld;
    if (errno != EBADF) return LockResult::kFailed;
  }
  return LockResult::kFailed;
}

void WriteMarker(const fs::path& path, const std::string& text) {
  ::unlink(path.c_str());
  const Descriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
  if (file.get() < 0) throw SystemError(kStage, path.string(), "cannot write", errno);
  (void)!::fchmod(file.get(), 0644);  // it says whose the tree is, to everybody
  if (::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()) && ::fsync(file.get()) == 0) {
    return;
  }
  const int error_number = errno;
  ::unlink(path.c_str());
  throw SystemError(kStage, path.string(), "cannot write", error_number);
}

[[noreturn]] void Busy(const fs::path& root) {
  const auto marker = ReadTreeMarker(root);
  throw Error(ErrorKind::kBusy, kStage, root.string(),
              marker ? fmt::format("is in use by {}", OwnerWords(root, *marker)) : "is in use by another process");
}

}  // namespace

fs::path TreeMarkerFile(const fs::path& root) { return root / ".contimg-tree"; }
fs::path StateIdentityFile(const fs::path& state_directory) { return state_directory / "identity.json"; }

std::string NewIdentity() {
  std::random_device random;
  std::uint64_t high = (std::uint64_t{random()} << 32) | random(), low = (std::uint64_t{random()} << 32) | random();
  high = (high & ~std::uint64_t{0xf000}) | 0x4000;
  low = (low & 0x3fffffffffffffff) | 0x8000000000000000;
  return fmt::format("{:08x}-{:04x}-{:04x}-{:04x}-{:012x}", high >> 32, (high >> 16) & 0xffff, high & 0xffff, low >> 48,
                     low & 0xffffffffffff);
}

std::optional<TreeMarker> ReadTreeMarker(const fs::path& root) {
  const fs::path path = TreeMarkerFile(root);
  const auto text = ReadSmallFile(path);
  if (!text) return std::nullopt;
  return ParseMarker(path, *text);
}

std::optional<std::pair<fs::path, TreeMarker>> NearestTreeMarker(fs::path directory) {
  directory = directory.lexically_normal();
  for (;;) {
    if (auto marker = ReadTreeMarker(directory)) return std::pair(directory, std::move(*marker));
    if (directory == directory.parent_path()) return std::nullopt;
    directory = directory.parent_path();
  }
}

std::optional<StateIdentity> ReadStateIdentity(const fs::path& state_directory) {
  const fs::path path = StateIdentityFile(state_directory);
  const auto text = ReadSmallFile(path);
  if (!text) return std::nullopt;
  return ParseJson(path, *text, [](const ordered_json& fields) {
    StateIdentity identity;
    identity.identity = fields.at("identity").get<std::string>();
    identity.since = fields.at("since").get<std::string>();
    identity.complete = fields.at("complete").get<bool>();
    for (const auto& root : fields.at("roots")) identity.roots.emplace_back(root.get<std::string>());
    return identity;
  });
}

void WriteStateIdentity(Os& os, const fs::path& state_directory, const StateIdentity& identity) {
  ordered_json roots = ordered_json::array();
  for (const fs::path& root : identity.roots) roots.push_back(root.string());
  const ordered_json json{
      {"identity", identity.identity}, {"since", identity.since}, {"complete", identity.complete}, {"roots", roots}};
  WriteFileAtomically(os, StateIdentityFile(state_directory), json.dump(2) + "\n");
}

void TreeLock::Take(const fs::path& root, const TreeMarker& marker) {
  const fs::path path = TreeMarkerFile(root);
  // Whoever holds the present one must be gone, unless it is this process. (Somebody who only asks holds it for an
  // instant: IsTreeLocked.)
  Descriptor present;
  if (!Holds(root)) {
    for (int tries = 0; OpenLocked(path, present) == LockResult::kHeld; ++tries) {
      if (tries == 5) Busy(root);
      ::usleep(20'000);
    }
  }
  const ordered_json json{{"identity", marker.identity},
                          {"state", marker.state.string()},
                          {"host", marker.host},
                          {"pid", marker.pid},
                          {"since", marker.since}};
  const Unfinished part(path);
  WriteMarker(part.path(), json.dump(2) + "\n");
  Descriptor made;
  if (OpenLocked(part.path(), made) != LockResult::kLocked || ::rename(part.path().c_str(), path.c_str()) != 0) {
    throw SystemError(kStage, path.string(), "cannot lock", errno);
  }
  const Descriptor directory(::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.get() >= 0) ::fsync(directory.get());
  file_ = std::move(made);
}

void TreeLock::TakeAsItIs(const fs::path& root) {
  const fs::path path = TreeMarkerFile(root);
  Descriptor present;
  switch (OpenLocked(path, present)) {
    case LockResult::kHeld:
      Busy(root);
    case LockResult::kFailed:
      throw SystemError(kStage, path.string(), "cannot lock", errno);
    case LockResult::kLocked:
      break;
  }
  if (!SameFile(present.get(), path)) Busy(root);
  file_ = std::move(present);
}

bool TreeLock::Holds(const fs::path& root) const { return file_.open() && SameFile(file_.get(), TreeMarkerFile(root)); }

bool IsTreeLocked(const fs::path& root) {
  Descriptor marker;
  return OpenLocked(TreeMarkerFile(root), marker) == LockResult::kHeld;
}

std::string OwnerWords(const fs::path& root, const TreeMarker& marker) {
  return fmt::format("the state directory {} of host {} ({})", marker.state.string(), marker.host,
                     IsTreeLocked(root) ? fmt::format("process {} works there now", marker.pid)
                                        : fmt::format("last used by process {}", marker.pid));
}

void RequireTrees(const ExpectedTrees& expected) {
  if (expected.identity.empty()) return;
  for (const fs::path& root : expected.roots) {
    const auto marker = ReadTreeMarker(root);
    if (!marker) {
      throw Error(ErrorKind::kIo, kStage, root.string(),
                  fmt::format("expected the marker {} of this tree and found none: the disk is most likely not mounted",
                              TreeMarkerFile(root).filename().string()));
    }
    if (marker->identity != expected.identity) {
      throw Error(ErrorKind::kIo, kStage, root.string(), fmt::format("belongs to {}", OwnerWords(root, *marker)));
    }
  }
}

bool IsBelow(const fs::path& path, const fs::path& root) {
  const fs::path p = path.lexically_normal();
  fs::path r = root.lexically_normal();
  if (!r.has_filename()) r = r.parent_path();  // a slash at the end
  const auto [in_root, in_path] = std::mismatch(r.begin(), r.end(), p.begin(), p.end());
  return in_root == r.end();
}

void GuardedOs::Guard(const Path& path) const {
  for (const fs::path& root : expected_.roots) {
    if (IsBelow(path, root)) RequireTrees({expected_.identity, {root}});
  }
}

}  // namespace contimg::ops
