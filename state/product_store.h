// Products, what each was made from, and the jobs that made them (products.sqlite3).
//
// A product is any file or Measurement Set the pipeline read or wrote; input files are products too, so that lineage
// reaches down to them. One store belongs to one thread at a time; several changes go together with database().Write.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "state/database.h"

namespace contimg::state {

struct JobRow {
  std::int64_t id = 0;  // given by the store
  std::string group_id;
  std::string kind;  // "convert", "group", "mosaic"…
  std::string settings_hash;
  std::string settings_json = "{}";
  std::string program_version;
  std::string host;
  std::string command;     // repeats it
  double started_at = 0;   // unix_s
  double finished_at = 0;  // 0: running
  std::string outcome;     // "", "done", "failed"…
  std::string error;
  std::int64_t peak_memory_bytes = 0;
  std::string timings_json = "{}";
  std::string job_json = "{}";     // the job file, whole: `contimg products reproduce` runs it again
  std::string report_json = "{}";  // what the worker reported
  std::string sky_model;           // content of the job's sky model
  std::string instruction_set;     // results are equal bit for bit on processors of the same one
};

struct ProductRow {
  std::int64_t id = 0;  // given by the store
  std::string kind;     // a word of config/product_kind.h
  std::string path;
  std::string group_id;
  double start_mjd = 0;  // of the data, MJD days UTC
  double end_mjd = 0;
  std::optional<double> ra_deg;  // centre, ICRS
  std::optional<double> dec_deg;
  std::int64_t size_bytes = 0;
  std::string checksum;               // XXH64
  std::optional<std::string> sha256;  // 64 hexadecimal digits; nothing: not computed yet
  std::string qa_json = "{}";
  std::string qa_grade;
  std::string status = "present";  // present | archived | removed | missing
  std::string archive_path;
  std::optional<std::int64_t> job_id;
  double created_at = 0;  // unix_s
  double updated_at = 0;
};

struct ProductQuery {
  std::string kind;                  // empty: any
  std::string group_id;              // empty: any
  std::string status;                // empty: any
  std::optional<double> from_mjd;    // data that end at or after it
  std::optional<double> before_mjd;  // data that begin before it
  int limit = 0;
  bool newest_first = true;  // by start of the data
};

// A product by name alone, for walks over all of them.
struct ProductEntry {
  std::int64_t id = 0;
  std::string path;
  std::string kind;
  std::string group_id;
  std::string status;
};

struct AncestorRow {
  int depth = 0;  // 1: parent
  std::int64_t child_id = 0;
  ProductRow product;
};

class ProductStore {
 public:
  explicit ProductStore(const std::filesystem::path& path, const DatabaseOptions& options = {});

  std::int64_t AddJob(const JobRow& row);
  std::optional<JobRow> FindJob(std::int64_t id);
  std::vector<JobRow> JobsOf(std::string_view group_id);  // newest first

  // Adds the product, or, when its path is known, replaces everything but its id and created_at (and its sha256 when
  // the checksum is still the same). Returns the id.
  std::int64_t Save(const ProductRow& row, double now);
  // Error{kUsage} for an unknown id.
  void SetStatus(std::int64_t id, std::string_view status, std::string_view archive_path, double now);
  // The same for who looked at the disk: unless the status is another by now than when he read it (a cleanup, another
  // program). Whether it changed.
  bool ReplaceStatus(std::int64_t id, std::string_view seen, std::string_view status, double now);
  // Of the content that has the recorded checksum. Error{kUsage} for an unknown id.
  void SetSha256(std::int64_t id, std::string_view sha256, double now);
  // Of a product that was recorded without one; any other keeps its own.
  void SetFirstChecksum(std::int64_t id, std::string_view checksum, double now);
  // It was read and is as recorded.
  void SetChecked(std::int64_t id, double now);
  std::optional<ProductRow> Find(std::int64_t id);
  std::optional<ProductRow> FindByPath(std::string_view path);
  std::vector<ProductRow> List(const ProductQuery& query);
  // The next `limit` products in the order of their paths, from the first path greater than `after` on, and (unless
  // empty) before `before`.
  std::vector<ProductEntry> ByPath(std::string_view after, std::string_view before, int limit);
  // Present products of which no copy that counts is at this remote (view product_copies), in the order of group and
  // path.
  std::vector<ProductRow> WithoutCopyAt(std::string_view remote, bool lossy_counts = false);
  // Present products with a checksum, those first that were not read again for the longest.
  std::vector<ProductRow> LeastRecentlyChecked(std::int64_t limit);
  // Number of products with this status, of all kinds but `except_kind` (may be empty).
  std::int64_t Count(std::string_view status, std::string_view except_kind);
  // Kind → start_mjd of the newest data of which there is or was a product of this kind.
  std::map<std::string, double> NewestData();

  // `child` was made from `parents`; repeating it is harmless. Error{kUsage} when that would make a circle.
  void Link(std::int64_t child, const std::vector<std::int64_t>& parents);
  // The same, and from nothing else: earlier parents are forgotten (a product that was made anew).
  void SetParents(std::int64_t child, const std::vector<std::int64_t>& parents);
  std::vector<ProductRow> Parents(std::int64_t id);
  std::vector<ProductRow> Children(std::int64_t id);
  // Everything a product rests on, nearest first; a product that is reached on several ways appears once per child.
  std::vector<AncestorRow> Ancestors(std::int64_t id);

  Database& database() { return db_; }

 private:
  Database db_;
};

}  // namespace contimg::state
