// Which antennas show no sky, and since which tile. Belongs to the daemon's thread.
#pragma once

#include <cstddef>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "ops/job/job.h"
#include "ops/metrics/metrics.h"
#include "state/group_store.h"

namespace contimg::ops {

class SkyWatch {
 public:
  explicit SkyWatch(Metrics& metrics) : metrics_(metrics) {}

  // What the flagger of a job found: names as in calibrate::LostSky; nullopt: it did not look, or could not tell.
  static std::optional<std::vector<std::string>> FoundBy(const JobReport& report);
  // The event that keeps it, when there is something to keep: antennas, that there was no telling, or that antennas
  // which an earlier job of the group missed are back. To be asked for before Saw.
  std::optional<state::EventRow> EventOf(const std::string& group, const JobReport& report, double now) const;

  // A tile is done. Repeating it, or processing a tile anew, replaces what was known of that tile.
  void Saw(const std::string& group, const JobReport& report);
  // At the start: what the events of the newest finished groups say. Throws Error like the store.
  void Restore(state::GroupStore& store);

  // One sentence for the antennas that the newest tile with a verdict misses, with the tile since which each is gone.
  std::vector<std::string> Troubles() const;
  // {"tile", "antennas": [{"name", "since"}]}; tiles are group ids.
  nlohmann::ordered_json Status() const;

 private:
  struct Missing {
    std::string name, since;
  };
  std::vector<Missing> Now() const;
  void Put(const std::string& group, std::vector<std::string> names);

  Metrics& metrics_;
  std::map<std::string, std::vector<std::string>> tiles_;  // with a verdict, by group id, which sorts as time
};

}  // namespace contimg::ops
