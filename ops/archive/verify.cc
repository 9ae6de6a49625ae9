#include "ops/archive/verify.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <set>
#include <utility>

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
  // Of inputs the digest of the intake, or, when there was none, that of their first archiving.
  if (row.kind != ToString(ProductKind::kUvh5) || !HasFingerprint(row.path, row.checksum)) {
    if (const std::string is = ProductChecksum(row.path, 1, os); is != row.checksum) return differs(row.checksum, is);
  }
  found.sha256 = FileSha256(row.path);
  if (row.sha256 && *row.sha256 != found.sha256) return differs(*row.sha256, found.sha256);
  return found;
}

int SettleFindings(state::ProductStore& products, state::MaintenanceStore& findings, double now) {
  const std::vector<state::IntegrityFinding> open = findings.OpenFindings();
  if (open.empty()) return 0;
  std::set<std::string> lost;
  for (const state::LostObject& each : state::ArchiveStore(products.database()).NotMadeGood()) {
    lost.insert(each.remote + ":" + each.object);
  }
  int n = 0;
  for (const state::IntegrityFinding& each : open) {
    bool over = false;
    if (each.place == "archive") {
      over = lost.count(each.subject) == 0;
    } else if (each.place == "local") {
      const auto row = products.FindByPath(each.subject);
      over = !row || row->status == "archived" || row->status == "removed";
    }
    if (!over) continue;
    findings.Resolve(each.place, each.subject, now);
    ++n;
  }
  return n;
}

VerifyResult VerifyProducts(state::ProductStore& products, state::MaintenanceStore& findings, double share,
                            const RunContext& context) {
  Os& os = OsOr(context.os);
  VerifyResult result;
  const std::int64_t n = ShareOf(products.Count("present", ""), share);
  SettleFindings(products, findings, UtcTime::Now().unix_s());
  std::vector<state::ProductRow> rows = products.LeastRecentlyChecked(n);
  for (const state::IntegrityFinding& open : findings.OpenFindings()) {
    if (open.place != "local") continue;
    const bool among = std::any_of(rows.begin(), rows.end(), [&](const auto& row) { return row.path == open.subject; });
    auto row = among ? std::nullopt : products.FindByPath(open.subject);
    if (row && row->status == "present") rows.push_back(std::move(*row));
  }
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

std::vector<state::ArchiveRow> ReadTogether(const Remote& remote, const std::vector<state::ArchiveRow>& rows,
                                            const RunContext& context,
                                            const std::function<void(const state::ArchiveRow&)>& whole) {
  std::vector<std::vector<state::ArchiveRow>> sets;
  Together together;
  for (const state::ArchiveRow& row : rows) {
    const bool joins = together.Takes(static_cast<std::uint64_t>(std::max<std::int64_t>(row.bytes, 0)));
    if (!joins || sets.empty()) sets.emplace_back();
    sets.back().push_back(row);
  }
  std::vector<state::ArchiveRow> others;
  bool answers = true;
  for (const auto& set : sets) {
    context.CheckCancelled(kVerifyStage);
    std::map<std::string, std::string> digests;
    ObjectNames names;
    for (const state::ArchiveRow& row : set) names.push_back(row.object);
    try {
      if (answers && set.size() > 1) digests = remote.Digests(names);
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::kCancelled) throw;
      answers = false;
    }
    for (const state::ArchiveRow& row : set) {
      const auto found = digests.find(row.object);
      if (found != digests.end() && found->second == row.sha256) {
        whole(row);
      } else {
        others.push_back(row);
      }
    }
  }
  return others;
}

VerifyResult VerifyArchives(state::ProductStore& products, state::MaintenanceStore& findings,
                            const std::vector<Remote>& remotes, double share, const RunContext& context) {
  state::ArchiveStore store(products.database());
  VerifyResult result;
  std::vector<state::ArchiveRow> rows = store.LeastRecentlyChecked();
  rows.resize(static_cast<std::size_t>(ShareOf(static_cast<std::int64_t>(rows.size()), share)));
  std::map<std::string, std::vector<state::ArchiveRow>> of;
  for (state::ArchiveRow& row : rows) of[row.remote].push_back(std::move(row));
  const auto n_rows = static_cast<double>(rows.size());
  const auto read = [&](const state::ArchiveRow& row) {
    ++result.n_checked;
    result.bytes_checked += static_cast<std::uint64_t>(row.bytes);
    context.reporter->Progress(kVerifyStage, static_cast<double>(result.n_checked + result.n_unreachable) / n_rows);
  };
  const auto whole = [&](const state::ArchiveRow& row) {
    read(row);
    if (row.state == state::ArchiveState::kCopied)
      store.SetState(row.id, state::ArchiveState::kVerified, "", UtcTime::Now().unix_s());
    store.SetChecked(row.id, UtcTime::Now().unix_s());
    findings.Resolve("archive", row.remote + ":" + row.object, UtcTime::Now().unix_s());
  };
  for (auto& [name, all] : of) {
    std::vector<state::ArchiveRow> left = std::move(all);
    try {
      const Remote& remote = FindRemote(remotes, name);
      left = ReadTogether(remote, left, context, whole);
      while (!left.empty()) {
        context.CheckCancelled(kVerifyStage);
        const state::ArchiveRow row = left.back();
        const std::string detail =
            remote.DamageOf(row.object, row.sha256, static_cast<std::uint64_t>(std::max<std::int64_t>(row.bytes, 0)));
        left.pop_back();
        if (detail.empty()) {
          whole(row);
          continue;
        }
        read(row);
        ++result.n_damaged;
        store.SetState(row.id, state::ArchiveState::kLost, detail, UtcTime::Now().unix_s());
        findings.Report({0, UtcTime::Now().unix_s(), "archive", row.remote + ":" + row.object, detail, {}});
        result.damaged.push_back(fmt::format("{}:{}: {}", row.remote, row.object, detail));
        context.reporter->Warn(kVerifyStage, result.damaged.back());
      }
    } catch (const Error& error) {  // no answer: what is left of it another time
      if (error.kind() == ErrorKind::kCancelled || error.stage() != "archive") throw;
      context.reporter->Warn(kVerifyStage, error.what());
      result.n_unreachable += static_cast<std::int64_t>(left.size());
    }
  }
  SettleFindings(products, findings, UtcTime::Now().unix_s());
  context.reporter->Progress(kVerifyStage, 1);
  return result;
}

}  // namespace contimg::ops
