#include "ops/migration/tree_journal.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "config/error.h"
#include "config/time.h"
#include "config/unfinished.h"
#include "ops/base/host_name.h"
#include "ops/base/version.h"
#include "ops/migration/stage_name.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr int kFormat = 1;
constexpr const char* kEnding = ".jsonl";
constexpr std::array kStates{ItemState::kPlanned, ItemState::kMoved, ItemState::kRecorded, ItemState::kFailed,
                             ItemState::kUndone};

fs::path JournalFolder(const fs::path& state_directory) { return state_directory / "migrations"; }

template <class Word, std::size_t n>
Word ParseWord(const std::string& text, const std::array<Word, n>& words) {
  for (const Word word : words) {
    if (ToString(word) == text) return word;
  }
  throw Error(ErrorKind::kBadInput, kMigrateStage, text, "is no word of a journal");
}

std::string Line(const json& object) { return object.dump() + "\n"; }

std::int64_t MtimeOf(const fs::path& folder) {
  struct stat status {};
  if (::stat(folder.c_str(), &status) != 0) throw SystemError(kMigrateStage, folder.string(), "cannot look at", errno);
  return std::int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec;
}

json ToJson(std::size_t n, const PlannedItem& item) {
  return {{"item", n},
          {"from", item.from.string()},
          {"to", item.to.string()},
          {"class", item.item_class},
          {"reason", item.reason},
          {"alias", item.alias.string()},
          {"bytes", item.bytes},
          {"inode", item.inode},
          {"fingerprint", item.fingerprint}};
}

void TakeLine(const json& line, Journal& journal) {
  if (line.contains("format")) {
    if (line.at("format") != kFormat) {
      throw Error(ErrorKind::kBadInput, kMigrateStage, journal.file.string(),
                  fmt::format("expected a journal of the format {}, found {}", kFormat, line.at("format").dump()));
    }
    journal.from = line.at("from").get<std::string>();
    journal.mode =
        ParseWord(line.at("mode").get<std::string>(), std::array{TreeMode::kMove, TreeMode::kLink, TreeMode::kCopy});
    journal.at = line.at("at");
  } else if (line.contains("item")) {
    JournalItem item;
    item.from = line.at("from").get<std::string>();
    item.to = line.at("to").get<std::string>();
    item.item_class = line.at("class");
    item.reason = line.at("reason");
    item.alias = line.at("alias").get<std::string>();
    item.bytes = line.at("bytes");
    item.inode = line.at("inode");
    item.fingerprint = line.at("fingerprint");
    if (journal.mode == TreeMode::kMove) item.inode_there = item.inode;
    journal.items.push_back(std::move(item));
  } else if (line.contains("folder")) {
    journal.folders.push_back({line.at("folder").get<std::string>(), line.at("mtime_ns")});
  } else if (line.contains("did")) {
    JournalItem& item = journal.items.at(line.at("did"));
    if (line.contains("inode")) item.inode_there = line.at("inode");
    if (line.at("state") != "made") item.state = ParseWord(line.at("state").get<std::string>(), kStates);
    if (line.contains("error")) item.error = line.at("error");
    if (line.contains("checksum")) item.checksum = line.at("checksum");
  } else if (line.at("undo") == "begun") {
    journal.undo_begun = true;
  } else {
    journal.undo_ended = true;
  }
}

}  // namespace

std::string_view ToString(ItemState state) {
  switch (state) {
    case ItemState::kPlanned:
      return "planned";
    case ItemState::kMoved:
      return "moved";
    case ItemState::kRecorded:
      return "recorded";
    case ItemState::kFailed:
      return "failed";
    case ItemState::kUndone:
      return "undone";
  }
  return "";
}

bool Journal::open() const {
  if (undo_begun) return !undo_ended;
  return Count(ItemState::kPlanned) + Count(ItemState::kMoved) > 0;
}

std::int64_t Journal::Count(ItemState state) const {
  return std::count_if(items.begin(), items.end(), [&](const JournalItem& item) { return item.state == state; });
}

Journal BeginJournal(const TreePlan& plan, const TreePlanRequest& request, const fs::path& state_directory, Os& os) {
  Journal journal;
  journal.from = Absolute(request.from / "").parent_path();
  journal.mode = request.mode;
  journal.at = UtcTime::FromUnix(request.now_unix_s).Stamp();
  std::string text = Line({{"format", kFormat},
                           {"from", journal.from.string()},
                           {"mode", ToString(journal.mode)},
                           {"at", journal.at},
                           {"program", kVersion},
                           {"host", HostName()}});
  std::set<fs::path> folders;
  for (const PlannedItem& planned : plan.items) {
    text += Line(ToJson(journal.items.size(), planned));
    JournalItem item;
    static_cast<PlannedItem&>(item) = planned;
    if (journal.mode == TreeMode::kMove) item.inode_there = item.inode;
    journal.items.push_back(std::move(item));
    folders.insert(planned.from.parent_path());
  }
  if (journal.mode == TreeMode::kMove) {
    for (const fs::path& folder : folders) {
      journal.folders.push_back({folder, MtimeOf(folder)});
      text += Line({{"folder", folder.string()}, {"mtime_ns", journal.folders.back().mtime_ns}});
    }
  }
  const fs::path directory = JournalFolder(state_directory);
  os.CreateDirectories(directory);
  std::string name = journal.at.substr(0, 19);
  name.erase(std::remove(name.begin(), name.end(), ':'), name.end());
  for (int n = 1; journal.file.empty() || IsTaken(journal.file); ++n) {
    journal.file = directory / (name + (n == 1 ? "" : fmt::format("_{}", n)) + kEnding);
  }
  WriteFileAtomically(os, journal.file, text);
  return journal;
}

Journal ReadJournal(const fs::path& file, Os& os) {
  Journal journal;
  journal.file = file;
  const std::string text = os.ReadFile(file);
  std::size_t n = 0;
  for (std::size_t begin = 0, end = 0; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1) {
    ++n;
    if (end == begin) continue;
    const json line = json::parse(text.begin() + static_cast<std::ptrdiff_t>(begin),
                                  text.begin() + static_cast<std::ptrdiff_t>(end), nullptr, false);
    // A line that was cut short and then closed by the next run.
    if (line.is_discarded() && n > 1) continue;
    try {
      if (!line.is_object() || (n == 1) != line.contains("format")) throw std::out_of_range("");
      TakeLine(line, journal);
    } catch (const json::exception&) {
      throw Error(ErrorKind::kBadInput, kMigrateStage, file.string(), fmt::format("line {} is none of a journal", n));
    } catch (const std::out_of_range&) {
      throw Error(ErrorKind::kBadInput, kMigrateStage, file.string(), fmt::format("line {} is none of a journal", n));
    }
  }
  if (n == 0) throw Error(ErrorKind::kBadInput, kMigrateStage, file.string(), "is no journal of a migration");
  return journal;
}

fs::path FindJournal(const std::string& name, const fs::path& state_directory, Os& os) {
  for (const fs::path& candidate :
       {fs::path(name), JournalFolder(state_directory) / name, JournalFolder(state_directory) / (name + kEnding)}) {
    if (IsFile(candidate, os)) return candidate;
  }
  throw Error(ErrorKind::kUsage, kMigrateStage, name,
              fmt::format("is no journal; those there are lie in {}", JournalFolder(state_directory).string()));
}

std::optional<Journal> FindOpenJournal(const fs::path& from, const fs::path& state_directory, Os& os) {
  const fs::path directory = JournalFolder(state_directory);
  if (!IsDirectory(directory, os)) return std::nullopt;
  std::vector<fs::path> files = os.List(directory);
  std::sort(files.rbegin(), files.rend());
  for (const fs::path& file : files) {
    if (file.extension() != kEnding || file.filename().string().front() == '.') continue;
    Journal journal = ReadJournal(file, os);
    if (journal.open() && journal.from == from) return journal;
  }
  return std::nullopt;
}

JournalWriter::JournalWriter(Journal& journal, Os& os) : journal_(journal), file_(os.OpenForUpdate(journal.file)) {
  SweepUnfinished(journal.file.parent_path(), os);
  const std::string text = os.ReadFile(journal.file);
  end_ = text.size();
  if (!text.empty() && text.back() != '\n') Append("\n");
}

void JournalWriter::Append(const std::string& line) {
  file_->WriteAt(line.data(), line.size(), end_);
  end_ += line.size();
}

void JournalWriter::Made(std::size_t item, std::uint64_t inode) {
  Append(Line({{"did", item}, {"state", "made"}, {"inode", inode}}));
  Sync();
  journal_.items[item].inode_there = inode;
}

void JournalWriter::Moved(std::size_t item, const std::string& checksum) {
  Append(Line({{"did", item}, {"state", ToString(ItemState::kMoved)}, {"checksum", checksum}}));
  journal_.items[item].state = ItemState::kMoved;
  journal_.items[item].checksum = checksum;
}

void JournalWriter::Set(std::size_t item, ItemState state, const std::string& error) {
  json line{{"did", item}, {"state", ToString(state)}};
  if (!error.empty()) line["error"] = error;
  Append(line.dump(-1, ' ', false, json::error_handler_t::replace) + "\n");
  journal_.items[item].state = state;
  if (!error.empty()) journal_.items[item].error = error;
}

void JournalWriter::UndoBegun() {
  Append(Line({{"undo", "begun"}}));
  Sync();
  journal_.undo_begun = true;
}
void JournalWriter::UndoEnded() {
  Append(Line({{"undo", "ended"}}));
  Sync();
  journal_.undo_ended = true;
}
void JournalWriter::Sync() { file_->Sync(); }

}  // namespace contimg::ops
