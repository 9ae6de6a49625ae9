#include "ops/archive/sender.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

#include "ops/archive/stage_name.h"

namespace contimg::ops {
namespace {

bool MayPass(const Error& error) { return error.kind() == ErrorKind::kIo || error.kind() == ErrorKind::kTimeout; }

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

DeliverySet Rest(const DeliverySet& set, const SendFailures& failures) {
  DeliverySet rest;
  for (const Delivery* each : set) {
    if (failures.count(each) == 0) rest.push_back(each);
  }
  return rest;
}

}  // namespace

SendFailures Sender::Send(const Remote& remote, DeliverySet set,
                          const std::function<void(const DeliverySet&)>& copied) const {
  SendFailures failures;
  try {
    remote.Retrying([&] {
      for (const Delivery* each : set) failures.erase(each);
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
void Sender::Attempt(const Remote& remote, const DeliverySet& set,
                     const std::function<void(const DeliverySet&)>& copied, SendFailures& failures) const {
  context_.CheckCancelled(kArchiveStage);
  try {
    const std::vector<Part> missing = Missing(remote, set, failures);
    Put(remote, missing, failures);
    context_.CheckCancelled(kArchiveStage);
    for (const bool marks : {false, true}) {  // which never stand without the others
      std::vector<Part> these;
      std::copy_if(missing.begin(), missing.end(), std::back_inserter(these),
                   [&](const Part& part) { return part.is_mark() == marks; });
      remote.NameParts(NamesOf(these, failures), owner_);
    }
    const DeliverySet named = Rest(set, failures);
    if (named.empty()) return;
    if (copied) copied(named);
    ReadAgain(remote, named, missing, failures);
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::kCancelled) throw;
    for (const Delivery* each : set) failures.try_emplace(each, About(remote, each->files.front().name, error));
  }
}

// What is there already must be the same; the rest of those of which it is.
std::vector<Sender::Part> Sender::Missing(const Remote& remote, const DeliverySet& set, SendFailures& failures) const {
  std::vector<Part> all, missing;
  for (const Delivery* each : set) {
    for (const Delivery::File& file : each->files) all.push_back({each, &file});
    all.push_back({each, &each->mark});
  }
  ObjectNames known;
  const auto sizes = remote.Sizes(NamesOf(all, failures));
  for (const auto& each : sizes) known.push_back(each.first);
  const auto digests = remote.Digests(known);
  for (const Part& part : all) {
    if (sizes.count(part.file->name) == 0) {
      missing.push_back(part);
      continue;
    }
    try {
      if (IsSame(remote, part, digests)) continue;
      failures.try_emplace(part.of, ErrorKind::kBadInput, kArchiveStage, SubjectOf(remote, part.file->name),
                           "holds other bytes, and nothing there is ever replaced");
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kBadInput) throw;
      failures.try_emplace(part.of, error);
    }
  }
  std::erase_if(missing, [&](const Part& part) { return failures.count(part.of) != 0; });
  return missing;
}

// To the folder of parts, and read back. A call that fails may have carried some.
void Sender::Put(const Remote& remote, const std::vector<Part>& parts, SendFailures& failures) const {
  std::map<std::string, ObjectNames> from;
  for (const Part& part : parts) {
    const Delivery::File& file = *part.file;
    if (file.at == nullptr || file.its == file.name) {
      from[file.at == nullptr ? folder_.string() : file.at->about().target].push_back(file.name);
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
  for (const Part& part : parts) {
    const Delivery::File& file = *part.file;
    if (file.at == nullptr || file.its == file.name) continue;
    trying([&] { remote.PutPart(*file.at, file.its, file.name, owner_); });
  }
  const auto arrived = remote.Digests(NamesOf(parts, {}), owner_);
  for (const Part& part : parts) {
    const std::string& name = part.file->name;
    const std::string found = Found(arrived, name);
    if (found == part.file->sha256) continue;
    if (trouble) {
      failures.try_emplace(part.of, About(remote, name, *trouble));
    } else {
      failures.try_emplace(
          part.of, ErrorKind::kIo, kArchiveStage, SubjectOf(remote, name),
          fmt::format("expected SHA-256 {} of what was copied there, found {}", part.file->sha256, found));
    }
  }
}

// All but marks that were there before: they may have other bytes.
void Sender::ReadAgain(const Remote& remote, const DeliverySet& named, const std::vector<Part>& put,
                       SendFailures& failures) const {
  std::vector<Part> parts;
  for (const Delivery* each : named) {
    for (const Delivery::File& file : each->files) parts.push_back({each, &file});
  }
  std::copy_if(put.begin(), put.end(), std::back_inserter(parts), [](const Part& part) { return part.is_mark(); });
  const auto again = remote.Digests(NamesOf(parts, failures));
  for (const Part& part : parts) {
    if (Found(again, part.file->name) == part.file->sha256) continue;
    failures.try_emplace(part.of, ErrorKind::kIo, kArchiveStage, SubjectOf(remote, part.file->name),
                         "does not read back as it was copied");
  }
}

bool Sender::IsSame(const Remote& remote, const Part& part, const std::map<std::string, std::string>& digests) {
  const std::string& name = part.file->name;
  const auto found = digests.find(name);
  if (found != digests.end() && found->second == part.file->sha256) return true;
  if (!part.is_mark() || !part.of->says_the_same) {
    if (found != digests.end()) return false;
    const auto read = remote.Look(name);  // says why it cannot be read
    return read && read->sha256 == part.file->sha256;
  }
  std::string text;
  remote.Read(name, [&](const char* data, std::size_t size) { text.append(data, size); });
  return part.of->says_the_same(text);
}

// Of those whose delivery has not failed.
ObjectNames Sender::NamesOf(const std::vector<Part>& parts, const SendFailures& failures) {
  ObjectNames names;
  for (const Part& part : parts) {
    if (failures.count(part.of) == 0) names.push_back(part.file->name);
  }
  return names;
}

void Sender::DropParts(const Remote& remote, const DeliverySet& set) const {
  ObjectNames names;
  for (const Delivery* each : set) {
    for (const Delivery::File& file : each->files) names.push_back(file.name);
    names.push_back(each->mark.name);
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
