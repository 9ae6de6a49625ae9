#include "ops/metrics/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <ctime>

#include "config/error.h"
#include "ops/base/job_stages.h"
#include "ops/base/version.h"

namespace contimg::ops {
namespace {

using prometheus::Counter;
using prometheus::Family;
using prometheus::Gauge;
using prometheus::Histogram;

template <typename Builder>
auto& Add(Builder&& builder, prometheus::Registry& registry, const char* name, const char* help) {
  return builder.Name(name).Help(help).Register(registry);
}
Family<Counter>& AddCounter(prometheus::Registry& registry, const char* name, const char* help) {
  return Add(prometheus::BuildCounter(), registry, name, help);
}
Family<Gauge>& AddGauge(prometheus::Registry& registry, const char* name, const char* help) {
  return Add(prometheus::BuildGauge(), registry, name, help);
}
Family<Histogram>& AddHistogram(prometheus::Registry& registry, const char* name, const char* help) {
  return Add(prometheus::BuildHistogram(), registry, name, help);
}

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

const Histogram::BucketBoundaries kStageSeconds{0.1, 0.25, 0.5, 1,  2,  4,   7,   10,  15,
                                                20,  30,   45,  60, 90, 120, 180, 300, 600};
const Histogram::BucketBoundaries kWaitSeconds{0.1, 1, 5, 15, 30, 60, 120, 300, 600, 1800, 3600, 21600, 86400};
const Histogram::BucketBoundaries kHttpSeconds{0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10};
const Histogram::BucketBoundaries kRmsJy{5e-5, 1e-4, 2e-4, 3e-4, 4e-4, 5e-4, 7e-4, 1e-3, 2e-3, 5e-3, 1e-2, 1e-1};
const Histogram::BucketBoundaries kFluxRatio{0.5, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98, 1.02, 1.05, 1.1, 1.15, 1.2, 1.3, 2};
const Histogram::BucketBoundaries kOffsetArcsec{0.1, 0.2, 0.5, 1, 2, 3, 5, 10, 20, 60};
const Histogram::BucketBoundaries kFlagged{0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.7, 0.9};
const Histogram::BucketBoundaries kMemoryBytes{1e8, 5e8, 1e9, 2e9, 4e9, 6e9, 8e9, 12e9, 16e9, 32e9};

}  // namespace

struct Metrics::Families {
  prometheus::Registry registry;
  Counter& files_seen = AddCounter(registry, "contimg_files_seen_total", "Subband files noticed.").Add({});
  Counter& files_accepted =
      AddCounter(registry, "contimg_files_accepted_total", "Subband files that were readable and joined a group.")
          .Add({});
  Counter& bytes_accepted =
      AddCounter(registry, "contimg_input_bytes_total", "Bytes of accepted subband files.").Add({});
  Family<Counter>& files_rejected =
      AddCounter(registry, "contimg_files_rejected_total", "Subband files not used, by reason.");
  Counter& file_retries =
      AddCounter(registry, "contimg_file_retries_total", "Files that could not be read yet and were put off.").Add({});
  Family<Counter>& groups_closed =
      AddCounter(registry, "contimg_groups_closed_total", "Groups that stopped collecting, by outcome.");
  Family<Counter>& jobs =
      AddCounter(registry, "contimg_jobs_total", "Finished jobs by the last stage they reached and outcome.");
  Family<Counter>& job_retries = AddCounter(registry, "contimg_job_retries_total", "Jobs put back, by kind of error.");
  Counter& photometry_measurements = AddCounter(registry, "contimg_photometry_measurements_total",
                                                "Measurements of known sources that went on record.")
                                         .Add({});
  Counter& photometry_new_sources = AddCounter(registry, "contimg_photometry_new_sources_total",
                                               "Sources that nobody knew, found in two tiles of a transit.")
                                        .Add({});
  Counter& worker_warnings = AddCounter(registry, "contimg_worker_warnings_total", "Warnings of workers.").Add({});
  Counter& database_failures = AddCounter(registry, "contimg_database_failures_total",
                                          "Database operations that failed and were repeated later.")
                                   .Add({});
  Family<Counter>& http_responses =
      AddCounter(registry, "contimg_http_responses_total", "Answers of the HTTP server by status.");
  Family<Counter>& http_rejected =
      AddCounter(registry, "contimg_http_rejected_total", "Requests and connections that were turned away, by reason.");
  Family<Histogram>& http_seconds =
      AddHistogram(registry, "contimg_http_request_duration_seconds", "From a request to its answer, by route.");
  Family<Counter>& images = AddCounter(registry, "contimg_images_total", "Images made, by grade.");
  Family<Counter>& mosaics = AddCounter(registry, "contimg_mosaics_total", "Mosaics made, by grade.");
  Family<Counter>& mosaic_refusals = AddCounter(registry, "contimg_mosaic_tiles_refused_total",
                                                "Tiles that were left out of mosaics, by what was wrong with them.");
  Histogram& image_rms =
      AddHistogram(registry, "contimg_image_rms_jy", "Noise of the images made, Jy/beam.").Add({}, kRmsJy);
  Histogram& image_flux_ratio =
      AddHistogram(registry, "contimg_image_flux_ratio",
                   "Median of measured over catalogue flux, of each image made with matched sources.")
          .Add({}, kFluxRatio);
  Histogram& image_offset = AddHistogram(registry, "contimg_image_offset_arcseconds",
                                         "Median distance from the catalogue, of each image made with matched sources.")
                                .Add({}, kOffsetArcsec);
  Histogram& flagged =
      AddHistogram(registry, "contimg_flagged_ratio", "Flagged part of the samples of each tile.").Add({}, kFlagged);
  Family<Counter>& checked =
      AddCounter(registry, "contimg_integrity_checked_bytes_total", "Bytes that were read again, by place.");
  Family<Counter>& archive_failures = AddCounter(registry, "contimg_archive_failures_total",
                                                 "Objects that an archive run could not deal with, by kind of error.");
  Family<Counter>& log_lines = AddCounter(registry, "contimg_log_lines_total", "Lines of the log, by level.");
  Family<Counter>& calibration_solves =
      AddCounter(registry, "contimg_calibration_solves_total", "Calibration solves by interval and outcome.");

  Family<Counter>& maintenance_runs =
      AddCounter(registry, "contimg_maintenance_runs_total", "Runs of maintenance that ended, by kind and outcome.");
  Family<Counter>& cleanup_removed =
      AddCounter(registry, "contimg_cleanup_removed_bytes_total", "Bytes that cleanup let go, by class.");
  Family<Counter>& integrity_failures = AddCounter(registry, "contimg_integrity_failures_total",
                                                   "Products, archived objects and backups that were found damaged.");

  Family<Histogram>& stage_seconds =
      AddHistogram(registry, "contimg_stage_duration_seconds", "Duration of successful stages.");
  Histogram& job_seconds =
      AddHistogram(registry, "contimg_job_duration_seconds", "Duration of whole jobs.").Add({}, kStageSeconds);
  Counter& job_cpu = AddCounter(registry, "contimg_job_cpu_seconds_total", "Processor time of workers.").Add({});
  Histogram& job_memory =
      AddHistogram(registry, "contimg_job_peak_memory_bytes", "Largest resident memory of each worker.")
          .Add({}, kMemoryBytes);
  Histogram& queue_seconds =
      AddHistogram(registry, "contimg_queue_wait_seconds", "Time from ready to started.").Add({}, kWaitSeconds);

  Family<Gauge>& groups = AddGauge(registry, "contimg_groups", "Groups in the database by state.");
  Family<Gauge>& tasks = AddGauge(registry, "contimg_tasks", "Tasks in the database by kind and state.");
  Family<Gauge>& maintenance_done =
      AddGauge(registry, "contimg_maintenance_last_success_timestamp_seconds", "When one was last done; 0: never.");
  Gauge& oldest = AddGauge(registry, "contimg_oldest_unprocessed_group_age_seconds",
                           "Age of the oldest group that waits or runs, since its first file was seen; 0: none.")
                      .Add({});
  Gauge& queue_lag = AddGauge(registry, "contimg_queue_lag_seconds",
                              "How long the oldest group that is due has been waiting for a worker; 0: none.")
                         .Add({});
  Gauge& since_last_file =
      AddGauge(registry, "contimg_seconds_since_last_file", "Since the last subband file was accepted.").Add({});
  Gauge& workers_running = AddGauge(registry, "contimg_workers_running", "Worker processes.").Add({});
  Gauge& workers_slots = AddGauge(registry, "contimg_worker_slots", "Worker processes allowed at once.").Add({});
  Gauge& workers_memory = AddGauge(registry, "contimg_worker_memory_bytes", "Resident memory of all workers.").Add({});
  Gauge& incoming = AddGauge(registry, "contimg_incoming_files", "Subband files in the incoming directory.").Add({});
  Gauge& pending = AddGauge(registry, "contimg_files_pending", "Files noticed and not looked into yet.").Add({});
  Gauge& retrying =
      AddGauge(registry, "contimg_files_retrying", "Files that could not be read and will be tried again.").Add({});
  Gauge& disk_free = AddGauge(registry, "contimg_scratch_disk_free_bytes", "Free space of the scratch disk.").Add({});
  Family<Gauge>& maintenance_duration = AddGauge(registry, "contimg_maintenance_duration_seconds",
                                                 "Duration of the last run that ended, by kind of maintenance.");
  Family<Gauge>& cleanup_blocked = AddGauge(registry, "contimg_cleanup_blocked_bytes",
                                            "Bytes that the last cleanup was to let go and kept, by class.");
  Family<Gauge>& archive_objects =
      AddGauge(registry, "contimg_archive_objects", "Archived objects, one for each remote, by state.");
  Gauge& archive_backlog =
      AddGauge(registry, "contimg_archive_backlog_bytes", "Bytes of products that have too few verified copies.")
          .Add({});
  Gauge& open_findings =
      AddGauge(registry, "contimg_integrity_open_findings", "Damage that is not made good (contimg verify --failed).")
          .Add({});
  Family<Gauge>& database_bytes = AddGauge(registry, "contimg_database_size_bytes", "Size of the databases.");
  Family<Gauge>& database_wal =
      AddGauge(registry, "contimg_database_wal_bytes", "Size of the write-ahead logs beside the databases.");
  Gauge& no_data_limit = AddGauge(registry, "contimg_no_data_limit_seconds",
                                  "Without a new file for this long something is wrong; 0: silence never is.")
                             .Add({});
  Family<Gauge>& maintenance_limit =
      AddGauge(registry, "contimg_maintenance_overdue_after_seconds",
               "When one has been waited for longer than this, it is overdue, by kind of maintenance; 0: never.");
  Family<Gauge>& maintenance_waiting =
      AddGauge(registry, "contimg_maintenance_waiting_since_timestamp_seconds",
               "Since when the next is waited for: the last success, or the first start where there never was one.");
  Gauge& behind_limit = AddGauge(registry, "contimg_oldest_unprocessed_group_age_limit_seconds",
                                 "A group older than this that is not done: work falls behind; 0: no limit.")
                            .Add({});
  Gauge& forecast_limit = AddGauge(registry, "contimg_scratch_disk_forecast_limit_seconds",
                                   "A scratch disk that is going to be full within this is worth a word; 0: never.")
                              .Add({});
  Family<Gauge>& seconds_to_critical = AddGauge(
      registry, "contimg_scratch_disk_seconds_to_critical",
      "When the scratch disk will have no room for new work; absent while that is not known or it does not shrink.");
  Gauge& burst_ratio = AddGauge(registry, "contimg_failure_burst_limit_ratio",
                                "Part of the jobs of an hour above which failures are a burst.")
                           .Add({});
  Gauge& images_ratio = AddGauge(registry, "contimg_image_quality_limit_ratio",
                                 "Part of the images of two hours with grade C or F above which quality has fallen.")
                            .Add({});
  Gauge& least_images = AddGauge(registry, "contimg_image_quality_least_images",
                                 "Images of two hours from which on their quality is judged.")
                            .Add({});
  Gauge& burst_jobs =
      AddGauge(registry, "contimg_failure_burst_least_jobs", "Jobs of an hour from which on a burst is told.").Add({});
  Gauge& solves_limit = AddGauge(registry, "contimg_calibration_solves_failed_limit",
                                 "Failed solves of three hours from which on they are no accident.")
                            .Add({});
  Gauge& maintenance_failures = AddGauge(registry, "contimg_maintenance_failures_limit",
                                         "Failed runs of one kind in a day from which on they are no accident.")
                                    .Add({});
  Gauge& database_limit = AddGauge(registry, "contimg_database_failures_limit",
                                   "Database failures of a quarter of an hour above which they are no accident.")
                              .Add({});
  Gauge& disk_warning = AddGauge(registry, "contimg_scratch_disk_warning_free_bytes",
                                 "Free space below which the scratch disk warns, as the settings give it.")
                            .Add({});
  Gauge& disk_critical = AddGauge(registry, "contimg_scratch_disk_critical_free_bytes",
                                  "Free space of the scratch disk below which no new work starts.")
                             .Add({});
  Gauge& staging_critical = AddGauge(registry, "contimg_tmpfs_critical_usage_ratio",
                                     "Used part of the file system for staging above which no new work starts.")
                                .Add({});
  // The names that were agreed with the telescope; those in base units say the same.
  Gauge& disk_free_gb = AddGauge(registry, "contimg_scratch_disk_free_gb",
                                 "Free space of the scratch disk, 1e9 bytes; prefer contimg_scratch_disk_free_bytes.")
                            .Add({});
  Gauge& tmpfs_percent =
      AddGauge(registry, "contimg_tmpfs_usage_percent",
               "Used part of the file system for staging, per cent; prefer contimg_tmpfs_usage_ratio.")
          .Add({});
  Gauge& incoming_count = AddGauge(registry, "contimg_incoming_file_count",
                                   "Subband files in the incoming directory; prefer contimg_incoming_files.")
                              .Add({});
  Gauge& disk_total = AddGauge(registry, "contimg_scratch_disk_size_bytes", "Size of the scratch disk.").Add({});
  Gauge& state_free = AddGauge(registry, "contimg_state_disk_free_bytes", "Free space of the state disk.").Add({});
  Gauge& tmpfs_usage =
      AddGauge(registry, "contimg_tmpfs_usage_ratio", "Used part of the file system for staging, 0 to 1.").Add({});
  Family<Gauge>& directory_bytes = AddGauge(registry, "contimg_directory_bytes", "Size of directory trees.");
  Family<Gauge>& directory_files = AddGauge(registry, "contimg_directory_files", "Files in directory trees.");
  Family<Gauge>& directory_oldest =
      AddGauge(registry, "contimg_directory_oldest_file_timestamp_seconds",
               "When the file that was not changed for longest in a directory tree was; absent without files.");
  Family<Gauge>& directory_files_growth = AddGauge(registry, "contimg_directory_growth_files_per_second",
                                                   "Growth of directory trees since the measurement before, in files.");
  Family<Gauge>& any_disk_free = AddGauge(registry, "contimg_disk_free_bytes",
                                          "Free space of every disk that the settings name, by what is on it.");
  Family<Gauge>& any_disk_size =
      AddGauge(registry, "contimg_disk_size_bytes", "Size of every disk that the settings name, by what is on it.");
  Family<Gauge>& backup_bytes = AddGauge(registry, "contimg_backup_size_bytes",
                                         "Size of each database in the newest backup that was made and verified.");
  Family<Gauge>& newest_product =
      AddGauge(registry, "contimg_products_newest_timestamp_seconds",
               "Begin of the newest data of which there is or was a product, by its kind; absent without one.");
  Family<Gauge>& directory_growth = AddGauge(registry, "contimg_directory_growth_bytes_per_second",
                                             "Growth of directory trees since the measurement before.");
  Gauge& products_missing =
      AddGauge(registry, "contimg_products_missing", "Products that are recorded and not on disk.").Add({});
  Gauge& products_strange =
      AddGauge(registry, "contimg_products_unknown", "Products on disk that belong to no known group.").Add({});
  Gauge& antennas_without_sky =
      AddGauge(registry, "contimg_antennas_without_sky",
               "Antennas of the newest tile with a receptor that has noise but no sky; they are flagged.")
          .Add({});
  Gauge& late_files =
      AddGauge(registry, "contimg_late_subbands", "Subbands that came after their group and are not used yet.").Add({});
  Family<Gauge>& calibration_left =
      AddGauge(registry, "contimg_calibration_seconds_until_expiry",
               "Seconds for which tables of each kind serve after the latest observation; 0: none does.");
  Family<Gauge>& calibration_age = AddGauge(registry, "contimg_calibration_age_seconds",
                                            "Age of the serving table of each kind at the latest observation.");
  Gauge& calibration_missing =
      AddGauge(registry, "contimg_calibration_missing",
               "1: the latest observation has no valid calibration, or groups wait for theirs; 0: neither.")
          .Add({});
  Gauge& calibration_tables_damaged =
      AddGauge(registry, "contimg_calibration_tables_damaged",
               "Active tables near the latest data whose files are gone or changed; they are not used.")
          .Add({});
  Gauge& dispatch =
      AddGauge(registry, "contimg_dispatch_allowed", "1: new jobs may start; 0: a disk is too full.").Add({});
  Family<Gauge>& health =
      AddGauge(registry, "contimg_health", "What is wrong, by code: 0 well, 1 amber (needs a look), 2 red.");
  Gauge& ready = AddGauge(registry, "contimg_ready", "1: /readyz is 200; 0: it is 503.").Add({});
  Gauge& polling = AddGauge(registry, "contimg_watcher_polling", "1: files are found by listing only.").Add({});
  Counter& own_cpu = AddCounter(registry, "process_cpu_seconds_total", "Processor time of the daemon itself.").Add({});
  Gauge& own_memory = AddGauge(registry, "process_resident_memory_bytes", "Resident memory of the daemon.").Add({});
  Gauge& own_files = AddGauge(registry, "process_open_fds", "Open file descriptors of the daemon.").Add({});
  Gauge& start_time = AddGauge(registry, "process_start_time_seconds", "Start of the daemon, Unix time.").Add({});
};

Metrics::Metrics() : families_(std::make_unique<Families>()) {
  AddGauge(families_->registry, "contimg_build_info", "1, with the version as label.")
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
  families_->stage_seconds.Add({{"stage", word}}, kStageSeconds);
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
  families_->http_seconds.Add({{"route", std::string(route)}}, kHttpSeconds);
}
void Metrics::HttpTook(std::string_view route, double seconds) {
  families_->http_seconds.Add({{"route", std::string(route)}}, kHttpSeconds).Observe(seconds);
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
  families_->stage_seconds.Add({{"stage", std::string(stage)}}, kStageSeconds).Observe(seconds);
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
