// What the service says about itself: the status document (GET /api/v1/status, the pages, `contimg status`), the gauges
// of Prometheus, a line for the service manager. Everything is told by those that know it; nothing is decided here.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "config/settings.h"
#include "ops/base/clock.h"
#include "ops/daemon/directory_sizes.h"
#include "ops/daemon/dispatcher.h"
#include "ops/daemon/health_watch.h"
#include "ops/daemon/ingest_service.h"
#include "ops/daemon/queue_summary.h"
#include "ops/daemon/upkeep_watch.h"
#include "ops/metrics/metrics.h"
#include "ops/records/reconciler.h"

namespace contimg::ops {

class StatusReport {
 public:
  struct Sources {
    const Settings& settings;  // as they are at the time of asking
    const ProductPaths& paths;
    DaemonClock& clock;
    Metrics& metrics;
    QueueSummary& queue;
    UpkeepWatch& upkeep;
    CalibrationScheduler& calibration;
    IngestService& ingest;
    Dispatcher& dispatcher;
    Reconciler& reconciler;
    HealthWatch& health;
    DirectorySizes& sizes;
  };
  // Made when the service starts: uptime counts from here.
  explicit StatusReport(const Sources& sources)
      : at_(sources), started_(sources.clock.Steady()), started_unix_(sources.clock.Unix()) {}

  nlohmann::ordered_json Document();
  // "2 collecting, 0 waiting, 1 running; <the first finding>"
  std::string Line();
  void UpdateGauges();

 private:
  void SetQueueGauges(double now);
  void SetTaskGauges();
  void SetIntakeGauges(double now);
  void SetHealthGauges();

  Sources at_;
  double started_, started_unix_;
};

}  // namespace contimg::ops
