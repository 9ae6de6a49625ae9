// HTTP as the service speaks it: metrics, probes and status answered on the loop, pages and the rest of the API on a
// thread of their own, so that a slow database holds up nobody but its reader.
#pragma once

#include <boost/asio/io_context.hpp>
#include <memory>
#include <string>

#include "config/settings.h"
#include "ops/daemon/status_report.h"
#include "ops/http/http_server.h"
#include "ops/http/work_thread.h"
#include "ops/web/web.h"

namespace contimg::ops {

class HttpService {
 public:
  struct Sources {
    boost::asio::io_context& io;
    const ProductPaths& paths;
    DaemonClock& clock;
    Metrics& metrics;
    HealthWatch& health;
    StatusReport& status;
  };
  explicit HttpService(const Sources& sources);

  // Answers from now on. Returns the address, "127.0.0.1:9110", with the port that was found where any would do. Throws
  // Error as HttpServer.
  std::string Listen(const HttpSettings& settings);

 private:
  void AddRoutes();
  void Answer(const HttpRequest& request, HttpServer::Reply reply);

  Sources at_;
  HttpRouter router_;
  Web web_;
  std::size_t n_slow_answers_ = 0;
  WorkThread web_thread_;  // runs the slow routes; ends before what they use
  std::unique_ptr<HttpServer> server_;
};

}  // namespace contimg::ops
