#include "ops/records/record_products.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <vector>

#include "config/os.h"
#include "config/product_paths.h"
#include "ops/base/checksum.h"
#include "ops/records/former_forms.h"

namespace contimg::ops {
namespace {

std::string KindOf(const Job& job) {
  std::string kind;
  for (const std::string& stage : job.stages) kind += (kind.empty() ? "" : "+") + stage;
  return kind;
}

std::string Timings(const JobReport& report) {
  nlohmann::json timings = nlohmann::json::object();
  for (const StageReport& stage : report.stages) {
    nlohmann::json each = {{"seconds", stage.seconds},
                           {"cpu_s", stage.cpu_s},
                           {"peak_memory_bytes", stage.peak_memory_bytes},
                           {"figures", stage.figures}};
    timings[stage.name] = std::move(each);
  }
  return timings.dump();
}

}  // namespace

std::int64_t RecordProducts(state::ProductStore& store, const Job& job, const JobReport& report,
                            const JobRecord& record) {
  std::int64_t job_id = 0;
  store.database().Write([&] {
    for (const state::JobRow& row : store.JobsOf(job.group)) {
      if (row.started_at == report.started_at) {
        job_id = row.id;
        return;
      }
    }
    state::JobRow row;
    row.group_id = job.group;
    row.kind = KindOf(job);
    row.settings_hash = report.settings_hash;
    row.settings_json = SettingsJson(job.settings).dump();
    row.program_version = report.program_version;
    row.host = report.host;
    row.command = record.command;
    row.started_at = report.started_at;
    row.finished_at = report.finished_at;
    row.outcome = report.next_state;
    std::uint64_t peak = record.peak_memory_bytes;
    for (const StageReport& stage : report.stages) peak = std::max(peak, stage.peak_memory_bytes);
    row.peak_memory_bytes = static_cast<std::int64_t>(peak);
    row.timings_json = Timings(report);
    row.job_json = ToJson(job).dump();
    row.report_json = ToJson(report).dump();
    row.sky_model = record.sky_model;
    row.instruction_set = report.instruction_set;
    job_id = store.AddJob(row);

    const JobObservation observation = report.observation.value_or(JobObservation{});
    const auto base = [&](ProductKind kind, const std::filesystem::path& path) {
      state::ProductRow product;
      product.kind = ToString(kind);
      product.path = path.string();
      product.group_id = job.group;
      product.start_mjd = observation.start_mjd;
      product.end_mjd = observation.end_mjd;
      if (report.observation) {
        product.ra_deg = observation.ra_deg;
        product.dec_deg = observation.dec_deg;
      }
      return product;
    };
    for (const JobProduct& each : report.products) {
      state::ProductRow product = base(each.kind, each.path);
      product.size_bytes = static_cast<std::int64_t>(each.bytes);
      product.checksum = each.checksum;
      if (each.kind == ProductKind::kUvh5) {
        const auto known = record.checksums.find(product.path);
        if (known != record.checksums.end()) product.checksum = known->second;
      } else {
        product.job_id = job_id;
      }
      if ((each.kind == ProductKind::kImage || each.kind == ProductKind::kPbcor ||
           each.kind == ProductKind::kQaPicture || each.kind == ProductKind::kQaMetrics) &&
          report.quality.contains("quality")) {
        product.qa_json = report.quality.dump();
        product.qa_grade = report.quality["quality"].value("grade", std::string());
      }
      store.Save(product, report.finished_at);
    }
    const auto id_of = [&](const std::filesystem::path& path) {
      if (const auto known = store.FindByPath(path.string())) return known->id;
      // Read by the job and made elsewhere: a table registered by hand, a set of an earlier program.
      const bool input = std::find(job.inputs.begin(), job.inputs.end(), path) != job.inputs.end();
      const ProductKind kind = input                         ? ProductKind::kUvh5
                               : path == job.measurement_set ? MeasurementSetKind(path)
                                                             : ProductKind::kCalTable;
      state::ProductRow product = base(kind, path);
      if (kind == ProductKind::kCalTable) {
        product.group_id.clear();
        for (const JobTable& table : job.tables) {
          if (table.path == path) product.checksum = table.checksum;
        }
      }
      if (Exists(path)) product.size_bytes = static_cast<std::int64_t>(ProductBytes(path));
      return store.Save(product, report.finished_at);
    };
    for (const JobProduct& each : report.products) {
      std::vector<std::int64_t> parents;
      for (const auto& parent : each.parents) parents.push_back(id_of(parent));
      if (!parents.empty()) store.SetParents(id_of(each.path), parents);
    }
    RetireFormerForms(store, job.group, report.finished_at);
  });
  return job_id;
}

}  // namespace contimg::ops
