// Which metrics the daemon has: name, words and buckets of each (docs/operations/metrics.md). Internal to ops/metrics/.
#pragma once

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include "ops/metrics/metrics.h"

namespace contimg::ops {

struct Metrics::Families {
  using Counter = prometheus::Counter;
  using Gauge = prometheus::Gauge;
  using Histogram = prometheus::Histogram;
  template <typename Type>
  using Family = prometheus::Family<Type>;

  template <typename Builder>
  static auto& Add(Builder&& builder, prometheus::Registry& registry, const char* name, const char* help) {
    return builder.Name(name).Help(help).Register(registry);
  }
  static Family<Counter>& AddCounter(prometheus::Registry& registry, const char* name, const char* help) {
    return Add(prometheus::BuildCounter(), registry, name, help);
  }
  static Family<Gauge>& AddGauge(prometheus::Registry& registry, const char* name, const char* help) {
    return Add(prometheus::BuildGauge(), registry, name, help);
  }
  static Family<Histogram>& AddHistogram(prometheus::Registry& registry, const char* name, const char* help) {
    return Add(prometheus::BuildHistogram(), registry, name, help);
  }

  inline static const Histogram::BucketBoundaries kStageSeconds{0.1, 0.25, 0.5, 1,  2,  4,   7,   10,  15,
                                                                20,  30,   45,  60, 90, 120, 180, 300, 600};
  inline static const Histogram::BucketBoundaries kWaitSeconds{0.1, 1,   5,    15,   30,    60,   120,
                                                               300, 600, 1800, 3600, 21600, 86400};
  inline static const Histogram::BucketBoundaries kHttpSeconds{0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10};
  inline static const Histogram::BucketBoundaries kRmsJy{5e-5, 1e-4, 2e-4, 3e-4, 4e-4, 5e-4,
                                                         7e-4, 1e-3, 2e-3, 5e-3, 1e-2, 1e-1};
  inline static const Histogram::BucketBoundaries kFluxRatio{0.5,  0.7,  0.8, 0.85, 0.9, 0.95, 0.98,
                                                             1.02, 1.05, 1.1, 1.15, 1.2, 1.3,  2};
  inline static const Histogram::BucketBoundaries kOffsetArcsec{0.1, 0.2, 0.5, 1, 2, 3, 5, 10, 20, 60};
  inline static const Histogram::BucketBoundaries kFlagged{0.01, 0.02, 0.05, 0.1, 0.15, 0.2,
                                                           0.25, 0.3,  0.4,  0.5, 0.7,  0.9};
  inline static const Histogram::BucketBoundaries kMemoryBytes{1e8, 5e8, 1e9, 2e9, 4e9, 6e9, 8e9, 12e9, 16e9, 32e9};

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

}  // namespace contimg::ops
