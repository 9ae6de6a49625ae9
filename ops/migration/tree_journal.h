// What a migration of a tree is to do and what of it is done: <state>/migrations/<time>.jsonl, one JSON object a line.
//
//   {"format": 1, "from": …, "mode": "move", "at": …, "program": …, "host": …}     first
//   {"item": 0, "from": …, "to": …, "class": …, "reason": …, "inode": …, …}        the plan, whole before anything
//   moves
//   {"folder": …, "mtime_ns": …}                                                   of the folders that lose something
//   {"did": 0, "state": "made" | "moved" | "recorded" | "failed" | "undone", …}    appended
//   {"undo": "begun" | "ended"}                                                    appended
//
// A killed run leaves at most a last line that is cut short; it says nothing.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/os.h"
#include "ops/migration/tree_plan.h"

namespace contimg::ops {

enum class ItemState { kPlanned, kMoved, kRecorded, kFailed, kUndone };
std::string_view ToString(ItemState state);  // "planned", "moved"…

struct JournalItem : PlannedItem {
  ItemState state = ItemState::kPlanned;
  std::uint64_t inode_there = 0;  // of what stands, or is about to, under `to`; 0: nothing was made
  std::string checksum;           // of its content, once it is in its place
  std::string error;              // why it failed, or what is to be said of it
};

struct FolderTime {
  std::filesystem::path folder;
  std::int64_t mtime_ns = 0;
};

struct Journal {
  std::filesystem::path file, from;
  TreeMode mode = TreeMode::kMove;
  std::string at;  // ISO 8601
  std::vector<JournalItem> items;
  std::vector<FolderTime> folders;
  bool undo_begun = false, undo_ended = false;

  bool open() const;  // something is still to be done, forwards or back
  std::int64_t Count(ItemState state) const;
};

// Writes the plan, synced, and gives the journal. `state_directory` is there.
Journal BeginJournal(const TreePlan& plan, const TreePlanRequest& request, const std::filesystem::path& state_directory,
                     Os& os);
// Throws Error{kBadInput} when it is no journal, Error{kIo} when it cannot be read.
Journal ReadJournal(const std::filesystem::path& file, Os& os);
// The journal of that name (with or without its folder and ending). Error{kUsage} when there is none.
std::filesystem::path FindJournal(const std::string& name, const std::filesystem::path& state_directory, Os& os);
// The newest open journal about `from`, if there is one.
std::optional<Journal> FindOpenJournal(const std::filesystem::path& from, const std::filesystem::path& state_directory,
                                       Os& os);

// Appends to a journal and keeps its items in step. Lines are written at once and synced by Sync.
class JournalWriter {
 public:
  JournalWriter(Journal& journal, Os& os);
  void Made(std::size_t item, std::uint64_t inode);  // synced: under a hidden name, about to get its own
  void Moved(std::size_t item, const std::string& checksum);
  void Set(std::size_t item, ItemState state, const std::string& error = {});
  void UndoBegun();
  void UndoEnded();
  void Sync();

 private:
  void Append(const std::string& line);
  Journal& journal_;
  std::unique_ptr<OsFile> file_;
  std::uint64_t end_ = 0;
};

}  // namespace contimg::ops
