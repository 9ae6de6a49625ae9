#include "ops/records/input_review.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "config/error.h"

namespace contimg::ops {

namespace fs = std::filesystem;
using state::SubbandFileRow;

bool FileIsThere(const fs::path& path, Os& os) {
  std::string why = "it is not there";
  try {
    if (Exists(path, os)) return true;
    if (IsDirectory(path.parent_path(), os)) return false;
  } catch (const Error& error) {
    why = error.message();
  }
  throw Error(ErrorKind::kIo, "queue", path.string(),
              fmt::format("its directory cannot be looked into ({}): is it mounted?", why));
}

void RecordReview(state::GroupStore& store, const state::GroupRow& row, const InputReview& review,
                  const std::string& actor, double now) {
  if (review.changed.empty()) return;
  store.AddFiles(row, review.changed, actor, now);
  for (const std::string& note : review.notes) store.AddEvent({0, now, row.id, "replaced", "", "", actor, note});
}

InputReview ReviewInputs(const std::vector<SubbandFileRow>& files, const std::function<bool(const fs::path&)>& exists) {
  InputReview review;
  struct Subband {
    const SubbandFileRow* present = nullptr;
    std::vector<const SubbandFileRow*> others;  // in conflict or late, and there
  };
  std::map<int, Subband> subbands;
  const auto change = [&](const SubbandFileRow& row, const char* status) {
    review.changed.push_back(row);
    review.changed.back().status = status;
  };
  std::vector<const SubbandFileRow*> gone;
  for (const SubbandFileRow& row : files) {
    if (row.status != "present" && row.status != "conflict" && row.status != "late") continue;
    if (!exists(row.path)) {
      gone.push_back(&row);
      continue;
    }
    Subband& subband = subbands[row.subband];
    if (row.status == "present") {
      subband.present = &row;
    } else {
      subband.others.push_back(&row);
    }
  }
  for (const SubbandFileRow* row : gone) {
    change(*row, "removed");
    review.notes.push_back(fmt::format("{} is gone", row->path));
  }
  for (const auto& [number, subband] : subbands) {
    const bool others_conflict = std::any_of(subband.others.begin(), subband.others.end(),
                                             [](const SubbandFileRow* row) { return row->status == "conflict"; });
    const std::size_t n_claims = subband.others.size() + (subband.present != nullptr ? 1 : 0);
    if (n_claims > 1 && others_conflict) {
      std::string names = subband.present != nullptr ? subband.present->path : "";
      for (const SubbandFileRow* row : subband.others) names += (names.empty() ? "" : " or ") + row->path;
      review.unresolved.push_back(fmt::format("sb{:02d}: {}", number, names));
    }
    if (subband.present != nullptr) {
      ++review.n_present;
      continue;
    }
    // Late files join by the operator's word alone (requeue); one that was in conflict has won its conflict.
    if (subband.others.size() == 1 && others_conflict) {
      change(*subband.others.front(), "present");
      review.notes.push_back(fmt::format("{} takes the place of sb{:02d}", subband.others.front()->path, number));
      ++review.n_present;
    }
  }
  return review;
}

}  // namespace contimg::ops
