#include "ops/archive/sender.h"

#include <fmt/format.h>

#include "config/error.h"
#include "ops/archive/stage_name.h"
#include "ops/base/sha256.h"

namespace contimg::ops {
namespace {}  // namespace

void Sender::Send(const Remote& remote, const Outgoing& outgoing, std::int64_t id,
                  const std::function<void()>& copied) const {
  const std::string& object = outgoing.manifest.object;
  const std::string& sha256 = outgoing.manifest.sha256;
  const auto is_whole = [&] {
    const auto found = remote.Look(object);
    return found && found->sha256 == sha256;
  };
  SendFile(remote, outgoing.put, sha256, object, id, is_whole);
  // Another run, or another host, may have written one about the same bytes.
  const auto put = [&](const Remote& to, const std::string& part) { to.Put(outgoing.manifest_file, part); };
  SendFile(remote, put, FileSha256(outgoing.manifest_file), object + ".json", id, [&] {
    std::string text;
    remote.Read(object + ".json", [&](const char* data, std::size_t size) { text.append(data, size); });
    return ParseManifest(text, remote.about().name + ": " + object + ".json").sha256 == sha256;
  });
  copied();
  if (!is_whole()) {
    throw Error(ErrorKind::kIo, kArchiveStage, remote.about().name + ": " + object,
                "does not read back as it was copied");
  }
}

std::string Sender::PartOf(const std::string& object, std::int64_t id) const {
  return PartName(object, fmt::format("{}-{}", owner_, id));
}

// To the part name, compared, then to the final name. One that is there already must be the same.
void Sender::SendFile(const Remote& remote, const std::function<void(const Remote&, const std::string&)>& put,
                      const std::string& sha256, const std::string& object, std::int64_t id,
                      const std::function<bool()>& is_same) const {
  const std::string subject = remote.about().name + ": " + object;
  context_.CheckCancelled(kArchiveStage);
  if (remote.Exists(object)) {
    if (is_same()) return remote.RemovePart(PartOf(object, id));
    throw Error(ErrorKind::kBadInput, kArchiveStage, subject,
                "holds other bytes, and nothing there is ever replaced: the next run takes another name");
  }
  put(remote, PartOf(object, id));
  const auto found = remote.Look(PartOf(object, id));
  if (!found || found->sha256 != sha256) {
    throw Error(ErrorKind::kIo, kArchiveStage, subject,
                fmt::format("expected SHA-256 {} of what was copied there, found {}", sha256,
                            found ? found->sha256 : "nothing"));
  }
  context_.CheckCancelled(kArchiveStage);
  remote.Move(PartOf(object, id), object);
}

void Sender::DropParts(const Remote& remote, const std::string& object, std::int64_t id) const {
  try {
    remote.RemovePart(PartOf(object, id));
    remote.RemovePart(PartOf(object + ".json", id));
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::kCancelled) throw;
    context_.reporter->Info(kArchiveStage, error.what());
  }
}

}  // namespace contimg::ops
