#include "ops/records/reconciler.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "config/product_class.h"
#include "config/stopwatch.h"
#include "ops/base/checksum.h"
#include "ops/base/link_target.h"
#include "ops/records/failed_set.h"
#include "state/mosaic_store.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;
using state::GroupState;

constexpr const char* kActor = "reconciler";
const std::string kInputKind(ToString(ProductKind::kUvh5));
constexpr int kPage = 500;
constexpr std::size_t kAdoptAtOnce = 20;
constexpr int kLongestLog = 20;  // sentences of one round in the log; the trails have all

// A group that no worker has or will have by itself.
bool AtRest(GroupState state) {
  return state == GroupState::kDone || state == GroupState::kAwaitingCalibration || state == GroupState::kDead ||
         state == GroupState::kCancelled;
}

std::string_view ClassOf(const state::ProductEntry& product, const DirectoryRoots& roots) {
  const auto kind = FindProductKind(product.kind);
  return kind ? ProductClass(*kind, product.path, roots) : std::string_view();
}

void AppendDays(const fs::path& root, Os& os, std::vector<fs::path>& directories) {
  if (!IsDirectory(root, os)) return;
  for (const fs::path& entry : os.List(root)) {
    if (entry.extension() != ".ms" && IsDirectory(entry, os)) directories.push_back(entry);
  }
}

}  // namespace

Reconciler::Reconciler(ProductPaths paths, state::GroupStore& groups, Os& os)
    : paths_(std::move(paths)),
      os_(os),
      groups_(groups),
      products_(paths_.Database(StateDatabase::kProducts), state::DatabaseOptions{.busy_timeout_s = 1}) {}

void Reconciler::Begin() {
  if (active()) return;
  phase_ = Phase::kRecords;
  figures_ = {};
  after_.clear();
  listed_.clear();
  unrecorded_.clear();
  n_logged_ = 0;
}

bool Reconciler::Step(double budget_s, double now) {
  if (!active()) return false;
  const Stopwatch watch;
  do {
    switch (phase_) {
      case Phase::kRecords:
        StepRecords(now);
        break;
      case Phase::kDirectories:
        StepDirectories(now);
        break;
      case Phase::kGroups:
        StepGroups(now);
        break;
      case Phase::kIdle:
        return true;
    }
  } while (watch.Seconds() < budget_s);
  return !active();
}

void Reconciler::LookForMissing(double now) {
  if (active() || n_missing_ == 0) return;
  state::ProductQuery query;
  query.status = "missing";
  query.limit = static_cast<int>(kPage);
  notes_.clear();
  listed_.clear();
  std::vector<std::int64_t> found;
  for (const state::ProductRow& product : products_.List(query)) {
    if (product.kind == kInputKind || !OnDisk(product.path)) continue;
    found.push_back(product.id);
    Note(product.group_id, fmt::format("{} {} is there again", product.kind, product.path), LogLevel::kInfo, now);
  }
  listed_.clear();
  WriteNotes();
  if (!found.empty()) {
    products_.database().Write([&] {
      for (const std::int64_t id : found) products_.ReplaceStatus(id, "missing", "present", now);
    });
  }
  n_missing_ = products_.Count("missing", kInputKind);
}

bool Reconciler::OnDisk(const fs::path& path) {
  if (path.parent_path() != listed_ || listed_.empty()) {
    names_.clear();
    listed_ = path.parent_path();
    try {
      if (IsDirectory(listed_, os_)) {
        for (const fs::path& entry : os_.List(listed_)) names_.insert(entry.filename().string());
      }
    } catch (...) {  // a directory that is there and cannot be read says nothing about its files
      listed_.clear();
      throw;
    }
  }
  return names_.count(path.filename().string()) != 0;
}

void Reconciler::Note(const std::string& group, const std::string& detail, LogLevel level, double now) {
  state::EventRow event;
  event.at = now;
  event.group_id = group;
  event.kind = "product";
  event.actor = kActor;
  event.detail = detail;
  notes_.emplace_back(std::move(event), level);
}

// The trail is written before the records: a record that changes without an event would never be explained, while an
// event that comes twice after a crash does no harm.
void Reconciler::WriteNotes() {
  const auto notes = std::exchange(notes_, {});
  if (notes.empty()) return;
  groups_.database().Write([&] {
    for (const auto& [event, level] : notes) groups_.AddEvent(event);
  });
  for (const auto& [event, level] : notes) LogSome(level, event.group_id, event.detail);
}

void Reconciler::LogSome(LogLevel level, const std::string& group, const std::string& sentence) {
  ++n_logged_;
  if (n_logged_ <= kLongestLog) Log(level, group, sentence);
  if (n_logged_ == kLongestLog + 1) {
    Log(LogLevel::kWarning, "", "more products and records differ; `contimg queue show` lists each with its group");
  }
}

// The command that makes the products of a group or mosaic. Deep mosaics have no task of their names.
std::string Reconciler::Making(const std::string& group) {
  if (!ParseMosaicName(group)) return "contimg queue requeue " + group;
  const auto mosaic = state::MosaicStore(products_.database()).Find(group);
  if (!mosaic || mosaic->kind != "deep") return fmt::format("contimg queue requeue mosaic/{}", group);
  return fmt::format("contimg mosaic --state --lst {:.5f},{:.5f} --strip {:g}", mosaic->lst_start_h, mosaic->lst_end_h,
                     mosaic->strip_deg);
}

void Reconciler::StepRecords(double now) {
  notes_.clear();
  // Afresh, after the records were read: a product is on disk before its record is written.
  const auto page = products_.ByPath(after_, "", kPage);
  listed_.clear();
  struct Change {
    std::int64_t id;
    std::string seen;
    const char* status;
  };
  std::vector<Change> changes;
  std::map<std::string, int> inputs_gone;
  Figures figures = figures_;
  for (const state::ProductEntry& product : page) {
    ++figures.n_records;
    if (product.status != "present" && product.status != "missing") continue;
    const bool there = OnDisk(product.path);
    // What was kept for a look need not stay, and is not made again.
    const bool for_a_look = ClassOf(product, paths_.roots()) == "failed";
    if (for_a_look && !there) {
      changes.push_back({product.id, product.status, "removed"});
      Note(product.group_id, fmt::format("{} {} is gone", product.kind, product.path), LogLevel::kInfo, now);
      continue;
    }
    if (there == (product.status == "present")) continue;
    changes.push_back({product.id, product.status, there ? "present" : "missing"});
    if (there) {
      Note(product.group_id, fmt::format("{} {} is there again", product.kind, product.path), LogLevel::kInfo, now);
      ++figures.n_found;
    } else if (product.kind == kInputKind) {
      ++inputs_gone[product.group_id];
    } else {
      Note(product.group_id,
           fmt::format("{} {} is missing (`{}` makes it again)", product.kind, product.path, Making(product.group_id)),
           LogLevel::kWarning, now);
      ++figures.n_lost;
    }
  }
  for (const auto& [group, n] : inputs_gone) {  // one sentence for the sixteen of a group: they may go, in the end
    Note(group, fmt::format("{} of its input files are gone", n), LogLevel::kDebug, now);
  }
  WriteNotes();
  if (!changes.empty()) {
    products_.database().Write([&] {
      for (const auto& [id, seen, status] : changes) products_.ReplaceStatus(id, seen, status, now);
    });
  }
  figures_ = figures;
  if (!page.empty()) after_ = page.back().path;
  if (page.size() == kPage) return;
  directories_.clear();
  AppendDays(paths_.roots().output / "science", os_, directories_);
  AppendDays(paths_.roots().output / "calibrators", os_, directories_);
  AppendDays(paths_.roots().output / "failed", os_, directories_);
  AppendDays(paths_.roots().images / "single", os_, directories_);
  AppendDays(paths_.roots().images / "qa", os_, directories_);
  directories_.push_back(paths_.roots().images / "mosaics");
  listed_.clear();
  phase_ = Phase::kDirectories;
}

void Reconciler::StepDirectories(double now) {
  if (!unrecorded_.empty()) {  // a few at a time: adding up the files of a Measurement Set takes a while
    const std::size_t n = std::min(kAdoptAtOnce, unrecorded_.size());
    Adopt({unrecorded_.end() - static_cast<std::ptrdiff_t>(n), unrecorded_.end()}, now);
    unrecorded_.resize(unrecorded_.size() - n);
    return;
  }
  if (directories_.empty()) {
    after_.clear();
    phase_ = Phase::kGroups;
    return;
  }
  const fs::path directory = directories_.back();
  std::set<std::string> recorded;
  const std::string below = directory.string() + '/', end = directory.string() + '0';  // '0' follows '/'
  for (std::string after = below;;) {
    const auto page = products_.ByPath(after, end, kPage);
    for (const state::ProductEntry& product : page) recorded.insert(product.path);
    if (page.size() < kPage) break;
    after = page.back().path;
  }
  if (IsDirectory(directory, os_)) {
    for (const fs::path& entry : os_.List(directory)) {
      ++figures_.n_entries;
      if (recorded.count(entry.string()) == 0) unrecorded_.push_back(entry);
    }
  }
  directories_.pop_back();
}

void Reconciler::Adopt(const std::vector<fs::path>& paths, double now) {
  struct Found {
    state::ProductRow row;
    std::vector<std::string> parents;
  };
  std::vector<Found> all;
  notes_.clear();
  for (const fs::path& path : paths) {
    const auto name = contimg::ParseProductName(path);
    if (!name) continue;
    const bool calibrator = path.parent_path().parent_path() == paths_.roots().output / "calibrators";
    ProductKind kind = name->kind;
    if (kind == ProductKind::kFailedLog) continue;
    if (kind == ProductKind::kScienceMs && calibrator) kind = ProductKind::kCalibratorMs;
    // A name under which a solved set is also known (ops/worker/solved_names.h) is no product of its own.
    if (kind == ProductKind::kCalibratorMs && LinkTarget(path)) continue;
    const auto group = name->of_mosaic() ? std::nullopt : groups_.Find(name->timestamp);
    if (!group && !name->of_mosaic()) {
      ++figures_.n_strange;
      LogSome(LogLevel::kWarning, name->timestamp,
              fmt::format("{} is in no record and of no known group; it is left alone", path.string()));
      continue;
    }
    if (group && !AtRest(group->state)) continue;
    if (group && path == paths_.ScienceMs(group->id) && KeptForALook(group->id, now)) continue;
    if (!Exists(path, os_)) continue;  // gone since it was listed
    Found found;
    found.row.kind = ToString(kind);
    found.row.path = path.string();
    found.row.size_bytes = static_cast<std::int64_t>(ProductBytes(path, os_));
    if (name->of_mosaic()) found.row.group_id = MosaicName(name->timestamp, name->end, name->dec_deg);
    if (group) {
      found.row.group_id = group->id;
      found.row.start_mjd = group->data_start_mjd;
      found.row.end_mjd = group->data_end_mjd;
      if (kind == ProductKind::kScienceMs) {
        for (const state::SubbandFileRow& file : groups_.Files(group->id)) {
          if (file.status == "present") found.parents.push_back(file.path);
        }
      } else if (kind != ProductKind::kCalTable) {
        found.parents.push_back(paths_.ScienceMs(group->id).string());
      }
    }
    Note(found.row.group_id,
         fmt::format("{} {} was there without a record and has one now", found.row.kind, found.row.path),
         LogLevel::kInfo, now);
    all.push_back(std::move(found));
  }
  if (all.empty()) return;
  WriteNotes();
  products_.database().Write([&] {
    for (const Found& found : all) {
      const std::int64_t id = products_.Save(found.row, now);
      std::vector<std::int64_t> parents;
      for (const std::string& path : found.parents) {
        if (const auto parent = products_.FindByPath(path); parent && parent->id != id) parents.push_back(parent->id);
      }
      products_.Link(id, parents);
    }
  });
  figures_.n_adopted += static_cast<std::int64_t>(all.size());
}

// The daemon ended between giving the group up and this. A set that cannot be moved is a product where it is.
bool Reconciler::KeptForALook(const std::string& group, double now) {
  try {
    if (KeepFailedSet(group, paths_, groups_, products_, os_, kActor, now).empty()) return false;
    ++figures_.n_adopted;
    return true;
  } catch (const Error& error) {
    LogSome(LogLevel::kWarning, group, fmt::format("what is left of it stays where it is: {}", error.what()));
    return false;
  }
}

bool Reconciler::HasProducts(const std::string& group) {
  state::ProductQuery query;
  query.group_id = group;
  for (const state::ProductRow& row : products_.List(query)) {
    if (row.kind != kInputKind) return true;
  }
  return false;
}

void Reconciler::StepGroups(double now) {
  state::GroupQuery query;
  query.id_from = after_;
  query.limit = kPage;
  query.newest_first = false;
  const auto page = groups_.List(query);
  listed_.clear();
  notes_.clear();
  std::vector<state::ProductRow> lost;
  for (const state::GroupRow& group : page) {
    if (group.id == after_) continue;
    if (group.state != GroupState::kDone && group.state != GroupState::kAwaitingCalibration) continue;
    const fs::path path = paths_.ScienceMs(group.id);
    if (OnDisk(path) || HasProducts(group.id)) continue;
    state::ProductRow row;
    row.kind = ToString(ProductKind::kScienceMs);
    row.path = path.string();
    row.group_id = group.id;
    row.start_mjd = group.data_start_mjd;
    row.end_mjd = group.data_end_mjd;
    row.status = "missing";
    Note(group.id,
         fmt::format("{} {} is missing and was never recorded (`contimg queue requeue {}` makes it again)", row.kind,
                     row.path, group.id),
         LogLevel::kWarning, now);
    lost.push_back(std::move(row));
  }
  WriteNotes();
  if (!lost.empty()) {
    products_.database().Write([&] {
      for (const state::ProductRow& row : lost) products_.Save(row, now);
    });
  }
  figures_.n_lost += static_cast<std::int64_t>(lost.size());
  if (!page.empty()) after_ = page.back().id;
  if (page.size() == kPage) return;
  n_missing_ = products_.Count("missing", kInputKind);
  phase_ = Phase::kIdle;
  if (figures_.n_lost + figures_.n_found + figures_.n_adopted + figures_.n_strange > 0) {
    Log(LogLevel::kInfo, "",
        fmt::format("records and products compared: {} gone, {} there again, {} recorded now, {} of no known group",
                    figures_.n_lost, figures_.n_found, figures_.n_adopted, figures_.n_strange));
  }
}

}  // namespace contimg::ops
