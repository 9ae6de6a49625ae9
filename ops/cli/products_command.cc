// `contimg products`: what was made, of what, and whether it can be made again.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "calibrate/casacore/calibration_table.h"
#include "config/os.h"
#include "config/product_paths.h"
#include "config/text.h"
#include "config/time.h"
#include "ops/base/checksum.h"
#include "ops/base/version.h"
#include "ops/base/words.h"
#include "ops/cli/commands.h"
#include "ops/cli/compare_products.h"
#include "ops/cli/program_options.h"
#include "ops/cli/setting_options.h"
#include "ops/job/worker_process.h"
#include "ops/mosaicking/mosaic_job.h"
#include "ops/records/row_json.h"
#include "ops/worker/worker.h"
#include "state/product_store.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using nlohmann::ordered_json;
using state::JobRow;
using state::ProductRow;
using state::ProductStore;

struct ProductsArgs {
  std::string what, kind, group, status, from, to, folder;
  int limit = 100, threads = 0;
  bool all = false, keep = false, json = false;
};

ProductStore OpenStore() {
  return ProductStore(ProductPaths(Roots(CurrentSettings().values)).Database(StateDatabase::kProducts),
                      state::DatabaseOptions::ForOneLook());
}

// By id or path.
ProductRow FindRow(ProductStore& store, const std::string& what) {
  std::optional<ProductRow> row;
  if (const auto id = RecordNumber(what)) {
    row = store.Find(*id);
  } else {
    row = store.FindByPath(Absolute(what).string());
  }
  if (!row) throw Error(ErrorKind::kUsage, "products", what, "is neither the id nor the path of a recorded product");
  return *row;
}

json Parsed(const std::string& text) {
  json value = json::parse(text, nullptr, false);
  return value.is_discarded() ? json() : value;
}

std::string IsoIfKnown(double mjd) { return mjd > 0 ? UtcTime::FromMjd(mjd).Stamp() : ""; }

void PrintJson(const ordered_json& value) {
  fmt::print("{}\n", value.dump(2, ' ', false, ordered_json::error_handler_t::replace));
}

std::string Size(std::int64_t bytes) {
  const auto value = static_cast<double>(bytes);
  return value >= 1e9   ? fmt::format("{:.2f} GB", value * 1e-9)
         : value >= 1e6 ? fmt::format("{:.1f} MB", value * 1e-6)
                        : fmt::format("{:.1f} kB", value * 1e-3);
}

void List(const ProductsArgs& args) {
  state::ProductQuery query;
  query.kind = args.kind;
  query.group_id = args.group;
  query.status = args.status;
  if (!args.from.empty()) query.from_mjd = UtcTime::FromPerson("--from", args.from).mjd();
  if (!args.to.empty()) query.before_mjd = UtcTime::FromPerson("--to", args.to).mjd();
  query.limit = args.all ? 0 : args.limit;
  const auto rows = OpenStore().List(query);
  if (args.json) {
    PrintJson(RowsJson(rows));
    return;
  }
  for (const ProductRow& row : rows) {
    fmt::print("{:>7} {:<12} {:<19} {:>9} {:<2} {:<8} {}\n", row.id, row.kind, row.group_id, Size(row.size_bytes),
               row.qa_grade, row.status, Printable(row.path));
  }
  if (!args.all && rows.size() == static_cast<std::size_t>(args.limit)) {
    fmt::print(stderr, "the newest {} are shown; --all shows the rest\n", args.limit);
  }
}

void Show(const ProductsArgs& args) {
  ProductStore store = OpenStore();
  const ProductRow row = FindRow(store, args.what);
  const auto job = row.job_id ? store.FindJob(*row.job_id) : std::nullopt;
  const auto parents = store.Parents(row.id), children = store.Children(row.id);
  if (args.json) {
    ordered_json out = RowJson(row);
    out["made_by"] = job ? RowJson(*job) : ordered_json();
    for (const char* key : {"parents", "children"}) out[key] = ordered_json::array();
    for (const ProductRow& each : parents) out["parents"].push_back(each.id);
    for (const ProductRow& each : children) out["children"].push_back(each.id);
    return PrintJson(out);
  }
  fmt::print("{} {}  {}\n", row.kind, row.id, Printable(row.path));
  fmt::print("  group     {}, {} to {}\n", row.group_id, IsoIfKnown(row.start_mjd), IsoIfKnown(row.end_mjd));
  if (row.ra_deg && row.dec_deg) fmt::print("  centre    RA {:.5f} Dec {:+.5f} deg\n", *row.ra_deg, *row.dec_deg);
  fmt::print("  size      {}, checksum {}, {}\n", Size(row.size_bytes), row.checksum, row.status);
  if (!row.qa_grade.empty()) fmt::print("  quality   {}\n", row.qa_grade);
  if (job) {
    fmt::print("  made by   job {}: {}, contimg {} on {}, {}, {:.1f} s, {}, settings {}\n", job->id, job->kind,
               job->program_version, job->host, UtcTime::FromUnix(job->started_at).Stamp(),
               job->finished_at - job->started_at, Size(job->peak_memory_bytes), job->settings_hash);
    const json timings = Parsed(job->timings_json);
    for (const auto& [stage, figures] : timings.items()) {
      fmt::print("    {:<8} {:>7.2f} s\n", stage, figures.value("seconds", 0.0));
    }
  }
  fmt::print("  made from {}, {} made from it (`contimg products lineage {}`)\n",
             Counted(static_cast<std::int64_t>(parents.size()), "product"),
             Counted(static_cast<std::int64_t>(children.size()), "product"), row.id);
}

// ---- lineage ----

class Lineage {
 public:
  explicit Lineage(ProductStore& store) : store_(store) {}

  void Print(const ProductRow& row, const std::string& indent, const std::string& own) {
    const bool known = !printed_.insert(row.id).second;
    fmt::print("{}{} {}  {}  {}{}\n", own, row.kind, row.id, Printable(row.path), row.checksum,
               known ? "  (as above)" : "");
    if (known) return;
    const auto job = row.job_id ? store_.FindJob(*row.job_id) : std::nullopt;
    const auto parents = store_.Parents(row.id);
    if (job) {
      fmt::print("{}{} job {}: {}, contimg {}, settings {}, {} on {}\n", indent, parents.empty() ? "  " : "│ ", job->id,
                 job->kind, job->program_version, job->settings_hash, UtcTime::FromUnix(job->started_at).Stamp(),
                 job->host);
    }
    for (std::size_t i = 0; i < parents.size(); ++i) {
      const bool last = i + 1 == parents.size();
      Print(parents[i], indent + (last ? "   " : "│  "), indent + (last ? "└─ " : "├─ "));
    }
  }

  ordered_json Tree(const ProductRow& row) {
    ordered_json out = RowJson(row);
    out["parents"] = ordered_json::array();
    if (row.job_id) jobs_.insert(*row.job_id);
    for (const ProductRow& parent : store_.Parents(row.id)) out["parents"].push_back(Tree(parent));
    return out;
  }
  ordered_json Jobs() {
    ordered_json out = ordered_json::object();
    for (const std::int64_t id : jobs_) {
      if (const auto job = store_.FindJob(id)) out[std::to_string(id)] = RowJson(*job);
    }
    return out;
  }

 private:
  ProductStore& store_;
  std::set<std::int64_t> printed_, jobs_;
};

void ShowLineage(const ProductsArgs& args) {
  ProductStore store = OpenStore();
  const ProductRow row = FindRow(store, args.what);
  Lineage lineage(store);
  if (args.json) {
    const ordered_json tree = lineage.Tree(row);  // first: it finds the jobs
    PrintJson({{"product", tree}, {"jobs", lineage.Jobs()}});
  } else {
    lineage.Print(row, "", "");
  }
}

// ---- reproduce ----

// The recorded job with every output inside `folder`.
Job Relocated(const JobRow& row, const fs::path& folder) {
  Job job = ParseJob(Parsed(row.job_json), fmt::format("job {}", row.id));
  // From the correlator's files on, whatever the job began with: a Measurement Set on the disk may have changed.
  std::vector<std::string> stages = {"convert", "flag"};
  for (const std::string& stage : job.stages) {
    if (std::find(stages.begin(), stages.end(), stage) == stages.end()) stages.push_back(stage);
  }
  if (job.stages == std::vector<std::string>{"convert"}) stages = job.stages;
  job.stages = stages;
  for (const fs::path& input : job.inputs) {
    if (!fs::exists(input)) {
      throw Error(ErrorKind::kUsage, "products", input.string(), "the job cannot be repeated without this input file");
    }
  }
  job.measurement_set = folder / "ms" / job.measurement_set.filename();
  job.image_prefix = folder / "images" / job.image_prefix.filename();
  job.qa_prefix = folder / "images" / job.qa_prefix.filename();
  job.fallback_root = folder / "staging";
  if (job.solve) job.solve->prefix = folder / "tables" / job.solve->prefix.filename();
  job.take_existing = job.replace_existing = false;
  job.trees = {};
  if (!job.sky_model.empty()) {
    job.sky_model = folder / "sky_model.csv";
    std::ofstream(job.sky_model, std::ios::binary) << row.sky_model;
  }
  return job;
}

struct MadeAgain {
  ProductKind kind;
  fs::path path;
};

// A mosaic's job says so; others are those of groups.
std::vector<MadeAgain> RunMosaicAgain(const JobRow& row, const fs::path& folder, int threads) {
  MosaicJob job = ParseMosaicJob(Parsed(row.job_json), fmt::format("job {}", row.id));
  for (const MosaicJobTile& tile : job.tiles) {
    if (!fs::exists(tile.image)) {
      throw Error(ErrorKind::kUsage, "products", tile.image.string(), "the job cannot be repeated without this image");
    }
    if (const std::string is = ProductChecksum(tile.image, threads); is != tile.checksum) {
      throw Error(
          ErrorKind::kUsage, "products", tile.image.string(),
          fmt::format("the job cannot be repeated: the image had the checksum {} and has {}", tile.checksum, is));
    }
  }
  job.prefix = folder / job.prefix.filename();
  const auto reporter = MakeConsoleReporter();
  RunContext context;
  context.threads = ThreadsOr(threads);
  context.reporter = reporter.get();
  std::vector<MadeAgain> made;
  for (auto& [kind, path] : RunMosaicJob(job, context).products) made.push_back({kind, std::move(path)});
  return made;
}

std::vector<MadeAgain> RunGroupAgain(const JobRow& row, const fs::path& folder, int threads) {
  Job job = Relocated(row, folder);
  if (threads > 0) job.threads = threads;
  const auto reporter = MakeConsoleReporter();
  RunContext context;
  context.threads = job.threads;
  context.memory_bytes = job.memory_bytes;
  context.reporter = reporter.get();
  const JobReport report = RunJob(job, context);
  if (!report.ok) {
    throw Error(report.error_kind.value_or(ErrorKind::kBug), report.error_stage, report.error_subject,
                "the job could not be repeated: " + report.error_message);
  }
  std::vector<MadeAgain> made;
  for (const JobProduct& product : report.products) made.push_back({product.kind, product.path});
  return made;
}

void Reproduce(const ProductsArgs& args) {
  ProductStore store = OpenStore();
  const ProductRow row = FindRow(store, args.what);
  const auto recorded = row.job_id ? store.FindJob(*row.job_id) : std::nullopt;
  if (!recorded || !Parsed(recorded->job_json).is_object() || Parsed(recorded->job_json).empty()) {
    throw Error(ErrorKind::kUsage, "products", row.path, "no job that made this product is recorded");
  }
  const LoadedSettings settings = CurrentSettings();
  fs::path folder = args.folder;
  if (folder.empty()) {
    fs::path root = Roots(settings.values).tmp;
    if (root.empty()) root = fs::temp_directory_path();
    fs::create_directories(root);
    std::string pattern = root / fmt::format("reproduce-{}-XXXXXX", recorded->id);
    if (::mkdtemp(pattern.data()) == nullptr) {
      throw SystemError("products", root.string(), "cannot make a scratch folder", errno);
    }
    folder = pattern;
  } else if (fs::exists(folder)) {
    throw Error(ErrorKind::kUsage, "products", folder.string(), "exists already; name another --dir");
  } else {
    fs::create_directories(folder);
  }
  struct Cleaner {
    fs::path folder;
    bool keep;
    ~Cleaner() {
      std::error_code ignored;
      if (!keep) fs::remove_all(folder, ignored);
    }
  } const cleaner{folder, args.keep};

  const auto reporter = MakeConsoleReporter();
  if (recorded->instruction_set != InstructionSet()) {
    reporter->Warn("products", fmt::format("was made with the instructions {} and is repeated with {}: the last bits "
                                           "may differ",
                                           recorded->instruction_set, InstructionSet()));
  }
  if (recorded->program_version != kVersion) {
    reporter->Warn("products", fmt::format("was made by contimg {}, this is {}", recorded->program_version, kVersion));
  }
  const bool of_mosaic = Parsed(recorded->job_json).contains("mosaic_version");
  const std::vector<MadeAgain> made =
      of_mosaic ? RunMosaicAgain(*recorded, folder, args.threads) : RunGroupAgain(*recorded, folder, args.threads);

  // Product by product, matched by name.
  json out = {{"job", recorded->id}, {"folder", args.keep ? folder.string() : ""}, {"products", json::array()}};
  std::size_t n_equal = 0, n_compared = 0;
  for (const MadeAgain& again : made) {
    if (again.kind == ProductKind::kUvh5 || again.kind == ProductKind::kQaMetrics ||
        again.kind == ProductKind::kQaPicture || again.kind == ProductKind::kMosaicMetrics ||
        again.kind == ProductKind::kMosaicPicture) {
      continue;
    }
    std::optional<ProductRow> original;
    state::ProductQuery query;
    query.group_id = row.group_id;
    query.kind = ToString(again.kind);
    for (const ProductRow& each : OpenStore().List(query)) {  // anew: the job took its time
      if (fs::path(each.path).filename() == again.path.filename() && each.job_id == row.job_id) original = each;
    }
    if (!original) continue;
    const bool here = fs::exists(original->path);
    // Of an image that is not on disk any more the record has the checksum of every byte.
    if (!here && (!HasPixels(again.kind) || !fs::is_regular_file(again.path) || original->checksum.empty())) continue;
    std::string difference;
    if (here) {
      difference = CompareProducts(original->path, again.path);
    } else if (const std::string is = ProductChecksum(again.path, 1, RealOs()); is != original->checksum) {
      difference = fmt::format("expected the checksum {} of the record, found {}", original->checksum, is);
    }
    ++n_compared;
    n_equal += difference.empty() ? 1 : 0;
    out["products"].push_back({{"kind", ToString(again.kind)},
                               {"path", original->path},
                               {"equal", difference.empty()},
                               {"difference", difference}});
    if (!args.json) {
      fmt::print("{:<12} {}: {}\n", ToString(again.kind), original->path,
                 difference.empty() ? "equal bit for bit" : difference);
    }
  }
  out["equal"] = n_equal == n_compared && n_compared > 0;
  if (args.json) fmt::print("{}\n", out.dump(2));
  if (n_compared == 0) {
    throw Error(ErrorKind::kUsage, "products", row.path, "nothing the job made is left to compare with");
  }
  if (n_equal < n_compared) {
    throw Error(ErrorKind::kNumeric, "products", row.path,
                fmt::format("{} of {} products differ from what is recorded", n_compared - n_equal, n_compared));
  }
  if (!args.json) fmt::print("job {} repeated: all {} products are equal\n", recorded->id, n_compared);
}

}  // namespace

void AddProductsCommand(CLI::App& app) {
  auto args = std::make_shared<ProductsArgs>();
  CLI::App* command = app.add_subcommand("products", "what was made, of what, and whether it can be made again");
  command->require_subcommand(1);
  const auto add_what = [&](CLI::App* sub) {
    sub->add_option("product", args->what, "its id or its path")->type_name("ID|PATH")->required();
  };
  const auto add_json = [&](CLI::App* sub) { sub->add_flag("--json", args->json, "print JSON"); };

  CLI::App* list = command->add_subcommand("list", "recorded products, newest data first");
  std::vector<std::string> kinds;
  for (const ProductKind kind : AllProductKinds()) kinds.emplace_back(ToString(kind));
  list->add_option("--kind", args->kind, fmt::format("{}", fmt::join(kinds, ", ")))->check(CLI::IsMember(kinds));
  list->add_option("--group", args->group, "of one group")->type_name("ID");
  list->add_option("--status", args->status, "present, archived, removed or missing");
  list->add_option("--from", args->from,
                   "data that end at or after this time (UTC): 2025-10-13T13:28:03, 2025-10-13, now, today, yesterday")
      ->type_name("TIME");
  list->add_option("--to", args->to, "data that begin before this time")->type_name("TIME");
  list->add_option("--limit", args->limit, "at most so many")->check(CLI::PositiveNumber)->capture_default_str();
  list->add_flag("--all", args->all, "no limit");
  add_json(list);
  list->callback([args] { List(*args); });

  CLI::App* show = command->add_subcommand("show", "one product: times, checksum, quality, the job that made it");
  add_what(show);
  add_json(show);
  show->callback([args] { Show(*args); });

  CLI::App* lineage =
      command->add_subcommand("lineage", "everything a product was made of, down to the correlator's files");
  add_what(lineage);
  add_json(lineage);
  lineage->callback([args] { ShowLineage(*args); });

  CLI::App* reproduce = command->add_subcommand(
      "reproduce", "runs the job that made a product again in a scratch folder and compares everything bit for bit");
  add_what(reproduce);
  reproduce->add_option("--dir", args->folder, "scratch folder, must not exist (default: in the temporary directory)");
  reproduce->add_flag("--keep", args->keep, "leave the scratch folder");
  reproduce->add_option("--threads", args->threads, "threads (default: as recorded; the result does not depend on it)")
      ->check(Between(0, 1024));
  add_json(reproduce);
  reproduce->callback([args] { Reproduce(*args); });
}

}  // namespace contimg::ops
