#include "ops/archive/verify.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "config/error.h"
#include "config/os.h"
#include "config/product_kind.h"
#include "config/time.h"
#include "ops/base/checksum.h"
#include "ops/base/sha256.h"
#include "ops/base/table_checksum.h"
#include "ops/job/header_check.h"

namespace contimg::ops {
namespace {

constexpr const char* kVerifyStage = "verify";

std::int64_t ShareOf(std::int64_t n, double share) {
  return std::max<std::int64_t>(std::min<std::int64_t>(n, 1), std::llround(std::ceil(static_cast<double>(n) * share)));
}

}  // namespace

ProductFinding CompareWithRecord(const state::ProductRow& row, Os& os) {
  ProductFinding found;
  const FileStatus status = os.Status(row.path);
  if (status.type == FileStatus::Type::kNone) {
    found.there = false;
    return found;
  }
  const auto differs = [&](const std::string& expected, const std::string& is) {
    found.difference = fmt::format("expected the checksum {}, found {}", expected, is);
    return found;
  };
  if (status.type == FileStatus::Type::kDirectory) {
    const std::string is = ProductChecksum(row.path, 1, os);
    return is == row.checksum || HasTableChecksum(row.path, row.checksum, os) ? found : differs(row.checksum, is);
  }
  if (row.kind == ToString(ProductKind::kUvh5)) {
    if (!HasFingerprint(row.path, row.checksum)) return differs(row.checksum, Fingerprint(row.path));
  } else if (const std::string is = ProductChecksum(row.path, 1, os); is != row.checksum) {
    return differs(row.checksum, is);
  }
  found.sha256 = FileSha256(row.path);
  if (row.sha256 && *row.sha256 != found.sha256) return differs(*row.sha256, found.sha256);
  return found;
}

VerifyResult VerifyProducts(state::ProductStore& products, state::MaintenanceStore& findings, double share,
                            const RunContext& context) {
  Os& os = OsOr(context.os);
  VerifyResult result;
  const std::int64_t n = ShareOf(products.Count("present", ""), share);
  const std::vector<state::ProductRow> rows = products.LeastRecentlyChecked(n);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    context.CheckCancelled(kVerifyStage);
    const state::ProductRow& row = rows[i];
    const ProductFinding found = CompareWithRecord(row, os);
    const auto now = products.Find(row.id);  // as it is when it was read
    const bool same_record = now && now->checksum == row.checksum && now->status == "present";
    if (found.there && same_record) {
      ++result.n_checked;
      result.bytes_checked += static_cast<std::uint64_t>(std::max<std::int64_t>(row.size_bytes, 0));
      if (found.difference.empty()) {
        findings.Resolve("local", row.path, UtcTime::Now().unix_s());
        if (!found.sha256.empty() && !row.sha256) products.SetSha256(row.id, found.sha256, UtcTime::Now().unix_s());
      } else {
        ++result.n_damaged;
        const std::string sentence = fmt::format("{}: {}", row.path, found.difference);
        result.damaged.push_back(sentence);
        findings.Report({0, UtcTime::Now().unix_s(), "local", row.path, found.difference, {}});
        context.reporter->Warn(kVerifyStage, sentence);
      }
    }
    products.SetChecked(row.id, UtcTime::Now().unix_s());
    context.reporter->Progress(kVerifyStage, static_cast<double>(i + 1) / static_cast<double>(rows.size()));
  }
  return result;
}

VerifyResult VerifyArchives(state::ProductStore& products, state::MaintenanceStore& findings,
                            const std::vector<Remote>& remotes, double share, const RunContext& context) {
  state::ArchiveStore store(products.database());
  VerifyResult result;
  std::vector<state::ArchiveRow> rows = store.LeastRecentlyChecked();
  rows.resize(static_cast<std::size_t>(ShareOf(static_cast<std::int64_t>(rows.size()), share)));
  std::set<std::string> silent;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    context.CheckCancelled(kVerifyStage);
    context.reporter->Progress(kVerifyStage, static_cast<double>(i) / static_cast<double>(rows.size()));
    const state::ArchiveRow& row = rows[i];
    const std::string subject = row.remote + ":" + row.object;
    if (silent.count(row.remote) != 0) {
      ++result.n_unreachable;
      continue;
    }
    std::string detail;
    try {
      detail = FindRemote(remotes, row.remote)
                   .DamageOf(row.object, row.sha256, static_cast<std::uint64_t>(std::max<std::int64_t>(row.bytes, 0)));
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::kCancelled) throw;
      context.reporter->Warn(kVerifyStage, error.what());
      silent.insert(row.remote);
      ++result.n_unreachable;
      continue;
    }
    ++result.n_checked;
    result.bytes_checked += static_cast<std::uint64_t>(row.bytes);
    if (detail.empty()) {
      if (row.state == state::ArchiveState::kCopied)
        store.SetState(row.id, state::ArchiveState::kVerified, "", UtcTime::Now().unix_s());
      store.SetChecked(row.id, UtcTime::Now().unix_s());
      findings.Resolve("archive", subject, UtcTime::Now().unix_s());
      continue;
    }
    ++result.n_damaged;
    store.SetState(row.id, state::ArchiveState::kLost, detail, UtcTime::Now().unix_s());
    findings.Report({0, UtcTime::Now().unix_s(), "archive", subject, detail, {}});
    result.damaged.push_back(fmt::format("{}: {}", subject, detail));
    context.reporter->Warn(kVerifyStage, result.damaged.back());
  }
  context.reporter->Progress(kVerifyStage, 1);
  return result;
}

}  // namespace contimg::ops
