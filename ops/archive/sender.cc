#include "ops/archive/sender.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

#include "ops/archive/stage_name.h"
#include "ops/base/sha256.h"

namespace contimg::ops {
namespace {

bool MayPass(const Error& error) { return error.kind() == ErrorKind::kIo || error.kind() == ErrorKind::kTimeout; }

std::string Sha256Of(const std::string& text) {
  Sha256 sha256;
  sha256.Add(text);
  return sha256.Hex();
}

std::string SubjectOf(const Remote& remote, const std::string& name) { return remote.about().name + ": " + name; }

// What failed for many, of one of them.
Error About(const Remote& remote, const std::string& name, const Error& error) {
  return error.stage() == kArchiveStage ? Error(error.kind(), kArchiveStage, SubjectOf(remote, name), error.message())
                                        : error;
}

std::string Found(const std::map<std::string, std::string>& digests, const std::string& name) {
  const auto found = digests.find(name);
  return found == digests.end() ? "nothing" : found->second;
}

template <typename File>
ObjectNames NamesOf(const std::vector<File>& files, const SendFailures& failures) {
  ObjectNames names;
  for (const File& file : files) {
    if (failures.count(file.of) == 0) names.push_back(file.name);
  }
  return names;
}

OutgoingSet Rest(const OutgoingSet& set, const SendFailures& failures) {
  OutgoingSet rest;
  for (const Outgoing* each : set) {
    if (failures.count(each) == 0) rest.push_back(each);
  }
  return rest;
}

}  // namespace

SendFailures Sender::Send(const Remote& remote, OutgoingSet set,
                          const std::function<void(const OutgoingSet&)>& copied) const {
  SendFailures failures;
  try {
    remote.Retrying([&] {
      for (const Outgoing* each : set) failures.erase(each);
      Attempt(remote, set, copied, failures);
      set.clear();
      std::optional<Error> first;
      for (const auto& [each, error] : failures) {
        if (!MayPass(error)) continue;
        set.push_back(each);
        if (!first) first = error;
      }
      if (first) throw Error(*first);
    });
  } catch (const Error& error) {
    if (failures.empty() || error.kind() == ErrorKind::kCancelled) throw;
  }
  return failures;
}

// What fails as a whole has failed for each that is not through.
void Sender::Attempt(const Remote& remote, const OutgoingSet& set,
                     const std::function<void(const OutgoingSet&)>& copied, SendFailures& failures) const {
  context_.CheckCancelled(kArchiveStage);
  try {
    std::vector<File> files;
    for (const Outgoing* each : set) {
      files.push_back({each, false, each->manifest.object, each->manifest.sha256});
      files.push_back({each, true, each->manifest.object + ".json", Sha256Of(ManifestText(each->manifest))});
    }
    // One that is there already must be the same.
    ObjectNames known;
    std::vector<File> missing;
    const auto sizes = remote.Sizes(NamesOf(files, failures));
    for (const auto& each : sizes) known.push_back(each.first);
    const auto digests = remote.Digests(known);
    for (File& file : files) {
      if (sizes.count(file.name) == 0) {
        missing.push_back(std::move(file));
        continue;
      }
      try {
        if (IsSame(remote, file, digests)) continue;
        failures.try_emplace(file.of, ErrorKind::kBadInput, kArchiveStage, SubjectOf(remote, file.name),
                             "holds other bytes, and nothing there is ever replaced: the next run takes another name");
      } catch (const Error& error) {
        if (error.kind() != ErrorKind::kBadInput) throw;
        failures.try_emplace(file.of, error);
      }
    }
    std::erase_if(missing, [&](const File& file) { return failures.count(file.of) != 0; });
    Put(remote, missing, failures);
    context_.CheckCancelled(kArchiveStage);
    for (const bool manifests : {false, true}) {  // which never stand without their object
      std::vector<File> these;
      std::copy_if(missing.begin(), missing.end(), std::back_inserter(these),
                   [&](const File& file) { return file.is_manifest == manifests; });
      remote.NameParts(NamesOf(these, failures), owner_);
    }
    const OutgoingSet named = Rest(set, failures);
    if (named.empty()) return;
    copied(named);
    ObjectNames objects;
    for (const Outgoing* each : named) objects.push_back(each->manifest.object);
    const auto again = remote.Digests(objects);
    for (const Outgoing* each : named) {
      const std::string& object = each->manifest.object;
      if (Found(again, object) == each->manifest.sha256) continue;
      failures.try_emplace(each, ErrorKind::kIo, kArchiveStage, SubjectOf(remote, object),
                           "does not read back as it was copied");
    }
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::kCancelled) throw;
    for (const Outgoing* each : set) failures.try_emplace(each, About(remote, each->manifest.object, error));
  }
}

// To the folder of parts, and read back. A call that fails may have carried some.
void Sender::Put(const Remote& remote, const std::vector<File>& files, SendFailures& failures) const {
  std::map<std::string, ObjectNames> from;
  for (const File& file : files) {
    const Remote* at = file.is_manifest ? nullptr : file.of->at;
    if (at == nullptr || file.of->its == file.name) {
      from[at == nullptr ? outbox_.string() : at->about().target].push_back(file.name);
    }
  }
  std::optional<Error> trouble;
  const auto trying = [&](const std::function<void()>& put) {
    try {
      put();
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::kCancelled) throw;
      trouble = error;
    }
  };
  for (const auto& [folder, names] : from)
    trying([&, &folder = folder, &names = names] { remote.PutParts(folder, names, owner_); });
  for (const File& file : files) {
    if (file.is_manifest || file.of->at == nullptr || file.of->its == file.name) continue;
    trying([&] { remote.PutPart(*file.of->at, file.of->its, file.name, owner_); });
  }
  const auto arrived = remote.Digests(NamesOf(files, {}), owner_);
  for (const File& file : files) {
    const std::string found = Found(arrived, file.name);
    if (found == file.sha256) continue;
    if (trouble) {
      failures.try_emplace(file.of, About(remote, file.name, *trouble));
    } else {
      failures.try_emplace(file.of, ErrorKind::kIo, kArchiveStage, SubjectOf(remote, file.name),
                           fmt::format("expected SHA-256 {} of what was copied there, found {}", file.sha256, found));
    }
  }
}

bool Sender::IsSame(const Remote& remote, const File& file, const std::map<std::string, std::string>& digests) const {
  const auto found = digests.find(file.name);
  if (found != digests.end() && found->second == file.sha256) return true;
  if (!file.is_manifest) {
    if (found != digests.end()) return false;
    const auto read = remote.Look(file.name);  // says why it cannot be read
    return read && read->sha256 == file.sha256;
  }
  // Another run, or another host, may have written one about the same bytes.
  std::string text;
  remote.Read(file.name, [&](const char* data, std::size_t size) { text.append(data, size); });
  return ParseManifest(text, SubjectOf(remote, file.name)).sha256 == file.of->manifest.sha256;
}

void Sender::DropParts(const Remote& remote, const OutgoingSet& set) const {
  ObjectNames names;
  for (const Outgoing* each : set) {
    names.push_back(each->manifest.object);
    names.push_back(each->manifest.object + ".json");
  }
  Trying([&] { remote.RemoveParts(names, owner_); });
}

void Sender::DropAllParts(const Remote& remote) const {
  Trying([&] { remote.RemoveParts({}, owner_); });
}

void Sender::DropEmptyFolder(const Remote& remote) const {
  Trying([&] { remote.RemovePartFolder(owner_); });
}

void Sender::Trying(const std::function<void()>& removal) const {
  try {
    removal();
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::kCancelled) throw;
    context_.reporter->Info(kArchiveStage, error.what());
  }
}

}  // namespace contimg::ops
