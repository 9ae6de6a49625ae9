#include "ops/job/header_check.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <iostream>
#include <nlohmann/json.hpp>
#include <vector>

#include "config/checksum.h"
#include "config/descriptor.h"
#include "config/product_paths.h"
#include "ingest/file_watcher.h"
#include "ingest/uvh5_reader.h"
#include "ops/job/observation.h"

namespace contimg::ops {
namespace {

using nlohmann::json;

Descriptor OpenToRead(const std::filesystem::path& path) {
  return Descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
}

template <class Hash>
std::string FingerprintBy(const std::filesystem::path& path) {
  const Descriptor file = OpenToRead(path);
  const off_t size = file.open() ? ::lseek(file.get(), 0, SEEK_END) : -1;
  if (size < 0) throw SystemError("ingest", path.string(), "cannot open", errno);
  constexpr off_t kEnds = 65536, kBlock = 4096, kBlocks = 62;
  Hash hash;
  hash.Add(&size, sizeof size);
  std::vector<unsigned char> buffer(kEnds);
  const auto add = [&](off_t offset, off_t length) {
    const ssize_t n = ::pread(file.get(), buffer.data(), static_cast<std::size_t>(length), offset);
    if (n < 0) throw SystemError("ingest", path.string(), "cannot read", errno);
    hash.Add(buffer.data(), static_cast<std::size_t>(n));
  };
  add(0, kEnds);
  add(std::max<off_t>(0, size - kEnds), kEnds);
  for (off_t block = 1; block <= kBlocks; ++block) add(size / (kBlocks + 1) * block, kBlock);
  return hash.Hex();
}

}  // namespace

std::string Fingerprint(const std::filesystem::path& path) { return FingerprintBy<Xxh64>(path); }

bool HasFingerprint(const std::filesystem::path& path, const std::string& recorded) {
  return Fingerprint(path) == recorded || FingerprintBy<Fnv1a>(path) == recorded;
}

bool SameBytes(const std::filesystem::path& a, const std::filesystem::path& b) {
  const Descriptor file_a = OpenToRead(a);
  if (!file_a.open()) throw SystemError("ingest", a.string(), "cannot open", errno);
  const Descriptor file_b = OpenToRead(b);
  if (!file_b.open()) throw SystemError("ingest", b.string(), "cannot open", errno);
  std::vector<char> buffer_a(1 << 20), buffer_b(1 << 20);
  for (off_t offset = 0;;) {
    const ssize_t n = ::pread(file_a.get(), buffer_a.data(), buffer_a.size(), offset);
    if (n < 0) throw SystemError("ingest", a.string(), "cannot read", errno);
    const ssize_t m = ::pread(file_b.get(), buffer_b.data(), buffer_b.size(), offset);
    if (m < 0) throw SystemError("ingest", b.string(), "cannot read", errno);
    if (n != m || std::memcmp(buffer_a.data(), buffer_b.data(), static_cast<std::size_t>(n)) != 0) return false;
    if (n == 0) return true;
    offset += n;
  }
}

CheckResult CheckSubbandFile(const std::filesystem::path& path) {
  CheckResult result;
  result.path = path;
  try {
    const auto name = ParseIncomingName(path);
    if (!name || name->incomplete) {
      throw Error(ErrorKind::kBadInput, "ingest", path.string(), "is not named like a finished subband file");
    }
    const auto before = ingest::Stat(path);
    if (!before) throw Error(ErrorKind::kIo, "ingest", path.string(), "is not there any more");
    const ingest::SubbandHeader header = ingest::ReadSubbandHeader(path);
    ingest::SubbandFile file;
    file.path = path;
    file.subband = name->subband;
    file.stamp = UtcTime::FromIso8601(name->timestamp);
    file.axis = {header.time_mjd_s.front(), header.time_mjd_s.back(), header.time_mjd_s.size()};
    file.size = before->size;
    file.mtime_ns = before->mtime_ns;
    file.fingerprint = Fingerprint(path);
    result.observation = ObservationOf(header);
    result.file = file;
  } catch (const Error& error) {
    result.kind = error.kind();
    result.message = error.message();
  } catch (const std::exception& error) {
    result.kind = ErrorKind::kBadInput;
    result.message = error.what();
  }
  return result;
}

std::string FormatCheckResult(const CheckResult& result) {
  json value = {{"path", result.path.string()}};
  if (result.file) {
    const ingest::SubbandFile& f = *result.file;
    value["subband"] = f.subband;
    value["stamp_mjd_s"] = f.stamp.mjd_s();
    value["first_mjd_s"] = f.axis.first_mjd_s;
    value["last_mjd_s"] = f.axis.last_mjd_s;
    value["count"] = f.axis.count;
    value["size"] = f.size;
    value["mtime_ns"] = f.mtime_ns;
    value["fingerprint"] = f.fingerprint;
    value["observation"] = ToJson(result.observation);
  } else {
    value["kind"] = ToString(result.kind);
    value["message"] = result.message;
  }
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::optional<CheckResult> ParseCheckResult(const std::string& line) {
  try {
    const json value = json::parse(line);
    CheckResult result;
    result.path = value.at("path").get<std::string>();
    if (value.contains("kind")) {
      result.kind = ParseErrorKind(value.at("kind").get<std::string>());
      result.message = value.at("message");
      return result;
    }
    ingest::SubbandFile file;
    file.path = result.path;
    file.subband = value.at("subband");
    file.stamp = UtcTime::FromMjdSeconds(value.at("stamp_mjd_s"));
    file.axis = {value.at("first_mjd_s"), value.at("last_mjd_s"), value.at("count")};
    file.size = value.at("size");
    file.mtime_ns = value.at("mtime_ns");
    file.fingerprint = value.at("fingerprint");
    result.observation = ParseObservation(value.at("observation"));
    result.file = file;
    return result;
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

int RunHeaderCheck() {
  for (std::string path; std::getline(std::cin, path);) {
    std::cout << FormatCheckResult(CheckSubbandFile(path)) << std::endl;
  }
  return 0;
}

}  // namespace contimg::ops
