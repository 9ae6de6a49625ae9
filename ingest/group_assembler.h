// Turns a stream of subband files into groups: which files belong together, and when a group is as good as it gets.
//
// Pure: no file, clock or log; the caller says what arrived and what time it is, and carries out the decisions. Not
// thread-safe.
//
// Files belong together when their time axes agree (the writers of one observation share one array start); the stamps
// in their names are the clocks of sixteen machines and only serve to name the group. A group closes when all expected
// subbands are there, or when its deadline passes: with at least `min_subbands` it is accepted as partial, with fewer
// it has failed. What arrives after that is reported as late and kept with the group.
//
// "Now" is any clock that does not step back, in seconds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "config/time.h"

namespace contimg::ingest {

struct AssemblyRules {
  int expected_subbands = 16;
  int min_subbands = 16;       // accept a group with at least these at its deadline; equal to expected: complete only
  double deadline_s = 600;     // after the first file of the group was seen
  double tolerance_s = 0.001;  // two time axes agree when their ends agree to this
  std::size_t remembered_groups = 4096;  // closed groups kept to recognise late and duplicate files
};

// The times of a file: n integrations, evenly spaced (the writer adds whole integrations; the converter compares every
// element once more), so that first, last and count say all.
struct TimeAxis {
  double first_mjd_s = 0;  // UTC, middle of the first integration
  double last_mjd_s = 0;
  std::size_t count = 0;  // 0: not known (a group restored from records), agrees with any
  bool Agrees(const TimeAxis& other, double tolerance_s) const;
};

struct SubbandFile {
  std::filesystem::path path;
  int subband = 0;
  UtcTime stamp;  // from the name
  TimeAxis axis;
  std::uint64_t size = 0;
  std::int64_t mtime_ns = 0;
  std::string fingerprint;  // equal for equal content (ops decides how it is made)
};

using GroupKey = std::uint64_t;

enum class GroupPhase { kCollecting, kHeld, kReady, kIncomplete };

struct AssembledGroup {
  GroupKey key = 0;
  GroupPhase phase = GroupPhase::kCollecting;
  TimeAxis axis;
  std::map<int, SubbandFile> subbands;  // by number; the first of each that arrived
  std::vector<SubbandFile> late;        // after the group closed
  double deadline = 0;                  // on the caller's clock
  // The earliest stamp among `subbands`.
  UtcTime Stamp() const;
};

enum class DecisionKind {
  kFounded,     // the file begins a new group
  kJoined,      // the file belongs to a group that is still collecting (or held)
  kComplete,    // the group has all subbands: ready
  kPartial,     // the deadline passed with at least min_subbands: ready
  kIncomplete,  // the deadline passed with fewer: failed
  kDuplicate,   // the group has the same subband with the same content: the file is not needed
  kReplaced,    // the group has this very file with other content: it was sent again, and the new version counts
  kConflict,    // the group has the same subband with other content: a person must choose; a collecting group is held
  kLate,        // the group has closed without this subband: kept, offered for reprocessing
};
std::string_view ToString(DecisionKind kind);

struct Decision {
  DecisionKind kind = DecisionKind::kJoined;
  GroupKey group = 0;
  std::optional<SubbandFile> file;  // absent for deadline decisions
  std::string explanation;          // one sentence for the audit trail
};

class GroupAssembler {
 public:
  // Whether two files of the same subband and times hold the same bytes. Called for repeated subbands only.
  using SameContent = std::function<bool(const SubbandFile& known, const SubbandFile& arrived)>;

  explicit GroupAssembler(AssemblyRules rules) : rules_(rules) {}

  // A readable file has arrived. One or two decisions, in order (joined, then complete). A path that the group already
  // holds is a duplicate when nothing changed (seen twice) and replaced when its content did; the group keeps its
  // phase.
  std::vector<Decision> Add(const SubbandFile& file, double now, const SameContent& same);
  // The file of the same subband and times that is known, if there is one: what Add will compare `file` with.
  const SubbandFile* Twin(const SubbandFile& file) const;
  // Closes every collecting group whose deadline is not after `now`, oldest observation first.
  std::vector<Decision> Advance(double now);

  // The group whose axis agrees with `axis`, if one is known.
  const AssembledGroup* Find(const TimeAxis& axis) const;
  const AssembledGroup* Find(GroupKey key) const;
  // The groups that are collecting or held.
  std::vector<GroupKey> Open() const;
  // Makes a group known again after a restart; its key is set by the assembler and returned.
  GroupKey Restore(AssembledGroup group);
  // The operator takes a held group on: complete or sufficient groups become ready, others collect until `deadline`.
  std::vector<Decision> Release(GroupKey key, double deadline);
  // The path holds something else now (a file of other times under the old name): the group has it no more.
  void Withdraw(GroupKey key, const std::filesystem::path& path);
  // The operator holds a collecting group back.
  void Hold(GroupKey key);
  // The group's fate was decided elsewhere (cancelled, requeued with its late files): from now on it counts as closed.
  void Close(GroupKey key);
  void Forget(GroupKey key);

  // New rules apply to later decisions; deadlines of collecting groups stay.
  void SetRules(const AssemblyRules& rules) { rules_ = rules; }
  std::size_t n_collecting() const { return collecting_.size(); }

 private:
  AssembledGroup* FindMutable(const TimeAxis& axis);
  static SubbandFile* TwinIn(AssembledGroup& group, int subband);
  void SetPhase(AssembledGroup& group, GroupPhase phase);
  std::optional<Decision> CloseIfComplete(AssembledGroup& group);
  std::string Census(const AssembledGroup& group) const;
  void ForgetOldest();

  AssemblyRules rules_;
  GroupKey next_key_ = 1;
  std::map<GroupKey, AssembledGroup> groups_;
  std::multimap<double, GroupKey> by_start_;  // axis.first_mjd_s → key
  // By phase, so that time passes without a look at every group: those that collect, and those that are closed (ready
  // or incomplete).
  std::set<GroupKey> collecting_, closed_;
};

}  // namespace contimg::ingest
