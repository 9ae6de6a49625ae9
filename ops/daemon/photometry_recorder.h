// Puts the measurements of tiles on record when their groups are done: in the background, in the order of the tiles,
// never holding up the intake or the queue. What a daemon that was killed has left is found at the start.
#pragma once

#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <memory>
#include <set>
#include <string>

#include "config/os.h"
#include "config/product_paths.h"
#include "ops/base/clock.h"
#include "ops/daemon/background.h"
#include "ops/metrics/metrics.h"

namespace contimg::ops {

class PhotometryRecorder {
 public:
  PhotometryRecorder(boost::asio::io_context& io, const ProductPaths& paths, Os& os, DaemonClock& clock,
                     Metrics& metrics)
      : paths_(paths), os_(os), clock_(clock), metrics_(metrics), background_(io) {}

  // The products of the group are on record.
  void Add(const std::string& group) { groups_.insert(group); }
  // About ten times a second.
  void Tick();
  // Nothing is being written; what waits is for the next start.
  bool idle() const { return background_.n_waiting() == 0; }

 private:
  struct Round;
  void Ended(const Round& round, const std::exception_ptr& failure);

  const ProductPaths& paths_;
  Os& os_;
  DaemonClock& clock_;
  Metrics& metrics_;
  bool all_ = true;  // every product is to be compared with what is on record
  std::int64_t frames_after_ =
      0;  // tiles up to this one have the headers of their images, as far as there are; -1: all
  std::set<std::string> groups_;
  double next_ = 0;        // steady clock
  Background background_;  // last: it ends before the others
};

}  // namespace contimg::ops
