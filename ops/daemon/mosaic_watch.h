// Asks for mosaics: when the images of tiles are on record, and now and then by the clock. What is due is found in the
// databases, off the loop (ops/mosaics/due.h); the queue does the rest.
#pragma once

#include <boost/asio/io_context.hpp>
#include <map>
#include <memory>
#include <string>

#include "config/product_paths.h"
#include "config/settings.h"
#include "ops/base/clock.h"
#include "ops/daemon/background.h"
#include "ops/daemon/write_queue.h"

namespace contimg::ops {

class MosaicWatch {
 public:
  MosaicWatch(boost::asio::io_context& io, const Settings& settings, const ProductPaths& paths, DaemonClock& clock,
              WriteQueue& writes)
      : settings_(settings), paths_(paths), clock_(clock), writes_(writes), background_(io) {}

  // The products of the group are on record, an image among them.
  void Add(const std::string& group);
  // About ten times a second.
  void Tick();
  bool idle() const { return background_.n_waiting() == 0; }

 private:
  struct Look;
  void Ended(const Look& look, const std::exception_ptr& failure);

  const Settings& settings_;  // as they are at the time of asking
  const ProductPaths& paths_;
  DaemonClock& clock_;
  WriteQueue& writes_;
  std::map<double, double> since_;  // MJD of tiles → when they were recorded, steady clock: of the last two hours
  bool first_ = true, hurry_ = false;
  double next_ = 0;        // steady clock
  Background background_;  // last: it ends before the others
};

}  // namespace contimg::ops
