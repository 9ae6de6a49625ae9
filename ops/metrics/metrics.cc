#include "ops/metrics/metrics.h"

#include <prometheus/text_serializer.h>

#include <ctime>

#include "config/error.h"
#include "ops/base/job_stages.h"
#include "ops/base/version.h"
#include "ops/metrics/families.h"

namespace contimg::ops {
namespace {

using prometheus::Counter;
using prometheus::Gauge;

// Brings a counter to a total that is counted elsewhere and only grows.
void Raise(Counter& counter, std::int64_t total) {
  const double more = static_cast<double>(total) - counter.Value();
  if (more > 0) counter.Increment(more);
}

template <typename Function>
void ForEachKind(const Function& function) {
  for (int kind = 0; kind <= static_cast<int>(ErrorKind::kCancelled); ++kind) {  // the last of them
    function(std::string(ToString(static_cast<ErrorKind>(kind))));
  }
}

}  // namespace

Metrics::Metrics() : families_(std::make_unique<Families>()) {
  Families::AddGauge(families_->registry, "contimg_build_info", "1, with the version as label.")
      .Add({{"version", kVersion}, {"compiler", kCompiler}})
      .Set(1);
  families_->start_time.Set(static_cast<double>(std::time(nullptr)));
  // Series that alerts look at exist from the start, so that their rate is known at the first event.
  for (const char* reason : {"unreadable", "duplicate", "conflict"})
    families_->files_rejected.Add({{"reason", reason}});
  for (const char* outcome : {"complete", "partial", "incomplete"}) {
    families_->groups_closed.Add({{"outcome", outcome}});
  }
  ExpectStage("start");
  for (const std::string_view stage : kJobStages) ExpectStage(stage);
  ForEachKind([this](const std::string& kind) { families_->job_retries.Add({{"kind", kind}}); });
  for (const char* reason : {"malformed", "too_long", "host", "busy", "crowded"}) {
    families_->http_rejected.Add({{"reason", reason}});
  }
  for (const char* grade : {"A", "B", "C", "F"}) {
    families_->images.Add({{"grade", grade}});
    families_->mosaics.Add({{"grade", grade}});
  }
  for (const char* refusal :
       {"unreadable", "blank", "grade", "twice", "pixels", "beam", "frequency", "noise", "scale"}) {
    families_->mosaic_refusals.Add({{"refusal", refusal}});
  }
  for (const char* interval : {"24h", "1h"}) {
    for (const char* outcome : {"passed", "failed", "abandoned"}) {
      families_->calibration_solves.Add({{"interval", interval}, {"outcome", outcome}});
    }
  }
}
Metrics::~Metrics() = default;

void Metrics::ExpectStage(std::string_view stage) {
  const std::string word(stage);
  families_->jobs.Add({{"stage", word}, {"outcome", "ok"}});
  ForEachKind([&](const std::string& kind) { families_->jobs.Add({{"stage", word}, {"outcome", kind}}); });
  families_->stage_seconds.Add({{"stage", word}}, Families::kStageSeconds);
}

void Metrics::FileSeen() { families_->files_seen.Increment(); }
void Metrics::FileAccepted(std::uint64_t bytes) {
  families_->files_accepted.Increment();
  families_->bytes_accepted.Increment(static_cast<double>(bytes));
}
void Metrics::FileRejected(std::string_view reason) {
  families_->files_rejected.Add({{"reason", std::string(reason)}}).Increment();
}
void Metrics::FileRetried() { families_->file_retries.Increment(); }
void Metrics::GroupClosed(std::string_view outcome) {
  families_->groups_closed.Add({{"outcome", std::string(outcome)}}).Increment();
}
void Metrics::JobFinished(std::string_view stage, std::string_view kind) {
  families_->jobs.Add({{"stage", std::string(stage)}, {"outcome", std::string(kind)}}).Increment();
}
void Metrics::JobRetried(std::string_view kind) {
  families_->job_retries.Add({{"kind", std::string(kind)}}).Increment();
}
void Metrics::PhotometryRecorded(std::int64_t measurements, std::int64_t found) {
  families_->photometry_measurements.Increment(static_cast<double>(measurements));
  families_->photometry_new_sources.Increment(static_cast<double>(found));
}
void Metrics::WorkerWarned() { families_->worker_warnings.Increment(); }
void Metrics::DatabaseFailed() { families_->database_failures.Increment(); }
void Metrics::HttpAnswered(int status) {
  families_->http_responses.Add({{"status", std::to_string(status)}}).Increment();
}

void Metrics::HttpRejected(std::string_view reason) {
  families_->http_rejected.Add({{"reason", std::string(reason)}}).Increment();
}
void Metrics::ExpectRoute(std::string_view route) {
  families_->http_seconds.Add({{"route", std::string(route)}}, Families::kHttpSeconds);
}
void Metrics::HttpTook(std::string_view route, double seconds) {
  families_->http_seconds.Add({{"route", std::string(route)}}, Families::kHttpSeconds).Observe(seconds);
}
void Metrics::MosaicMade(std::string_view grade, const std::map<std::string, int>& refusals) {
  families_->mosaics.Add({{"grade", std::string(grade)}}).Increment();
  for (const auto& [refusal, n] : refusals) families_->mosaic_refusals.Add({{"refusal", refusal}}).Increment(n);
}

void Metrics::ImageMade(const MadeImage& image) {
  families_->images.Add({{"grade", image.grade}}).Increment();
  families_->image_rms.Observe(image.rms_jy);
  if (image.flux_ratio) families_->image_flux_ratio.Observe(*image.flux_ratio);
  if (image.offset_arcsec) families_->image_offset.Observe(*image.offset_arcsec);
}
void Metrics::TileFlagged(double fraction) { families_->flagged.Observe(fraction); }

void Metrics::StageTook(std::string_view stage, double seconds) {
  families_->stage_seconds.Add({{"stage", std::string(stage)}}, Families::kStageSeconds).Observe(seconds);
}
void Metrics::JobTook(double seconds, double cpu_seconds, std::uint64_t peak_memory_bytes) {
  families_->job_seconds.Observe(seconds);
  families_->job_cpu.Increment(cpu_seconds);
  families_->job_memory.Observe(static_cast<double>(peak_memory_bytes));
}
void Metrics::GroupWaited(double seconds) { families_->queue_seconds.Observe(seconds); }

void Metrics::SetGroups(const std::map<std::string, std::int64_t>& by_state) {
  for (const auto& [state, count] : by_state) families_->groups.Add({{"state", state}}).Set(static_cast<double>(count));
}
void Metrics::SetTasks(std::string_view kind, std::string_view state, std::int64_t n) {
  families_->tasks.Add({{"kind", std::string(kind)}, {"state", std::string(state)}}).Set(static_cast<double>(n));
}
void Metrics::SetMaintenance(std::string_view kind, double last_success_unix_s, double last_duration_s) {
  families_->maintenance_done.Add({{"kind", std::string(kind)}}).Set(last_success_unix_s);
  families_->maintenance_duration.Add({{"kind", std::string(kind)}}).Set(last_duration_s);
}
void Metrics::SetMaintenanceRuns(std::string_view kind, std::string_view outcome, std::int64_t n) {
  Raise(families_->maintenance_runs.Add({{"kind", std::string(kind)}, {"outcome", std::string(outcome)}}), n);
}
void Metrics::SetCleanup(std::string_view product_class, std::int64_t removed_bytes, std::int64_t blocked_bytes) {
  Raise(families_->cleanup_removed.Add({{"class", std::string(product_class)}}), removed_bytes);
  families_->cleanup_blocked.Add({{"class", std::string(product_class)}}).Set(static_cast<double>(blocked_bytes));
}
void Metrics::SetArchive(std::string_view state, std::int64_t objects) {
  families_->archive_objects.Add({{"state", std::string(state)}}).Set(static_cast<double>(objects));
}
void Metrics::SetArchiveBacklog(std::int64_t bytes) { families_->archive_backlog.Set(static_cast<double>(bytes)); }
void Metrics::SetIntegrity(std::string_view place, std::int64_t failures) {
  Raise(families_->integrity_failures.Add({{"where", std::string(place)}}), failures);
}
void Metrics::SetOpenFindings(std::int64_t n) { families_->open_findings.Set(static_cast<double>(n)); }
void Metrics::SetChecked(std::string_view place, std::int64_t bytes) {
  Raise(families_->checked.Add({{"where", std::string(place)}}), bytes);
}
void Metrics::SetArchiveFailures(const std::map<std::string, std::int64_t>& by_reason) {
  ForEachKind([&](const std::string& kind) {
    const auto found = by_reason.find(kind);
    Raise(families_->archive_failures.Add({{"reason", kind}}), found == by_reason.end() ? 0 : found->second);
  });
}
void Metrics::SetBackup(std::string_view database, std::int64_t bytes) {
  families_->backup_bytes.Add({{"database", std::string(database)}}).Set(static_cast<double>(bytes));
}
void Metrics::SetNewestProduct(std::string_view kind, double unix_s) {
  families_->newest_product.Add({{"kind", std::string(kind)}}).Set(unix_s);
}
void Metrics::SetLogLines(std::string_view level, std::uint64_t n) {
  Raise(families_->log_lines.Add({{"level", std::string(level)}}), static_cast<std::int64_t>(n));
}
void Metrics::SetDatabase(std::string_view name, std::uint64_t bytes, std::uint64_t wal_bytes) {
  families_->database_bytes.Add({{"database", std::string(name)}}).Set(static_cast<double>(bytes));
  families_->database_wal.Add({{"database", std::string(name)}}).Set(static_cast<double>(wal_bytes));
}
void Metrics::SetDiskLimits(std::uint64_t warning_bytes, std::uint64_t critical_bytes) {
  families_->disk_warning.Set(static_cast<double>(warning_bytes));
  families_->disk_critical.Set(static_cast<double>(critical_bytes));
}
void Metrics::SetStagingLimit(double used) { families_->staging_critical.Set(used); }
void Metrics::SetNoDataLimit(double seconds) { families_->no_data_limit.Set(seconds); }
void Metrics::SetMaintenanceLimit(std::string_view kind, double seconds) {
  families_->maintenance_limit.Add({{"kind", std::string(kind)}}).Set(seconds);
}
void Metrics::SetMaintenanceWaiting(std::string_view kind, double since_unix_s) {
  families_->maintenance_waiting.Add({{"kind", std::string(kind)}}).Set(since_unix_s);
}
void Metrics::SetBehindLimit(double seconds) { families_->behind_limit.Set(seconds); }
void Metrics::SetForecastLimit(double seconds) { families_->forecast_limit.Set(seconds); }
void Metrics::SetFailureLimits(const FailureLimits& limits) {
  families_->burst_ratio.Set(limits.jobs_ratio);
  families_->burst_jobs.Set(limits.least_jobs);
  families_->images_ratio.Set(limits.images_ratio);
  families_->least_images.Set(limits.least_images);
  families_->solves_limit.Set(static_cast<double>(limits.solves));
  families_->maintenance_failures.Set(static_cast<double>(limits.maintenance));
  families_->database_limit.Set(static_cast<double>(limits.database));
}
void Metrics::SetOldestUnprocessed(double age_s) { families_->oldest.Set(age_s); }
void Metrics::SetOldestDispatchable(double age_s) { families_->queue_lag.Set(age_s); }
void Metrics::SetProducts(std::int64_t missing, std::int64_t strange) {
  families_->products_missing.Set(static_cast<double>(missing));
  families_->products_strange.Set(static_cast<double>(strange));
}
void Metrics::SetLateFiles(std::int64_t n) { families_->late_files.Set(static_cast<double>(n)); }
void Metrics::SetAntennasWithoutSky(std::int64_t n) { families_->antennas_without_sky.Set(static_cast<double>(n)); }
void Metrics::SetSinceLastFile(double seconds) { families_->since_last_file.Set(seconds); }
void Metrics::SetWorkers(std::size_t running, std::size_t slots, std::uint64_t memory_bytes) {
  families_->workers_running.Set(static_cast<double>(running));
  families_->workers_slots.Set(static_cast<double>(slots));
  families_->workers_memory.Set(static_cast<double>(memory_bytes));
}
void Metrics::SetIncoming(std::size_t files, std::size_t pending, std::size_t retrying) {
  families_->incoming.Set(static_cast<double>(files));
  families_->incoming_count.Set(static_cast<double>(files));
  families_->pending.Set(static_cast<double>(pending));
  families_->retrying.Set(static_cast<double>(retrying));
}
void Metrics::SetDisk(std::string_view which, std::uint64_t free_bytes, std::uint64_t total_bytes) {
  Gauge& free = families_->any_disk_free.Add({{"disk", std::string(which)}});
  Gauge& size = families_->any_disk_size.Add({{"disk", std::string(which)}});
  if (total_bytes > 0) {
    free.Set(static_cast<double>(free_bytes));
    size.Set(static_cast<double>(total_bytes));
  } else {  // what cannot be measured has no old figures either
    families_->any_disk_free.Remove(&free);
    families_->any_disk_size.Remove(&size);
  }
  if (which == "scratch") {
    families_->disk_free.Set(static_cast<double>(free_bytes));
    families_->disk_free_gb.Set(static_cast<double>(free_bytes) * 1e-9);
    families_->disk_total.Set(static_cast<double>(total_bytes));
  } else if (which == "state") {
    families_->state_free.Set(static_cast<double>(free_bytes));
  } else if (which == "staging" && total_bytes > 0) {
    const double used = 1 - static_cast<double>(free_bytes) / static_cast<double>(total_bytes);
    families_->tmpfs_usage.Set(used);
    families_->tmpfs_percent.Set(100 * used);
  }
}
void Metrics::SetSecondsToCritical(std::optional<double> seconds) {
  Gauge& gauge = families_->seconds_to_critical.Add({});
  if (seconds) {
    gauge.Set(*seconds);
  } else {
    families_->seconds_to_critical.Remove(&gauge);
  }
}
void Metrics::SetDirectory(std::string_view which, const Directory& directory) {
  const prometheus::Labels labels{{"directory", std::string(which)}};
  families_->directory_bytes.Add(labels).Set(static_cast<double>(directory.bytes));
  families_->directory_files.Add(labels).Set(static_cast<double>(directory.files));
  families_->directory_growth.Add(labels).Set(directory.growth_bytes_per_s);
  families_->directory_files_growth.Add(labels).Set(directory.growth_files_per_s);
  Gauge& oldest = families_->directory_oldest.Add(labels);
  if (directory.oldest_unix_s > 0) {
    oldest.Set(directory.oldest_unix_s);
  } else {
    families_->directory_oldest.Remove(&oldest);
  }
}
void Metrics::SetDispatchAllowed(bool allowed) { families_->dispatch.Set(allowed ? 1 : 0); }
void Metrics::SetHealth(std::string_view code, int level) {
  families_->health.Add({{"code", std::string(code)}}).Set(level);
}
void Metrics::SetReady(bool ready) { families_->ready.Set(ready ? 1 : 0); }
void Metrics::SetPolling(bool polling) { families_->polling.Set(polling ? 1 : 0); }
void Metrics::SetOwnResources(double cpu_seconds, std::uint64_t resident_bytes, std::size_t open_files) {
  const double before = families_->own_cpu.Value();
  if (cpu_seconds > before) families_->own_cpu.Increment(cpu_seconds - before);
  families_->own_memory.Set(static_cast<double>(resident_bytes));
  families_->own_files.Set(static_cast<double>(open_files));
}

void Metrics::CalibrationSolved(std::string_view interval, std::string_view outcome) {
  families_->calibration_solves.Add({{"interval", std::string(interval)}, {"outcome", std::string(outcome)}})
      .Increment();
}
void Metrics::SetCalibration(std::string_view kind, double left_s, double age_s) {
  const prometheus::Labels labels{{"kind", std::string(kind)}};
  families_->calibration_left.Add(labels).Set(left_s);
  families_->calibration_age.Add(labels).Set(age_s);
}
void Metrics::SetCalibrationTablesDamaged(std::size_t n) {
  families_->calibration_tables_damaged.Set(static_cast<double>(n));
}
void Metrics::SetCalibrationMissing(bool missing) { families_->calibration_missing.Set(missing ? 1 : 0); }

std::string Metrics::Serialize() const { return prometheus::TextSerializer().Serialize(families_->registry.Collect()); }

}  // namespace contimg::ops
