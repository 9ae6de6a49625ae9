// The daemon's figures for Prometheus. Names, units and meaning: docs/operations/metrics.md.
//
// Every label has a fixed, small set of values (states, stages, kinds of error, reasons); group ids and file names are
// never labels.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace contimg::ops {

class Metrics {
 public:
  Metrics();
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  // A word for the label `stage` that can come: its series exist from now on, at 0. Those of a group's jobs do already.
  void ExpectStage(std::string_view stage);

  // Counters.
  void FileSeen();  // an event or a listing named a new file
  void FileAccepted(std::uint64_t bytes);
  void FileRejected(std::string_view reason);  // unreadable, duplicate, conflict
  void FileRetried();
  void GroupClosed(std::string_view outcome);                       // complete, partial, incomplete
  void JobFinished(std::string_view stage, std::string_view kind);  // kind "ok" or a word of ErrorKind
  void JobRetried(std::string_view kind);
  void WorkerWarned();
  void DatabaseFailed();
  void HttpAnswered(int status);
  void HttpRejected(std::string_view reason);  // malformed, too_long, host, busy, crowded
  struct MadeImage {
    std::string grade;  // A, B, C, F
    double rms_jy = 0;
    std::optional<double> flux_ratio, offset_arcsec;  // against the catalogue; nothing: no source was matched
  };
  void ImageMade(const MadeImage& image);
  void MosaicMade(std::string_view grade, const std::map<std::string, int>& refusals);  // refusal → tiles
  void CalibrationSolved(std::string_view interval, std::string_view outcome);  // 24h, 1h; passed, failed, abandoned

  // Of the samples of a tile.
  void TileFlagged(double fraction);

  // Histograms, seconds.
  void ExpectRoute(std::string_view route);  // its series exist from now on
  void HttpTook(std::string_view route, double seconds);
  void StageTook(std::string_view stage, double seconds);
  void JobTook(double seconds, double cpu_seconds, std::uint64_t peak_memory_bytes);
  void GroupWaited(double seconds);  // ready → started

  // Gauges.
  void SetGroups(const std::map<std::string, std::int64_t>& by_state);
  void SetTasks(std::string_view kind, std::string_view state, std::int64_t n);
  // Runs of maintenance (cleanup, archive, backup, verify…), whoever began them.
  void SetMaintenance(std::string_view kind, double last_success_unix_s, double last_duration_s);  // 0: never
  // Since when the next success is waited for: the last, or where there never was one the first start.
  void SetMaintenanceWaiting(std::string_view kind, double since_unix_s);
  void SetMaintenanceRuns(std::string_view kind, std::string_view outcome, std::int64_t n);  // ever
  void SetCleanup(std::string_view product_class, std::int64_t removed_bytes, std::int64_t blocked_bytes);
  void SetArchive(std::string_view state, std::int64_t objects);
  void SetArchiveBacklog(std::int64_t bytes);
  void SetIntegrity(std::string_view place, std::int64_t failures);               // ever found
  void SetOpenFindings(std::int64_t n);                                           // not made good
  void SetChecked(std::string_view place, std::int64_t bytes);                    // read again, ever
  void SetArchiveFailures(const std::map<std::string, std::int64_t>& by_reason);  // words of ErrorKind; ever
  void SetBackup(std::string_view database, std::int64_t bytes);  // in the newest backup that was verified
  void SetNewestProduct(std::string_view kind, double unix_s);    // begin of its data
  void SetLogLines(std::string_view level, std::uint64_t n);
  void SetDatabase(std::string_view name, std::uint64_t bytes, std::uint64_t wal_bytes);
  // Free bytes of the scratch disk at which its warning begins, and below which no new work starts.
  void SetDiskLimits(std::uint64_t warning_bytes, std::uint64_t critical_bytes);
  void SetStagingLimit(double used);        // part in use above which no new work starts
  void SetOldestUnprocessed(double age_s);  // 0: none
  void SetSinceLastFile(double seconds);
  void SetWorkers(std::size_t running, std::size_t slots, std::uint64_t memory_bytes);
  void SetIncoming(std::size_t files, std::size_t pending, std::size_t retrying);
  void SetDisk(std::string_view which, std::uint64_t free_bytes,
               std::uint64_t total_bytes);                   // the agreed names: scratch, state, staging
  void SetSecondsToCritical(std::optional<double> seconds);  // of the scratch disk; nothing: there is no such series
  struct Directory {
    std::uint64_t bytes = 0, files = 0;
    double oldest_unix_s = 0;  // 0: it has no file
    double growth_bytes_per_s = 0, growth_files_per_s = 0;
  };
  void SetDirectory(std::string_view which, const Directory& directory);
  void SetDispatchAllowed(bool allowed);
  void SetHealth(std::string_view code, int level);  // 0 well, 1 amber, 2 red
  void SetReady(bool ready);
  void SetPolling(bool polling);
  void SetOwnResources(double cpu_seconds, std::uint64_t resident_bytes, std::size_t open_files);
  void SetOldestDispatchable(double age_s);
  void SetProducts(std::int64_t missing, std::int64_t strange);
  void SetLateFiles(std::int64_t n);
  void PhotometryRecorded(std::int64_t measurements, std::int64_t found);  // of a tile, in master_sources.sqlite3
  void SetAntennasWithoutSky(std::int64_t n);                              // of the newest tile
  // At the latest observation; kind K, BP or G. 0 s left: no table serves.
  void SetCalibration(std::string_view kind, double left_s, double age_s);
  void SetCalibrationMissing(bool missing);
  void SetCalibrationTablesDamaged(std::size_t n);

  // Limits in force, for rules and dashboards.
  void SetNoDataLimit(double seconds);                              // silence that is worth a word; 0: none is
  void SetMaintenanceLimit(std::string_view kind, double seconds);  // of waiting, then it is overdue; 0: never
  void SetBehindLimit(double seconds);                              // from the first file to the end; 0: none
  void SetForecastLimit(double seconds);                            // until the scratch disk is full; 0: none
  // Of what is counted over the times that the rules name.
  struct FailureLimits {
    double jobs_ratio, least_jobs;
    std::int64_t solves, maintenance, database;
    double images_ratio, least_images;
  };
  void SetFailureLimits(const FailureLimits& limits);

  // The whole, in Prometheus's text format.
  std::string Serialize() const;
  static constexpr std::string_view kContentType = "text/plain; version=0.0.4; charset=utf-8";

 private:
  struct Families;
  std::unique_ptr<Families> families_;
};

}  // namespace contimg::ops
