// Reading again what is on record: products on disk, objects at remotes.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "config/run_context.h"
#include "ops/archive/archiver.h"
#include "ops/archive/remote.h"
#include "state/archive_store.h"
#include "state/maintenance_store.h"
#include "state/product_store.h"

namespace contimg::ops {

// In which way a product on disk is not what was recorded; empty: it is. Nothing when it is not there. Files are
// compared by SHA-256 where that is known, inputs by the digest of the intake, all others by XXH64. Error{kIo}.
// `sha256`: of a file, when it was read whole.
struct ProductFinding {
  bool there = true;
  std::string difference;
  std::string sha256;
};
ProductFinding CompareWithRecord(const state::ProductRow& row, Os& os);

struct VerifyResult {
  std::int64_t n_checked = 0, n_damaged = 0, n_unreachable = 0;
  std::uint64_t bytes_checked = 0;
  std::vector<std::string> damaged;  // one sentence each
};

// Ends the findings that nothing is left to do about: of products that are on no record any more or were let go, and of
// archived objects whose products have other copies at that remote (or are others now). Returns how many.
int SettleFindings(state::ProductStore& products, state::MaintenanceStore& findings, double now);

// A share of the present products (1: all), those first that were not read for the longest, and all about which there
// is a finding: what was cured meanwhile is known as such the next time. What is damaged is reported
// as a finding of place "local", what is whole resolves one. A product that is not there is not this one's business
// (the reconciler's), nor is one that is made anew meanwhile.
VerifyResult VerifyProducts(state::ProductStore& products, state::MaintenanceStore& findings, double share,
                            const RunContext& context);

// Reads small objects of one remote again, many in one call. `whole` is called with those that are; gives the others,
// to be looked at one by one.
std::vector<state::ArchiveRow> ReadTogether(const Remote& remote, const std::vector<state::ArchiveRow>& rows,
                                            const RunContext& context,
                                            const std::function<void(const state::ArchiveRow&)>& whole);

// As VerifyProducts, of copied and verified objects, place "archive": a copied one that is whole becomes verified, one
// that is damaged or gone becomes lost. A remote that does not answer, or has lost its mark, is passed over and
// counted.
VerifyResult VerifyArchives(state::ProductStore& products, state::MaintenanceStore& findings,
                            const std::vector<Remote>& remotes, double share, const RunContext& context);

}  // namespace contimg::ops
