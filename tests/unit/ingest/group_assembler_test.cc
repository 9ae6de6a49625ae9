#include "ingest/group_assembler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>

namespace contimg::ingest {
namespace {

constexpr double kTileLength = 309.2376;  // s
const double kStart = UtcTime::FromIso8601("2025-10-13T13:28:03").mjd_s();

// The file of subband `subband` of tile `tile`; its writer's clock is off by `skew_s`.
SubbandFile MakeFile(int tile, int subband, double skew_s = 0, std::uint64_t size = 1000) {
  SubbandFile file;
  file.subband = subband;
  file.axis = {kStart + tile * kTileLength + 6.44, kStart + tile * kTileLength + 302.8, 24};
  file.stamp = UtcTime::FromMjdSeconds(kStart + tile * kTileLength + skew_s);
  file.path = fmt::format("/in/{}_sb{:02d}.hdf5", file.stamp.Iso8601(), subband);
  file.size = size;
  return file;
}

bool SameSize(const SubbandFile& a, const SubbandFile& b) { return a.size == b.size; }

std::vector<DecisionKind> Kinds(const std::vector<Decision>& decisions) {
  std::vector<DecisionKind> kinds;
  for (const Decision& d : decisions) kinds.push_back(d.kind);
  return kinds;
}
using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(GroupAssembler, ClosesGroupWhenLastSubbandArrives) {
  GroupAssembler assembler({});
  EXPECT_THAT(Kinds(assembler.Add(MakeFile(0, 0), 0, SameSize)), ElementsAre(DecisionKind::kFounded));
  for (int subband = 1; subband < 15; ++subband) {
    EXPECT_THAT(Kinds(assembler.Add(MakeFile(0, subband), 1, SameSize)), ElementsAre(DecisionKind::kJoined));
  }
  EXPECT_THAT(Kinds(assembler.Add(MakeFile(0, 15), 2, SameSize)),
              ElementsAre(DecisionKind::kJoined, DecisionKind::kComplete));
  EXPECT_THAT(assembler.Advance(1e9), IsEmpty());
}

TEST(GroupAssembler, AFileThatIsSentAgainReplacesItselfAndTheGroupKeepsItsPhase) {
  AssemblyRules rules;
  rules.expected_subbands = 2;
  rules.min_subbands = 2;
  GroupAssembler assembler(rules);
  const GroupKey key = assembler.Add(MakeFile(0, 0), 0, SameSize).front().group;
  EXPECT_THAT(Kinds(assembler.Add(MakeFile(0, 0, 0, 2000), 1, SameSize)), ElementsAre(DecisionKind::kReplaced));
  EXPECT_EQ(assembler.Find(key)->phase, GroupPhase::kCollecting);
  EXPECT_EQ(assembler.Find(key)->subbands.at(0).size, 2000u);
  EXPECT_THAT(Kinds(assembler.Add(MakeFile(0, 1), 2, SameSize)),
              ElementsAre(DecisionKind::kJoined, DecisionKind::kComplete));
  // After the group has been closed, likewise.
  EXPECT_THAT(Kinds(assembler.Add(MakeFile(0, 1, 0, 3000), 3, SameSize)), ElementsAre(DecisionKind::kReplaced));
  EXPECT_EQ(assembler.Find(key)->phase, GroupPhase::kReady);
  EXPECT_EQ(assembler.Find(key)->subbands.size(), 2u);
  // The same bytes once more are no new version.
  EXPECT_THAT(Kinds(assembler.Add(MakeFile(0, 1, 0, 3000), 4, SameSize)), ElementsAre(DecisionKind::kDuplicate));
}

TEST(GroupAssembler, AWithdrawnPathLeavesItsPlaceFree) {
  AssemblyRules rules;
  rules.expected_subbands = 2;
  GroupAssembler assembler(rules);
  const GroupKey key = assembler.Add(MakeFile(0, 0), 0, SameSize).front().group;
  assembler.Withdraw(key, MakeFile(0, 0).path);
  EXPECT_TRUE(assembler.Find(key)->subbands.empty());
  assembler.Add(MakeFile(0, 1), 1, SameSize);
  EXPECT_THAT(Kinds(assembler.Add(MakeFile(0, 0), 2, SameSize)),
              ElementsAre(DecisionKind::kJoined, DecisionKind::kComplete));
}

TEST(GroupAssembler, NamesTheGroupByItsEarliestStamp) {
  GroupAssembler assembler({});
  GroupKey key = 0;
  for (int subband = 0; subband < 16; ++subband) {
    key = assembler.Add(MakeFile(0, subband, subband == 9 ? -11 : subband % 3), 0, SameSize).front().group;
  }
  EXPECT_EQ(assembler.Find(key)->Stamp().Iso8601(), "2025-10-13T13:27:52");
}

TEST(GroupAssembler, GroupsByDataTimeWhenStampsSayOtherwise) {
  // Stamps of the second tile equal those of the first (a writer's clock was set back); the times of the data differ.
  GroupAssembler assembler({});
  const auto first = assembler.Add(MakeFile(0, 3), 0, SameSize);
  const auto second = assembler.Add(MakeFile(1, 3, -kTileLength), 0, SameSize);
  EXPECT_EQ(second.front().kind, DecisionKind::kFounded);
  EXPECT_NE(first.front().group, second.front().group);
}

TEST(GroupAssembler, KeepsFilesWithAShiftedAxisApart) {
  GroupAssembler assembler({});
  const auto first = assembler.Add(MakeFile(0, 3), 0, SameSize);
  SubbandFile shifted = MakeFile(0, 4);
  shifted.axis.first_mjd_s += 12.885;
  shifted.axis.last_mjd_s += 12.885;
  SubbandFile shorter = MakeFile(0, 5);
  shorter.axis.count = 23;
  shorter.axis.last_mjd_s -= 12.885;
  EXPECT_EQ(assembler.Add(shifted, 0, SameSize).front().kind, DecisionKind::kFounded);
  EXPECT_EQ(assembler.Add(shorter, 0, SameSize).front().kind, DecisionKind::kFounded);
}

TEST(GroupAssembler, AcceptsPartialGroupAtDeadlineWhenTheRulesAllow) {
  GroupAssembler assembler({.min_subbands = 12, .deadline_s = 100});
  for (int subband = 0; subband < 12; ++subband) assembler.Add(MakeFile(0, subband), subband, SameSize);
  EXPECT_THAT(assembler.Advance(99.9), IsEmpty());
  EXPECT_THAT(Kinds(assembler.Advance(100)), ElementsAre(DecisionKind::kPartial));
}

TEST(GroupAssembler, FailsPartialGroupAtDeadlineBelowTheMinimum) {
  GroupAssembler assembler({.min_subbands = 12, .deadline_s = 100});
  for (int subband = 0; subband < 11; ++subband) assembler.Add(MakeFile(0, subband), 0, SameSize);
  const auto decisions = assembler.Advance(100);
  ASSERT_THAT(Kinds(decisions), ElementsAre(DecisionKind::kIncomplete));
  EXPECT_EQ(decisions[0].explanation,
            "deadline passed with 11 of 16 subbands, missing sb11 sb12 sb13 sb14 sb15 (12 needed)");
}

TEST(GroupAssembler, CompletesAnIncompleteGroupWhenTheMissingFileArrivesLate) {
  GroupAssembler assembler({.deadline_s = 100});
  for (int subband = 0; subband < 15; ++subband) assembler.Add(MakeFile(0, subband), 0, SameSize);
  ASSERT_THAT(Kinds(assembler.Advance(100)), ElementsAre(DecisionKind::kIncomplete));
  EXPECT_THAT(Kinds(assembler.Add(MakeFile(0, 15), 5000, SameSize)),
              ElementsAre(DecisionKind::kLate, DecisionKind::kComplete));
}

TEST(GroupAssembler, KeepsLateSubbandsOfAClosedGroupBesideIt) {
  GroupAssembler assembler({.min_subbands = 12, .deadline_s = 100});
  for (int subband = 0; subband < 12; ++subband) assembler.Add(MakeFile(0, subband), 0, SameSize);
  assembler.Advance(100);
  const auto decisions = assembler.Add(MakeFile(0, 15), 200, SameSize);
  ASSERT_THAT(Kinds(decisions), ElementsAre(DecisionKind::kLate));
  EXPECT_EQ(assembler.Find(decisions[0].group)->subbands.size(), 12u);
  EXPECT_EQ(assembler.Find(decisions[0].group)->late.size(), 1u);
  // The same late file again changes nothing.
  EXPECT_THAT(Kinds(assembler.Add(MakeFile(0, 15), 201, SameSize)), ElementsAre(DecisionKind::kDuplicate));
}

TEST(GroupAssembler, IgnoresDuplicateAndHoldsOnConflict) {
  GroupAssembler assembler({.expected_subbands = 3, .deadline_s = 100});
  assembler.Add(MakeFile(0, 0), 0, SameSize);
  EXPECT_THAT(Kinds(assembler.Add(MakeFile(0, 0, 4), 0, SameSize)), ElementsAre(DecisionKind::kDuplicate));
  EXPECT_THAT(Kinds(assembler.Add(MakeFile(0, 0, 5, 999), 0, SameSize)), ElementsAre(DecisionKind::kConflict));
  // A held group collects on, but neither completion nor the deadline closes it.
  assembler.Add(MakeFile(0, 1), 0, SameSize);
  const auto last = assembler.Add(MakeFile(0, 2), 0, SameSize);
  EXPECT_THAT(Kinds(last), ElementsAre(DecisionKind::kJoined));
  EXPECT_THAT(assembler.Advance(1000), IsEmpty());
  EXPECT_THAT(Kinds(assembler.Release(last[0].group, 2000)), ElementsAre(DecisionKind::kComplete));
}

TEST(GroupAssembler, ConflictWithAClosedGroupLeavesItClosed) {
  GroupAssembler assembler({.expected_subbands = 1});
  const auto key = assembler.Add(MakeFile(0, 0), 0, SameSize).front().group;
  EXPECT_THAT(Kinds(assembler.Add(MakeFile(0, 0, 5, 999), 0, SameSize)), ElementsAre(DecisionKind::kConflict));
  EXPECT_EQ(assembler.Find(key)->phase, GroupPhase::kReady);
}

TEST(GroupAssembler, ForgetsOnlyClosedGroups) {
  GroupAssembler assembler({.expected_subbands = 1, .remembered_groups = 2});
  for (int tile = 0; tile < 5; ++tile) assembler.Add(MakeFile(tile, 0), 0, SameSize);
  assembler.SetRules({.expected_subbands = 2, .remembered_groups = 2});
  assembler.Add(MakeFile(9, 0), 0, SameSize);
  assembler.Advance(1);
  EXPECT_EQ(assembler.Find(MakeFile(0, 0).axis), nullptr);
  EXPECT_NE(assembler.Find(MakeFile(4, 0).axis), nullptr);
  EXPECT_NE(assembler.Find(MakeFile(9, 0).axis), nullptr);
}

TEST(GroupAssembler, HeldGroupsDoNotCrowdOutClosedOnes) {
  GroupAssembler assembler({.expected_subbands = 2, .remembered_groups = 2});
  for (int tile = 0; tile < 3; ++tile) {
    assembler.Add(MakeFile(tile, 0), 0, SameSize);
    assembler.Add(MakeFile(tile, 0, 1, 999), 0, SameSize);  // under another name: a conflict
  }
  for (int subband = 0; subband < 2; ++subband) assembler.Add(MakeFile(9, subband), 0, SameSize);
  assembler.Advance(1);
  EXPECT_EQ(assembler.n_collecting(), 0U);
  EXPECT_THAT(assembler.Open(), ::testing::SizeIs(3));
  EXPECT_NE(assembler.Find(MakeFile(9, 0).axis), nullptr);
}

// Arrivals in any order, with repeats, skewed stamps and losses: what becomes of each tile depends only on which
// subbands exist, never on the order.
TEST(GroupAssembler, OutcomeDoesNotDependOnTheOrderOfArrival) {
  for (unsigned seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    std::mt19937 random(seed);
    const auto chance = [&](double p) { return std::uniform_real_distribution<>(0, 1)(random) < p; };
    constexpr int kTiles = 6;
    std::vector<SubbandFile> arrivals;
    std::vector<std::set<int>> sent(kTiles);
    for (int tile = 0; tile < kTiles; ++tile) {
      for (int subband = 0; subband < 16; ++subband) {
        if (chance(0.03)) continue;  // lost
        const double skew = std::uniform_real_distribution<>(-12, 12)(random);
        arrivals.push_back(MakeFile(tile, subband, skew));
        // Clocks of the data agree to far better than the tolerance, not to the bit.
        arrivals.back().axis.first_mjd_s += std::uniform_real_distribution<>(-2e-4, 2e-4)(random);
        sent[tile].insert(subband);
        while (chance(0.1)) arrivals.push_back(arrivals.back());  // sent twice
      }
    }
    std::shuffle(arrivals.begin(), arrivals.end(), random);

    GroupAssembler assembler({.min_subbands = 14, .deadline_s = 1000});
    std::map<GroupKey, DecisionKind> outcome;
    std::size_t n_duplicates = 0;
    double now = 0;
    const auto record = [&](const std::vector<Decision>& decisions) {
      for (const Decision& d : decisions) {
        ASSERT_NE(d.kind, DecisionKind::kConflict);
        ASSERT_NE(d.kind, DecisionKind::kLate);
        if (d.kind == DecisionKind::kDuplicate) ++n_duplicates;
        if (d.kind == DecisionKind::kComplete || d.kind == DecisionKind::kPartial ||
            d.kind == DecisionKind::kIncomplete) {
          ASSERT_TRUE(outcome.emplace(d.group, d.kind).second) << "a group closed twice";
        }
      }
    };
    for (const SubbandFile& file : arrivals) record(assembler.Add(file, now += 0.1, SameSize));
    record(assembler.Advance(now + 1000));

    std::size_t n_sent = 0;
    for (int tile = 0; tile < kTiles; ++tile) {
      n_sent += sent[tile].size();
      if (sent[tile].empty()) continue;
      const AssembledGroup* group = assembler.Find(MakeFile(tile, 0).axis);
      ASSERT_NE(group, nullptr);
      ASSERT_EQ(group->subbands.size(), sent[tile].size());
      const DecisionKind expected = sent[tile].size() == 16   ? DecisionKind::kComplete
                                    : sent[tile].size() >= 14 ? DecisionKind::kPartial
                                                              : DecisionKind::kIncomplete;
      EXPECT_EQ(outcome.at(group->key), expected);
    }
    EXPECT_EQ(n_duplicates, arrivals.size() - n_sent);
  }
}

// A restart between any two arrivals (groups restored from what had been stored) changes no outcome.
TEST(GroupAssembler, RestoringMidwayChangesNothing) {
  for (int cut = 0; cut <= 16; ++cut) {
    GroupAssembler before({});
    for (int subband = 0; subband < cut; ++subband) before.Add(MakeFile(0, subband), 0, SameSize);
    GroupAssembler after({});
    if (cut > 0) after.Restore(*before.Find(MakeFile(0, 0).axis));
    std::vector<DecisionKind> kinds;
    for (int subband = 0; subband < 16; ++subband) {
      for (DecisionKind kind : Kinds(after.Add(MakeFile(0, subband), 1, SameSize))) kinds.push_back(kind);
    }
    EXPECT_EQ(std::count(kinds.begin(), kinds.end(), DecisionKind::kDuplicate), cut);
    EXPECT_EQ(std::count(kinds.begin(), kinds.end(), DecisionKind::kComplete), cut == 16 ? 0 : 1);
  }
}

}  // namespace
}  // namespace contimg::ingest
