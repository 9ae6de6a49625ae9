#include "ops/archive/table_export.h"

#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <exception>
#include <memory>

#include "config/error.h"
#include "config/os.h"
#include "config/time.h"
#include "config/unfinished.h"
#include "ops/base/sha256.h"
#include "state/raw_database.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;

constexpr const char* kExportStage = "export";
constexpr std::size_t kTextPiece = 1 << 16;

struct Table {
  StateDatabase database;
  const char* table;
  const char* name;  // of the file
};
constexpr std::array kTables{Table{StateDatabase::kProducts, "products", "products"},
                             Table{StateDatabase::kProducts, "lineage", "lineage"},
                             Table{StateDatabase::kProducts, "archives", "archives"},
                             Table{StateDatabase::kCalRegistry, "tables", "caltables"},
                             Table{StateDatabase::kCalRegistry, "observations", "observations"},
                             Table{StateDatabase::kIngest, "groups", "groups"},
                             Table{StateDatabase::kMasterSources, "sources", "sources"},
                             Table{StateDatabase::kMasterSources, "observations", "measured_tiles"},
                             Table{StateDatabase::kMasterSources, "measurements", "measurements"},
                             Table{StateDatabase::kMasterSources, "transit_points", "transit_points"},
                             Table{StateDatabase::kMasterSources, "light_curve_statistics", "light_curve_statistics"},
                             Table{StateDatabase::kMasterSources, "candidates", "candidates"},
                             Table{StateDatabase::kOperations, "maintenance_runs", "maintenance_runs"}};

// A stream of bytes, compressed by zstd on its way to a file. What our callback throws must not pass through C code: it
// is kept and thrown behind it.
class ZstdFile {
 public:
  ZstdFile(const fs::path& path, Os& os) : path_(path), file_(os.Create(path)), stream_(archive_write_new()) {
    if (stream_ == nullptr) throw Error(ErrorKind::kResource, kExportStage, path.string(), "out of memory");
    const std::unique_ptr<archive_entry, void (*)(archive_entry*)> entry(archive_entry_new(), archive_entry_free);
    archive_entry_set_filetype(entry.get(), AE_IFREG);
    Check(archive_write_set_format_raw(stream_));
    Check(archive_write_add_filter_zstd(stream_));
    Check(archive_write_set_bytes_in_last_block(stream_, 1));
    Check(archive_write_open(stream_, this, nullptr, &ZstdFile::Write, nullptr));
    Check(archive_write_header(stream_, entry.get()));
  }
  ~ZstdFile() { archive_write_free(stream_); }
  ZstdFile(const ZstdFile&) = delete;
  ZstdFile& operator=(const ZstdFile&) = delete;

  void Add(const std::string& text) {
    pending_ += text;
    if (pending_.size() >= kTextPiece) Flush();
  }
  void Close() {
    Flush();
    Check(archive_write_close(stream_));
    file_->Sync();
    file_->Close();
  }

 private:
  static la_ssize_t Write(archive* stream, void* self, const void* data, std::size_t size) {
    auto& file = *static_cast<ZstdFile*>(self);
    try {
      if (!file.failure_) file.file_->WriteAt(data, size, file.end_);
      file.end_ += size;
    } catch (...) {
      file.failure_ = std::current_exception();
    }
    if (!file.failure_) return static_cast<la_ssize_t>(size);
    archive_set_error(stream, EIO, "cannot write");
    return -1;
  }
  void Flush() {
    if (!pending_.empty()) {
      Check(static_cast<int>(std::min<la_ssize_t>(archive_write_data(stream_, pending_.data(), pending_.size()), 0)));
    }
    pending_.clear();
  }
  void Check(int status) {
    if (failure_) std::rethrow_exception(failure_);
    if (status < ARCHIVE_WARN) throw Error(ErrorKind::kIo, kExportStage, path_.string(), "cannot be compressed");
  }

  fs::path path_;
  std::unique_ptr<OsFile> file_;
  std::uint64_t end_ = 0;
  std::string pending_;
  std::exception_ptr failure_;
  archive* stream_;
};

ExportedTable Export(state::RawDatabase& database, const Table& table, const fs::path& folder,
                     const RunContext& context) {
  Os& os = OsOr(context.os);
  ExportedTable made;
  made.file = std::string(table.name) + ".csv.zst";
  const std::vector<std::string> columns = database.Columns(table.table);
  ZstdFile file(folder / made.file, os);
  file.Add(CsvLine(columns));
  std::vector<std::string> fields;
  database.ForEach(table.table, [&](const state::RawRow& row) {
    if (made.rows++ % 1000 == 0) context.CheckCancelled(kExportStage);
    fields.clear();
    for (const std::string& column : columns) {
      const auto value = row.find(column);
      fields.push_back(value == row.end() ? "" : value->second);
    }
    file.Add(CsvLine(fields));
  });
  file.Close();
  made.bytes = FileSize(folder / made.file, os);
  return made;
}

bool IsDay(const std::string& name) { return name.size() == 10 && IsTimestamp(name + "T00:00:00"); }

std::vector<std::string> Prune(const ExportRequest& request, Os& os) {
  std::vector<std::string> removed;
  if (!(request.keep_days > 0)) return removed;
  const auto age_days = [today = UtcTime::FromIso8601(request.day + "T00:00:00").mjd()](const std::string& day) {
    return today - UtcTime::FromIso8601(day + "T00:00:00").mjd();
  };
  std::vector<std::string> days;
  for (const fs::path& folder : os.List(request.directory)) {
    if (IsDay(folder.filename().string())) days.push_back(folder.filename().string());
  }
  std::sort(days.begin(), days.end());
  std::erase(days, request.day);
  // When the newest before this one is that old, a clock jumped ahead or nothing was exported for long: all stay.
  if (days.empty() || age_days(days.back()) > request.keep_days) return removed;
  for (const std::string& day : days) {
    if (age_days(day) <= request.keep_days) continue;
    os.RemoveAll(request.directory / day);
    removed.push_back(day);
  }
  return removed;
}

}  // namespace

std::string CsvLine(const std::vector<std::string>& fields) {
  std::string line;
  for (const std::string& field : fields) {
    if (!line.empty() || &field != &fields.front()) line += ',';
    if (field.find_first_of(",\"\r\n") == std::string::npos) {
      line += field;
      continue;
    }
    line += '"';
    for (const char c : field) line += c == '"' ? std::string(2, c) : std::string(1, c);
    line += '"';
  }
  return line + "\r\n";
}

TableExport ExportTables(const ExportRequest& request, const RunContext& context) {
  Os& os = OsOr(context.os);
  if (!IsDay(request.day)) throw Error(ErrorKind::kUsage, kExportStage, request.day, "expected a day as 2025-10-14");
  os.CreateDirectories(request.directory);
  SweepUnfinished(request.directory, os);
  TableExport done;
  done.folder = request.directory / request.day;
  done.was_there = Exists(done.folder, os);
  if (!done.was_there) {
    const Unfinished unfinished(done.folder, os);
    os.CreateDirectories(unfinished.path());
    std::string sums;
    double n_done = 0;
    for (const Table& table : kTables) {
      const fs::path path = request.paths.Database(table.database);
      if (Exists(path, os)) {
        state::RawDatabase database(path);
        if (database.tables().count(table.table) != 0) {
          done.tables.push_back(Export(database, table, unfinished.path(), context));
          sums +=
              fmt::format("{}  {}\n", FileSha256(unfinished.path() / done.tables.back().file), done.tables.back().file);
        }
      }
      context.reporter->Progress(kExportStage, ++n_done / static_cast<double>(kTables.size()));
    }
    if (done.tables.empty()) {
      throw Error(ErrorKind::kIo, kExportStage, request.paths.roots().state.string(),
                  "there is no database to export yet");
    }
    WriteFileAtomically(os, unfinished.path() / "SHA256SUMS", sums);
    Publish(os, unfinished.path(), done.folder);
  }
  done.removed = Prune(request, os);
  return done;
}

}  // namespace contimg::ops
